"""One step of weight matching for a mixture: the order of its experts (and of groups of them), and
the units inside each.

Four ways to order the experts, everything else held:

    exact     every pair of experts gets the best value that its units can reach, and an assignment
              picks the pairs: the best of all orders with all orders of units. Of many large
              experts pairs are compared by products instead, see ``gram``, and the present order is
              kept where it is better
    router    an assignment of the rows of the routers, without their mean where a softmax does not
              see it
    gram      an assignment by what no order or sign of the units changes: for each matrix W of an
              expert (gate, up, down; one row for each unit) X = W^T W / |W|, and

                  |X - X'|^2 = |X|^2 + |X'|^2 - 2 |W W'^T|^2 / (|W| |W'|),

              of which only the last term depends on the order, so that W W'^T (units x units) is
              all that is formed
    none      experts stay where they stand

The units inside follow by the best assignment for that order. With ``router`` and ``gram`` the
objective may fall.

Tran et al. 2025 (arXiv 2509.11348) order experts by their routers' rows or by such products.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.matching.solvers import assignment, maximise
from lmc_core.matching.state import MatchingState
from lmc_core.symmetry.arithmetic import TINY, precise, zeros
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space, SymmetryClass

# multiplications to compare all pairs of experts unit by unit; above it they are compared by
# sketched products
EXACT = 2**34
SKETCH = 64  # random directions through which these products are seen


class Mixture:
    """The experts of both models as they stand, pair by pair.

    Args:
        moved: both models as they stand.
        root: the space of the experts, or that of the groups that they live within.
    """

    def __init__(self, moved: MatchingState, root: Space):
        self.problem = problem = moved.problem
        tree = problem.tree(root)
        self.root = root
        self.units = next(space for space in tree if space.kind == "units")
        self.experts = next(space for space in tree if space.kind == "experts")
        self.count = self.units.copies
        # <row i of A, row j of B>, and other rows
        self.routers = zeros(self.count, self.count, device=problem.device)
        # of these rows, squared, of A and of B
        self.row_lengths = zeros(2, self.count, device=problem.device)
        self.parts: list[_Part] = []
        path = (*problem.layout.path(self.experts.name), self.experts.name)
        for block in problem.touching[self.experts.name]:
            if any(axis.space == self.units.name for axis in block.axes):
                self.parts.append(_Part(moved, block, self.units))
            else:
                rows = [
                    problem.layout.rows(t, block, *path).flatten(0, -2)
                    for t in _whole(moved, block)
                ]
                self.routers += problem.weights[block.name] * (rows[0] @ rows[1].mT)
                self.row_lengths += problem.weights[block.name] * torch.stack(
                    [side.square().sum(-1) for side in rows]
                )
        self._found: dict[tuple[int, int], tuple[Element, Tensor]] = {}

    @property
    def small(self) -> bool:
        """Whether all pairs can be compared unit by unit."""
        return sum((self.count * self.units.size) ** 2 * part.width for part in self.parts) <= EXACT

    def best(self, i: int, j: int) -> tuple[Element, Tensor]:
        """The best element of the units of expert j of B at the place of expert i of A, and the
        value it reaches, `[]`.
        """
        if (i, j) not in self._found:
            grams: dict[bool, Tensor] = {}
            for part in self.parts:
                gram = part.gram(i, j)
                grams[part.order] = gram if part.order not in grams else grams[part.order] + gram
            first = grams.get(False)
            first = torch.zeros_like(grams[True]) if first is None else first
            element, value = maximise(
                self.units, self.problem.chosen(self.units), first, grams.get(True)
            )
            self._found[i, j] = element, value
        return self._found[i, j]

    def value(self, order: Tensor) -> Tensor:
        """What the objective gains from an order of all experts, flat, with the best units inside
        each, `[]`.
        """
        places = torch.arange(self.count, device=order.device)
        units = [self.best(i, j)[1] for i, j in enumerate(order.tolist())]
        return torch.stack(units).sum() + self.routers[places, order].sum()

    def given(self, order: Tensor) -> dict[str, Element]:
        """The elements that bring the experts into an order, flat `[count]`, with the best units
        inside each.
        """
        elements = [self.best(i, j)[0] for i, j in enumerate(order.tolist())]
        indices = torch.stack(
            [each.indices for each in elements if isinstance(each, Permutation | Monomial)]
        )
        scales = [each.scales for each in elements if isinstance(each, Monomial)]
        units = Monomial(indices, torch.stack(scales)) if scales else Permutation(indices)
        return _split(self.root, self.experts, order) | {self.units.name: units}

    def pairs(self) -> Tensor:
        """The best value of every pair, units and rows of the router, `[count, count]`."""
        every = range(self.count)
        values = [self.best(i, j)[1] for i in every for j in every]
        return self.routers + torch.stack(values).view_as(self.routers)

    def products(self) -> Tensor:
        """|W W'^T|^2 / (|W| |W'|) of every pair, summed over the matrices of an expert by their
        weights, `[count, count]`.
        """
        return sum(
            (part.products(self.small) for part in self.parts), torch.zeros_like(self.routers)
        )

    def ordered(self, by: str) -> Tensor:
        """The order of all experts, flat `[count]`, by one of `ORDERS`."""
        stay = torch.arange(self.count, device=self.routers.device)
        free = any(
            self.problem.chosen(space) is not SymmetryClass.NONE
            for space in (self.root, self.experts)
        )
        if not free or by == "none":
            return stay
        if by == "router":
            return self._assigned(self.routers)
        if by == "gram":
            return self._assigned(self.products())
        order = self._assigned(self.pairs() if self.small else self.routers + self.products())
        return order if self.value(order) > self.value(stay) else stay

    def _assigned(self, value: Tensor) -> Tensor:
        """The best order; across groups only whole groups change places."""
        if self.experts is self.root:
            return assignment(value)
        groups, each = self.root.size, self.experts.size
        blocks = value.view(groups, each, groups, each).permute(0, 2, 1, 3)
        if self.problem.chosen(self.experts) is SymmetryClass.NONE:
            inside = torch.arange(each, device=value.device).expand(groups, groups, each)
        else:
            inside = assignment(blocks)
        best = blocks.gather(3, inside[..., None])[..., 0].sum(-1)
        places = torch.arange(groups, device=value.device)
        outer = places if self.problem.chosen(self.root) is SymmetryClass.NONE else assignment(best)
        return (outer[:, None] * each + inside[places, outer]).flatten()


def solve_experts(moved: MatchingState, root: Space, by: str = "exact") -> dict[str, Element]:
    """Order the experts of one mixture by one of `ORDERS`, then the units inside each.

    Args:
        moved: both models as they stand.
        root: the space of the experts, or that of the groups that they live within.
        by: how to order them.
    """
    mixture = Mixture(moved, root)
    return mixture.given(mixture.ordered(by))


def _whole(moved: MatchingState, block: Block) -> tuple[Tensor, Tensor]:
    (pair,) = moved.pairs(block)  # blocks of experts have no axis to cut along
    return pair


class _Part:
    """One block of both models, expert by expert, a row for each unit; of large models in
    float32.
    """

    def __init__(self, moved: MatchingState, block: Block, units: Space):
        layout = moved.problem.layout
        precision = moved.problem.precision
        self.weight = moved.problem.weights[block.name]
        self.order = block.axes[block.axis(units.name)].role == "order"
        self.sides = [
            layout.copies(t.to(precision), block, units.name) for t in _whole(moved, block)
        ]

    @property
    def width(self) -> int:
        """Number of columns of each expert's matrix."""
        return self.sides[0].shape[-1]

    def gram(self, i: int, j: int) -> Tensor:
        """a_i b_j^T over units, float64 `[units, units]`."""
        return self.weight * (precise(self.sides[0][i]) @ precise(self.sides[1][j]).mT)

    def products(self, exactly: bool) -> Tensor:
        """<a_i^T a_i, b_j^T b_j> / (|a_i| |b_j|) = |a_i b_j^T|^2 / (|a_i| |b_j|) for all pairs,
        `[count, count]`.

        Unless exactly, the products are seen through random directions, X -> G^T X H, which keeps
        <X, Y> on average.
        """
        norms = [precise(side.flatten(1).norm(dim=1)).clamp_min(TINY) for side in self.sides]
        if exactly:
            a, b = self.sides
            found = torch.stack(
                [torch.stack([precise(x @ y.mT).square().sum() for y in b]) for x in a]
            )
        else:
            side = self.sides[0]
            left = right = torch.eye(self.width, dtype=side.dtype, device=side.device)
            if self.width > SKETCH:
                generator = torch.Generator().manual_seed(0)
                draw = (self.width, SKETCH)
                left, right = (
                    torch.randn(draw, generator=generator).to(left) / SKETCH**0.5 for _ in range(2)
                )
            seen = [
                precise(torch.stack([(w @ left).mT @ (w @ right) for w in side]).flatten(1))
                for side in self.sides
            ]
            found = seen[0] @ seen[1].mT
        return self.weight * found / norms[0][:, None] / norms[1]


def _split(root: Space, experts: Space, order: Tensor) -> dict[str, Element]:
    """A flat order of all experts as elements of the groups and of the experts within."""
    if experts is root:
        return {root.name: Permutation(order)}
    table = order.view(root.size, experts.size)
    return {
        root.name: Permutation(table[:, 0] // experts.size),
        experts.name: Permutation(table % experts.size),
    }
