"""RoBERTa (Liu et al. 2019, arXiv 1907.11692), XLM-RoBERTa (Conneau et al. 2019, arXiv 1911.02116)
and CamemBERT (Martin et al. 2019, arXiv 1911.03894), as transformers' classes of the encoder alone
and with its heads.

As BERT, but positions are counted after the padding token's, which padding alone has, and the
pooled state is the classifier's.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import postnorm
from lmc_core.models.architectures.encoders import TOKENS, Encoder, Kind, TokenHead, family
from lmc_core.models.config import Config, Json
from lmc_core.models.families import bert
from lmc_core.models.family import Family
from lmc_core.models.structure import Structure

HEAD = TokenHead(
    "lm_head.dense",
    "lm_head.layer_norm",
    "lm_head.decoder",
    "roberta.embeddings.word_embeddings.weight",
    "lm_head.bias",
)
# ends of the names of classes -> what they have
ENDS = {
    "ForMaskedLM": Kind("masked"),
    "ForSequenceClassification": Kind("label"),
    "Model": Kind("features", pooler=True),
    "ForTokenClassification": Kind("token-label"),
    "ForQuestionAnswering": Kind("span"),
    "ForMultipleChoice": Kind("choice", pooler=True),
    "ForCausalLM": Kind("next"),
}


def check(raw: Config, found: Config, kind: Kind) -> None:
    """Refuse positions that leave none behind the padding's."""
    pad, positions = found.optional_size("pad_token_id"), found.size("max_position_embeddings")
    if pad is None or not 0 <= pad < positions - 1:
        raise BadCheckpoint(
            f"Positions come after that of pad_token_id, which is {pad!r}; there are {positions} "
            "in all."
        )


def write(s: Structure, config: Config, kind: Kind, base: str) -> None:
    """Write the spaces and blocks of a RoBERTa of that configuration down."""
    tied = kind.predicts in TOKENS and config.flag("tie_word_embeddings")
    readers = postnorm.last_readers(kind, kind.predicts in ("label", "choice"))
    postnorm.encoder(s, config, base, readers, config.size("pad_token_id"), tied=tied)
    if kind.predicts == "label":
        postnorm.pooled(
            s,
            config,
            "classifier.dense",
            {"head": ("classifier.out_proj", config.size("num_labels"))},
        )
    elif kind.predicts in TOKENS:
        postnorm.token_head(s, config, HEAD, "gelu")
    elif kind.predicts in ("token-label", "span"):
        postnorm.stream_head(s, config, kind)
    elif config.get("add_pooling_layer", True):
        heads = {"score": ("classifier", 1)} if kind.predicts == "choice" else {}
        postnorm.pooled(s, config, f"{base}pooler.dense", heads)


def roberta(
    name: str,
    title: str,
    classes: str,
    reference: str,
    examples: Mapping[str, Mapping[str, Json]],
    **defaults: Json,
) -> Family:
    """A family of RoBERTa's layout.

    Args:
        name: of the family, and of its kind in a `config.json`.
        title: its name in sentences.
        classes: what the names of its classes begin with.
        reference: its paper.
        examples: small configurations, without their kind; classes by the ends of their names.
        defaults: transformers' defaults of settings, where they are not BERT's.
    """
    usual = Config(model_type=name, architectures=["ForMaskedLM"])
    made = {key: usual | raw for key, raw in examples.items()}
    kinds = {f"{classes}{end}": kind for end, kind in ENDS.items()}
    settings = bert.DEFAULTS | {"model_type": name, "pad_token_id": 1} | defaults
    return family(
        Encoder(
            name, title, kinds, "roberta.", settings, write, HEAD, f"{classes}Config", check=check
        ),
        "Encoder with learned positions after the padding's, LayerNorm after each layer, GELU "
        "units.",
        reference,
        {
            key: raw | {"architectures": [f"{classes}{raw.class_name()}"]}
            for key, raw in made.items()
        },
        lambda config: config.size("max_position_embeddings") - config.size("pad_token_id") - 1,
    )


SMALL = {
    key: value for key, value in bert.SMALL.items() if key not in ("model_type", "architectures")
} | {"max_position_embeddings": 14, "type_vocab_size": 1}
SHORT = SMALL | {"num_hidden_layers": 1}

ROBERTA = roberta(
    "roberta",
    "RoBERTa",
    "Roberta",
    "Liu et al., RoBERTa: A Robustly Optimized BERT Pretraining Approach, 2019, arXiv 1907.11692",
    {
        "roberta": SMALL,
        "roberta-untied": SHORT | {"tie_word_embeddings": False},
        "roberta-classifier": SHORT
        | {"architectures": ["ForSequenceClassification"], "num_labels": 3},
        "roberta-features": SHORT | {"architectures": ["Model"]},
        "roberta-causal": SHORT | {"architectures": ["ForCausalLM"], "is_decoder": True},
    },
    vocab_size=50265,
)
XLM_ROBERTA = roberta(
    "xlm-roberta",
    "XLM-RoBERTa",
    "XLMRoberta",
    "Conneau et al., Unsupervised Cross-lingual Representation Learning at Scale, 2019, arXiv "
    "1911.02116",
    {"xlm-roberta": SHORT, "xlm-roberta-features": SHORT | {"architectures": ["Model"]}},
)
CAMEMBERT = roberta(
    "camembert",
    "CamemBERT",
    "Camembert",
    "Martin et al., CamemBERT: a Tasty French Language Model, 2019, arXiv 1911.03894",
    {"camembert": SHORT},
)
