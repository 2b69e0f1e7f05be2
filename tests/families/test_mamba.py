"""Mamba and Falcon Mamba: what their layouts say, counted and tried, their files and
configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.analysis.audit import audit
from lmc_core.analysis.parts import find_parts
from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import canonical
from lmc_core.matching.solvers import reach
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model, untied_state
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.dimension import symmetry_dimension
from lmc_core.symmetry.elements import Element, Invertible, Orthogonal
from lmc_core.symmetry.spaces import Space, SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, round_trip
from tests.networks import random_inputs, random_model
from tests.symmetry.nullity import nullity

MAMBA, FALCON = FAMILIES["mamba"], FAMILIES["falcon_mamba"]
EXAMPLES = [*MAMBA.examples, *FALCON.examples]
TINY: dict[str, Any] = {
    "model_type": "mamba",
    "vocab_size": 13,
    "hidden_size": 6,
    "intermediate_size": 7,
    "state_size": 3,
    "time_step_rank": 2,
    "num_hidden_layers": 1,
    "max_position_embeddings": 8,
    "tie_word_embeddings": False,
}
BODY, NORMED = {"architectures": ["MambaModel"]}, {"model_type": "falcon_mamba"}
COUNTED: dict[str, dict[str, Any]] = {
    "untied": {},
    "two layers": {"num_hidden_layers": 2, "vocab_size": 9, "intermediate_size": 4},
    "biases": {"use_bias": True},
    "no bias of filters": {"use_conv_bias": False},
    "filters of one step": {"conv_kernel": 1, "use_bias": True},
    "relu": {"hidden_act": "relu"},
    "square of relu": {"hidden_act": "relu2"},
    "body": BODY,
    "body, biases": BODY | {"use_bias": True},
    "normed": NORMED,
    "normed, body, biases": NORMED | {"architectures": ["FalconMambaModel"], "use_bias": True},
    "normed, leaky relu": NORMED | {"hidden_act": "leaky_relu"},
}


def spread(raw: dict[str, Any], seed: int = 1) -> Model:
    """A random model of which every time step, decay and filter is of ordinary size."""
    family = FAMILIES[raw["model_type"]]
    config = family.config(raw)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in untied_state(family.build(config)).items():
        size = (
            0.7 if tensor.ndim == 1 else 0.6 if tensor.ndim == 3 else 1.5 * tensor.shape[-1] ** -0.5
        )
        state[name] = size * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if name.endswith(("norm.weight", "norm_f.weight")):
            state[name] += 1
    return Model("mamba", family, config, state)


def counted(model: Model) -> dict[str, int]:
    return symmetry_dimension(model.layout, model.family.rewrite(model.config))


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    model = spread(TINY | COUNTED[name])
    found, gap = nullity(model, 40)
    assert gap > 1e4
    assert found == sum(counted(model).values())


def test_a_tied_head_holds_its_stream_and_its_gain() -> None:
    """Until it is a matrix of its own, as the canonical rewrite makes it."""
    tied, untied = (spread(TINY | {"tie_word_embeddings": tie}) for tie in (True, False))
    assert counted(tied) == counted(untied)
    found, gap = nullity(tied, 40)
    assert gap > 1e4
    width = TINY["hidden_size"]
    assert found == sum(counted(tied).values()) - width * (width - 1) // 2 - width


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_audit(name: str) -> None:
    model = random_model(name)
    found = audit(model, random_inputs(model))
    assert found.double < 1e-12
    assert found.single < 1e-5
    assert found.recovered < 1e-10
    assert found.control > 1e-2


# Negative controls: moves of one space, just outside its class.
def haar(space: Space) -> torch.Tensor:
    shape = (
        (space.size, space.size) if space.within is None else (space.copies, space.size, space.size)
    )
    return torch.linalg.qr(torch.randn(shape, generator=torch.Generator().manual_seed(0)).double())[
        0
    ]


def rotated(space: Space) -> Element:
    return Orthogonal(haar(space))


def stretched(space: Space) -> Element:
    return Invertible.of(haar(space) * torch.linspace(0.5, 2, space.size, dtype=torch.float64))


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "general map of the stream": ("mamba", "residual", stretched),
    "rotated channels": ("mamba", "channels.0", rotated),
    "rotated states": ("mamba", "states.0", rotated),
    "rotated states under norms": ("falcon_mamba", "states.0", rotated),
    "general map of what makes time steps under norms": ("falcon_mamba", "time-step.0", stretched),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    state = {n: t.clone() for n, t in model.state.items()}
    blocks = Blocks(model.layout, state)
    element = draw(model.layout.spaces[space])
    for block in model.layout.blocks:
        axes = [axis for axis in block.axes if axis.space == space]
        if axes and (axes[0].role != "order" or space == "states.0"):
            rows = model.layout.rows(blocks[block.name], block, space)
            role = "writes" if axes[0].role == "order" else axes[0].role
            shape = tuple(blocks[block.name].shape)
            blocks[block.name] = model.layout.unrows(element.act(rows, role), block, shape, space)
    moved = model.with_state(state)
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


def multiplied(factors: dict[str, float]) -> Edit:
    """Multiply blocks of the first layer by numbers."""

    def edit(blocks: Blocks) -> None:
        for name, factor in factors.items():
            blocks[f"blocks.0.{name}"] = blocks[f"blocks.0.{name}"] * factor

    return edit


def rolled(axes: dict[str, int]) -> Edit:
    """Move coordinates of blocks of the first layer on by one place."""

    def edit(blocks: Blocks) -> None:
        for name, axis in axes.items():
            blocks[f"blocks.0.{name}"] = blocks[f"blocks.0.{name}"].roll(1, axis)

    return edit


CHANNELS = {
    **dict.fromkeys(
        ("input.weight", "gate.weight", "filter.weight", "filter.bias", "step.weight", "step.bias"),
        0,
    ),
    **dict.fromkeys(("decay", "skip"), 0),
    **dict.fromkeys(("rank.weight", "write.weight", "read.weight", "output.weight"), 1),
}
STATES = {"write.weight": 0, "read.weight": 0, "decay": 1}
WRONG: dict[str, Edit] = {
    "filters alone": rolled({"filter.weight": 0, "filter.bias": 0}),
    **{
        f"channels without {name}": rolled({n: a for n, a in CHANNELS.items() if n != name})
        for name in CHANNELS
    },
    **{
        f"states without {name}": rolled({n: a for n, a in STATES.items() if n != name})
        for name in STATES
    },
    "a factor through the activation": multiplied(
        {"filter.weight": 2, "filter.bias": 2, "output.weight": 0.5}
    ),
    "a factor through the gate": multiplied({"gate.weight": 2, "output.weight": 0.5}),
    "a factor through the filter's bias": multiplied(
        {"input.weight": 2, "filter.weight": 0.5, "filter.bias": 0.5}
    ),
    "a factor of what is written past the skip": multiplied(
        {"write.weight": 2, "output.weight": 0.5}
    ),
    "a factor of time steps": multiplied({"step.weight": 2, "write.weight": 0.5}),
}
RIGHT: dict[str, Edit] = {
    "channels": rolled(CHANNELS),
    "states": rolled(STATES),
    "filters": multiplied({"input.weight": -2, "filter.weight": -0.5}),
    "written and read": multiplied({"write.weight": -2, "read.weight": -0.5}),
    "made and used": multiplied({"rank.weight": -2, "step.weight": -0.5}),
    "the whole layer": multiplied({"read.weight": -2, "skip": -2, "output.weight": -0.5}),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    assert error_after(spread(dict(MAMBA.examples["mamba"])), WRONG[name]) > 1e-3


@pytest.mark.parametrize("name", RIGHT)
def test_the_edits_are_right_where_they_are_allowed(name: str) -> None:
    assert error_after(spread(dict(MAMBA.examples["mamba"])), RIGHT[name]) < 1e-12


def test_under_norms_states_keep_their_signs_alone() -> None:
    model = spread(dict(FALCON.examples["falcon_mamba"]))

    def one(*names: str, factor: float) -> Edit:
        def edit(blocks: Blocks) -> None:
            for name in names:
                value = blocks[f"blocks.0.{name}.weight"]
                value[0] *= factor
                blocks[f"blocks.0.{name}.weight"] = value

        return edit

    assert error_after(model, one("write", "read", factor=-1)) < 1e-12
    assert error_after(model, rolled(STATES)) < 1e-12
    assert error_after(model, rolled(CHANNELS)) < 1e-12
    assert error_after(model, one("write", factor=-1)) > 1e-3
    assert error_after(model, one("write", "read", factor=2)) > 1e-3
    assert (
        error_after(model, multiplied({"read.weight": 2, "skip": 2, "output.weight": 0.5})) > 1e-3
    )
    assert error_after(model, multiplied({"rank.weight": 2, "step.weight": 0.5})) > 1e-3


@pytest.mark.parametrize("name", EXAMPLES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    round_trip(random_model(name, dtype=torch.float32), tmp_path)


def test_a_number_for_every_pair_of_channels() -> None:
    """Spaces of one coordinate need no assignment, however many copies there are."""
    space = random_model("mamba").layout.spaces["filters.0"]
    values = torch.randn(300_000, 1, 1, dtype=torch.float64)
    assert torch.equal(reach(space, SymmetryClass.SCALED, values), values.abs().flatten())


def test_names_of_earlier_files(tmp_path: Path) -> None:
    """With 'embedding' in place of 'embeddings', with a copy of the shared table, and of the body
    alone.
    """
    model = random_model("mamba", dtype=torch.float32)
    model.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    table = tensors.pop("backbone.embeddings.weight")
    save_file({**tensors, "backbone.embedding.weight": table}, tmp_path / "model.safetensors")
    assert load_folder(tmp_path).digest == model.digest
    save_file(
        {**tensors, "backbone.embedding.weight": table, "lm_head.weight": table.clone()},
        tmp_path / "model.safetensors",
    )
    assert load_folder(tmp_path).digest == model.digest
    save_file(
        {**tensors, "backbone.embedding.weight": table, "lm_head.weight": table + 1},
        tmp_path / "model.safetensors",
    )
    with pytest.raises(BadCheckpoint, match="tie_word_embeddings"):
        load_folder(tmp_path)


# sizes of state-spaces/mamba-130m-hf and mamba-2.8b-hf and tiiuae/falcon-mamba-7b, with the number
# of their parameters
PUBLISHED = {"mamba-130m": (768, 24, 129_135_360), "mamba-2.8b": (2560, 64, 2_768_345_600)}
PUBLISHED["falcon-mamba-7b"] = (4096, 64, 7_272_665_088)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    width, depth, parameters = PUBLISHED[name]
    raw: dict[str, Any] = {"model_type": "mamba", "hidden_size": width, "num_hidden_layers": depth}
    if name.startswith("falcon"):
        raw |= NORMED | {
            "vocab_size": 65024,
            "intermediate_size": 8192,
            "tie_word_embeddings": False,
        }
    family = FAMILIES[raw["model_type"]]
    config = family.config(raw)
    with torch.device("meta"):
        module = family.build(config)
    state = untied_state(module)
    family.layout(config).check(state)
    assert sum(tensor.numel() for tensor in state.values()) == parameters


def test_sizes_are_those_of_transformers() -> None:
    from transformers import MambaConfig

    cases: list[dict[str, Any]] = [
        {},
        {"hidden_size": 40},
        {"expand": 3},
        {"intermediate_size": 100},
    ]
    cases.append({"intermediate_size": 900, "expand": 3})
    for raw in cases:
        found, own = MAMBA.config({"model_type": "mamba"} | raw), MambaConfig(**raw)
        assert all(
            getattr(own, key) == value for key, value in found.items() if key != "model_type"
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"expand": 1.5, "intermediate_size": None},
            "'expand' as a positive integer; it gives 1.5",
        ),
        ({"state_size": 0}, "'state_size' as a positive integer; it gives 0"),
        ({"time_step_rank": "all"}, "'time_step_rank' as a positive integer; it gives 'all'"),
        ({"time_step_rank": 21}, "20 channels are made from a space that is no larger; .* as 21"),
        ({"use_bias": "yes"}, "'use_bias' as true or false"),
        ({"hidden_act": "glu"}, "activation 'glu' is not supported"),
        ({"layer_norm_epsilon": 0}, "'layer_norm_epsilon' as a positive number"),
        (
            {"architectures": ["Mamba2ForCausalLM"]},
            "'architectures' as Mamba2ForCausalLM, which is not supported",
        ),
    ],
)
def test_refused_with_a_reason(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        MAMBA.config(dict(MAMBA.examples["mamba"]) | changes)


def test_the_parts_of_a_layer() -> None:
    parts = {part.name: part.parameters for part in find_parts(random_model("mamba").layout)}
    assert list(parts) == ["input", "recurrence 0", "norms 0", "recurrence 1", "norms 1", "output"]
    assert parts["norms 0"] == ("backbone.layers.0.norm.weight",)


def test_random_elements_keep_the_body() -> None:
    """Its outputs are the stream itself, so that only what is inside its layers moves."""
    model = spread(dict(MAMBA.examples["mamba"]) | BODY)
    spaces = model.layout.spaces
    assert spaces["residual"].largest is SymmetryClass.NONE
    classes = choose_classes(spaces)
    form = canonical(model, classes)
    element = Alignment.random(spaces, classes, torch.Generator().manual_seed(0))
    moved = form.with_state(element.apply(form.layout, form.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) < 1e-12
