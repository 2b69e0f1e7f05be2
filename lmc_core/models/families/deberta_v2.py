"""DeBERTa (He et al. 2020, arXiv 2006.03654) and DeBERTaV3 (He et al. 2021, arXiv 2111.09543), of
transformers' second kind.

BERT's layers, whose scores also compare queries with keys of distances (c2p) and keys with queries
of distances (p2c). One table of distances serves all layers. Where the layers make keys and queries
of distances with the maps that make those of tokens (share_att_key), the table lies in the stream
and moves with it; where they have maps of their own, no one else reads the table, and it has a
space of its own. Positions of tokens may be in a table too, or in none.

What is free beside BERT's: a bias of keys shifts all scores of a query alike, but p2c multiplies it
by what depends on the distance, and then it is seen. A map that reads tokens and distances keeps
the means of what it reads, and with both terms offsets and scales of all that it reads are common
to all layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf, postnorm
from lmc_core.models.architectures.distances import TERMS, Terms, farthest, span
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.architectures.postnorm import MEANS, OFFSETS, SUMS
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.families import bert
from lmc_core.models.parts import POINTWISE, Attention
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import LINEAR, ROTATIONS

if TYPE_CHECKING:
    from torch import Tensor

AT = "cls.predictions"
TABLE = "deberta.embeddings.word_embeddings.weight"
HEAD = TokenHead(
    f"{AT}.transform.dense", f"{AT}.transform.LayerNorm", f"{AT}.decoder", TABLE, f"{AT}.bias"
)
NEWER = "lm_predictions.lm_head"
NEWER_HEAD = TokenHead(f"{NEWER}.dense", f"{NEWER}.LayerNorm", NEWER, TABLE, f"{NEWER}.bias")
UNSEEN = "biases that no output sees"
SCALES = "scales that norms undo"
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    bert.DEFAULTS
    | dict(model_type="deberta-v2", vocab_size=128100, hidden_size=1536)
    | dict(num_hidden_layers=24, num_attention_heads=24, intermediate_size=6144)
    | dict(type_vocab_size=0, layer_norm_eps=1e-7, relative_attention=False)
    | dict(max_relative_positions=-1, position_buckets=-1, pos_att_type=None)
    | dict(share_att_key=False, norm_rel_ebd="none", position_biased_input=True)
    | dict(conv_kernel_size=0, legacy=True)
)
CLASSES = {
    "DebertaV2ForMaskedLM": Kind("masked"),
    "DebertaV2ForSequenceClassification": Kind("label"),
    "DebertaV2ForTokenClassification": Kind("token-label"),
    "DebertaV2ForQuestionAnswering": Kind("span"),
    "DebertaV2ForMultipleChoice": Kind("choice"),
    "DebertaV2Model": Kind("features"),
}


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Refuse what transformers' class cannot compute or no layout says, and bring the rest to one
    form.
    """
    hf.switches(found, "relative_attention", "share_att_key", "position_biased_input", "legacy")
    width, heads = found.sizes("hidden_size", "num_attention_heads")
    for key, usual in (
        ("embedding_size", width),
        ("pooler_hidden_size", width),
        ("attention_head_size", width // heads),
    ):
        if raw.get(key, usual) != usual:
            raise BadCheckpoint(
                f"A DeBERTa with {key}={raw[key]!r} is not supported; {usual} is expected, as its "
                "other sizes say."
            )
    types = found["type_vocab_size"]
    if types:
        require_sizes(found, "type_vocab_size")
    _distances(found)
    _convolution(raw, found)
    if kind.predicts in ("label", "choice"):
        found["pooler_hidden_act"] = raw.get("pooler_hidden_act", "gelu")
        hf.activation(found, "pooler_hidden_act", POINTWISE, "A classifier's layer")
    if kind.predicts in TOKENS and not found["legacy"]:
        found["tie_word_embeddings"] = True  # this head has no matrix of its own, whatever is said


def _distances(found: Config) -> None:
    """Check what is said of distances, and write it as transformers' class understands it."""
    said = found["pos_att_type"] or []
    terms = (
        [each.strip() for each in said.lower().split("|") if each.strip()]
        if isinstance(said, str)
        else said
    )
    if not isinstance(terms, list | tuple) or not all(each in TERMS for each in terms):
        raise BadCheckpoint(
            f"The configuration should give 'pos_att_type' as some of {', '.join(TERMS)}; it "
            f"gives {said!r}, and of other "
            "terms transformers' class computes none."
        )
    found["pos_att_type"] = [each for each in TERMS if each in terms]
    norm = found["norm_rel_ebd"]
    if norm not in ("none", "layer_norm"):
        raise BadCheckpoint(
            "The configuration should give 'norm_rel_ebd' as none or layer_norm; it gives "
            f"{norm!r}."
        )
    for key in ("max_relative_positions", "position_buckets"):
        value = found[key]
        if not isinstance(value, int) or isinstance(value, bool) or value >= 2**24:
            raise BadCheckpoint(
                f"The configuration should give {key!r} as an integer; it gives {value!r}."
            )
        found[key] = value if value > 0 else -1
    if found["relative_attention"] != bool(terms) or (norm != "none" and not terms):
        raise BadCheckpoint(
            f"A DeBERTa with relative_attention={found['relative_attention']}, "
            f"pos_att_type={terms} and "
            f"norm_rel_ebd={norm!r} is not supported: distances are either compared, or have "
            "neither terms nor a norm."
        )
    reach, buckets = farthest(found), found.size("position_buckets")
    if terms and buckets > 0 and not (buckets >= 4 and reach - 1 > buckets // 2):
        raise BadCheckpoint(
            "Buckets of distances need at least 4, and a farthest distance beyond half their "
            "number; the configuration "
            f"gives position_buckets={buckets} and distances up to {reach}."
        )


def _convolution(raw: Config, found: Config) -> None:
    """Check what is said of a convolution over the tokens."""
    if found["conv_kernel_size"] in (0, None):
        found["conv_kernel_size"] = 0
        return
    require_sizes(found, "conv_kernel_size")
    size = found.size("conv_kernel_size")
    found["conv_act"] = raw.get("conv_act", "tanh")
    hf.activation(found, "conv_act", POINTWISE, "A convolution over tokens")
    if size % 2 == 0 or raw.get("conv_groups", 1) != 1:
        raise BadCheckpoint(
            f"A convolution over tokens with conv_kernel_size={size} and "
            f"conv_groups={raw.get('conv_groups', 1)} is not "
            "supported: an odd size is expected, and one group, since groups tell the stream's "
            "coordinates apart."
        )


def names(config: Config) -> postnorm.Names:
    """Names of the parameters, of those tables that there are."""
    there = {
        "token": True,
        "position": config.flag("position_biased_input"),
        "type": config.size("type_vocab_size") > 0,
    }
    return postnorm.Names(
        {part: name for part, name in postnorm.TABLES.items() if there[part]},
        "embeddings.LayerNorm",
        "encoder.layer.{}",
        (
            "attention.self.query_proj",
            "attention.self.key_proj",
            "attention.self.value_proj",
            "attention.output.dense",
        ),
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of a DeBERTa of that configuration down."""
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    pooler = kind.predicts in ("label", "choice")
    readers, terms = postnorm.last_readers(kind, pooler), Terms.of(config, pooler)
    postnorm.stream(s, config.size("hidden_size"), readers)
    postnorm.embeddings(s, config, base, None, names(config), tied)
    if terms.any:
        distances(s, config, base, terms)
    for i in range(config.size("num_hidden_layers")):
        layer(s, config, base, i, readers, terms)
    # last, so that matching turns the planes that its readers write to before it turns them
    if "distances" in s.spaces:
        s.spaces["distances"] = s.spaces.pop("distances")
    if pooler:
        head = ("classifier", 1 if kind.predicts == "choice" else config.size("num_labels"))
        block = "score" if kind.predicts == "choice" else "head"
        postnorm.pooled(s, config, "pooler.dense", {block: head}, config.text("pooler_hidden_act"))
    elif kind.predicts in TOKENS and config["legacy"]:
        postnorm.token_head(s, config, HEAD, config.text("hidden_act"))
    elif kind.predicts in TOKENS:
        newer_head(s, config)
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)


def newer_head(s: Structure, config: Config) -> None:
    """A head that reads the token table itself, so that there is no tie that could be cut."""
    s.linear("head.dense", NEWER_HEAD.dense, "+residual", "-residual")
    s.norm("head.norm", NEWER_HEAD.norm, None)
    s.freedom(OFFSETS, config.size("hidden_size"))
    s.parameter(
        "head.bias", NEWER_HEAD.bias, "*", (config.size("vocab_size"),), ignores_mean_over=0
    )


def distances(s: Structure, config: Config, base: str, terms: Terms) -> None:
    """Write down the table of distances, and count what it leaves open."""
    width, depth = config.sizes("hidden_size", "num_hidden_layers")
    rows = 2 * span(config)
    unused, name = rows - terms.used, f"{base}encoder.rel_embeddings.weight"
    norm = f"{base}encoder.LayerNorm"
    if terms.shared:
        s.parameter("distance.table", name, "* +residual", (rows, width))
        if terms.normed:
            s.norm("distance.norm", norm, None)
            # of a few rows a gain and an offset make nothing that the rows alone could not be
            s.freedom(MEANS, max(terms.used, width))
            s.freedom(SCALES, max(terms.used, width))
        s.freedom("distances that never come", unused * width)
        # the table follows the means that its only readers take
        if depth == 1 and (not terms.normed or terms.used <= width):
            s.freedom(MEANS, width)
        # what the layers read, and the table, move by one offset and one scale
        if terms.c2p and terms.p2c:
            s.freedom(OFFSETS, -(depth - 1) * width)
            s.freedom(SCALES, -(depth - 1))
        else:
            s.freedom(OFFSETS, width)
            s.freedom(SCALES, -(depth - 1))
        return
    parts = [part for part, there in (("pos_key", terms.c2p), ("pos_query", terms.p2c)) if there]
    readers: list[tuple[str, str | None]] = [
        (f"blocks.{i}.{part}.weight", f"blocks.{i}.{part}.bias")
        for i in range(depth)
        for part in parts
    ]
    if terms.normed:
        reason = (
            "LayerNorm divides by the length of each row, which rotations that keep the "
            "all-ones vector leave alone"
        )
        s.space("distances", "latent", width, ROTATIONS, reason, fixes_ones=True)
        s.centre("distances")
        s.freedom(SCALES, terms.used)
        s.freedom("distances that never come", unused * (width - 1))
    else:
        reason = "only the products of the table of distances with the maps that read it are seen"
        s.space("distances", "latent", width, LINEAR, reason)
        s.freedom(OFFSETS, width)
        s.freedom("distances that never come", unused * width)
        # with few rows a part of the maps is not seen, and the table's map is not all seen
        of = len(readers) * width
        s.freedom(MEANS, (width - terms.rank) * (of - width))
    s.parameter("distance.table", name, "* +distances", (rows, width))
    if terms.normed:
        s.norm("distance.norm", norm, readers, space="distances")


def layer(
    s: Structure, config: Config, base: str, i: int, readers: list[str], terms: Terms
) -> None:
    """Write one layer down with the norm behind it, and the convolution that stands behind the
    first.
    """
    width, size, heads = config.sizes("hidden_size", "intermediate_size", "num_attention_heads")
    on, own, last = f"blocks.{i}", names(config), i == config.size("num_hidden_layers") - 1
    at = base + own.layer.format(i)

    def attend(s: Structure, a: Attention, on: str, at: str) -> None:
        attention(s, a, on, at, config, terms)

    def norm(block: str, name: str) -> None:
        if last:
            s.norm(block, name, [(f"{each}.weight", f"{each}.bias") for each in readers] or None)
        else:
            postnorm.norm_into(s, block, name)

    postnorm.layer(s, config, at, i, own, attend=attend)
    kernel = config.size("conv_kernel_size") if i == 0 else 0
    if kernel:
        s.norm(f"{on}.norm2", f"{at}.{own.norm2}", None)
        convolution(s, config, base, kernel)
        norm("conv.norm", f"{base}encoder.conv.LayerNorm")
    else:
        norm(f"{on}.norm2", f"{at}.{own.norm2}")
    # of attention, that read tokens alone
    maps = 3 - (terms.shared and terms.p2c) - (terms.shared and terms.c2p)
    s.freedom(MEANS, (width + 1) + (size + 1) + maps * width + size)
    each = width // heads
    if terms.p2c:
        constants = 2 * each if terms.c2p and not terms.shared else each
        s.freedom(UNSEEN, heads * max(0, constants - terms.rank))
    if terms.p2c and not terms.shared and not terms.c2p:
        s.freedom(SUMS, width)  # biases of the queries of tokens and of distances


def attention(s: Structure, a: Attention, on: str, at: str, config: Config, terms: Terms) -> None:
    """Write down the maps of one attention and its two products."""
    inner = f"{at}.attention.self"
    s.linear(f"{on}.query", f"{inner}.query_proj", a.query, "-residual")
    s.linear(f"{on}.key", f"{inner}.key_proj", a.key, "-residual")
    s.linear(f"{on}.value", f"{inner}.value_proj", a.value, "-residual")
    s.linear(f"{on}.output", f"{at}.attention.output.dense", "+residual", a.output)
    left, right = [f"{on}.query.weight", f"{on}.query.bias"], [f"{on}.key.weight"]
    unseen: tuple[str, ...] = ()
    if terms.c2p and not terms.shared:
        s.linear(f"{on}.pos_key", f"{inner}.pos_key_proj", a.key, "-distances")
        right += [f"{on}.pos_key.weight"]
        unseen = (f"{on}.pos_key.bias",)  # shifts all scores of a query alike
    if terms.p2c and not terms.shared:
        s.linear(f"{on}.pos_query", f"{inner}.pos_query_proj", a.query, "-distances")
        left += [f"{on}.pos_query.weight", f"{on}.pos_query.bias"]
    key = f"{on}.key.bias"
    if terms.p2c:
        right += [key]
    scale = (s.spaces[a.product_name].size * (1 + len(config.entries("pos_att_type", str)))) ** -0.5
    s.product(
        a.product_name,
        tuple(left),
        tuple(right),
        None if terms.p2c else key,
        scale=scale,
        unseen=unseen,
    )
    s.product(
        a.value_name,
        (f"{on}.value.weight",),
        (f"{on}.output.weight",),
        constant=(f"{on}.value.bias", f"{on}.output.weight", f"{on}.output.bias"),
    )


def convolution(s: Structure, config: Config, base: str, kernel: int) -> None:
    """Write down the convolution that reads the embeddings and adds to what the first layer gives.

    Its activation acts on the stream's coordinates one by one. It reads zeros beyond the ends of a
    text, so that of its maps only the one that reads a token itself leaves a mean open. What the
    first layer gives is read by a norm alone, behind a sum with it, which sees all of an offset but
    its mean, and its scale.
    """
    width = config.size("hidden_size")
    s.parameter(
        "conv.weight",
        f"{base}encoder.conv.conv.weight",
        "+residual -residual *",
        (width, width, kernel),
    )
    s.parameter("conv.bias", f"{base}encoder.conv.conv.bias", "+residual", (width,))
    s.freedom(MEANS, width)
    s.freedom(OFFSETS, 1)


def from_disk(tensors: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; a table of positions that the class does not read is left out, as
    transformers does.
    """
    if not config["position_biased_input"]:
        tensors = {name: t for name, t in tensors.items() if "position_embeddings." not in name}
    return Encoder.from_disk(ENCODER, tensors, config)


SMALL = (
    Config(model_type="deberta-v2", architectures=["DebertaV2ForMaskedLM"], vocab_size=37)
    | dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32)
    | dict(max_position_embeddings=12, relative_attention=True, position_buckets=4)
    | dict(pos_att_type=["c2p", "p2c"], share_att_key=True, norm_rel_ebd="layer_norm")
    | dict(position_biased_input=False)
)
OWN = dict(share_att_key=False, norm_rel_ebd="none", position_buckets=-1) | dict(
    position_biased_input=True, conv_kernel_size=3
)
ENCODER = Encoder(
    "deberta-v2",
    "DeBERTa",
    CLASSES,
    "deberta.",
    DEFAULTS,
    write,
    HEAD,
    "DebertaV2Config",
    ("hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout", "cls_dropout"),
    check=check,
    newer=NEWER_HEAD,
    beside=("pooler.",),
)
DEBERTA_V2 = replace(
    family(
        ENCODER,
        "Encoder whose scores see distances apart from tokens, LayerNorm after each layer, GELU "
        "units.",
        "He et al., DeBERTa: Decoding-enhanced BERT with Disentangled Attention, 2020, arXiv "
        "2006.03654",
        {
            "deberta-v2": SMALL,
            "deberta-v2-newer-head": SMALL
            | {"num_hidden_layers": 1, "legacy": False, "pos_att_type": ["c2p"]},
            "deberta-v2-classifier": SMALL
            | OWN
            | dict(architectures=["DebertaV2ForSequenceClassification"], num_labels=3)
            | dict(type_vocab_size=2),
        },
    ),
    from_disk=from_disk,
)
