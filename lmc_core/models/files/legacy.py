"""Configurations of encoders from 2018 to 2020, which do not say what they belong to.

Before transformers 3, `config.json` lacked `model_type`, and often `architectures`. The parameters'
names say both.
"""

from __future__ import annotations

from collections.abc import Collection

from lmc_core.models.config import Config

# beginning of a parameter's name -> kind of model; the last one is of models saved without their
# head
BEGINNINGS = (
    ("bert.", "bert"),
    ("roberta.", "roberta"),
    ("albert.", "albert"),
    ("distilbert.", "distilbert"),
    ("encoder.layer.", "bert"),
)
# part of a parameter's name -> class, by kind; the first that is found
HEADS: dict[str, tuple[tuple[str, str], ...]] = {
    "bert": (
        ("cls.seq_relationship.", "BertForPreTraining"),
        ("cls.predictions.", "BertForMaskedLM"),
        ("classifier.", "BertForSequenceClassification"),
        ("qa_outputs.", "BertForQuestionAnswering"),
        ("encoder.", "BertModel"),
    ),
    "roberta": (
        ("lm_head.", "RobertaForMaskedLM"),
        ("classifier.dense.", "RobertaForSequenceClassification"),
        ("classifier.", "RobertaForTokenClassification"),
        ("qa_outputs.", "RobertaForQuestionAnswering"),
        ("encoder.", "RobertaModel"),
    ),
    "distilbert": (
        ("vocab_projector.", "DistilBertForMaskedLM"),
        ("pre_classifier.", "DistilBertForSequenceClassification"),
        ("qa_outputs.", "DistilBertForQuestionAnswering"),
        ("classifier.", "DistilBertForTokenClassification"),
        ("transformer.", "DistilBertModel"),
    ),
}


def completed(config: Config, names: Collection[str]) -> Config:
    """The configuration with `model_type` and `architectures` filled in from the names of the
    parameters, where it lacks them.

    Args:
        config: content of a `config.json`.
        names: of the parameters on disk.
    """
    if "architecture" in config or (config.get("model_type") and config.get("architectures")):
        return config  # timm's, or a complete one
    kind = config.get("model_type", "")
    if not isinstance(kind, str):
        return config
    if not kind:
        begun = (k for start, k in BEGINNINGS if any(name.startswith(start) for name in names))
        kind = next(begun, "")
    found = Config(model_type=kind) if kind else Config()
    head = next(
        (cls for part, cls in HEADS.get(kind, ()) if any(part in name for name in names)), None
    )
    if head and not config.get("architectures"):
        found["architectures"] = [head]
    return config | found


def without_pooler(config: Config, names: Collection[str]) -> Config:
    """The configuration, with `add_pooling_layer` false for an encoder without a head whose
    parameters hold no pooler.

    Transformers has this as an argument of the class, so that no `config.json` says it.

    Args:
        config: content of a `config.json`.
        names: of the parameters on disk.
    """
    given = config.get("architectures")
    cls = given[0] if isinstance(given, list | tuple) and len(given) == 1 else None
    if not (isinstance(cls, str) and cls.endswith("Model")) or any(
        "pooler." in name for name in names
    ):
        return config
    return config | {"add_pooling_layer": False}
