"""MPNet (Song et al. 2020, arXiv 2004.09297), as transformers' classes of the encoder alone and
with its heads.

RoBERTa's layers without types of tokens; to the scores of every layer one table adds a number for
each distance and head, so that one order of heads holds for all layers. The padding token is number
1 whatever the configuration says, and distances fall into 32 groups; a longer table has rows that
are never read.
"""

from __future__ import annotations

import math

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import postnorm
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.families import bert
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import PERMUTATIONS

PADDING = 1  # the token of padding, and its position, in transformers' own code
BUCKETS, FARTHEST = 32, 128  # groups of distances both ways, and where the last of them begins
HEADS = "heads"
HEAD = TokenHead(
    "lm_head.dense",
    "lm_head.layer_norm",
    "lm_head.decoder",
    "mpnet.embeddings.word_embeddings.weight",
    "lm_head.bias",
)
NAMES = postnorm.Names(
    {part: name for part, name in postnorm.TABLES.items() if part != "type"},
    postnorm.BERT.norm,
    postnorm.BERT.layer,
    ("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o"),
    "attention.LayerNorm",
    postnorm.BERT.up,
    postnorm.BERT.down,
    postnorm.BERT.norm2,
)
# What the function depends on, with transformers' defaults.
DEFAULTS = {
    **{key: value for key, value in bert.DEFAULTS.items() if key != "type_vocab_size"},
    "model_type": "mpnet",
    "vocab_size": 30527,
    "relative_attention_num_buckets": BUCKETS,
    "pad_token_id": PADDING,
}
CLASSES = {
    "MPNetForMaskedLM": Kind("masked"),
    "MPNetForSequenceClassification": Kind("label"),
    "MPNetModel": Kind("features", pooler=True),
    "MPNetForTokenClassification": Kind("token-label"),
    "MPNetForQuestionAnswering": Kind("span"),
    "MPNetForMultipleChoice": Kind("choice", pooler=True),
}


def context(config: Config) -> int:
    """How many tokens a model reads: positions come behind the padding's."""
    return config.size("max_position_embeddings") - PADDING - 1


def reached(length: int) -> int:
    """How many groups of distances occur between `length` places.

    Of the groups of one direction half have one distance each; the others grow by a constant factor
    up to `FARTHEST`, and what is further shares the last one.
    """
    each, farthest = BUCKETS // 2, length - 1
    exact = each // 2
    if farthest < exact:
        return 2 * farthest + 1
    steps = math.log(farthest / exact) / math.log(FARTHEST / exact) * (each - exact)
    return 2 * min(exact + int(steps + 1e-6), each - 1) + 1  # ahead there is no distance 0


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Refuse tables that are too short: of tokens, of positions, of distances."""
    require_sizes(found, "relative_attention_num_buckets")
    if context(found) < 1 or found.size("vocab_size") <= PADDING:
        raise BadCheckpoint(
            f"Token {PADDING} is the padding of an MPNet, and positions come after its own; the "
            "configuration gives "
            f"{found['vocab_size']} tokens and {found['max_position_embeddings']} positions, and "
            "at least 2 and 3 are needed."
        )
    if found.size("relative_attention_num_buckets") < BUCKETS:
        raise BadCheckpoint(
            f"An MPNet reads a table of {BUCKETS} groups of distances; the configuration gives "
            f"relative_attention_num_buckets = {found['relative_attention_num_buckets']}, which "
            "is too few."
        )


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of an MPNet of that configuration down."""
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    readers = postnorm.last_readers(kind, kind.predicts in ("label", "choice"))
    heads, rows = config.sizes("num_attention_heads", "relative_attention_num_buckets")
    reason = "each head has a softmax of its own; all layers share one table of distances by head"
    s.space(HEADS, "heads", heads, PERMUTATIONS, reason)
    postnorm.encoder(s, config, base, readers, PADDING, NAMES, tied, HEADS)
    seen = reached(context(config))
    if config["num_hidden_layers"] == 1 and kind.predicts in ("label", "choice"):
        seen = (seen + 1) // 2  # the first token alone is read, which looks ahead
    table = f"{base}encoder.relative_attention_bias.weight"
    s.parameter("distance.table", table, f"* ={HEADS}", (rows, heads))
    s.freedom("position numbers that a softmax does not see", heads)
    s.freedom("distances that do not occur", (rows - seen) * heads)
    if kind.predicts == "label":
        labels = {"head": ("classifier.out_proj", config.size("num_labels"))}
        postnorm.pooled(s, config, "classifier.dense", labels)
    elif kind.predicts in TOKENS:
        postnorm.token_head(s, config, HEAD, "gelu")
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)
    elif config.get("add_pooling_layer", True):
        score = {"score": ("classifier", 1)} if kind.predicts == "choice" else {}
        postnorm.pooled(s, config, f"{base}pooler.dense", score)


SMALL = (
    Config(model_type="mpnet", architectures=["MPNetForMaskedLM"], vocab_size=37)
    | dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32)
    | dict(max_position_embeddings=14)
)

MPNET = family(
    Encoder("mpnet", "MPNet", CLASSES, "mpnet.", DEFAULTS, write, HEAD, "MPNetConfig", check=check),
    "Encoder with learned positions and a table of distances for all layers, LayerNorm after each "
    "layer, GELU units.",
    "Song et al., MPNet: Masked and Permuted Pre-training for Language Understanding, 2020, arXiv "
    "2004.09297",
    {
        "mpnet": SMALL,
        "mpnet-features": SMALL | {"architectures": ["MPNetModel"], "num_hidden_layers": 1},
    },
    context,
)
