"""Further decoders with RMSNorm and rotary positions: what their layouts say, counted and tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lmc_core.matching.pair import canonical
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import function_error
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.spaces import Space, choose_classes
from lmc_core.symmetry.widen import widen
from tests.families.mixtures import Edit, error_after, nullity_and_dimension, scaled
from tests.families.test_rmsnorm import rotated, stretched
from tests.networks import CONFIGURATIONS, random_inputs, random_model

TINY: dict[str, Any] = {
    "vocab_size": 17,
    "hidden_size": 8,
    "intermediate_size": 5,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "max_position_embeddings": 8,
    "pad_token_id": None,  # of its row an embedding has no derivative
}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
BIASES, UNTIED = {"attention_bias": True}, {"tie_word_embeddings": False}
TIED, WINDOW = {"tie_word_embeddings": True}, {"sliding_window": 3}
GRANITE = {"embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.4, "logits_scaling": 2.0}
EXPERTS = WINDOW | {"num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 3, "swiglu_limit": 0.8}
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": ("gemma", TINY | HEADS | UNTIED),
    "gemma, biases": ("gemma", TINY | BIASES | UNTIED),
    "gemma, features": ("gemma", TINY | {"architectures": ["GemmaModel"]}),
    "gemma3": ("gemma3_text", TINY | WINDOW | {"query_pre_attn_scalar": 3}),
    "gemma3, untied": ("gemma3_text", TINY | WINDOW | BIASES | UNTIED | {"final_logit_softcapping": 2.0}),
    "gemma3, both sides": (
        "gemma3_text",
        TINY | WINDOW | HEADS | {"use_bidirectional_attention": True, "architectures": ["Gemma3TextModel"]},
    ),
    "olmo3": ("olmo3", TINY | WINDOW),
    "olmo3, heads": ("olmo3", TINY | HEADS | WINDOW | TIED),
    "phi3": ("phi3", TINY | HEADS),
    "phi3, partial": ("phi3", TINY | {"head_dim": 6, "partial_rotary_factor": 0.7}),
    "phi3, features": ("phi3", TINY | {"architectures": ["Phi3Model"]}),
    "smollm3": ("smollm3", TINY | UNTIED | {"no_rope_layers": [0]}),
    "smollm3, biases": ("smollm3", TINY | UNTIED | BIASES | {"no_rope_layers": [0], "mlp_bias": True}),
    "smollm3, rotary": ("smollm3", TINY | UNTIED | HEADS | {"no_rope_layers": [1]}),
    "granite": ("granite", TINY | GRANITE),
    "granite, biases": ("granite", TINY | GRANITE | BIASES | {"mlp_bias": True}),
    "glm": ("glm", TINY),
    "glm, no biases": ("glm", TINY | HEADS | {"attention_bias": False, "partial_rotary_factor": 1.0}),
    "glm4": ("glm4", TINY),
    "glm4, no biases": ("glm4", TINY | HEADS | TIED | {"attention_bias": False}),
    "exaone4": ("exaone4", TINY | HEADS | {"sliding_window": None}),
    "exaone4, windows": ("exaone4", TINY | WINDOW | {"layer_types": ["sliding_attention"]}),
    "exaone4, no rotary": ("exaone4", TINY | WINDOW | {"layer_types": ["full_attention"]}),
    "exaone4, no rotary, heads": ("exaone4", TINY | HEADS | WINDOW | TIED | {"layer_types": ["full_attention"]}),
    "gpt_oss": ("gpt_oss", TINY | EXPERTS),
    "gpt_oss, no biases": ("gpt_oss", TINY | EXPERTS | {"attention_bias": False}),
    "gpt_oss, one expert": ("gpt_oss", TINY | EXPERTS | {"num_experts_per_tok": 1}),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    seed = 2 if name.startswith("gpt_oss") else 0  # every expert is chosen, and every clamp reached
    found, expected = nullity_and_dimension(*COUNTED[name], count=30, seed=seed)
    assert found == expected


# Negative controls: moves of one space, just outside its class, drawn as an element of another kind.
MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "general map of the stream": ("gemma", "residual", stretched),
    "rotation across rotary pairs": ("gemma", "query-key.0", rotated),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


WRONG: dict[str, tuple[str, Edit]] = {
    "a stored gain of 1 + w doubled": (
        "gemma",
        scaled("blocks.0.norm2.gain", "blocks.0.gate.weight", "blocks.0.up.weight"),
    ),
    "embeddings alone scaled": ("gemma-untied", scaled("token.table")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-3


def test_a_wider_copy_makes_up_for_the_factor_of_its_embeddings() -> None:
    """Gemma multiplies embeddings by the root of the width, which a wider copy has more of."""
    narrow = random_model("gemma")
    family, raw = CONFIGURATIONS["gemma"]
    wide = widen(narrow, narrow.family.config({**raw, "hidden_size": 40}))
    assert function_error(narrow, wide, random_inputs(narrow), torch.float64) < 1e-10
    state = {name: tensor.clone() for name, tensor in wide.state.items()}
    state["model.embed_tokens.weight"] *= (40 / 24) ** 0.5
    assert function_error(narrow, wide.with_state(state), random_inputs(narrow), torch.float64) > 1e-2
