"""RoBERTa (Liu et al. 2019, arXiv 1907.11692), as transformers' classes of the encoder alone and with its heads.

As BERT, but positions are counted after the padding token's, which padding alone has, and the pooled state is the classifier's.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf, postnorm
from lmc_core.models.families import bert
from lmc_core.models.family import SHARD, Config, Family
from lmc_core.models.postnorm import Kind
from lmc_core.models.structure import Structure

HEAD, BIAS, TABLE = "lm_head.decoder", "lm_head.bias", "roberta.embeddings.word_embeddings.weight"

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = bert.DEFAULTS | {"model_type": "roberta", "vocab_size": 50265, "pad_token_id": 1}
CLASSES = {
    "RobertaForMaskedLM": Kind("masked"),
    "RobertaForSequenceClassification": Kind("label"),
    "RobertaModel": Kind("features", pooler=True),
}
# beginnings of names that checkpoints hold and a class does not use
UNUSED = {
    "RobertaForMaskedLM": ("roberta.pooler.",),
    "RobertaForSequenceClassification": ("roberta.pooler.", "lm_head."),
    "RobertaModel": ("lm_head.", "classifier."),
}


def _kind(config: Config) -> Kind:
    return CLASSES[config["architectures"][0]]


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = postnorm.config(raw, DEFAULTS, CLASSES, "RoBERTa")
    pad, positions = found["pad_token_id"], found["max_position_embeddings"]
    if pad is None or not 0 <= pad < positions - 1:
        raise BadCheckpoint(f"Positions come after that of pad_token_id, which is {pad!r}; there are {positions} in all.")
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; buffers, copies and what the class has no use for are dropped."""
    cls = config["architectures"][0]
    found = postnorm.from_disk(tensors, "" if cls == "RobertaModel" else "roberta.", UNUSED.get(cls, ()))
    return postnorm.with_tied_head(found, config, HEAD, TABLE, BIAS) if _kind(config).predicts == "masked" else found


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    module = postnorm.build(config, "RobertaConfig")
    return postnorm.share_bias(module, HEAD, "lm_head") if _kind(config).predicts == "masked" else module


def structure(config: Config) -> Structure:
    """The spaces and blocks of a RoBERTa of that configuration."""
    kind, s = _kind(config), Structure("roberta")
    base = "" if kind.predicts == "features" else "roberta."
    readers = {"masked": ["head.dense"], "label": ["pooler"], "features": []}[kind.predicts]
    postnorm.encoder(s, config, base, readers, config["pad_token_id"])
    if kind.predicts == "label":
        postnorm.pooled(s, config, "classifier.dense", {"head": ("classifier.out_proj", config["num_labels"])})
    elif kind.predicts == "masked":
        postnorm.token_head(s, config, "lm_head.dense", "lm_head.layer_norm", HEAD, TABLE, BIAS, "gelu")
    elif config["add_pooling_layer"]:
        postnorm.pooled(s, config, "pooler.dense", {})
    return s


def save(module: nn.Module, config: Config, folder: Any, shard: int = SHARD) -> None:
    """Write `config.json` and `model.safetensors` as transformers does."""
    if _kind(config).predicts == "masked" and not config["tie_word_embeddings"]:
        postnorm.separate_bias(module, HEAD, "lm_head")
    hf.save(module, config, folder, shard)


SMALL: dict[str, Any] = bert.SMALL | {
    "model_type": "roberta",
    "architectures": ["RobertaForMaskedLM"],
    "max_position_embeddings": 14,
    "type_vocab_size": 1,
}
_SHORT = SMALL | {"num_hidden_layers": 1}

ROBERTA = Family(
    name="roberta",
    sentence="Encoder with learned positions after the padding's, LayerNorm after each layer, GELU units.",
    reference="Liu et al., RoBERTa: A Robustly Optimized BERT Pretraining Approach, 2019, arXiv 1907.11692",
    takes="text",
    recognises=lambda config: config.get("model_type") == "roberta",
    build=build,
    outputs=bert.outputs,
    sizes=lambda c: postnorm.sizes(c) | {"context": c["max_position_embeddings"] - c["pad_token_id"] - 1},
    structure=structure,
    predicts=lambda config: _kind(config).predicts,
    save=save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "roberta": SMALL,
        "roberta-untied": _SHORT | {"tie_word_embeddings": False},
        "roberta-classifier": _SHORT | {"architectures": ["RobertaForSequenceClassification"], "num_labels": 3},
        "roberta-features": _SHORT | {"architectures": ["RobertaModel"]},
    },
)
