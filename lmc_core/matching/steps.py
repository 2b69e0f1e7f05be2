"""One step of weight matching: the best element of one space and of all within it, everything else held.

Plain spaces are solved exactly. So are heads with their planes, and experts with their units: every pair of copies gets the
best value that the spaces within can reach, an assignment picks the copies, and the spaces within follow. Heads that share keys
(grouped queries) couple their queries with the plane: for each pair of groups all orders of the queries are tried, each with
the best planes for it; if they are many, the one assigned by values that no plane map can change, and the present one. Of many
large experts pairs are compared by products that no order of units can change; the present order is kept where it is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import permutations

import torch
from torch import Tensor

from lmc_core.matching.problem import Moved, Problem
from lmc_core.matching.solvers import assignment, maximise
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space, SymmetryClass

Shares = Mapping[str, float]
EXACT = 2**34  # multiplications to compare all pairs of experts unit by unit; above it they are compared by products
ORDERS = 2**26  # multiplications to try all orders of the queries of every pair of groups
SKETCH = 64  # random directions through which these products are seen


def solve(moved: Moved, root: Space, shares: Shares | None = None) -> dict[str, Element]:
    """The best element of a root space and of those within it.

    Args:
        moved: both models as they stand.
        root: a space that is within no other.
        shares: by name of block, what multiplies its weight; blocks that are left out count fully.
    """
    problem = moved.problem
    tree = problem.tree(root)
    if all(problem.chosen(space) is SymmetryClass.NONE for space in tree):
        return {}
    inner = tree[1:]
    if not inner:
        return {root.name: maximise(root, problem.chosen(root), *_own(moved, root, shares or {}))[0]}
    if any(space.kind == "units" for space in inner):
        return _solve_experts(moved, root, inner)
    if any(space.kind == "queries" for space in inner):
        return _solve_groups(moved, root, inner)
    return _solve_heads(moved, root, inner)


def _weighted(moved: Moved, block: Block, shares: Shares) -> Iterator[tuple[float, Tensor, Tensor]]:
    weight = moved.problem.weights[block.name] * shares.get(block.name, 1.0)
    for x, y in moved.pairs(block):
        yield weight, x, y


def _own(moved: Moved, space: Space, shares: Shares, blocks: list[Block] | None = None) -> tuple[Tensor, Tensor | None]:
    """The Gram matrices of a root space, `[n, n]`: of axes that write or read, and of axes that keep order alone."""
    layout = moved.problem.layout
    grams: dict[bool, Tensor] = {False: torch.zeros(space.size, space.size, dtype=torch.float64)}
    for block in moved.problem.touching[space.name] if blocks is None else blocks:
        axis = block.axes[block.axis(space.name)]
        for weight, x, y in _weighted(moved, block, shares):
            a, b = layout.rows(x, block, space.name), layout.rows(y, block, space.name)
            order = axis.role == "order"
            if order not in grams:
                grams[order] = torch.zeros(space.size, space.size, dtype=torch.float64)
            grams[order].addmm_(a, b.mT, alpha=weight)
    return grams[False], grams.get(True)


def _all_pairs(moved: Moved, block: Block, *path: str) -> Tensor:
    """Gram matrices of a plane for every pair of copies, `[n1, n1, ..., n, n]` (or a number for each pair without a plane)."""
    layout = moved.problem.layout
    total = None
    for weight, x, y in _weighted(moved, block, {}):
        a, b = layout.rows(x, block, *path), layout.rows(y, block, *path)
        if len(path) == 1:
            part = weight * (a @ b.mT)
        elif len(path) == 2:
            part = weight * torch.einsum("hik,gjk->hgij", a, b)
        else:
            part = weight * torch.einsum("hqik,gpjk->hgqpij", a, b)
        total = part if total is None else total + part
    assert total is not None
    return total


def _inner_of(block: Block, inner: list[Space]) -> list[str]:
    """Which of the inner spaces a block touches, in the order of `inner`."""
    names = {axis.space for axis in block.axes}
    return [space.name for space in inner if space.name in names]


def _identity(size: int, *batch: int) -> Tensor:
    return torch.arange(size).expand(*batch, size)


def _solve_heads(moved: Moved, root: Space, planes: list[Space]) -> dict[str, Element]:
    problem = moved.problem
    n = root.size
    own = torch.zeros(n, n, dtype=torch.float64)
    grams = {plane.name: torch.zeros(n, n, plane.size, plane.size, dtype=torch.float64) for plane in planes}
    for block in problem.touching[root.name]:
        touched = _inner_of(block, planes)
        if touched:
            grams[touched[0]] += _all_pairs(moved, block, root.name, touched[0])
        else:
            own += _all_pairs(moved, block, root.name)
    free = problem.chosen(root) is not SymmetryClass.NONE
    if free:
        for plane in planes:
            own += maximise(plane, problem.chosen(plane), grams[plane.name].flatten(0, 1))[1].view(n, n)
    order = assignment(own) if free else torch.arange(n)
    found: dict[str, Element] = {root.name: Permutation(order)}
    for plane in planes:
        found[plane.name] = maximise(plane, problem.chosen(plane), grams[plane.name][torch.arange(n), order])[0]
    return found


def _solve_groups(moved: Moved, root: Space, inner: list[Space]) -> dict[str, Element]:
    """Groups of queries: the order of groups, of the queries inside each, and the planes."""
    problem = moved.problem
    queries = next(space for space in inner if space.kind == "queries")
    planes = [space for space in inner if space.kind != "queries"]
    n, q = root.size, queries.size
    own = torch.zeros(n, n, dtype=torch.float64)
    apart = torch.zeros(n, n, q, q, dtype=torch.float64)  # blocks of queries without a plane
    shared = {p.name: torch.zeros(n, n, p.size, p.size, dtype=torch.float64) for p in planes}
    each = {p.name: torch.zeros(n, n, q, q, p.size, p.size, dtype=torch.float64) for p in planes}
    for block in problem.touching[root.name]:
        touched = _inner_of(block, planes)
        if _inner_of(block, [queries]):
            if touched:
                each[touched[0]] += _all_pairs(moved, block, root.name, queries.name, touched[0])
            else:
                apart += _all_pairs(moved, block, root.name, queries.name)
        elif touched:
            shared[touched[0]] += _all_pairs(moved, block, root.name, touched[0])
        else:
            own += _all_pairs(moved, block, root.name)

    def planes_given(orders: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Value `[n, n]` and Gram matrices of the planes once queries are ordered `[n, n, q]` for each pair of groups."""
        value = own + apart.gather(3, orders[..., None])[..., 0].sum(-1)
        grams = {}
        for plane in planes:
            index = orders[:, :, :, None, None, None].expand(n, n, q, 1, plane.size, plane.size)
            grams[plane.name] = shared[plane.name] + each[plane.name].gather(3, index)[:, :, :, 0].sum(2)
            value = value + maximise(plane, problem.chosen(plane), grams[plane.name].flatten(0, 1))[1].view(n, n)
        return value, grams

    candidates = [_identity(q, n, n)]
    if problem.chosen(queries) is not SymmetryClass.NONE:
        if n * n * math.factorial(q) * sum(plane.size**3 for plane in planes) <= ORDERS:
            candidates = [torch.tensor(order).expand(n, n, q) for order in permutations(range(q))]
        else:
            score = apart.clone()
            for plane in planes:
                score += maximise(plane, problem.chosen(plane), each[plane.name].flatten(0, 3))[1].view(n, n, q, q)
            candidates.append(torch.stack([assignment(m) for m in score.flatten(0, 1)]).view(n, n, q))
    orders = candidates[0]
    value, grams = planes_given(orders)
    for other in candidates[1:]:
        other_value, other_grams = planes_given(other)
        better = other_value > value
        orders = torch.where(better[..., None], other, orders)
        value = torch.where(better, other_value, value)
        grams = {name: torch.where(better[..., None, None], other_grams[name], grams[name]) for name in grams}
    free = problem.chosen(root) is not SymmetryClass.NONE
    order = assignment(value) if free else torch.arange(n)
    places = torch.arange(n)
    found: dict[str, Element] = {root.name: Permutation(order), queries.name: Permutation(orders[places, order])}
    for plane in planes:
        found[plane.name] = maximise(plane, problem.chosen(plane), grams[plane.name][places, order])[0]
    return found


def _solve_experts(moved: Moved, root: Space, inner: list[Space]) -> dict[str, Element]:
    """Experts with their units, and groups of experts where a router has them."""
    problem = moved.problem
    units = next(space for space in inner if space.kind == "units")
    experts = next((space for space in inner if space.kind == "experts"), root)
    path = (*problem.layout.path(experts.name), experts.name)
    count = units.copies
    own = torch.zeros(count, count, dtype=torch.float64)
    inside = []
    for block in problem.touching[experts.name]:
        if _inner_of(block, [units]):
            inside.append(_Experts(moved, block, units))
        else:
            flat = [problem.layout.rows(t, block, *path).flatten(0, -2) for t in _whole(moved, block)]
            own += problem.weights[block.name] * (flat[0] @ flat[1].mT)

    def grams(i: int, j: int) -> tuple[Tensor, Tensor | None]:
        """Gram matrices of the units of expert i of A and j of B."""
        found: dict[bool, Tensor] = {}
        for part in inside:
            gram = part.gram(i, j)
            found[part.order] = gram if part.order not in found else found[part.order] + gram
        first = found.get(False)
        return (torch.zeros_like(found[True]) if first is None else first), found.get(True)

    chosen = problem.chosen(units)

    def best(i: int, j: int) -> tuple[Element, float]:
        element, value = maximise(units, chosen, *grams(i, j))
        return element, float(value)

    def reached(order: Tensor) -> tuple[list[Element], float]:
        """The units' elements once experts are in that order, and the value."""
        pairs = [best(i, int(j)) for i, j in enumerate(order)]
        return [element for element, _ in pairs], sum(value for _, value in pairs) + float(
            own[torch.arange(count), order].sum()
        )

    places = torch.arange(count)
    elements, here = reached(places)
    if any(problem.chosen(space) is not SymmetryClass.NONE for space in (root, experts)):
        if sum((count * units.size) ** 2 * part.width for part in inside) <= EXACT:
            value = own + torch.tensor([[best(i, j)[1] for j in range(count)] for i in range(count)], dtype=torch.float64)
        else:
            value = sum((part.invariants() for part in inside), own)
        order = _order_of(problem, root, experts, value)
        others, there = reached(order)
        if there > here:
            places, elements = order, others
    found = _split(root, experts, places)
    indices = torch.stack([element.indices for element in elements if isinstance(element, Permutation | Monomial)])
    scales = [element.scales for element in elements if isinstance(element, Monomial)]
    found[units.name] = Monomial(indices, torch.stack(scales)) if scales else Permutation(indices)
    return found


def _whole(moved: Moved, block: Block) -> tuple[Tensor, Tensor]:
    (pair,) = moved.pairs(block)  # blocks of experts have no axis to cut along
    return pair


class _Experts:
    """One block of both models, expert by expert; of large models in float32."""

    def __init__(self, moved: Moved, block: Block, units: Space):
        layout = moved.problem.layout
        precision = torch.float64 if moved.problem.held else torch.float32
        self.weight = moved.problem.weights[block.name]
        self.order = block.axes[block.axis(units.name)].role == "order"
        self.sides = [layout.copies(t.to(precision), block, units.name) for t in _whole(moved, block)]

    @property
    def width(self) -> int:
        """Number of columns of each expert's matrix, one row for each unit."""
        return self.sides[0].shape[-1]

    def gram(self, i: int, j: int) -> Tensor:
        """a_i b_j^T over units, float64 `[n, n]`."""
        return self.weight * (self.sides[0][i].double() @ self.sides[1][j].double().mT)

    def invariants(self) -> Tensor:
        """<a_i^T a_i, b_j^T b_j> / (|a_i| |b_j|) for all pairs, which no order or sign of units changes, `[count, count]`.

        Products of more than `SKETCH` rows are seen through random directions, X -> G^T X H, which keeps <X, Y> on average.
        """
        left = right = torch.eye(self.width, dtype=self.sides[0].dtype)
        if self.width > SKETCH:
            generator = torch.Generator().manual_seed(0)
            left, right = (torch.randn(self.width, SKETCH, generator=generator).to(left) / SKETCH**0.5 for _ in range(2))
        seen = []
        for side in self.sides:
            products = torch.stack([(each @ left).mT @ (each @ right) for each in side]).flatten(1).double()
            seen.append(products / side.flatten(1).norm(dim=1).double().clamp_min(1e-300)[:, None])
        return self.weight * (seen[0] @ seen[1].mT)


def _order_of(problem: Problem, root: Space, experts: Space, value: Tensor) -> Tensor:
    """The best order of all experts, flat; across groups only whole groups change places."""
    if experts is root:
        return assignment(value)
    groups, each = root.size, experts.size
    blocks = value.view(groups, each, groups, each).permute(0, 2, 1, 3)
    if problem.chosen(experts) is SymmetryClass.NONE:
        inside = _identity(each, groups, groups)
    else:
        inside = torch.stack([assignment(m) for m in blocks.flatten(0, 1)]).view(groups, groups, each)
    best = blocks.gather(3, inside[..., None])[..., 0].sum(-1)
    outer = torch.arange(groups) if problem.chosen(root) is SymmetryClass.NONE else assignment(best)
    return (outer[:, None] * each + inside[torch.arange(groups), outer]).flatten()


def _split(root: Space, experts: Space, places: Tensor) -> dict[str, Element]:
    """A flat order of all experts as elements of the groups and of the experts within."""
    if experts is root:
        return {root.name: Permutation(places)}
    table = places.view(root.size, experts.size)
    return {root.name: Permutation(table[:, 0] // experts.size), experts.name: Permutation(table % experts.size)}
