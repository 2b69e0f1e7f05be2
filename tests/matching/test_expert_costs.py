"""Costs of pairs of experts against distances that are formed in full, and orders in the numbering
of the model as it was.
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from lmc_core.analysis.expert_orders import find_order
from lmc_core.matching import experts
from lmc_core.matching.expert_costs import NAIVE, WAYS, ExpertCosts, expert_costs
from lmc_core.matching.experts import Mixture
from lmc_core.matching.state import MatchingState
from lmc_core.models.model import Model
from tests.matching.test_expert_orders import moved_between, tiny_mixture
from tests.matching.test_experts import mixture_of, moved_copy, of_experts


def find_costs(moved: MatchingState, root: str) -> ExpertCosts:
    """The costs of the mixture whose outermost space is `root`."""
    return expert_costs(Mixture(moved, moved.problem.layout.spaces[root]))


def matrices(model: Model, expert: int) -> list[Tensor]:
    """Gate, up and the transpose of down of an expert: one row for each unit."""
    found = mixture_of(model, 0)
    gate, up = found["gate_up"][expert].chunk(2)
    return [gate, up, found["down"][expert].T]


def scaled(distances: list[list[float]], lengths: tuple[list[float], list[float]]) -> Tensor:
    mean = sum(x + y for x in lengths[0] for y in lengths[1]) / (len(lengths[0]) * len(lengths[1]))
    return torch.tensor(distances, dtype=torch.float64) / mean


def test_exact_costs_are_distances_after_the_best_order_of_units() -> None:
    a, b = tiny_mixture(0), tiny_mixture(1)
    found = find_costs(moved_between(a, b), "experts.0")
    rows = [mixture_of(model, 0)["router"] for model in (a, b)]

    def distance(i: int, j: int) -> float:
        one, two = matrices(a, i), matrices(b, j)
        units = min(
            sum(float((x - y[list(order)]).square().sum()) for x, y in zip(one, two, strict=True))
            for order in permutations(range(3))
        )
        return units + float((rows[0][i] - rows[1][j]).square().sum())

    lengths = tuple(
        [
            sum(float(w.square().sum()) for w in matrices(model, i)) + float(row[i].square().sum())
            for i in range(3)
        ]
        for model, row in zip((a, b), rows, strict=True)
    )
    expected = scaled(
        [[distance(i, j) for j in range(3)] for i in range(3)], (lengths[0], lengths[1])
    )
    assert found.costs["exact"].allclose(expected, rtol=1e-10)
    sums = {
        order: sum(float(expected[i, j]) for i, j in enumerate(order))
        for order in permutations(range(3))
    }
    assert tuple(found.orders["exact"].tolist()) == min(sums, key=lambda order: sums[order])


def test_router_and_gram_costs_are_distances_of_rows_and_of_products() -> None:
    a, b = tiny_mixture(2), tiny_mixture(3)
    found = find_costs(moved_between(a, b), "experts.0")
    rows = [mixture_of(model, 0)["router"] for model in (a, b)]
    expected = scaled(
        [[float((one - two).square().sum()) for two in rows[1]] for one in rows[0]],
        (
            [float(row.square().sum()) for row in rows[0]],
            [float(row.square().sum()) for row in rows[1]],
        ),
    )
    assert found.costs["router"].allclose(expected, rtol=1e-10)

    products = [
        [[w.T @ w / w.norm() for w in matrices(model, i)] for i in range(3)] for model in (a, b)
    ]
    distances = [
        [
            sum(float((x - y).square().sum()) for x, y in zip(one, two, strict=True))
            for two in products[1]
        ]
        for one in products[0]
    ]
    lengths = [[sum(float(x.square().sum()) for x in each) for each in side] for side in products]
    assert found.costs["gram"].allclose(scaled(distances, (lengths[0], lengths[1])), rtol=1e-10)
    for way in ("router", "gram"):
        order = found.orders[way].tolist()
        sums = [
            sum(float(found.costs[way][i, j]) for i, j in enumerate(each))
            for each in permutations(range(3))
        ]
        assert sum(float(found.costs[way][i, j]) for i, j in enumerate(order)) == pytest.approx(
            min(sums)
        )


def test_a_planted_order_costs_nothing_and_is_told_in_the_first_numbering() -> None:
    a = tiny_mixture(4)
    b, planted = moved_copy(a, of_experts(a), 5)
    found = find_costs(moved_between(a, b), "experts.0")
    order = find_order(a.layout, planted, "experts.0").argsort()
    assert order.tolist() != [0, 1, 2]
    for way in WAYS:
        assert found.orders[way].tolist() == order.tolist()
        assert float(found.costs[way][torch.arange(3), order].abs().max()) < 1e-12
        assert float(found.costs[way].sum()) > 0.5
    assert found.orders[NAIVE].tolist() == [0, 1, 2]

    back = moved_between(a, a)  # B after it was aligned: nothing is left to do there
    seen = find_costs(back, "experts.0").seen_from(order)
    for way in WAYS:
        assert seen.orders[way].tolist() == order.tolist()
        assert seen.costs[way].allclose(found.costs[way], atol=1e-12)


def test_large_experts_have_no_exact_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experts, "EXACT", 0)
    found = find_costs(moved_between(tiny_mixture(0), tiny_mixture(1)), "experts.0")
    assert set(found.costs) == {"router", "gram"} and set(found.orders) == {NAIVE, *WAYS}
