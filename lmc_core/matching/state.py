"""Model B where a search has brought it, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from lmc_core.matching.objective import Objective
from lmc_core.symmetry.alignment import Alignment, act_on_block
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space


class MatchingState:
    """Model B where a search has brought it, block by block."""

    def __init__(self, problem: Objective):
        self.problem = problem
        self.found = Alignment.of(problem.layout.spaces)
        self._held = {
            block.name: [problem.whole(block, side) for side in (0, 1)]
            for block in problem.blocks
            if problem.held
        }
        # of a large model: what has moved, in the precision that is worked in
        self._moving: dict[str, Element] = {}
        # Gram matrices, before B moved, of large blocks that one space alone touches
        self._edges: dict[str, Tensor] = {}
        self._values: dict[str, float] = {}  # of blocks whose value is known
        # what the residual stream has last seen, B as it stands
        self._sums: tuple[str, Tensor, Tensor | None] | None = None
        self._joint: tuple[str, float] | None = None  # the value of all blocks that touch it

    def pairs(self, block: Block) -> Iterator[tuple[Tensor, Tensor]]:
        """The same block of A and of B as it stands, in float64 (float32 for large models, in
        pieces).
        """
        if self.problem.held:
            one, two = self._held[block.name]
            yield one, two
            return
        yield from self._moved(block, self._moving)

    def _moved(
        self, block: Block, elements: Mapping[str, Element]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for one, two in zip(
            self.problem.parts(block, 0), self.problem.parts(block, 1), strict=True
        ):
            yield one, act_on_block(self.problem.layout, block, two, elements)

    def sums(self, space: Space, shares: Mapping[str, float]) -> tuple[Tensor, Tensor | None]:
        """Weighted sums of the Gram matrices a b^T of a root space, float64 `[n, n]`.

        Args:
            space: within no other.
            shares: by name of block, what multiplies its weight; blocks that are left out count
                fully.

        Returns:
            The sum over axes that write or read, and over axes that keep order alone (None if there
            are none).
        """
        found: dict[bool, Tensor] = {
            False: torch.zeros(space.size, space.size, dtype=torch.float64)
        }
        for block in self.problem.touching[space.name]:
            weight = self.problem.weights[block.name] * shares.get(block.name, 1.0)
            if weight == 0:
                continue
            order = block.axes[block.axis(space.name)].role == "order"
            if order not in found:
                found[order] = torch.zeros(space.size, space.size, dtype=torch.float64)
            found[order].add_(self._gram(block, space), alpha=weight)
        plain, ordered = found[False], found.get(True)
        self._sums = None if shares or space.kind != "residual" else (space.name, plain, ordered)
        return plain, ordered

    def _gram(self, block: Block, space: Space) -> Tensor:
        """The Gram matrix a b^T along a root space, float64 `[n, n]`.

        Of a large block b is not moved by the space's own element T: a (T b)^T = (a b^T) T^T costs
        a product of its size less.
        """
        layout, axis = self.problem.layout, block.axes[block.axis(space.name)]

        def product(pairs: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
            total = torch.zeros(space.size, space.size, dtype=torch.float64)
            for x, y in pairs:
                total += layout.rows(x, block, space.name) @ layout.rows(y, block, space.name).mT
            return total

        view = layout.view(self.problem.states[0], block)
        if self.problem.held or axis.role == "order" or view.numel() <= space.size**2:
            return product(self.pairs(block))
        raw = self._edges.get(block.name)
        if raw is None:
            raw = product(
                self._moved(block, {n: e for n, e in self._moving.items() if n != space.name})
            )
            if {each.space for each in block.axes} <= {space.name, None}:
                self._edges[block.name] = raw
        return self.found.elements[space.name].act(raw.mT, axis.role).mT

    def take(self, step: Mapping[str, Element]) -> None:
        """Move B by one element for some spaces."""
        if not step:
            return
        problem = self.problem
        trees = [
            root
            for root in problem.roots
            if any(space.name in step for space in problem.tree(root))
        ]
        spaces = {space.name: space for root in trees for space in problem.tree(root)}
        within = {name: outer for name, outer in self.found.within.items() if name in spaces}
        before = Alignment({name: self.found.elements[name] for name in spaces}, within)
        after = Alignment.of(spaces, step).compose(before).elements
        self.found = Alignment({**self.found.elements, **after}, self.found.within)
        touched = {block.name: block for name in step for block in problem.touching[name]}
        sums, self._sums, self._joint = self._sums, None, None
        for block in touched.values():
            self._values.pop(block.name, None)
            if problem.held:
                one, two = self._held[block.name]
                self._held[block.name] = [one, act_on_block(problem.layout, block, two, step)]
        if not problem.held:
            self._moving.update(
                {name: in_precision(element, problem.precision) for name, element in after.items()}
            )
            if sums is not None and set(step) == {sums[0]}:
                name, plain, ordered = sums
                # elements found by matching keep lengths
                total = float(step[name].act(plain.mT, "writes").trace())
                # a map that mixes leaves gains, which are constant, as they are
                if ordered is not None:
                    reorders = isinstance(step[name], Permutation | Monomial)
                    total += float(
                        (step[name].act(ordered.mT, "order") if reorders else ordered).trace()
                    )
                self._joint = name, total

    def _value(self, block: Block) -> float:
        if block.name not in self._values:
            total = sum(float((x * y).sum()) for x, y in self.pairs(block))
            self._values[block.name] = self.problem.weights[block.name] * total
        return self._values[block.name]

    @property
    def known(self) -> bool:
        """Whether the objective can be told without looking at every parameter of a large model."""
        return self.problem.held or self._joint is not None

    @property
    def objective(self) -> float:
        """The objective as a share of the largest possible."""
        known, total = (
            (set(), 0.0)
            if self._joint is None
            else (set(self._names(self._joint[0])), self._joint[1])
        )
        return (
            total
            + sum(self._value(block) for block in self.problem.blocks if block.name not in known)
        ) / self.problem.bound

    def _names(self, space: str) -> list[str]:
        return [block.name for block in self.problem.touching[space]]


def in_precision(element: Element, dtype: torch.dtype) -> Element:
    """An element whose numbers are of that type."""
    return type(element)(
        **{key: t.to(dtype) if t.is_floating_point() else t for key, t in element.tensors().items()}
    )
