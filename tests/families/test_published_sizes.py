"""Families at their usual published configurations, without weights: the layout has the shapes of
transformers' own module.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmc_core.models.families import FAMILIES
from lmc_core.models.model import untied_state

# family -> class, what its published configuration says beside transformers' defaults
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForMaskedLM", {}),
    "roberta": (
        "RobertaForMaskedLM",
        {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
    ),
    "xlm-roberta": (
        "XLMRobertaForMaskedLM",
        {"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "camembert": (
        "CamembertForMaskedLM",
        {"vocab_size": 32005, "max_position_embeddings": 514, "type_vocab_size": 1},
    ),
    "distilbert": ("DistilBertForMaskedLM", {}),
    "electra": ("ElectraForPreTraining", {}),
    "albert": (
        "AlbertForMaskedLM",
        {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
    "deberta-v2": (
        "DebertaV2ForMaskedLM",
        {
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "relative_attention": True,
            "position_buckets": 256,
            "pos_att_type": "p2c|c2p",
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
        },
    ),
    "modernbert": (
        "ModernBertForMaskedLM",
        {"global_rope_theta": 160000.0, "local_rope_theta": 10000.0},
    ),
    "bart": ("BartForConditionalGeneration", {}),
    "t5": ("T5ForConditionalGeneration", {}),
    "mt5": ("MT5ForConditionalGeneration", {"tie_word_embeddings": False}),
    "umt5": ("UMT5ForConditionalGeneration", {"tie_word_embeddings": False}),
}


@pytest.mark.parametrize("family", PUBLISHED)
def test_the_layout_fits_transformers_own_module(family: str) -> None:
    cls, settings = PUBLISHED[family]
    chosen = FAMILIES[family]
    config = chosen.config({"model_type": family, "architectures": [cls]} | settings)
    with torch.device("meta"):
        module = chosen.build(config)
    assert type(module).__name__ == cls
    chosen.layout(config).check(untied_state(module))
