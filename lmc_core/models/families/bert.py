"""BERT (Devlin et al. 2018, arXiv 1810.04805), as transformers' classes of the encoder alone and
with its heads.

A LayerNorm after each layer, learned positions, two token types (all tokens are of the first here).
Which class is built follows from the configuration's `architectures`. With is_decoder=true
attention looks back alone, which moves nothing.
"""

from __future__ import annotations

from lmc_core.models.architectures import postnorm
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

AT = "cls.predictions"
HEAD = TokenHead(
    f"{AT}.transform.dense",
    f"{AT}.transform.LayerNorm",
    f"{AT}.decoder",
    "bert.embeddings.word_embeddings.weight",
    f"{AT}.bias",
)

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="bert", vocab_size=30522, hidden_size=768, num_hidden_layers=12)
    | dict(num_attention_heads=12, intermediate_size=3072, hidden_act="gelu")
    | dict(max_position_embeddings=512, type_vocab_size=2, layer_norm_eps=1e-12)
    | dict(pad_token_id=0, tie_word_embeddings=True)
)
CLASSES = {
    "BertForMaskedLM": Kind("masked"),
    "BertForPreTraining": Kind("masked", pooler=True),
    "BertForSequenceClassification": Kind("label", pooler=True),
    "BertModel": Kind("features", pooler=True),
    "BertForTokenClassification": Kind("token-label"),
    "BertForQuestionAnswering": Kind("span"),
    "BertForNextSentencePrediction": Kind("follows", pooler=True),
    "BertForMultipleChoice": Kind("choice", pooler=True),
    "BertLMHeadModel": Kind("next"),
}
# whether two sentences follow each other
SECOND = {"seq_relationship": ("cls.seq_relationship", 2)}


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of a BERT of that configuration down."""
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    postnorm.encoder(
        s, config, base, postnorm.last_readers(kind, bool(kind.pooler and base)), tied=tied
    )
    if kind.pooler and config.get("add_pooling_layer", True):
        heads = {
            "masked": SECOND,
            "follows": SECOND,
            "label": {"head": ("classifier", config.get("num_labels", 2))},
            "choice": {"score": ("classifier", 1)},
        }
        postnorm.pooled(s, config, f"{base}pooler.dense", heads.get(kind.predicts, {}))
    if kind.predicts in TOKENS:
        postnorm.token_head(s, config, HEAD, config.text("hidden_act"))
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)


SMALL = (
    Config(model_type="bert", architectures=["BertForMaskedLM"], vocab_size=37)
    | dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32)
    | dict(max_position_embeddings=12)
)
_SHORT = SMALL | {"num_hidden_layers": 1}

BERT = family(
    Encoder("bert", "BERT", CLASSES, "bert.", DEFAULTS, write, HEAD, "BertConfig"),
    "Encoder with learned positions, LayerNorm after each layer, GELU units.",
    "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, 2018, arXiv 1810.04805",
    examples={
        "bert": SMALL,
        "bert-untied-relu": _SHORT | {"tie_word_embeddings": False, "hidden_act": "relu"},
        "bert-pretraining": _SHORT | {"architectures": ["BertForPreTraining"]},
        "bert-classifier": SMALL
        | {"architectures": ["BertForSequenceClassification"], "num_labels": 5},
        "bert-features": _SHORT | {"architectures": ["BertModel"]},
        "bert-features-no-pooler": _SHORT
        | {"architectures": ["BertModel"], "add_pooling_layer": False},
        "bert-causal": _SHORT | {"architectures": ["BertLMHeadModel"], "is_decoder": True},
    },
)
