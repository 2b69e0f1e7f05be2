"""BERT (Devlin et al. 2018, arXiv 1810.04805), as transformers' classes of the encoder alone and with its heads.

A LayerNorm after each layer, learned positions, two token types (all tokens are of the first here). Which class is built
follows from the configuration's `architectures`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.models import hf, postnorm
from lmc_core.models.family import SHARD, Config, Family
from lmc_core.models.postnorm import Kind
from lmc_core.models.structure import Structure

HEAD, BIAS, TABLE = "cls.predictions.decoder", "cls.predictions.bias", "bert.embeddings.word_embeddings.weight"

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "tie_word_embeddings": True,
}
CLASSES = {
    "BertForMaskedLM": Kind("masked"),
    "BertForPreTraining": Kind("masked", pooler=True),
    "BertForSequenceClassification": Kind("label", pooler=True),
    "BertModel": Kind("features", pooler=True),
}
# beginnings of names that checkpoints hold and a class does not use
UNUSED = {
    "BertForMaskedLM": ("bert.pooler.", "cls.seq_relationship."),
    "BertModel": ("cls.", "classifier."),
}


def _kind(config: Config) -> Kind:
    return CLASSES[config["architectures"][0]]


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    return postnorm.config(raw, DEFAULTS, CLASSES, "BERT")


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; buffers, copies and what the class has no use for are dropped."""
    cls = config["architectures"][0]
    found = postnorm.from_disk(tensors, "" if cls == "BertModel" else "bert.", UNUSED.get(cls, ()))
    return postnorm.with_tied_head(found, config, HEAD, TABLE, BIAS) if _kind(config).predicts == "masked" else found


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    module = postnorm.build(config, "BertConfig")
    return postnorm.share_bias(module, HEAD, "cls.predictions") if _kind(config).predicts == "masked" else module


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """What the class computes of tokens `[n, length]`.

    Logits `[n, length, vocabulary]` of masked tokens, logits `[n, labels]`, or features `[n, length, width]` with the pooled
    state behind them where there is one.
    """
    found = module(inputs)
    if "last_hidden_state" in found:
        pooled = found.pooler_output
        return found.last_hidden_state if pooled is None else torch.cat([found.last_hidden_state, pooled[:, None]], 1)
    return found.prediction_logits if "prediction_logits" in found else found.logits


def structure(config: Config) -> Structure:
    """The spaces and blocks of a BERT of that configuration."""
    kind, s = _kind(config), Structure("bert")
    base = "" if kind.predicts == "features" else "bert."
    readers = {"masked": ["head.dense"], "label": [], "features": []}[kind.predicts]
    if kind.pooler and base:
        readers.append("pooler")
    postnorm.encoder(s, config, base, readers)
    if kind.pooler and config.get("add_pooling_layer", True):
        heads = {"seq_relationship": ("cls.seq_relationship", 2)} if kind.predicts == "masked" else {}
        if kind.predicts == "label":
            heads = {"head": ("classifier", config["num_labels"])}
        postnorm.pooled(s, config, f"{base}pooler.dense", heads)
    if kind.predicts == "masked":
        at = "cls.predictions.transform"
        postnorm.token_head(s, config, f"{at}.dense", f"{at}.LayerNorm", HEAD, TABLE, BIAS, config["hidden_act"])
    return s


def save(module: nn.Module, config: Config, folder: Any, shard: int = SHARD) -> None:
    """Write `config.json` and `model.safetensors` as transformers does."""
    if _kind(config).predicts == "masked" and not config["tie_word_embeddings"]:
        postnorm.separate_bias(module, HEAD, "cls.predictions")
    hf.save(module, config, folder, shard)


SMALL: dict[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertForMaskedLM"],
    "vocab_size": 37,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "max_position_embeddings": 12,
}
_SHORT = SMALL | {"num_hidden_layers": 1}

BERT = Family(
    name="bert",
    sentence="Encoder with learned positions, LayerNorm after each layer, GELU units.",
    reference="Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, 2018, arXiv 1810.04805",
    takes="text",
    recognises=lambda config: config.get("model_type") == "bert",
    build=build,
    outputs=outputs,
    sizes=postnorm.sizes,
    structure=structure,
    predicts=lambda config: _kind(config).predicts,
    save=save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "bert": SMALL,
        "bert-untied-relu": _SHORT | {"tie_word_embeddings": False, "hidden_act": "relu"},
        "bert-pretraining": _SHORT | {"architectures": ["BertForPreTraining"]},
        "bert-classifier": SMALL | {"architectures": ["BertForSequenceClassification"], "num_labels": 5},
        "bert-features": _SHORT | {"architectures": ["BertModel"]},
        "bert-features-no-pooler": _SHORT | {"architectures": ["BertModel"], "add_pooling_layer": False},
    },
)
