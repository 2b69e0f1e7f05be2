"""DistilBERT (Sanh et al. 2019, arXiv 1910.01108), as transformers' classes of the encoder alone
and with its heads.

BERT's layers without types of tokens and without a pooler; a classifier reads the first token
through a layer with ReLU. Tables of positions that were sinusoidal are stored like learned ones,
and move like them.
"""

from __future__ import annotations

from lmc_core.models.architectures import hf, postnorm
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

HEAD = TokenHead(
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "distilbert.embeddings.word_embeddings.weight",
    "vocab_projector.bias",
)
NAMES = postnorm.Names(
    {"token": "embeddings.word_embeddings", "position": "embeddings.position_embeddings"},
    "embeddings.LayerNorm",
    "transformer.layer.{}",
    ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)
OWN = dict(hidden_size="dim", num_hidden_layers="n_layers", num_attention_heads="n_heads") | dict(
    intermediate_size="hidden_dim", hidden_act="activation"
)
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="distilbert", vocab_size=30522, dim=768, n_layers=6, n_heads=12)
    | dict(hidden_dim=3072, activation="gelu", max_position_embeddings=512)
    | dict(sinusoidal_pos_embds=False, pad_token_id=0, tie_word_embeddings=True)
)
CLASSES = {
    "DistilBertForMaskedLM": Kind("masked"),
    "DistilBertForSequenceClassification": Kind("label"),
    "DistilBertForTokenClassification": Kind("token-label"),
    "DistilBertForQuestionAnswering": Kind("span"),
    "DistilBertForMultipleChoice": Kind("choice"),
    "DistilBertModel": Kind("features"),
}


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Whether positions began as sinusoids is true or false."""
    hf.switches(found, "sinusoidal_pos_embds")


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of a DistilBERT of that configuration down."""
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    pooler = kind.predicts in ("label", "choice")
    postnorm.encoder(s, config, base, postnorm.last_readers(kind, pooler), names=NAMES, tied=tied)
    if pooler:
        heads = (
            {"score": ("classifier", 1)}
            if kind.predicts == "choice"
            else {"head": ("classifier", config.size("num_labels"))}
        )
        postnorm.pooled(s, config, "pre_classifier", heads, "relu")
    elif kind.predicts in TOKENS:
        postnorm.token_head(s, config, HEAD, config.text("hidden_act"))
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)


SMALL = Config(
    model_type="distilbert", architectures=["DistilBertForMaskedLM"], vocab_size=37
) | dict(dim=24, n_layers=1, n_heads=3, hidden_dim=32, max_position_embeddings=12)

DISTILBERT = family(
    Encoder(
        "distilbert",
        "DistilBERT",
        CLASSES,
        "distilbert.",
        DEFAULTS,
        write,
        HEAD,
        "DistilBertConfig",
        ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"),
        OWN,
        check,
    ),
    "Encoder with positions in a table, LayerNorm after each layer, GELU units, of half BERT's "
    "depth.",
    "Sanh et al., DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter, "
    "2019, arXiv 1910.01108",
    {
        "distilbert": SMALL | {"n_layers": 2},
        "distilbert-classifier": SMALL
        | {"architectures": ["DistilBertForSequenceClassification"], "num_labels": 3},
        "distilbert-features": SMALL
        | {"architectures": ["DistilBertModel"], "sinusoidal_pos_embds": True},
    },
)
