"""What is computed in another way for models that are not held, against the plain way."""

from __future__ import annotations

import pytest
import torch

from lmc_core.matching import objective
from lmc_core.matching.aligned import canonical
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import _take_gains, cycles, solve
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective
from lmc_core.models.canonical_state import CanonicalState
from lmc_core.models.lazy import LazyState
from lmc_core.models.model import Model
from lmc_core.symmetry.canonical import independent
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import choose_classes
from tests.networks import random_model


def moved_state(name: str) -> MatchingState:
    """Two models as they stand after a first visit of their stream."""
    a, b = (random_model(name, seed) for seed in (0, 1))
    classes = choose_classes(a.layout.spaces)
    forms = [canonical(model, classes) for model in (a, b)]
    layout = forms[0].layout
    problem = make_objective(layout, forms[0].state, forms[1].state, classes, WeightSettings())
    moved = MatchingState(problem)
    stream = next(root for root in problem.roots if root.kind == "residual")
    moved.take(solve(moved, stream))
    return moved


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "vit"])
def test_similarities_in_half_precision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "HELD", 0)
    moved = moved_state(name)
    for root in moved.problem.roots:
        if root.kind != "units":
            continue
        exact, order = moved.similarity(root, False)
        rounded, rounded_order = moved.similarity(root, True)
        plain, ordered = moved.sums(root, {"": 0.0})  # as small models are looked at
        for found, near, other in ((exact, rounded, plain), (order, rounded_order, ordered)):
            assert (found is None) == (near is None) == (other is None)
            if found is None or near is None or other is None:
                continue
            assert float((found - other).norm() / other.norm()) < 1e-5
            assert float((near - other).norm() / other.norm()) < 2e-2


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "mixtral"])
def test_the_objective_of_what_did_not_move(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the look at the norms, and is that of held models."""
    a, b = (random_model(name, seed) for seed in (0, 1))
    classes = choose_classes(a.layout.spaces)
    forms = [canonical(model, classes) for model in (a, b)]
    found = []
    for held in (objective.HELD, 0):
        monkeypatch.setattr(objective, "HELD", held)
        problem = make_objective(
            forms[0].layout, forms[0].state, forms[1].state, classes, WeightSettings(spread=0.0)
        )
        assert bool(problem.products) is (held == 0)
        found.append(MatchingState(problem).objective)
    assert found[0] == pytest.approx(found[1], abs=1e-6)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox-sequential-tied", "llama", "t5-1.1", "swin"])
def test_the_canonical_form_made_side_by_side(name: str) -> None:
    """Lists of several layers on three threads note what one by one notes."""
    model = random_model(name)
    classes = choose_classes(model.layout.spaces)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            found.append(canonical(lazily(model), classes))
        finally:
            torch.set_num_threads(before)
    one, other = (each.state for each in found)
    assert isinstance(one, CanonicalState) and set(one) == set(other)
    for key in one:
        assert torch.allclose(one[key], other[key], rtol=1e-9, atol=1e-12), key


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "vit"])
def test_gains_of_an_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of the similarities, unit by unit, also where the units have moved before; the
    cycles that are taken from an order add the gains that count, and no loss.
    """
    monkeypatch.setattr(objective, "HELD", 0)
    moved = moved_state(name)
    draw = torch.Generator().manual_seed(0)
    for root in moved.problem.roots:
        if root.kind != "units":
            continue
        places = torch.arange(root.size)
        for _ in range(2):
            order = places.clone()
            chosen = torch.randperm(root.size, generator=draw)[: root.size // 2]
            order[chosen] = order[chosen[torch.randperm(len(chosen), generator=draw)]]
            plain, ordered = (
                each if each is not None else torch.zeros(root.size, root.size)
                for each in moved.similarity(root, False)
            )
            wanted = (plain + ordered)[places, order] - (plain + ordered).diagonal()
            found = moved.gains(root, order)
            assert torch.allclose(found, wanted.double(), atol=1e-5 * float(plain.abs().max()))
            before = moved.objective
            step = _take_gains(moved, root, order)
            moved.take(step)
            by_cycle = torch.zeros_like(found).index_add(0, cycles(order), found)
            assert moved.objective - before == pytest.approx(
                float(by_cycle.clamp(min=0).sum() / moved.problem.bound), abs=1e-6
            )
            moved.take({root.name: Permutation(torch.randperm(root.size, generator=draw))})


@pytest.mark.parametrize("size", [1, 2, 3, 17, 64])
def test_cycles(size: int) -> None:
    for seed in range(5):
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
        wanted = torch.full((size,), -1)
        for start in range(size):
            place = start
            while wanted[place] < 0:
                wanted[place] = start
                place = int(order[place])
        assert torch.equal(cycles(order), wanted)


def lazily(model: Model) -> Model:
    state = model.state
    return model.with_state(LazyState(state, lambda name: state[name].clone()))


def test_steps_that_touch_a_common_block_keep_their_order() -> None:
    taken: list[int] = []
    touched = [{"a"}, {"b"}, {"c", "d"}, {"b", "c"}, {"e"}, {"a"}]
    steps = [(names, lambda number=n: taken.append(number)) for n, names in enumerate(touched)]
    lists = independent(steps)
    numbers = []
    for each in lists:
        taken.clear()
        for step in each:
            step()
        numbers.append(list(taken))
    assert sorted(numbers) == [[0, 5], [1, 2, 3], [4]]
