"""Several models that are read one parameter at a time come into the frame that those in memory
come into.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
import torch

from lmc_core.matching import objective
from lmc_core.matching.aligned import canonical
from lmc_core.matching.consensus import Consensus, cover_pairs
from lmc_core.matching.many import AlignedModels, align_models
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.models import pieced
from lmc_core.models.canonical_state import CanonicalState, MovedState
from lmc_core.models.forward import function_error, random_inputs
from lmc_core.models.lazy import LazyState, is_lazy
from lmc_core.models.mixing import centre
from lmc_core.models.model import Model
from lmc_core.symmetry import alignment
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.layout import State
from lmc_core.symmetry.spaces import choose_classes
from tests.matching.test_lazy_pair import lazily
from tests.networks import random_model

NAMES = ["gpt2", "gpt_neox", "llama", "mixtral", "vit", "t5-1.1"]


def together(models: Sequence[Model], method: str) -> AlignedModels:
    chosen = {"steps": 0, "rounds": 2} if method == "universe" else {}
    settings = MANY_METHODS[method].configured(chosen)
    return align_models(models, random_inputs(models[0], 2), method=method, settings=settings)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["reference", "universe"])
def test_a_lazily_read_group(name: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held in float64 and read in float32: the same maps, objective and mean but for rounding, and
    every model computes what it did.
    """
    monkeypatch.setattr(objective, "HELD", 0)
    models = [random_model(name, seed) for seed in range(3)]
    held = together(models, method)
    lazy = together([lazily(model) for model in models], method)
    assert all(is_lazy(model.state) for model in (*lazy.models, lazy.centre))
    assert not any(is_lazy(model.state) for model in (*held.models, held.centre))
    assert lazy.trace.objective == pytest.approx(held.trace.objective, abs=1e-7)
    assert lazy.trace.before == pytest.approx(held.trace.before, abs=1e-7)
    for one, other in zip(lazy.alignments, held.alignments, strict=True):
        assert one.distance(other) < 1e-5
    inputs = random_inputs(models[0], 2)
    assert function_error(lazy.centre, held.centre, inputs, torch.float64) < 1e-5
    found = [
        function_error(model, moved, inputs, torch.float64)
        for model, moved in zip(models, lazy.models, strict=True)
    ]
    assert max(found) < 1e-5 and max(lazy.function_errors) < 1e-5
    # the check sees a model that is another one
    assert function_error(models[0], lazy.models[1], inputs, torch.float64) > 0.1
    assert function_error(models[0], lazy.centre, inputs, torch.float64) > 0.01


def test_small_models_are_compared_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both are worked on in float64 nothing but the order of sums is another."""
    models = [random_model("gpt2", seed) for seed in range(3)]
    held, lazy = (
        together(each, "reference") for each in (models, [lazily(model) for model in models])
    )
    assert lazy.trace.objective == pytest.approx(held.trace.objective, abs=1e-12)


def frame_of(models: Sequence[Model], masked: bool = False) -> Consensus:
    classes = choose_classes(models[0].layout.spaces)
    states = [
        CanonicalState(m.layout, m.family.rewrite(m.config), m.state, classes) for m in models
    ]
    tables = {b.parameter for b in models[0].layout.blocks if b.name == "token.table"}
    masks = {name: torch.arange(models[0].layout.shapes[name][0]) % 3 > 0 for name in tables}
    return Consensus(models[0].layout, states, classes, masks if masked else {})


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_made_in_pieces_is_what_is_made_at_once(
    masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved, scaled and averaged parameters, of blocks that are cut and of blocks that are not."""
    models = [lazily(random_model("gpt2", seed)) for seed in range(3)]
    drawn = [torch.Generator().manual_seed(seed) for seed in range(3)]
    spaces = models[0].layout.spaces
    maps = [Alignment.random(spaces, choose_classes(spaces), each) for each in drawn]
    found: list[list[State]] = []
    for size in (alignment.CHUNK, 40):
        monkeypatch.setattr(alignment, "CHUNK", size)
        frame = frame_of(models, masked)
        moved = frame.moved(maps)
        means = pieced.mean(frame.layout, moved, torch.float64)
        found.append([dict(state) for state in (*moved, means)])
        for unit, one, each in zip(frame.units, moved, maps, strict=True):
            plain = each.apply(frame.layout, unit)
            assert all(torch.allclose(one[n], t, rtol=0, atol=1e-12) for n, t in plain.items())
        plain = centre([models[0].with_state(dict(state)) for state in moved]).state
        assert all(torch.allclose(means[n], t, rtol=0, atol=1e-12) for n, t in plain.items())
    for one, other in zip(*found, strict=True):
        assert all(torch.allclose(one[n], t, rtol=0, atol=1e-12) for n, t in other.items())
    assert not torch.allclose(
        found[0][0]["transformer.wte.weight"], found[0][1]["transformer.wte.weight"]
    )


def test_moved_parameters_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "CHUNK", 40)
    model = random_model("gpt_neox")
    frame = frame_of([lazily(model), lazily(model)])
    drawn = Alignment.random(frame.layout.spaces, frame.classes, torch.Generator().manual_seed(0))
    unit = frame.units[0]
    assert isinstance(unit, LazyState)
    moved = MovedState(frame.layout, unit, drawn)
    whole = pieced.moved(frame.layout, unit, drawn, torch.float64)
    assert all(torch.allclose(moved[name], whole[name], atol=1e-12) for name in moved)
    for block in frame.layout.blocks:
        pieces, at_once = list(moved.pieces(block)), frame.layout.view(moved, block)
        assert sum(part.numel() for part in pieces) == at_once.numel()
        assert sum(float(part.sum()) for part in pieces) == pytest.approx(float(at_once.sum()))


@pytest.mark.parametrize("count", [2, 5])
def test_three_parameters_at_most_are_there_as_they_are_stored(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many models there are: of the mean of the others one model is read at a time, and
    beside it the one that is matched; the objective looks at three.
    """
    monkeypatch.setattr(objective, "HELD", 0)
    alive: list[weakref.ref[torch.Tensor]] = []
    most = [0]

    def watched(model: Model) -> Model:
        state = model.state

        def make(name: str) -> torch.Tensor:
            tensor = state[name].clone()
            alive[:] = [each for each in alive if each() is not None]
            # small ones are held as biases and gains
            if tensor.ndim > 1:
                alive.append(weakref.ref(tensor))
            most[0] = max(most[0], len(alive))
            return tensor

        return model.with_state(LazyState(state, make))

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # side by side each thread has two
    try:
        models = [replace(random_model("llama", seed), name=f"{seed}") for seed in range(count)]
        group = together([watched(model) for model in models], "universe")
        assert len(dict(group.centre.state)) == len(models[0].state)
    finally:
        torch.set_num_threads(before)
    assert 1 <= most[0] <= min(count, 3)
    assert max(group.function_errors) < 1e-5


@pytest.mark.parametrize("count", range(2, 9))
def test_every_two_models_are_looked_at_together(count: int) -> None:
    triples = cover_pairs(count)
    assert {pair for each in triples for pair in combinations(each, 2)} == {
        *combinations(range(count), 2)
    }
    # fewer models are read than two for every pair
    assert count == 2 or 3 * len(triples) < count * (count - 1)


@pytest.mark.parametrize("count", [2, 4])
def test_the_objective_of_lazily_read_models(count: int) -> None:
    models = [random_model("gpt2", seed) for seed in range(count)]
    classes = choose_classes(models[0].layout.spaces)
    held = Consensus(
        models[0].layout, [canonical(model, classes).state for model in models], classes, {}
    )
    lazy = frame_of([lazily(model) for model in models])
    for one, other in ((held.units, lazy.units), (held.moved(held.found), lazy.moved(lazy.found))):
        assert lazy.objective(other) == pytest.approx(held.objective(one), abs=1e-12)
