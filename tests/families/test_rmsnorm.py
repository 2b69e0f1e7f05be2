"""Llama, Mistral, Qwen2, Qwen3, OLMo, OLMo 2, Gemma 2: what their layouts say, counted and
tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lmc_core.errors import Inadmissible
from lmc_core.matching.common_form import common_form
from lmc_core.matching.pair import canonical
from lmc_core.models.forward import function_error
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.elements import (
    Element,
    Invertible,
    Monomial,
    Orthogonal,
    Permutation,
    pair_signs,
    random_element,
    rotary_matrix,
)
from lmc_core.symmetry.spaces import Pairs, Space, SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, nullity_and_dimension, rolled, scaled
from tests.networks import random_inputs, random_model

TINY: dict[str, Any] = {
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 5,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8,
}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
BIASES = {"attention_bias": True, "vocab_size": 17}  # fewer tokens do not determine a norm's input
TIED, UNTIED = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}
WINDOW = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 0}
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", TINY | HEADS | {"head_dim": 4}),
    "llama, biases": ("llama", TINY | BIASES | {"mlp_bias": True}),
    "llama, relu": ("llama", TINY | {"hidden_act": "relu", "mlp_bias": True, "vocab_size": 17}),
    "mistral": ("mistral", TINY | {"sliding_window": 3}),
    "qwen2": ("qwen2", TINY | WINDOW),
    "qwen3": ("qwen3", TINY | HEADS | {"head_dim": 4}),
    "qwen3, biases": ("qwen3", TINY | BIASES | {"head_dim": 4}),
    "olmo": ("olmo", TINY),
    "olmo, tied": ("olmo", TINY | BIASES | TIED),
    "olmo, clipped": ("olmo", TINY | {"clip_qkv": 0.7, "vocab_size": 31}),
    "olmo2": ("olmo2", TINY),
    "olmo2, tied": ("olmo2", TINY | BIASES | HEADS | TIED),
    "gemma2": ("gemma2", TINY | {"head_dim": 4, "sliding_window": 3}),
    "gemma2, untied": (
        "gemma2",
        TINY | BIASES | UNTIED | {"head_dim": 4, "sliding_window": 3, "num_hidden_layers": 2},
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    found, expected = nullity_and_dimension(*COUNTED[name], count=30)
    assert found == expected


# Negative controls: moves of one space, just outside its class, drawn as an element of another
# kind.
def haar(space: Space, seed: int = 0) -> Tensor:
    shape = (
        (space.size, space.size) if space.within is None else (space.copies, space.size, space.size)
    )
    return torch.linalg.qr(
        torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )[0]


def rotated(space: Space) -> Element:
    return Orthogonal(haar(space))


def stretched(space: Space) -> Element:
    return Invertible.of(haar(space) * torch.linspace(0.5, 2, space.size, dtype=torch.float64))


def mixed_signs(space: Space) -> Element:
    """A sign for one coordinate of the first rotary pair alone: a reflection."""
    scales = torch.ones(space.copies, space.size, dtype=torch.float64)
    scales[:, 0] = -1
    return Monomial(torch.arange(space.size).expand(space.copies, -1), scales)


def exchanged_pairs(space: Space) -> Element:
    """The first two rotary pairs change places, in half-split order."""
    half = space.size // 2
    order = torch.arange(half)
    order[:2] = torch.tensor([1, 0])
    return Permutation(torch.cat([order, order + half]).expand(space.copies, -1))


def neighbours_turned(space: Space) -> Element:
    """Rotations of neighbouring coordinates, the order of other models."""
    angles = torch.linspace(0.5, 1.5, space.copies * space.size // 2, dtype=torch.float64).view(
        space.copies, -1
    )
    turns = torch.polar(torch.ones_like(angles), angles)
    empty = torch.zeros(space.copies, 0, 0, dtype=torch.float64)
    return Orthogonal(rotary_matrix(Pairs(space.size, interleaved=True), turns, empty))


def pairs_turned(space: Space) -> Element:
    """Rotations of rotary pairs, which norms and clipping on queries and keys do not let
    through.
    """
    return random_element(
        Space(
            "",
            "",
            space.size,
            (SymmetryClass.ROTATION,),
            "",
            space.within,
            space.copies,
            pairs=space.pairs,
        ),
        SymmetryClass.ROTATION,
        torch.Generator().manual_seed(0),
    )


def one_turned(space: Space) -> Element:
    """Quarter turns, which exchange two gains that are not the same."""
    return Orthogonal(
        rotary_matrix(
            space.pairs or Pairs(space.size),
            torch.full((space.copies, space.size // 2), 1j, dtype=torch.complex128),
            torch.zeros(space.copies, 0, 0, dtype=torch.float64),
        )
    )


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "general map of the stream": ("llama", "residual", stretched),
    "rotation across rotary pairs": ("llama", "query-key.0", rotated),
    "reflection of a rotary pair": ("llama", "query-key.0", mixed_signs),
    "exchange of rotary pairs": ("llama", "query-key.0", exchanged_pairs),
    "pairs of neighbours": ("llama", "query-key.0", neighbours_turned),
    "the window does not hide a rotation": ("mistral", "query-key.0", rotated),
    "rotated pairs under norms": ("qwen3", "query-key.0", pairs_turned),
    "quarter turns under norms": ("qwen3", "query-key.0", one_turned),
    "a sign of one coordinate": ("qwen3", "query-key.0", mixed_signs),
    "stream that moves its ones": ("olmo", "residual", rotated),
    "tied stream that moves its ones": ("olmo-tied", "residual", rotated),
    "rotated pairs under clipping": ("olmo-clipped", "query-key.0", pairs_turned),
    "exchange of pairs under clipping": ("olmo-clipped", "query-key.0", exchanged_pairs),
    "rotated values under clipping": ("olmo-clipped", "value-output.0", rotated),
    "rotated pairs under one norm": ("olmo2", "query-key.0", pairs_turned),
    "quarter turns under one norm": ("olmo2", "query-key.0", one_turned),
    "rotation across capped pairs": ("gemma2", "query-key.0", rotated),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


@pytest.mark.parametrize("name", ["olmo2", "gemma2"])
def test_a_stream_that_norms_write_to_does_not_rotate(name: str) -> None:
    """Rotating what writes and reads is refused while gains stand between; leaving them alone
    changes the function.
    """
    model = random_model(name)
    space = model.layout.spaces["residual"]
    assert space.largest is SymmetryClass.SIGNED
    alignment = Alignment.of(model.layout.spaces, {"residual": Orthogonal(haar(space))})
    with pytest.raises(Inadmissible, match="one by one"):
        alignment.apply(model.layout, model.state)

    def rotate(blocks: Blocks) -> None:
        for block in model.layout.blocks:
            if any(axis.space == "residual" and axis.role != "order" for axis in block.axes):
                rows = model.layout.rows(blocks[block.name], block, "residual")
                shape = tuple(blocks[block.name].shape)
                blocks[block.name] = model.layout.unrows(
                    haar(space) @ rows, block, shape, "residual"
                )

    assert error_after(model, rotate) > 1e-3


def centred(*names: str) -> Edit:
    def edit(blocks: Blocks) -> None:
        for name in names:
            axis = blocks.layout.by_name[name].axis("residual")
            blocks[name] = blocks[name] - blocks[name].mean(axis, keepdim=True)

    return edit


def zeroed(name: str) -> Edit:
    def edit(blocks: Blocks) -> None:
        blocks[name] = torch.zeros_like(blocks[name])

    return edit


def folded_value_bias(blocks: Blocks) -> None:
    """b_o + W_o b_v, with one key head for each query head."""
    bias, output = blocks["blocks.0.value.bias"], blocks["blocks.0.output.weight"]
    groups = (bias[:, None] if output.ndim == 4 else bias).expand(output.shape[1:])
    blocks["blocks.0.output.bias"] = blocks["blocks.0.output.bias"] + (output * groups).flatten(
        1
    ).sum(1)
    blocks["blocks.0.value.bias"] = torch.zeros_like(bias)


def queries_across_groups(blocks: Blocks) -> None:
    """All query heads move on by one place, with their columns of the output, and so change their
    key heads.
    """
    for name, axis in (("query", 0), ("output", 1)):
        value = blocks[f"blocks.0.{name}.weight"]
        flat = value.flatten(axis, axis + 1)
        blocks[f"blocks.0.{name}.weight"] = flat.roll(1, axis).view(value.shape)


def gain_of_one_coordinate(blocks: Blocks) -> None:
    """Queries' gain against the keys', for the first coordinate of a pair alone; blocks end in [2,
    pairs].
    """
    for name, factor in (("query", 2.0), ("key", 0.5)):
        value = blocks[f"blocks.0.{name}.norm"]
        value[..., 0, 0] *= factor
        blocks[f"blocks.0.{name}.norm"] = value


def gain_taken_as_it_is_stored(blocks: Blocks) -> None:
    """Gemma's gain is 1 + w, so doubling w is not undone by halving its readers."""
    blocks["blocks.0.norm2.gain"] = 2 * blocks["blocks.0.norm2.gain"]
    for name in ("gate", "up"):
        blocks[f"blocks.0.{name}.weight"] = blocks[f"blocks.0.{name}.weight"] / 2


HEADS_ALONE = {"query": 0, "key": 0, "value": 0, "output": 1}


def heads_without_gains(blocks: Blocks) -> None:
    for name, axis in HEADS_ALONE.items():
        blocks[f"blocks.0.{name}.weight"] = blocks[f"blocks.0.{name}.weight"].roll(1, axis)


def heads_with_gains(blocks: Blocks) -> None:
    heads_without_gains(blocks)
    for name in ("query", "key"):
        blocks[f"blocks.0.{name}.norm"] = blocks[f"blocks.0.{name}.norm"].roll(1, 0)


WRONG: dict[str, tuple[str, Edit]] = {
    "centring under RMSNorm": (
        "llama",
        centred("token.table", "blocks.0.output.weight", "blocks.0.down.weight"),
    ),
    "queries across key heads": ("llama", queries_across_groups),
    "queries without their outputs": ("llama", rolled("blocks.0.query.weight", axis=1)),
    "key heads without their queries": (
        "llama",
        rolled("blocks.0.key.weight", "blocks.0.value.weight"),
    ),
    "a scaled gate": ("llama", scaled("blocks.0.gate.weight", "blocks.0.down.weight")),
    "a rotated key bias dropped": ("llama-biases-tied", zeroed("blocks.0.key.bias")),
    "a value bias dropped": ("qwen2", zeroed("blocks.0.value.bias")),
    "queries' gains against keys', half a pair": ("qwen3", gain_of_one_coordinate),
    "gains of one norm, half a pair": ("olmo2", gain_of_one_coordinate),
    "queries against keys under norms": ("qwen3", scaled("blocks.0.query.norm")),
    "a tied head's stream scaled": ("olmo-tied", scaled("token.table")),
    "a clipped value bias folded": ("olmo-clipped", folded_value_bias),
    "clipped values scaled": (
        "olmo-clipped",
        scaled("blocks.0.value.weight", "blocks.0.output.weight"),
    ),
    "clipped queries scaled": (
        "olmo-clipped",
        scaled("blocks.0.query.weight", "blocks.0.key.weight"),
    ),
    "heads without their gains": ("olmo2", heads_without_gains),
    "centring a stream that norms write to": ("olmo2", centred("token.table")),
    "one post-norm's gain scaled": ("olmo2", scaled("blocks.0.attended.gain")),
    "a stored gain doubled": ("gemma2", gain_taken_as_it_is_stored),
    "a tied table scaled": ("gemma2", scaled("token.table")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-3


def test_the_edits_are_right_where_they_are_allowed() -> None:
    """The controls above fail for the reason they name: what differs from them by that alone keeps
    the function.
    """
    assert error_after(random_model("olmo2"), heads_with_gains) < 1e-10
    assert (
        error_after(
            random_model("olmo"),
            centred("token.table", "blocks.0.output.weight", "blocks.0.down.weight"),
        )
        < 1e-10
    )
    assert error_after(random_model("llama-biases-tied"), folded_value_bias) < 1e-10
    assert (
        error_after(random_model("llama"), scaled("blocks.0.up.weight", "blocks.0.down.weight"))
        < 1e-10
    )
    assert (
        error_after(random_model("llama"), scaled("blocks.0.query.weight", "blocks.0.key.weight"))
        < 1e-10
    )


def test_a_value_bias_stays_where_the_output_has_none() -> None:
    model = random_model("qwen2")
    done = canonical(model, choose_classes(model.layout.spaces))
    blocks = done.layout.read(done.state)
    assert blocks["blocks.0.value.bias"].abs().min() > 0
    assert blocks["blocks.0.key.bias"].abs().max() > 0


def gains_rescaled(model: Model) -> Model:
    """The same function, with gains of queries multiplied and those of keys divided, by another
    number for each pair.
    """
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    blocks = Blocks(model.layout, state)
    query, key = blocks["blocks.0.query.norm"], blocks["blocks.0.key.norm"]
    factor = torch.linspace(0.3, 3, key.numel() // 2, dtype=torch.float64).view(
        key.shape[:-2] + key.shape[-1:]
    )
    blocks["blocks.0.key.norm"] = key / factor[..., None, :]
    for _ in range(query.ndim - key.ndim):
        factor = factor[..., None, :]
    blocks["blocks.0.query.norm"] = query * factor[..., None, :]
    return model.with_state(state)


@pytest.mark.parametrize("name", ["qwen3", "olmo2", "olmo2-groups-tied"])
def test_gains_of_queries_and_keys_are_balanced(name: str) -> None:
    model = random_model(name)
    other = gains_rescaled(model)
    assert function_error(model, other, random_inputs(model), torch.float64) < 1e-12
    classes = choose_classes(model.layout.spaces)
    left, right = canonical(model, classes), canonical(other, classes)
    for each in left.state:
        torch.testing.assert_close(left.state[each], right.state[each])
    blocks = left.layout.read(left.state)
    query, key = blocks["blocks.0.query.norm"], blocks["blocks.0.key.norm"]
    extra = tuple(range(1, query.ndim - key.ndim + 1))  # queries of a group
    power = query.square().sum((*extra, -2))
    torch.testing.assert_close(power, key.square().sum(-2))


def test_gates_that_let_a_factor_pass_are_balanced_too() -> None:
    """relu(s g) u d / s: the norms of a unit's gate, `up` and `down` become one number, whatever
    they were shared out as.
    """
    model = random_model("llama-all-heads-relu")
    state = {name: tensor.clone() for name, tensor in model.state.items()}
    blocks = Blocks(model.layout, state)
    factor = torch.linspace(0.3, 3, 20, dtype=torch.float64)
    for part, axis in (("weight", factor[:, None]), ("bias", factor)):
        blocks[f"blocks.0.gate.{part}"] = blocks[f"blocks.0.gate.{part}"] * axis
        blocks[f"blocks.0.up.{part}"] = blocks[f"blocks.0.up.{part}"] / axis
    other = model.with_state(state)
    assert function_error(model, other, random_inputs(model), torch.float64) < 1e-12
    classes = choose_classes(model.layout.spaces)
    left, right = canonical(model, classes), canonical(other, classes)
    for name in left.state:
        torch.testing.assert_close(left.state[name], right.state[name])
    found = left.layout.read(left.state)
    joined = [
        torch.cat([found[f"blocks.0.{side}.weight"], found[f"blocks.0.{side}.bias"][:, None]], 1)
        for side in ("gate", "up")
    ]
    for side in joined:
        torch.testing.assert_close(side.norm(dim=1), found["blocks.0.down.weight"].norm(dim=0))
    # SiLU
    assert (
        error_after(random_model("llama"), scaled("blocks.0.gate.weight", "blocks.0.up.weight"))
        > 1e-3
    )


def test_signs_of_rotary_pairs_pass_through_norms() -> None:
    """Per key head; the same element that flips one coordinate of a pair alone is among the wrong
    moves.
    """
    model = random_model("qwen3")
    space = model.layout.spaces["query-key.0"]
    signs = pair_signs(
        space, torch.tensor([[1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, 1.0, -1.0]], dtype=torch.float64)
    )
    element = Monomial(torch.arange(space.size).expand(space.copies, -1), signs)
    alignment = Alignment.of(model.layout.spaces, {"query-key.0": element})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) < 1e-12
    assert (
        max(float((moved.state[name] - tensor).abs().max()) for name, tensor in model.state.items())
        > 0.1
    )


@pytest.mark.parametrize(
    ("name", "stays"),
    [("olmo-tied", True), ("gemma2", True), ("olmo2-groups-tied", True), ("mistral-tied", False)],
)
def test_a_head_stays_tied_where_it_can(name: str, stays: bool) -> None:
    model = random_model(name)
    done = canonical(model, choose_classes(model.layout.spaces))
    assert done.config["tie_word_embeddings"] is stays
    assert ("lm_head.weight" in done.state) is not stays


@pytest.mark.parametrize("name", ["olmo-tied", "gemma2"])
def test_a_tied_and_an_untied_model_have_a_common_form(name: str) -> None:
    tied = random_model(name)
    state = dict(tied.state) | {"lm_head.weight": 2 * tied.state["model.embed_tokens.weight"]}
    untied = Model(
        "untied", tied.family, {**tied.config, "tie_word_embeddings": False}, state
    ).check()
    left, right = common_form(tied, untied)
    assert left.state.keys() == right.state.keys() and left.config == right.config
    assert function_error(tied, left, random_inputs(tied), torch.float64) < 1e-12


def test_a_number_added_to_all_capped_logits_is_seen() -> None:
    """The tanh caps each logit by itself, so that matching may not take the mean out of the head's
    rows.
    """
    capped, plain = (random_model(name).layout.by_name for name in ("gemma2-untied", "llama"))
    assert plain["head.weight"].ignores_mean_over is not None
    assert capped["head.weight"].ignores_mean_over is not None  # its logits are not capped
    raw = dict(random_model("gemma2-untied").config) | {"final_logit_softcapping": 2.0}
    family = random_model("gemma2-untied").family
    assert family.layout(family.config(raw)).by_name["head.weight"].ignores_mean_over is None
