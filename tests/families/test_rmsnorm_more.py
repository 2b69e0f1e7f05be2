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
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": ("gemma", TINY | HEADS | UNTIED),
    "gemma, biases": ("gemma", TINY | BIASES | UNTIED),
    "gemma, features": ("gemma", TINY | {"architectures": ["GemmaModel"]}),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    found, expected = nullity_and_dimension(*COUNTED[name], count=30)
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
