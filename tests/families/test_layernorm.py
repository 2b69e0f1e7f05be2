"""ViT and DeiT of transformers, GPT-NeoX, OPT: the dimension of their symmetry, and moves just
outside of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lmc_core.errors import Inadmissible
from lmc_core.matching.pair import canonical
from lmc_core.models.forward import function_error
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.elements import Element, Invertible, Monomial, Orthogonal, Permutation
from lmc_core.symmetry.spaces import Space, SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, nullity_and_dimension
from tests.networks import random_inputs, random_model

IMAGES: dict[str, Any] = {
    "model_type": "vit",
    "hidden_size": 6,
    # in a single layer the query of the class token is the same for every image
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 4,
    "image_size": 4,
    "patch_size": 2,
    "num_channels": 1,
    "num_labels": 7,
}
TEACHER = {"model_type": "deit", "architectures": ["DeiTForImageClassificationWithTeacher"]}
NEOX: dict[str, Any] = {
    "model_type": "gpt_neox",
    "vocab_size": 17,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 3,
    "max_position_embeddings": 8,
    "rotary_pct": 0.5,
}
OPT: dict[str, Any] = {
    "model_type": "opt",
    "vocab_size": 13,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "ffn_dim": 4,
    "max_position_embeddings": 6,
    "pad_token_id": None,  # its row has no derivative
    "tie_word_embeddings": False,
    "activation_function": "gelu",
}
BEHIND, PLAIN = {"do_layer_norm_before": False}, {"layer_norm_elementwise_affine": False}
# fewer tokens do not determine it
NARROW = {"word_embed_proj_dim": 4, "vocab_size": 17, "max_position_embeddings": 8}
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "vit, no biases": ("vit_hf", IMAGES | {"qkv_bias": False}, 110),
    "deit": ("vit_hf", IMAGES | TEACHER, 110),
    "neox": ("gpt_neox", NEOX, 30),
    "neox, sequential, no biases": (
        "gpt_neox",
        NEOX | {"use_parallel_residual": False, "attention_bias": False},
        30,
    ),
    "neox, parallel, no biases": (
        "gpt_neox",
        NEOX | {"rotary_pct": 1.0, "attention_bias": False},
        30,
    ),
    "opt": ("opt", OPT, 30),
    "opt, narrow": ("opt", OPT | {"word_embed_proj_dim": 4}, 30),
    "opt, behind": ("opt", OPT | BEHIND, 30),
    "opt, behind, narrow, no biases": ("opt", OPT | BEHIND | NARROW | {"enable_bias": False}, 30),
    "opt, behind, no gains": ("opt", OPT | BEHIND | PLAIN, 30),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, count = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, count)
    assert found == expected


def test_relu_units_add_a_scale_each() -> None:
    """Every unit has to be seen on both sides of its kink: many inputs, and a seed that leaves none
    dead.
    """
    found, expected = nullity_and_dimension(
        "opt", OPT | {"activation_function": "relu", "num_hidden_layers": 1}, 120
    )
    assert found == expected


# Negative controls: moves of one space, just outside its class, drawn as an element of another
# kind.
def haar(*shape: int) -> Tensor:
    return torch.linalg.qr(
        torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]


def rotated(space: Space) -> Element:
    shape = () if space.within is None else (space.copies,)
    return Orthogonal(haar(*shape, space.size, space.size))


def rotated_places(*places: int) -> Callable[[Space], Element]:
    """Mix some coordinates of every copy, and no others."""

    def draw(space: Space) -> Element:
        matrix = torch.eye(space.size, dtype=torch.float64).repeat(space.copies, 1, 1)
        chosen = torch.tensor(places)
        matrix[:, chosen[:, None], chosen] = haar(len(places), len(places))
        return Orthogonal(matrix)

    return draw


def factors(*values: float) -> Callable[[Space], Element]:
    """Multiply the first coordinates by the values, in the order they have."""

    def draw(space: Space) -> Element:
        shape = (space.size,) if space.within is None else (space.copies, space.size)
        scales = torch.ones(shape, dtype=torch.float64)
        scales[..., : len(values)] = torch.tensor(values, dtype=torch.float64)
        return Monomial(torch.arange(space.size).expand(shape), scales)

    return draw


def exchanged(*order: int) -> Callable[[Space], Element]:
    """Put the first coordinates of every copy in another order."""

    def draw(space: Space) -> Element:
        indices = torch.cat([torch.tensor(order), torch.arange(len(order), space.size)])
        return Permutation(indices.expand(space.copies, -1))

    return draw


def stretched(space: Space) -> Element:
    return Invertible.of(
        haar(space.size, space.size) * torch.linspace(0.5, 2, space.size, dtype=torch.float64)
    )


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    # 4 of 12 coordinates are rotated, in the pairs (0, 2) and (1, 3)
    "rotation across rotary pairs": ("gpt_neox", "query-key.0", rotated_places(0, 1, 2, 3)),
    "rotation of neighbours": ("gpt_neox", "query-key.0", rotated_places(0, 1)),
    "reflection of a rotary pair": ("gpt_neox", "query-key.0", factors(-1.0)),
    "exchange of rotary pairs": ("gpt_neox", "query-key.0", exchanged(1, 0, 3, 2)),
    "rotated coordinates mixed with others": ("gpt_neox", "query-key.0", rotated_places(2, 5)),
    "stream that moves its ones": ("gpt_neox-sequential-tied", "residual", rotated),
    "general map of the stream": ("vit_hf-deit-teacher", "residual", stretched),
    "stream of images that moves its ones": ("vit_hf", "residual", rotated),
    "negative scale of ReLU": ("opt", "units.0", factors(-1.0, -2.0)),
    "rotated ReLU": ("opt", "units.0", rotated),
    "scaled GELU": ("opt-narrow-tied-gelu", "units.0", factors(2.0, 3.0)),
    "signs of a stream with norms behind": ("opt-norms-behind", "residual", factors(-1.0, -1.0)),
    "stream without gains that moves its ones": ("opt-no-gains-behind", "residual", rotated),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


def test_what_is_just_inside_a_class_does_not() -> None:
    """The draws above are no wrong moves in themselves: the same on coordinates that may mix
    changes nothing.
    """
    for example, space, draw in (
        ("gpt_neox", "query-key.0", rotated_places(0, 2)),
        ("gpt_neox", "query-key.0", rotated_places(4, 5, 9)),
        ("opt", "units.0", factors(2.0, 3.0)),
    ):
        model = random_model(example)
        space_of = model.layout.spaces[space]
        element = draw(space_of)
        if "rotated" in draw.__qualname__:  # a rotation, not a reflection
            values = element.matrix().clone()
            first = [i for i in range(space_of.size) if values[0, i, i] != 1][0]
            values[:, first] *= torch.linalg.det(values).round()[:, None]
            element = Orthogonal(values)
        moved = model.with_state(
            Alignment.of(model.layout.spaces, {space: element}).apply(model.layout, model.state)
        )
        assert function_error(model, moved, random_inputs(model), torch.float64) < 1e-10


def test_a_stream_that_norms_write_to_does_not_rotate() -> None:
    model = random_model("opt-norms-behind")
    space = model.layout.spaces["residual"]
    assert space.largest is SymmetryClass.PERMUTATION
    rotation = {"residual": Orthogonal(haar(space.size, space.size))}
    with pytest.raises(Inadmissible, match="one by one"):
        Alignment.of(model.layout.spaces, rotation).apply(model.layout, model.state)


def parameter(name: str, change: Callable[[Tensor], object]) -> Edit:
    """Change a parameter of the state dict in place."""

    def edit(blocks: Blocks) -> None:
        change(blocks.state[name])

    return edit


def heads_as_thirds(value: Tensor) -> None:
    """Exchange the heads as if all queries came first, then all keys, then all values."""
    value.copy_(value.unflatten(0, (3, 2, -1)).flip(1).flatten(0, 2))


def heads_one_by_one(value: Tensor) -> None:
    """Exchange the heads as they are stored."""
    value.copy_(value.unflatten(0, (2, -1)).flip(0).flatten(0, 1))


def all_of(*edits: Edit) -> Edit:
    def edit(blocks: Blocks) -> None:
        for each in edits:
            each(blocks)

    return edit


def of_heads(change: Callable[[Tensor], object]) -> Edit:
    """Exchange the heads of GPT-NeoX: rows of the fused map, columns of the output."""
    at = "gpt_neox.layers.0.attention"
    fused = [parameter(f"{at}.query_key_value.{part}", change) for part in ("weight", "bias")]
    return all_of(*fused, parameter(f"{at}.dense.weight", lambda w: heads_one_by_one(w.mT)))


def exchange(first: str, second: str) -> Edit:
    def edit(blocks: Blocks) -> None:
        one, two = blocks[first].clone(), blocks[second].clone()
        blocks[first], blocks[second] = two, one

    return edit


def rows(start: int, stop: int) -> Callable[[Tensor], object]:
    return lambda value: value[start:stop].add_(1.0 + torch.arange(value.shape[1]) % 3)


POSITIONS = "model.decoder.embed_positions.weight"
EDITS: dict[str, tuple[str, Edit, bool]] = {  # example, what is done, whether the function stays
    "heads as they are stored": ("gpt_neox", of_heads(heads_one_by_one), True),
    "heads as three parts": ("gpt_neox", of_heads(heads_as_thirds), False),
    "positions of padding": ("opt", parameter(POSITIONS, rows(0, 2)), True),
    "the first position": ("opt", parameter(POSITIONS, rows(2, 3)), False),
    "class token for distillation token": (
        "vit_hf-deit-teacher",
        exchange("cls.token", "distillation.token"),
        False,
    ),
    "one head for the other": (
        "vit_hf-deit-teacher",
        exchange("head.weight", "distillation.head.weight"),
        False,
    ),
    "biases of both heads": (
        "vit_hf-deit-teacher",
        exchange("head.bias", "distillation.head.bias"),
        True,
    ),
    "biases of parallel layers": (
        "gpt_neox",
        exchange("blocks.0.output.bias", "blocks.0.down.bias"),
        True,
    ),
    "biases of layers in turn": (
        "gpt_neox-sequential-tied",
        exchange("blocks.0.output.bias", "blocks.0.down.bias"),
        False,
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_traps(name: str) -> None:
    example, edit, stays = EDITS[name]
    error = error_after(random_model(example), edit)
    assert error < 1e-10 if stays else error > 1e-3


def test_a_narrow_table_moves_with_both_projections() -> None:
    """A shared table is written and read: a map of its space that leaves the projection to the head
    alone is seen.
    """
    model = random_model("opt-narrow-tied-gelu")
    space = model.layout.spaces["embedding"]
    move = Alignment.of(model.layout.spaces, {"embedding": stretched(space)})
    moved = move.apply(model.layout, model.state)
    assert (
        function_error(model, model.with_state(moved), random_inputs(model), torch.float64) < 1e-10
    )
    kept = moved | {name: model.state[name] for name in ("model.decoder.project_out.weight",)}
    assert function_error(model, model.with_state(kept), random_inputs(model), torch.float64) > 1e-3
