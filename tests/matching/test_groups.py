"""Queries that share keys: the step for groups against all orders of groups and of the queries
inside each.
"""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch

from lmc_core.matching.pair import canonical
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from tests.networks import random_model

SETTINGS = WeightSettings("none", ("edges",), max_rounds=1, scout_rounds=1)


def value(a: Model, b: Model, moved: dict[str, torch.Tensor]) -> float:
    """The objective of two models as they stand."""
    nothing = {kind: SymmetryClass.NONE for kind in choose_classes(a.layout.spaces)}
    return match_weights(a.layout, a.state, moved, nothing, SETTINGS)[1].before


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "planes",
    [{"query-key": "none", "value-output": "none"}, {}],
    ids=["planes held", "planes free"],
)
def test_no_order_of_groups_and_queries_is_better(planes: dict[str, str], seed: int) -> None:
    """With the planes held, and with the best planes for every order."""
    one, other = random_model("llama", 0), random_model("llama", seed)
    chosen = choose_classes(one.layout.spaces, {"residual": "none", "units": "none"} | planes)
    a, b = canonical(one, chosen), canonical(other, chosen)
    found, trace = match_weights(a.layout, a.state, b.state, chosen, SETTINGS)
    assert trace.objective[-1] == pytest.approx(
        value(a, b, found.apply(a.layout, b.state)), abs=1e-12
    )
    still = chosen | {"heads": SymmetryClass.NONE, "queries": SymmetryClass.NONE}
    layers = range(2)
    best = -1.0
    orders = [
        (groups, queries)
        for groups in permutations(range(2))
        for queries in product(permutations(range(2)), repeat=2)
    ]
    for choice in product(orders, repeat=2):
        elements = {}
        for layer, (groups, queries) in zip(layers, choice, strict=True):
            elements[f"heads.{layer}"] = Permutation(torch.tensor(groups))
            elements[f"queries.{layer}"] = Permutation(torch.tensor(queries))
        moved = Alignment.of(a.layout.spaces, elements).apply(a.layout, b.state)
        if planes:
            best = max(best, value(a, b, moved))
        else:
            best = max(
                best, match_weights(a.layout, a.state, moved, still, SETTINGS)[1].objective[-1]
            )
    assert trace.objective[-1] == pytest.approx(best, abs=1e-12)


def test_many_orders_are_not_tried_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then queries are assigned by bounds: never worse than where they stand, and close to the best
    here.
    """
    one, other = random_model("llama", 0), random_model("llama", 1)
    chosen = choose_classes(one.layout.spaces, {"residual": "none", "units": "none"})
    a, b = canonical(one, chosen), canonical(other, chosen)
    exact = match_weights(a.layout, a.state, b.state, chosen, SETTINGS)[1]
    monkeypatch.setattr("lmc_core.matching.steps.ORDERS", 0)
    bounded = match_weights(a.layout, a.state, b.state, chosen, SETTINGS)[1]
    assert bounded.objective[0] < bounded.objective[-1] <= exact.objective[-1] + 1e-12
    assert bounded.objective[-1] > exact.objective[-1] - 5e-3
