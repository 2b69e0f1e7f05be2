"""Experts with their units, and groups of experts: planted orders come back, all orders by brute
force, the objective.
"""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lmc_core.matching import experts
from lmc_core.matching.pair import canonical
from lmc_core.matching.state import MatchingState
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import Classes, SymmetryClass, choose_classes, permutations_only
from tests.networks import random_model

LEVELS = ["mixtral", "deepseek_v2-groups"]  # experts alone, and groups of them
ALONE = WeightSettings("none", ("edges",))


def of_experts(model: Model, units: str = "permutation") -> Classes:
    """Experts, their groups and units alone move."""
    kinds = {space.kind for space in model.layout.spaces.values()}
    chosen = {
        kind: "permutation" if kind in ("experts", "expert-groups") else "none" for kind in kinds
    } | {"units": units}
    return choose_classes(model.layout.spaces, chosen)


def moved_copy(model: Model, classes: Classes, seed: int) -> tuple[Model, Alignment]:
    alignment = Alignment.random(model.layout.spaces, classes, torch.Generator().manual_seed(seed))
    return model.with_state(alignment.apply(model.layout, model.state)), alignment


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", [*LEVELS, "qwen2_moe", "deepseek_v3"])
def test_the_planted_order_itself_is_found(
    name: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exact:
        monkeypatch.setattr(experts, "EXACT", 0)
    model = random_model(name)
    for classes in (permutations_only(model.layout.spaces), of_experts(model)):
        copy, planted = moved_copy(model, classes, 11)
        found, trace = match_weights(model.layout, model.state, copy.state, classes)
        assert found.compose(planted).distance(Alignment.of(model.layout.spaces)) == 0
        assert trace.objective[-1] == pytest.approx(1.0, abs=1e-12)


def test_experts_keep_their_groups() -> None:
    """A copy with experts exchanged across groups is not moved back: that would change the
    function.
    """
    model = random_model("deepseek_v2-groups")
    names = [
        b.parameter
        for b in model.layout.blocks
        if b.name.startswith("blocks.0.") and "experts.0" in str(b.axes)
    ]
    assert set(names) == {
        f"model.layers.0.mlp.{n}"
        for n in ("gate.weight", "experts.gate_up_proj", "experts.down_proj")
    }
    for places, undone in ((2, True), (1, False)):
        state = {**model.state, **{n: model.state[n].roll(places, 0) for n in names}}
        _, trace = match_weights(model.layout, model.state, state, of_experts(model))
        assert (
            (trace.objective[-1] == pytest.approx(1.0, abs=1e-12))
            if undone
            else (trace.objective[-1] < 0.99)
        )


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("sketch", [8, 64])
def test_products_find_the_order_of_noisy_copies(
    name: str, sketch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What many experts are compared by, through few random directions (8 of 24) or all of them."""
    monkeypatch.setattr(experts, "EXACT", 0)
    monkeypatch.setattr(experts, "SKETCH", sketch)
    model = random_model(name)
    copy, planted = moved_copy(model, of_experts(model), 5)
    generator = torch.Generator().manual_seed(0)
    noisy = {
        n: t + 0.3 * t.std() * torch.randn(t.shape, generator=generator, dtype=t.dtype)
        for n, t in copy.state.items()
    }
    found, _ = match_weights(model.layout, model.state, noisy, of_experts(model))
    back = found.compose(planted)
    for space in model.layout.spaces.values():
        if space.kind.startswith("expert"):
            indices = back.elements[space.name].tensors()["indices"]
            assert torch.equal(indices, torch.arange(space.size).expand_as(indices))


def test_an_order_that_products_favour_is_not_taken_where_it_is_worse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(experts, "EXACT", 0)
    wrong = 1000.0 * torch.eye(4, dtype=torch.float64).roll(1, 0)
    monkeypatch.setattr(experts.Mixture, "products", lambda self: wrong)
    model = random_model("mixtral")
    found, trace = match_weights(model.layout, model.state, model.state, of_experts(model))
    assert trace.objective[-1] == pytest.approx(1.0, abs=1e-12)
    assert found.distance(Alignment.of(model.layout.spaces)) == 0


def test_a_shift_common_to_all_rows_of_a_softmax_router_is_not_seen() -> None:
    model = random_model("mixtral")
    classes = of_experts(model)
    copy, planted = moved_copy(model, classes, 3)
    name = "model.layers.0.mlp.gate.weight"
    shifted = {
        **copy.state,
        name: copy.state[name] + 30 * torch.randn(24, generator=torch.Generator().manual_seed(0)),
    }
    found, trace = match_weights(model.layout, model.state, shifted, classes)
    assert found.compose(planted).distance(Alignment.of(model.layout.spaces)) == 0
    assert trace.objective[-1] == pytest.approx(1.0, abs=1e-12)


def value_of_pair(a: dict[str, Tensor], b: dict[str, Tensor], i: int, j: int, signs: bool) -> float:
    """What expert i of A and j of B give at the best order of their units, straight from the
    stacked weights.
    """
    half = a["gate_up"].shape[1] // 2
    gates = a["gate_up"][i, :half] @ b["gate_up"][j, :half].T
    others = a["gate_up"][i, half:] @ b["gate_up"][j, half:].T + a["down"][i].T @ b["down"][j]
    table = (gates + (others.abs() if signs else others)).numpy()
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() + a["router"][i] @ b["router"][j])


def orders(groups: int, each: int) -> list[list[int]]:
    """All orders that exchange groups, and experts within each."""
    inside = list(permutations(range(each)))
    return [
        [
            group * each + place
            for group, choice in zip(outer, inner, strict=True)
            for place in choice
        ]
        for outer in permutations(range(groups))
        for inner in product(inside, repeat=groups)
    ]


def mixture_of(model: Model, layer: int) -> dict[str, Tensor]:
    at = f"model.layers.{layer}.mlp"
    router = model.state[f"{at}.gate.weight"]
    return {
        "gate_up": model.state[f"{at}.experts.gate_up_proj"],
        "down": model.state[f"{at}.experts.down_proj"],
        "router": router - router.mean(0),
    }


@pytest.mark.parametrize("units", ["permutation", "signed"])
@pytest.mark.parametrize("name,groups,each", [("mixtral", 1, 4), ("deepseek_v2-groups", 3, 2)])
def test_experts_are_matched_as_well_as_all_orders_allow(
    name: str, groups: int, each: int, units: str
) -> None:
    """With everything else held, the step finds the best of all orders (24, or 48 with groups),
    each with its best units.
    """
    a, b = random_model(name, 0), random_model(name, 1)
    found, _ = match_weights(a.layout, a.state, b.state, of_experts(a, units), ALONE)
    moved = b.with_state(found.apply(b.layout, b.state))
    for layer in range(2):
        one, two, after = mixture_of(a, layer), mixture_of(b, layer), mixture_of(moved, layer)
        pairs = [
            [value_of_pair(one, two, i, j, units == "signed") for j in range(groups * each)]
            for i in range(groups * each)
        ]
        sums = [sum(pairs[i][j] for i, j in enumerate(order)) for order in orders(groups, each)]
        reached = sum(float((one[part] * after[part]).sum()) for part in one)
        assert reached == pytest.approx(max(sums), rel=1e-12)
        assert max(sums) > sums[0] + 0.1  # staying is worse: the order of experts matters


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "name", ["mixtral", "qwen2_moe-some-dense", "deepseek_v2-groups", "deepseek_v3"]
)
def test_the_objective_never_falls(name: str, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exact:
        monkeypatch.setattr(experts, "EXACT", 0)
    a, b = random_model(name, 0), random_model(name, 1)
    for chosen in (choose_classes(a.layout.spaces), permutations_only(a.layout.spaces)):
        left, right = canonical(a, chosen), canonical(b, chosen)
        found, trace = match_weights(
            left.layout, left.state, right.state, chosen, WeightSettings(max_rounds=6)
        )
        assert float(torch.tensor(trace.objective).diff().min()) > -1e-12
        assert trace.objective[-1] > trace.before + 0.01
        moved = right.with_state(found.apply(right.layout, right.state))
        check = MatchingState(
            make_objective(left.layout, left.state, moved.state, chosen, WeightSettings())
        )
        assert check.objective == pytest.approx(trace.objective[-1], abs=1e-9)


def test_experts_that_stay_still_get_the_best_units() -> None:
    a, b = random_model("mixtral", 0), random_model("mixtral", 1)
    classes = of_experts(a) | {"experts": SymmetryClass.NONE}
    found, _ = match_weights(a.layout, a.state, b.state, classes, ALONE)
    assert torch.equal(found.elements["experts.0"].tensors()["indices"], torch.arange(4))
    moved = b.with_state(found.apply(b.layout, b.state))
    one, two, after = mixture_of(a, 0), mixture_of(b, 0), mixture_of(moved, 0)
    best = sum(value_of_pair(one, two, i, i, False) for i in range(4))
    assert sum(float((one[part] * after[part]).sum()) for part in one) == pytest.approx(
        best, rel=1e-12
    )
