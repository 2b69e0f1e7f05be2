"""Decoders with a LayerNorm before each layer: what their layouts say, counted and tried, in every class."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmc_core.models.families import FAMILIES
from tests.families.mixtures import nullity_and_dimension
from tests.families.test_layernorm import BEHIND, NARROW, NEOX, PLAIN
from tests.families.test_layernorm import OPT as TIED_OPT
from tests.networks import random_inputs, random_model


def cls(name: str, labels: int = 3) -> dict[str, Any]:
    return {"architectures": [name]} | ({"num_labels": labels} if "Classification" in name else {})


GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 11,
    "n_positions": 6,
    "n_embd": 6,
    "n_layer": 2,
    "n_head": 2,
    "n_inner": 6,
}
UNTIED = {"tie_word_embeddings": False}
BY_LAYER = {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False}
OPT = {key: value for key, value in TIED_OPT.items() if key != "tie_word_embeddings"} | {
    "hidden_size": 6,
    "num_hidden_layers": 1,
}
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "gpt2, scores by layer": ("gpt2", GPT2 | UNTIED | BY_LAYER, 60),
    "gpt2, features": ("gpt2", GPT2 | cls("GPT2Model"), 60),
    "gpt2, labels of tokens": ("gpt2", GPT2 | cls("GPT2ForTokenClassification"), 60),
    "neox, features": ("gpt_neox", NEOX | cls("GPTNeoXModel"), 30),
    "neox, spans": ("gpt_neox", NEOX | cls("GPTNeoXForQuestionAnswering"), 60),
    "opt, features": ("opt", OPT | cls("OPTModel"), 30),
    "opt, spans": ("opt", OPT | cls("OPTForQuestionAnswering"), 120),
    "opt, behind, features": ("opt", OPT | BEHIND | cls("OPTModel"), 30),
    "opt, behind, spans": ("opt", OPT | BEHIND | cls("OPTForQuestionAnswering"), 120),
    "opt, narrow, features": ("opt", OPT | BEHIND | NARROW | cls("OPTModel"), 30),
    "opt, narrow, few labels": ("opt", OPT | NARROW | cls("OPTForQuestionAnswering"), 160),
    "opt, narrow, no gains, few labels": ("opt", OPT | BEHIND | NARROW | PLAIN | cls("OPTForQuestionAnswering"), 160),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, count = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, count)
    assert found == expected


def test_what_scores_are_divided_by_is_seen() -> None:
    """The same parameters compute something else with another divisor, so that it belongs to the configuration."""
    model = random_model("gpt2-by-layer")
    products = {product.space: product.scale for product in model.family.rewrite(model.config).products}
    assert products["query-key.0"] == 2 * products["query-key.1"] == 8**-0.5
    tokens = random_inputs(model)
    outputs = model.family.outputs(model.module(), tokens)
    for key in ("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"):
        other = model.family.build(dict(model.config) | {key: False}).eval()
        other.load_state_dict(model.module().state_dict())
        with torch.no_grad():
            same = torch.allclose(FAMILIES["gpt2"].outputs(other, tokens), outputs, rtol=1e-5, atol=1e-5)
        assert same is (key == "reorder_and_upcast_attn")
