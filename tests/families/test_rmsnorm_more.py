"""Further decoders with RMSNorm and rotary positions: what their layouts say, counted and tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lmc_core.matching.pair import canonical
from lmc_core.models.forward import function_error
from lmc_core.models.widen import widen
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.elements import Element, Monomial, Orthogonal, rotary_matrix
from lmc_core.symmetry.spaces import Pairs, Space, SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, nullity_and_dimension, rolled, scaled
from tests.families.test_rmsnorm import (
    exchanged_pairs,
    folded_value_bias,
    heads_with_gains,
    heads_without_gains,
    pairs_turned,
    queries_across_groups,
    rotated,
    stretched,
    zeroed,
)
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
GRANITE = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.4,
    "logits_scaling": 2.0,
}
EXPERTS = WINDOW | {
    "num_local_experts": 3,
    "num_experts_per_tok": 2,
    "intermediate_size": 3,
    "swiglu_limit": 0.8,
}
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma": ("gemma", TINY | HEADS | UNTIED),
    "gemma, biases": ("gemma", TINY | BIASES | UNTIED),
    "gemma, features": ("gemma", TINY | {"architectures": ["GemmaModel"]}),
    "gemma3": ("gemma3_text", TINY | WINDOW | {"query_pre_attn_scalar": 3}),
    "gemma3, untied": (
        "gemma3_text",
        TINY | WINDOW | BIASES | UNTIED | {"final_logit_softcapping": 2.0},
    ),
    "gemma3, both sides": (
        "gemma3_text",
        TINY
        | WINDOW
        | HEADS
        | {"use_bidirectional_attention": True, "architectures": ["Gemma3TextModel"]},
    ),
    "olmo3": ("olmo3", TINY | WINDOW),
    "olmo3, heads": ("olmo3", TINY | HEADS | WINDOW | TIED),
    "phi3": ("phi3", TINY | HEADS),
    "phi3, partial": ("phi3", TINY | {"head_dim": 6, "partial_rotary_factor": 0.7}),
    "phi3, features": ("phi3", TINY | {"architectures": ["Phi3Model"]}),
    "smollm3": ("smollm3", TINY | UNTIED | {"no_rope_layers": [0]}),
    "smollm3, biases": (
        "smollm3",
        TINY | UNTIED | BIASES | {"no_rope_layers": [0], "mlp_bias": True},
    ),
    "smollm3, rotary": ("smollm3", TINY | UNTIED | HEADS | {"no_rope_layers": [1]}),
    "granite": ("granite", TINY | GRANITE),
    "granite, biases": ("granite", TINY | GRANITE | BIASES | {"mlp_bias": True}),
    "granitemoe": ("granitemoe", TINY | GRANITE | EXPERTS),
    "granitemoe, one expert": ("granitemoe", TINY | EXPERTS | BIASES | {"num_experts_per_tok": 1}),
    "glm": ("glm", TINY),
    "glm, no biases": (
        "glm",
        TINY | HEADS | {"attention_bias": False, "partial_rotary_factor": 1.0},
    ),
    "glm4": ("glm4", TINY),
    "glm4, no biases": ("glm4", TINY | HEADS | TIED | {"attention_bias": False}),
    "exaone4": ("exaone4", TINY | HEADS | {"sliding_window": None}),
    "exaone4, windows": ("exaone4", TINY | WINDOW | {"layer_types": ["sliding_attention"]}),
    "exaone4, no rotary": ("exaone4", TINY | WINDOW | {"layer_types": ["full_attention"]}),
    "exaone4, no rotary, heads": (
        "exaone4",
        TINY | HEADS | WINDOW | TIED | {"layer_types": ["full_attention"]},
    ),
    "gpt_oss": ("gpt_oss", TINY | EXPERTS),
    "gpt_oss, no biases": ("gpt_oss", TINY | EXPERTS | {"attention_bias": False}),
    "gpt_oss, one expert": ("gpt_oss", TINY | EXPERTS | {"num_experts_per_tok": 1}),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    # seeds of which every expert is chosen by many tokens, and every clamp reached
    seed = {"gpt_oss": 2, "granitemoe": 3}.get(COUNTED[name][0], 0)
    found, expected = nullity_and_dimension(*COUNTED[name], count=30, seed=seed)
    assert found == expected


def halves_turned(space: Space) -> Element:
    """Rotations of pairs in half-split order, where neighbours are pairs."""
    assert space.pairs is not None
    rest = space.size - space.pairs.rotated
    angles = torch.linspace(0.5, 1.5, space.copies * space.pairs.rotated // 2, dtype=torch.float64)
    turns = torch.polar(torch.ones_like(angles), angles).view(space.copies, -1)
    same = torch.eye(rest, dtype=torch.float64).expand(space.copies, rest, rest)
    return Orthogonal(rotary_matrix(Pairs(space.pairs.rotated), turns, same))


def doubled(space: Space) -> Element:
    """Every coordinate times two."""
    indices = torch.arange(space.size).expand(space.copies, -1)
    return Monomial(indices, torch.full(indices.shape, 2.0, dtype=torch.float64))


# Negative controls: moves of one space, just outside its class, drawn as an element of another
# kind.
MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "general map of the stream": ("gemma", "residual", stretched),
    "rotation across rotary pairs": ("gemma", "query-key.0", rotated),
    "rotated pairs under norms with gains of 1 + w": ("gemma3", "query-key.0", pairs_turned),
    "rotated pairs in a layer with a window": ("olmo3", "query-key.0", pairs_turned),
    "rotation across pairs of a fused matrix": ("phi3", "query-key.0", rotated),
    "rotated coordinates with others": ("phi3-partial-tied", "query-key.0", rotated),
    "exchange of pairs with factors of their own": ("phi3-long", "query-key.0", exchanged_pairs),
    "rotary layer beside one without": ("smollm3", "query-key.0", rotated),
    "rotary layer behind one without": ("smollm3-biases", "query-key.1", rotated),
    "rotation across pairs, other scores": ("granite", "query-key.0", rotated),
    "rotation across pairs beside a mixture": ("granitemoe", "query-key.0", rotated),
    "pairs of halves": ("glm", "query-key.0", halves_turned),
    "pairs of halves, norms behind": ("glm4", "query-key.0", halves_turned),
    "rotated pairs in a rotary layer": ("exaone4", "query-key.0", pairs_turned),
    "rotation across pairs beside sinks": ("gpt_oss", "query-key.0", rotated),
    "scaled units behind a clamp": ("gpt_oss", "units.0", doubled),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


def coordinates_rolled(layer: int) -> Edit:
    """Coordinates of queries and keys of all heads and their gains move on by one place."""

    def edit(blocks: Blocks) -> None:
        for part in ("query", "key"):
            weight = blocks[f"blocks.{layer}.{part}.weight"]
            blocks[f"blocks.{layer}.{part}.weight"] = weight.roll(1, weight.ndim - 2)
            gain = blocks[f"blocks.{layer}.{part}.norm"].flatten()
            stored = blocks.view(f"blocks.{layer}.{part}.norm")
            stored.copy_(gain.roll(1).view(stored.shape))

    return edit


def gains_of_one_and_more(blocks: Blocks) -> None:
    """The gains 1 + w of queries doubled, those of keys halved."""
    for name, factor in (("query", 2.0), ("key", 0.5)):
        blocks[f"blocks.0.{name}.norm"] = (1 + blocks[f"blocks.0.{name}.norm"]) * factor - 1


def bias_not_rotated(blocks: Blocks) -> None:
    """The key bias behind the rotated half of a head of 8."""
    bias = blocks["blocks.0.key.bias"]
    bias[..., 4:] = 0
    blocks["blocks.0.key.bias"] = bias


def signs_of_one_head(blocks: Blocks) -> None:
    """Signs of coordinates of one key head and its queries, in a layer without rotary positions."""
    for part in ("query", "key"):
        weight = blocks[f"blocks.1.{part}.weight"]
        weight[0, ..., 0, :] *= -1
        blocks[f"blocks.1.{part}.weight"] = weight


def heads_with_sinks(blocks: Blocks) -> None:
    for part, axis in {"query": 0, "key": 0, "value": 0, "output": 1}.items():
        for name in (f"blocks.0.{part}.weight", f"blocks.0.{part}.bias", "blocks.0.sinks"):
            if name == "blocks.0.output.bias" or (part != "query" and name.endswith("sinks")):
                continue
            blocks[name] = blocks[name].roll(1, axis)


def scores_shifted(blocks: Blocks) -> None:
    """One vector and one number added to the scores of all experts."""
    weight, bias = blocks["blocks.0.router.weight"], blocks["blocks.0.router.bias"]
    blocks["blocks.0.router.weight"] = weight + torch.linspace(
        -1, 1, weight.shape[1], dtype=torch.float64
    )
    blocks["blocks.0.router.bias"] = bias + 3


RIGHT: dict[str, tuple[str, Edit]] = {
    "gains of 1 + w against each other": ("gemma3", gains_of_one_and_more),
    "heads with their gains": ("olmo3", heads_with_gains),
    "the key bias of a layer without rotary positions": (
        "smollm3-biases",
        zeroed("blocks.0.key.bias"),
    ),
    "a value bias folded": ("smollm3-biases", folded_value_bias),
    "the key bias that is not rotated": ("glm", bias_not_rotated),
    "order of coordinates without rotary positions": ("exaone4", coordinates_rolled(1)),
    "signs of one head without rotary positions": ("exaone4", signs_of_one_head),
    "heads with their sinks": ("gpt_oss", heads_with_sinks),
    "scores of all experts": ("gpt_oss", scores_shifted),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_edits_are_right_where_they_are_allowed(name: str) -> None:
    """The controls below fail for the reason they name."""
    example, edit = RIGHT[name]
    assert error_after(random_model(example), edit) < 1e-10


WRONG: dict[str, tuple[str, Edit]] = {
    "a stored gain of 1 + w doubled": (
        "gemma",
        scaled("blocks.0.norm2.gain", "blocks.0.gate.weight", "blocks.0.up.weight"),
    ),
    "embeddings alone scaled": ("gemma-untied", scaled("token.table")),
    "stored gains of 1 + w against each other": (
        "gemma3",
        scaled("blocks.0.query.norm", "blocks.0.key.norm"),
    ),
    "a normed query scaled": ("gemma3", scaled("blocks.0.query.norm")),
    "heads without their gains": ("olmo3", heads_without_gains),
    "queries of a fused matrix across key heads": ("phi3", queries_across_groups),
    "the key bias of a rotary layer": ("smollm3-biases", zeroed("blocks.1.key.bias")),
    "a value bias dropped": ("smollm3-biases", zeroed("blocks.0.value.bias")),
    "embeddings against constants": ("granite", scaled("token.table")),
    "a router without its experts": ("granitemoe", rolled("blocks.0.router.weight")),
    "the whole key bias where half is rotated": ("glm", zeroed("blocks.0.key.bias")),
    "a norm behind scaled": ("glm4", scaled("blocks.0.fed.gain")),
    "gains of one side of a layer without rotary positions": (
        "exaone4",
        rolled("blocks.1.query.norm"),
    ),
    "order of coordinates in a rotary layer": ("exaone4", coordinates_rolled(0)),
    "a value bias folded beside sinks": ("gpt_oss", folded_value_bias),
    "sinks without their heads": ("gpt_oss", rolled("blocks.0.sinks")),
    "experts without the biases of their router": ("gpt_oss", rolled("blocks.0.router.bias")),
    "`up` against `down`": ("gpt_oss", scaled("blocks.0.up.weight", "blocks.0.down.weight")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-3


def test_planes_of_layers_without_rotary_positions_are_invertible() -> None:
    spaces = random_model("smollm3").layout.spaces
    assert spaces["query-key.0"].largest is SymmetryClass.ROTARY
    assert spaces["query-key.1"].largest is SymmetryClass.INVERTIBLE
    spaces = random_model("exaone4").layout.spaces
    assert spaces["query-key.0"].largest is SymmetryClass.SIGNS
    assert spaces["query-key.1"].largest is SymmetryClass.SIGNED


def test_rows_of_a_fused_matrix_are_cut_as_the_class_cuts_them() -> None:
    model = random_model("phi3")
    whole = model.state["model.layers.0.self_attn.qkv_proj.weight"]
    blocks = model.layout.read(model.state)
    parts = [blocks[f"blocks.0.{part}.weight"] for part in ("query", "key", "value")]
    assert [tuple(part.shape) for part in parts] == [(2, 2, 6, 24), (2, 6, 24), (2, 6, 24)]
    assert torch.equal(torch.cat([part.flatten(0, -2) for part in parts]), whole)


def test_a_wider_copy_makes_up_for_the_factor_of_its_embeddings() -> None:
    """Gemma multiplies embeddings by the root of the width, which a wider copy has more of."""
    narrow = random_model("gemma")
    family, raw = CONFIGURATIONS["gemma"]
    wide = widen(narrow, narrow.family.config({**raw, "hidden_size": 40}))
    assert function_error(narrow, wide, random_inputs(narrow), torch.float64) < 1e-10
    state = {name: tensor.clone() for name, tensor in wide.state.items()}
    state["model.embed_tokens.weight"] *= (40 / 24) ** 0.5
    assert (
        function_error(narrow, wide.with_state(state), random_inputs(narrow), torch.float64) > 1e-2
    )
