"""One step of weight matching: the best element of one space and of all within it, everything else
held.

Plain spaces are solved exactly. So are heads with their planes, and experts with their units: every
pair of copies gets the best value that the spaces within can reach, an assignment picks the copies,
and the spaces within follow. Heads that share keys (grouped queries) couple their queries with the
plane: for each pair of groups all orders of the queries are tried, each with the best planes for
it; if they are many, the one assigned by values that no plane map can change, and the present one.
Experts have a file of their own (`experts`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import permutations

import torch
from torch import Tensor

from lmc_core.matching.experts import solve_experts
from lmc_core.matching.objective import Objective
from lmc_core.matching.solvers import assignment, maximise, reach
from lmc_core.matching.state import REORDERING, MatchingState
from lmc_core.symmetry.arithmetic import has_fast_bfloat16, precise, precise_type, zeros
from lmc_core.symmetry.elements import Element, Permutation
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space, SymmetryClass

Shares = Mapping[str, float]
# of the similarity of all units; bfloat16 makes a gain of up to a tenth of it where there is none
UNSURE = 1e-3
WIDE = 1024  # units; of fewer, products take no time
ORDERS = 2**26  # multiplications to try all orders of the queries of every pair of groups


def solve(
    moved: MatchingState, root: Space, shares: Shares | None = None, experts: str = "exact"
) -> dict[str, Element]:
    """The best element of a root space and of those within it.

    Args:
        moved: both models as they stand.
        root: a space that is within no other.
        shares: by name of block, what multiplies its weight; blocks that are left out count fully.
        experts: how those of a mixture are ordered, one of `experts.ORDERS`.
    """
    problem = moved.problem
    tree = problem.tree(root)
    if all(problem.chosen(space) is SymmetryClass.NONE for space in tree):
        return {}
    inner = tree[1:]
    if not shares and moved.stands(root):
        return {}
    found = _solve(moved, root, inner, shares, experts)
    if not shares:
        moved.visited(root)
    return found


def _solve(
    moved: MatchingState, root: Space, inner: list[Space], shares: Shares | None, experts: str
) -> dict[str, Element]:
    problem = moved.problem
    if not inner and not problem.held and not shares and problem.chosen(root) in REORDERING:
        return _solve_large(moved, root)
    if not inner:
        return {root.name: maximise(root, problem.chosen(root), *moved.sums(root, shares or {}))[0]}
    if any(space.kind == "units" for space in inner):
        return solve_experts(moved, root, experts)
    if any(space.kind == "queries" for space in inner):
        return _solve_groups(moved, root, inner)
    return _solve_heads(moved, root, inner)


def _solve_large(moved: MatchingState, root: Space) -> dict[str, Element]:
    """The best order of the units of a large model, by products in bfloat16 where these are fast:
    their rounding changes a similarity by a thousandth and the best order by less. Where so little
    is gained that rounding could have made it, the gains are looked at in full precision.
    """
    chosen = moved.problem.chosen(root)
    places = torch.arange(root.size, device=moved.problem.device)
    exact = precise_type(moved.problem.device)
    fast = root.size >= WIDE and has_fast_bfloat16(moved.problem.device)
    for half in (True, False) if fast else (False,):
        plain, ordered = moved.similarity(root, half)
        alone = ordered is None and chosen is SymmetryClass.PERMUTATION
        if alone:
            order = assignment(plain)
            found: Element = Permutation(order)
            best = plain[places, order].sum(dtype=exact)
        else:
            found, best = maximise(root, chosen, plain, ordered)
        here = plain.diagonal().sum(dtype=exact)
        if ordered is not None:
            here = here + ordered.diagonal().sum(dtype=exact)
        gained, reached = torch.stack([best - here, best]).tolist()  # one copy from an accelerator
        if gained <= 0:
            return {}
        if gained >= UNSURE * abs(reached):
            break
        if half and alone:
            del plain, ordered  # large
            return _take_gains(moved, root, order)
    return {root.name: found}


def _take_gains(moved: MatchingState, root: Space, order: Tensor) -> dict[str, Element]:
    """Those cycles of an order by which the objective gains in full precision. Cycles share no
    unit, so that each adds its own gain, whatever becomes of the others: the objective never falls.
    """
    cycle = cycles(order)
    gains = moved.gains(root, order)
    worth = torch.zeros_like(gains).index_add(0, cycle, gains)[cycle] > 0
    places = torch.arange(root.size, device=order.device)
    kept = torch.where(worth, order, places)
    return {} if torch.equal(kept, places) else {root.name: Permutation(kept)}


def cycles(order: Tensor) -> Tensor:
    """The smallest place of the cycle that each place is in, int64 `[n]`."""
    smallest = torch.arange(len(order), device=order.device)
    ahead = order  # where 2^k steps lead
    for _ in range(len(order).bit_length()):
        smallest = torch.minimum(smallest, smallest[ahead])
        ahead = ahead[ahead]
    return smallest


def pair_values(moved: MatchingState, root: Space) -> Tensor:
    """What the objective gains from head j of B at the place of head i of A with the best that is
    within them, `[n, n]`.
    """
    inner = moved.problem.tree(root)[1:]
    grouped = any(space.kind == "queries" for space in inner)
    return (_group_pairs(moved, root, inner) if grouped else _head_pairs(moved, root, inner))[0]


def _all_pairs(moved: MatchingState, block: Block, *path: str) -> Tensor:
    """Gram matrices of a plane for every pair of copies, `[n1, n1, ..., n, n]` (or a number for
    each pair without a plane).
    """
    layout = moved.problem.layout
    total = None
    weight = moved.problem.weights[block.name]
    for x, y in moved.pairs(block):
        a, b = layout.rows(x, block, *path), layout.rows(y, block, *path)
        if len(path) == 1:
            part = weight * (a @ b.mT)
        elif len(path) == 2:
            part = weight * torch.einsum("hik,gjk->hgij", a, b)
        else:
            part = weight * torch.einsum("hqik,gpjk->hgqpij", a, b)
        total = part if total is None else total + part
    assert total is not None
    return precise(total)


def _inner_values(block: Block, inner: list[Space]) -> list[str]:
    """Which of the inner spaces a block touches, in the order of `inner`."""
    names = {axis.space for axis in block.axes}
    return [space.name for space in inner if space.name in names]


def _head_pairs(
    moved: MatchingState, root: Space, planes: list[Space]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Value `[n, n]` of every pair of heads with the best planes, and the Gram matrices of the
    planes `[n, n, ...]`.
    """
    problem = moved.problem
    n = root.size
    device = problem.device
    own = zeros(n, n, device=device)
    grams = {plane.name: zeros(n, n, plane.size, plane.size, device=device) for plane in planes}
    for block in problem.touching[root.name]:
        touched = _inner_values(block, planes)
        if touched:
            grams[touched[0]] += _all_pairs(moved, block, root.name, touched[0])
        else:
            own += _all_pairs(moved, block, root.name)
    for plane in planes:
        own += reach(plane, problem.chosen(plane), grams[plane.name].flatten(0, 1)).view(n, n)
    return own, grams


def _solve_heads(moved: MatchingState, root: Space, planes: list[Space]) -> dict[str, Element]:
    problem = moved.problem
    n = root.size
    value, grams = _head_pairs(moved, root, planes)
    places = torch.arange(n, device=value.device)
    order = assignment(value) if problem.chosen(root) is not SymmetryClass.NONE else places
    found: dict[str, Element] = {root.name: Permutation(order)}
    for plane in planes:
        found[plane.name] = maximise(
            plane, problem.chosen(plane), grams[plane.name][places, order]
        )[0]
    return found


def _group_pairs(
    moved: MatchingState, root: Space, inner: list[Space]
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Value `[n, n]` of every pair of groups, the planes' Gram matrices and the queries' order
    `[n, n, q]` that reach it.
    """
    problem = moved.problem
    queries = next(space for space in inner if space.kind == "queries")
    planes = [space for space in inner if space.kind != "queries"]
    n, q = root.size, queries.size
    device = problem.device
    own = zeros(n, n, device=device)
    apart = zeros(n, n, q, q, device=device)  # blocks of queries without a plane
    shared = {p.name: zeros(n, n, p.size, p.size, device=device) for p in planes}
    each = {p.name: zeros(n, n, q, q, p.size, p.size, device=device) for p in planes}
    for block in problem.touching[root.name]:
        touched = _inner_values(block, planes)
        if _inner_values(block, [queries]):
            if touched:
                each[touched[0]] += _all_pairs(moved, block, root.name, queries.name, touched[0])
            else:
                apart += _all_pairs(moved, block, root.name, queries.name)
        elif touched:
            shared[touched[0]] += _all_pairs(moved, block, root.name, touched[0])
        else:
            own += _all_pairs(moved, block, root.name)

    def planes_given(orders: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Value `[n, n]` and Gram matrices of the planes once queries are ordered `[n, n, q]` for
        each pair of groups.
        """
        value = own + apart.gather(3, orders[..., None])[..., 0].sum(-1)
        grams = {}
        for plane in planes:
            index = orders[:, :, :, None, None, None].expand(n, n, q, 1, plane.size, plane.size)
            grams[plane.name] = shared[plane.name] + each[plane.name].gather(3, index)[
                :, :, :, 0
            ].sum(2)
            value = value + reach(
                plane, problem.chosen(plane), grams[plane.name].flatten(0, 1)
            ).view(n, n)
        return value, grams

    candidates = _query_orders(problem, queries, planes, apart, each)
    orders = candidates[0]
    value, grams = planes_given(orders)
    for other in candidates[1:]:
        other_value, other_grams = planes_given(other)
        better = other_value > value
        orders = torch.where(better[..., None], other, orders)
        value = torch.where(better, other_value, value)
        grams = {
            name: torch.where(better[..., None, None], other_grams[name], grams[name])
            for name in grams
        }
    return value, grams, orders


def _query_orders(
    problem: Objective,
    queries: Space,
    planes: list[Space],
    apart: Tensor,
    each: Mapping[str, Tensor],
) -> list[Tensor]:
    """Orders `[n, n, q]` of the queries of every pair of groups that are worth a try: all of them
    where these are few, otherwise as they stand and the best by pairs of queries alone.

    Args:
        problem: both models.
        queries: the space of the queries.
        planes: the other spaces within a group.
        apart: what blocks without a plane count for every pair of queries, `[n, n, q, q]`.
        each: by plane, the Gram matrix of every pair of queries.
    """
    n, q = len(apart), queries.size
    stay = torch.arange(q, device=apart.device).expand(n, n, q)
    if problem.chosen(queries) is SymmetryClass.NONE:
        return [stay]
    if n * n * math.factorial(q) * sum(plane.size**3 for plane in planes) <= ORDERS:
        orders = torch.tensor([*permutations(range(q))]).to(apart.device)
        return [order.expand(n, n, q) for order in orders]
    score = apart.clone()
    for plane in planes:
        values = reach(plane, problem.chosen(plane), each[plane.name].flatten(0, 3))
        score += values.view(n, n, q, q)
    return [stay, assignment(score)]


def _solve_groups(moved: MatchingState, root: Space, inner: list[Space]) -> dict[str, Element]:
    """Groups of queries: the order of groups, of the queries inside each, and the planes."""
    problem = moved.problem
    queries = next(space for space in inner if space.kind == "queries")
    planes = [space for space in inner if space.kind != "queries"]
    n = root.size
    value, grams, orders = _group_pairs(moved, root, inner)
    free = problem.chosen(root) is not SymmetryClass.NONE
    places = torch.arange(n, device=value.device)
    order = assignment(value) if free else places
    found: dict[str, Element] = {
        root.name: Permutation(order),
        queries.name: Permutation(orders[places, order]),
    }
    for plane in planes:
        found[plane.name] = maximise(
            plane, problem.chosen(plane), grams[plane.name][places, order]
        )[0]
    return found
