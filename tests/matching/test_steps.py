"""One step for heads, on layouts small enough to count by hand: what touches heads alone, and heads
that keep their order.
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from lmc_core.matching.objective import Objective
from lmc_core.matching.solvers import procrustes
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import pair_values, solve
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import PERMUTATIONS, ROTATIONS, Space, SymmetryClass

HEADS = Space("heads", "heads", 3, PERMUTATIONS, "")
PLANE = Space("plane", "value-output", 2, ROTATIONS, "", within="heads", copies=3)
QUERIES = Space("queries", "queries", 2, PERMUTATIONS, "", within="heads", copies=3)
FREE = {
    "heads": SymmetryClass.PERMUTATION,
    "queries": SymmetryClass.PERMUTATION,
    "value-output": SymmetryClass.ORTHOGONAL,
}
STILL = FREE | {"heads": SymmetryClass.NONE}


def layout_of(
    spaces: tuple[Space, ...], patterns: dict[str, tuple[str, tuple[int, ...]]]
) -> Layout:
    blocks = tuple(Block(name, name, pattern) for name, (pattern, _) in patterns.items())
    return Layout(
        "by hand",
        {s.name: s for s in spaces},
        blocks,
        {name: shape for name, (_, shape) in patterns.items()},
    )


def drawn(layout: Layout, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in layout.shapes.items()
    }


PLAIN = layout_of(
    (HEADS, PLANE), {"value": ("+heads +plane *", (6, 4)), "table": ("* +heads", (5, 3))}
)
GROUPED = layout_of(
    (HEADS, QUERIES, PLANE),
    {
        "query": ("+heads +queries +plane *", (12, 4)),
        "key": ("+heads +plane *", (6, 4)),
        "table": ("* +heads", (5, 3)),
        "each": ("* +heads +queries", (5, 6)),
    },
)


def moved_of(
    layout: Layout, classes: dict[str, SymmetryClass], a: dict[str, Tensor], b: dict[str, Tensor]
) -> MatchingState:
    return MatchingState(Objective(layout, a, b, classes, unit_weights=False))


def nuclear(matrix: Tensor) -> float:
    return float(torch.linalg.svdvals(matrix).sum())


def test_heads_are_valued_by_their_planes_and_by_what_touches_them_alone() -> None:
    a, b = drawn(PLAIN, 0), drawn(PLAIN, 1)
    values = pair_values(moved_of(PLAIN, FREE, a, b), HEADS)
    one, two = a["value"].view(3, 2, 4), b["value"].view(3, 2, 4)
    for i in range(3):
        for j in range(3):
            expected = nuclear(one[i] @ two[j].mT) + float(a["table"][:, i] @ b["table"][:, j])
            assert float(values[i, j]) == pytest.approx(expected, abs=1e-12)


def test_a_table_alone_tells_the_order_of_heads() -> None:
    a = drawn(PLAIN, 0) | {"value": torch.zeros(6, 4, dtype=torch.float64)}
    order = torch.tensor([2, 0, 1])
    b = a | {"table": a["table"][:, order]}
    assert (
        solve(moved_of(PLAIN, FREE, a, b), HEADS)["heads"].indices.tolist()
        == order.argsort().tolist()
    )  # type: ignore[union-attr]


@pytest.mark.parametrize("layout", [PLAIN, GROUPED], ids=["heads", "groups"])
def test_heads_that_may_not_move_keep_their_order_and_get_the_best_planes(layout: Layout) -> None:
    a = drawn(layout, 0)
    order = torch.tensor([1, 2, 0])
    shuffled = {"table": a["table"][:, order]}  # speaks against the order that is kept
    for name in ("value", "key"):
        if name in a:
            shuffled[name] = a[name].view(3, 2, 4)[order].reshape(6, 4)
    if "query" in a:
        shuffled["query"] = a["query"].view(3, 2, 2, 4)[order].reshape(12, 4)
        shuffled["each"] = a["each"].view(5, 3, 2)[:, order].reshape(5, 6)
    free = solve(moved_of(layout, FREE, a, shuffled), layout.spaces["heads"])
    assert free["heads"].indices.tolist() == order.argsort().tolist()  # type: ignore[union-attr]
    moved = moved_of(layout, STILL, a, shuffled)
    step = solve(moved, layout.spaces["heads"])
    assert step["heads"].indices.tolist() == [0, 1, 2]  # type: ignore[union-attr]
    before = moved.objective
    moved.take(step)
    assert moved.objective > before
    if layout is PLAIN:
        grams = a["value"].view(3, 2, 4) @ shuffled["value"].view(3, 2, 4).mT
        torch.testing.assert_close(step["plane"].matrix(), procrustes(grams))


def test_groups_are_valued_by_the_best_order_of_their_queries() -> None:
    a, b = drawn(GROUPED, 0), drawn(GROUPED, 1)
    query, other = (each["query"].view(3, 2, 2, 4) for each in (a, b))
    key, other_key = (each["key"].view(3, 2, 4) for each in (a, b))
    alone, other_alone = (each["each"].view(5, 3, 2) for each in (a, b))

    def value(i: int, j: int, order: tuple[int, ...]) -> float:
        gram = key[i] @ other_key[j].mT + sum(
            query[i, q] @ other[j, p].mT for q, p in enumerate(order)
        )
        apart = sum(float(alone[:, i, q] @ other_alone[:, j, p]) for q, p in enumerate(order))
        return nuclear(gram) + apart + float(a["table"][:, i] @ b["table"][:, j])

    free = pair_values(moved_of(GROUPED, FREE, a, b), HEADS)
    kept = pair_values(moved_of(GROUPED, FREE | {"queries": SymmetryClass.NONE}, a, b), HEADS)
    for i in range(3):
        for j in range(3):
            assert float(free[i, j]) == pytest.approx(
                max(value(i, j, order) for order in permutations(range(2))), abs=1e-12
            )
            assert float(kept[i, j]) == pytest.approx(value(i, j, (0, 1)), abs=1e-12)
    assert bool((free > kept + 1e-6).any())
