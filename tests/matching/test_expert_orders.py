"""Orders of experts by routers, by products and exactly: brute force, planted orders, what each
does and does not see.
"""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest
import torch
from torch import Tensor

from lmc_core.errors import UnknownName
from lmc_core.matching import experts
from lmc_core.matching.experts import Mixture, solve_experts
from lmc_core.matching.objective import Objective
from lmc_core.matching.state import MatchingState
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import SymmetryClass, permutations_only
from tests.matching.test_experts import mixture_of, moved_copy, of_experts
from tests.networks import random_model

TINY: dict[str, Any] = {"num_local_experts": 3, "intermediate_size": 3, "num_hidden_layers": 1}


def tiny_mixture(seed: int) -> Model:
    """Three experts of three units."""
    family = FAMILIES["mixtral"]
    config = family.config(dict(family.examples["mixtral"]) | TINY)
    torch.manual_seed(seed)
    state = {
        name: torch.randn(tensor.shape).double()
        for name, tensor in untied_state(family.build(config)).items()
    }
    return Model(f"tiny-{seed}", family, config, state).check()


def moved_between(a: Model, b: Model, units: str = "permutation") -> MatchingState:
    return MatchingState(
        Objective(a.layout, a.state, b.state, of_experts(a, units), unit_weights=False)
    )


def gain(a: Model, b: Model) -> float:
    """<a, b> over the mixture, straight from the stacked weights."""
    one, two = mixture_of(a, 0), mixture_of(b, 0)
    return sum(float((one[part] * two[part]).sum()) for part in one)


@pytest.mark.parametrize("units", ["permutation", "signed"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_order_of_experts_and_units_is_better_than_exact(units: str, seed: int) -> None:
    a, b = tiny_mixture(seed), tiny_mixture(seed + 10)
    step = solve_experts(moved_between(a, b, units), a.layout.spaces["experts.0"])
    reached = gain(a, b.with_state(Alignment.of(a.layout.spaces, step).apply(b.layout, b.state)))
    one, two = mixture_of(a, 0), mixture_of(b, 0)
    signs = list(product((1.0, -1.0), repeat=3)) if units == "signed" else [(1.0, 1.0, 1.0)]

    def value(i: int, j: int, order: tuple[int, ...], sign: tuple[float, ...]) -> float:
        rows, by = torch.tensor(order), torch.tensor(sign, dtype=torch.float64)
        gate, up = two["gate_up"][j].split(3)
        moved = torch.cat([gate[rows], up[rows] * by[:, None]])
        down = two["down"][j][:, rows] * by
        return float(
            (one["gate_up"][i] * moved).sum()
            + (one["down"][i] * down).sum()
            + one["router"][i] @ two["router"][j]
        )

    orders = list(permutations(range(3)))
    pairs = [
        [max(value(i, j, o, s) for o, s in product(orders, signs)) for j in range(3)]
        for i in range(3)
    ]
    sums = [sum(pairs[i][j] for i, j in enumerate(order)) for order in orders]
    assert reached == pytest.approx(max(sums), rel=1e-12)
    if units == "permutation":  # every element of the group at once, not pair by pair
        every = [
            sum(value(i, j, inside[i], (1.0, 1.0, 1.0)) for i, j in enumerate(order))
            for order in orders
            for inside in product(orders, repeat=3)
        ]
        assert len(every) == 1296 and reached == pytest.approx(max(every), rel=1e-12)


@pytest.mark.parametrize("by", ["router", "gram", "exact"])
@pytest.mark.parametrize("name", ["mixtral", "qwen2_moe", "deepseek_v2-groups", "deepseek_v3"])
def test_a_planted_order_comes_back(name: str, by: str) -> None:
    model = random_model(name)
    classes = of_experts(model)
    copy, planted = moved_copy(model, classes, 11)
    found, trace = match_weights(
        model.layout, model.state, copy.state, classes, WeightSettings(experts=by)
    )
    assert found.compose(planted).distance(Alignment.of(model.layout.spaces)) == 0
    assert trace.objective[-1] == pytest.approx(1.0, abs=1e-12)


def test_experts_that_are_not_ordered_stay() -> None:
    """The control: without an order the planted one does not come back; the same as the class
    none.
    """
    model = random_model("mixtral")
    classes = of_experts(model)
    copy, _ = moved_copy(model, classes, 11)
    found, trace = match_weights(
        model.layout, model.state, copy.state, classes, WeightSettings(experts="none")
    )
    assert trace.objective[-1] < 0.99
    held = classes | {"experts": SymmetryClass.NONE}
    other, _ = match_weights(model.layout, model.state, copy.state, held, WeightSettings())
    assert found.distance(other) == 0
    assert found.distance(Alignment.of(model.layout.spaces)) > 0  # units did move


def planted(model: Model, order: list[int], parts: tuple[str, ...]) -> Model:
    """Another random model whose named parts are those of the first, in an order."""
    other, names = random_model("mixtral", 5), {"router": "gate.weight"}
    names |= {"gate_up": "experts.gate_up_proj", "down": "experts.down_proj"}
    state = dict(other.state)
    for layer in range(2):
        for part in parts:
            name = f"model.layers.{layer}.mlp.{names[part]}"
            state[name] = model.state[name][order]
    return model.with_state(state)


@pytest.mark.parametrize("by,parts", [("router", ("router",)), ("gram", ("gate_up", "down"))])
def test_each_order_sees_its_own_parts_alone(by: str, parts: tuple[str, ...]) -> None:
    model, order = random_model("mixtral"), [2, 0, 3, 1]
    other = planted(model, order, parts)
    back = torch.tensor(order).argsort()
    for each in ("router", "gram"):
        found, _ = match_weights(
            model.layout, model.state, other.state, of_experts(model), WeightSettings(experts=each)
        )
        places = [found.elements[f"experts.{layer}"].tensors()["indices"] for layer in range(2)]
        assert all(torch.equal(place, back) for place in places) == (each == by)


def distances(one: dict[str, Tensor], two: dict[str, Tensor]) -> Tensor:
    """Sum over gate, up and down of |X - X'|^2 with X = W^T W / |W|, from products of full
    width.
    """
    count, half = len(one["down"]), one["gate_up"].shape[1] // 2
    found = torch.zeros(count, count, dtype=torch.float64)
    for i, j in product(range(count), repeat=2):
        for take in (
            lambda m, k: m["gate_up"][k, :half],
            lambda m, k: m["gate_up"][k, half:],
            lambda m, k: m["down"][k].T,
        ):
            a, b = take(one, i), take(two, j)
            found[i, j] += (a.T @ a / a.norm() - b.T @ b / b.norm()).square().sum()
    return found


def test_gram_is_the_order_of_the_least_distance() -> None:
    for seed in range(4):
        a, b = random_model("mixtral", seed), random_model("mixtral", seed + 4)
        mixture = Mixture(moved_between(a, b), a.layout.spaces["experts.0"])
        apart = distances(mixture_of(a, 0), mixture_of(b, 0))
        sums = {
            order: sum(float(apart[i, j]) for i, j in enumerate(order))
            for order in permutations(range(4))
        }
        assert tuple(mixture.ordered("gram").tolist()) == min(sums, key=lambda order: sums[order])


def test_products_do_not_see_what_units_do(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("mixtral")
    copy, _ = moved_copy(model, of_experts(model, "signed") | {"experts": SymmetryClass.NONE}, 4)
    other = random_model("mixtral", 1)
    for small in (True, False):
        if not small:
            monkeypatch.setattr(experts, "EXACT", 0)
        found = [
            Mixture(moved_between(m, other), m.layout.spaces["experts.0"]).products()
            for m in (model, copy, other)
        ]
        assert torch.allclose(found[0], found[1], rtol=1e-12)
        assert not torch.allclose(found[0], found[2], rtol=0.1)


def test_an_explicit_order_gets_the_best_units_inside() -> None:
    a, b = random_model("mixtral", 0), random_model("mixtral", 1)
    mixture = Mixture(moved_between(a, b), a.layout.spaces["experts.0"])
    start = gain(a, b)
    for order in permutations(range(4)):
        step = mixture.given(torch.tensor(order))
        moved = b.with_state(Alignment.of(a.layout.spaces, step).apply(b.layout, b.state))
        assert gain(a, moved) == pytest.approx(float(mixture.value(torch.tensor(order))), rel=1e-12)
        assert isinstance(step["experts.0"], Permutation) and step[
            "experts.0"
        ].indices.tolist() == list(order)
    assert mixture.value(mixture.ordered("exact")) > start


def test_an_order_that_no_one_knows_is_refused() -> None:
    with pytest.raises(UnknownName, match="alphabetical"):
        WeightSettings(experts="alphabetical")


def test_dense_models_do_not_ask_for_an_order() -> None:
    model = random_model("gpt2")
    classes = permutations_only(model.layout.spaces)
    copy, _ = moved_copy(model, classes, 3)
    found = [
        match_weights(model.layout, model.state, copy.state, classes, WeightSettings(experts=by))[0]
        for by in ("exact", "none")
    ]
    assert found[0].distance(found[1]) == 0
