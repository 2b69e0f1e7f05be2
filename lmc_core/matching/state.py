"""Model B where a search has brought it, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from lmc_core.large_blocks import return_freed
from lmc_core.matching.objective import Objective
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.alignment import Alignment, act_on_block, is_constant
from lmc_core.symmetry.arithmetic import Total, inner, zeros
from lmc_core.symmetry.elements import Element, Monomial, Permutation, converted
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space, SymmetryClass

REORDERING = (SymmetryClass.PERMUTATION, SymmetryClass.SIGNED, SymmetryClass.SCALED)
ROWS = 1024  # that are looked at together
STILL = 1e-4  # of the largest possible objective: what is not looked for again


class MatchingState:
    """Model B where a search has brought it, block by block.

    On an accelerator nothing here waits for numbers from it; whoever needs one, reads it.
    """

    def __init__(self, problem: Objective):
        self.problem = problem
        spaces = problem.layout.spaces
        self.found = Alignment.of(spaces, device=problem.device)
        self._held = {
            block.name: [problem.whole(block, side) for side in (0, 1)]
            for block in problem.blocks
            if problem.held
        }
        # of a large model: what has moved, in the precision that is worked in
        self._moving: dict[str, Element] = {}
        # Gram matrices, before B moved, of large blocks that one space alone touches
        self._edges: dict[str, Tensor] = {}
        # of blocks whose value is known
        self._values = {
            name: zeros(device=problem.device) + problem.weights[name] * product
            for name, product in problem.products.items()
        }
        # what the residual stream has last seen, B as it stands
        self._sums: tuple[str, Tensor, Tensor | None] | None = None
        self._joint: tuple[str, Tensor] | None = None  # the value of all blocks that touch it
        # by root space, how far all that its blocks see has moved since it was last visited
        self._drift: dict[str, float] = {}
        # gains of one number each along what mixes, which no element changes, looked at once
        self._constant = {
            block.name
            for block in problem.blocks
            if any(
                axis.role == "order" and axis.space and problem.chosen(spaces[axis.space]).mixes
                for axis in block.axes
            )
            and is_constant(problem.layout.view(problem.states[1], block))
        }

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
            yield one, self._act(block, two, elements)

    def _act(self, block: Block, tensor: Tensor, elements: Mapping[str, Element]) -> Tensor:
        constant = block.name in self._constant
        return act_on_block(self.problem.layout, block, tensor, elements, constant)

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
        found = {False: self._square(space)}
        unmoved: Total | None = None
        products: list[Callable[[], Tensor]] = []
        into: list[tuple[Total, float]] = []
        for block in self.problem.touching[space.name]:
            weight = self.problem.weights[block.name] * shares.get(block.name, 1.0)
            if weight == 0:
                continue
            order = block.axes[block.axis(space.name)].role == "order"
            if order not in found:
                found[order] = self._square(space)
            size = math.prod(self.problem.shape(block))
            if self.problem.held or order or size <= space.size**2:
                products.append(partial(self._gram, block, space))
                into.append((found[order], weight))
                continue
            unmoved = unmoved or self._square(space)
            products.append(partial(self._unmoved_gram, block, space))
            into.append((unmoved, weight))
        made = (
            (product() for product in products)
            if self.problem.held
            else side_by_side(products, self.problem.device)
        )
        for (total, weight), product in zip(into, made, strict=True):
            total.add(product, weight)
        plain, ordered = found[False].value, found[True].value if True in found else None
        if unmoved is not None:
            # a (T b)^T = (a b^T) T^T; what matching finds keeps lengths, so that T^-T = T
            plain = plain + self.found.elements[space.name].act(unmoved.value.mT, "writes").mT
        self._sums = None if shares or space.kind != "residual" else (space.name, plain, ordered)
        return plain, ordered

    def _square(self, space: Space) -> Total:
        return Total(space.size, space.size, device=self.problem.device)

    def _gram(self, block: Block, space: Space) -> Tensor:
        """The Gram matrix a b^T of a block along a root space, B as it stands."""
        return self._product(block, space, self.pairs(block))

    def _product(
        self, block: Block, space: Space, pairs: Iterator[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """The Gram matrix a b^T along a root space, `[n, n]`; of a block in pieces float64."""
        layout, total, product = self.problem.layout, None, None
        for x, y in pairs:
            if product is not None:
                total = total or self._square(space)
                total.add(product)
            product = layout.rows(x, block, space.name) @ layout.rows(y, block, space.name).mT
        assert product is not None
        if total is None:
            return product
        total.add(product)
        return total.value

    def _unmoved_gram(self, block: Block, space: Space) -> Tensor:
        """The same of a large block, b not moved by the space's own element, which costs a product
        of the block's size less.
        """
        raw = self._edges.get(block.name)
        if raw is None:
            others = {name: e for name, e in self._moving.items() if name != space.name}
            raw = self._product(block, space, self._moved(block, others))
            if {each.space for each in block.axes} <= {space.name, None}:
                self._edges[block.name] = raw
        return raw

    def similarity(self, space: Space, half: bool) -> tuple[Tensor, Tensor | None]:
        """What `sums` gives of a large space that only reorders, in float32.

        Args:
            space: within no other.
            half: whether products are in bfloat16.
        """
        return_freed()
        layout, n = self.problem.layout, space.size
        blocks: dict[bool, list[Block]] = {False: [], True: []}
        for block in self.problem.touching[space.name]:
            blocks[block.axes[block.axis(space.name)].role == "order"].append(block)

        def add_up(those: list[Block]) -> Tensor:
            total = torch.zeros(n, n, device=self.problem.device)
            for block in those:
                for x, y in self.pairs(block):
                    a, b = (layout.rows(side, block, space.name) for side in (x, y))
                    total.addmm_(a, b.mT, alpha=self.problem.weights[block.name])
            return total

        find = partial(self._half_similarity, space=space) if half else add_up
        plain, ordered = (find(those) if those else None for those in blocks.values())
        return torch.zeros(n, n, device=self.problem.device) if plain is None else plain, ordered

    def gains(self, space: Space, order: Tensor) -> Tensor:
        """What the objective (before it is divided by its bound) gains unit by unit if a large
        space is put into an order: <a_i, b_order(i) - b_i>, in the precision that is worked in,
        `[n]`.

        Args:
            space: within no other, of which nothing but the order is free.
            order: int64 `[n]`.
        """
        problem = self.problem
        moving = {name: each for name, each in self._moving.items() if name != space.name}
        known = self._moving.get(space.name)
        now = torch.arange(space.size, device=order.device)
        stands = known.indices if isinstance(known, Permutation) else now
        changed = (order != now).nonzero().flatten()
        total = zeros(space.size, device=problem.device)
        for block in problem.touching[space.name]:
            axis, weight = block.axis(space.name), problem.weights[block.name]
            for x, y in zip(problem.parts(block, 0), problem.parts(block, 1), strict=True):
                for some in changed.split(ROWS):
                    to, at = stands[order[some]], stands[some]
                    step = y.index_select(axis, to) - y.index_select(axis, at)
                    step = self._act(block, step, moving)
                    a, b = (
                        problem.layout.rows(each, block, space.name)
                        for each in (x.index_select(axis, some), step)
                    )
                    total[some] += weight * (a * b).sum(1, dtype=total.dtype)
        return total

    def _half_similarity(self, blocks: Sequence[Block], space: Space) -> Tensor:
        """The weighted sum of products `[n, n]`, in one product of all blocks in bfloat16: adding
        up matrices of this size takes as long as multiplying.
        """
        layout, half = self.problem.layout, torch.bfloat16
        moving = {
            name: converted(element, self.problem.device, half)
            for name, element in self._moving.items()
            if any(axis.space == name for block in blocks for axis in block.axes)
        }
        n = space.size
        width = sum(math.prod(self.problem.shape(block)) for block in blocks) // n
        # by rows, and the other side by columns: other orders take twice as long
        a = torch.empty(n, width, dtype=half, device=self.problem.device)
        b = torch.empty(width, n, dtype=half, device=self.problem.device)
        start = 0
        for block in blocks:
            weight = self.problem.weights[block.name]
            pairs = zip(self.problem.parts(block, 0), self.problem.parts(block, 1), strict=True)
            for x, y in pairs:
                left = layout.rows((x * weight).to(half), block, space.name)
                moved = self._act(block, y.to(half), moving)
                end = start + left.shape[1]
                a[:, start:end] = left
                b[start:end] = layout.rows(moved, block, space.name).mT
                start = end
        total = torch.empty(n, n, device=self.problem.device)
        for rows in range(0, n, ROWS):
            total[rows : rows + ROWS] = a[rows : rows + ROWS] @ b
        return total

    def stands(self, root: Space) -> bool:
        """Whether everything that a space of a large model sees is where it was when the space was
        last visited, but for so little that a visit could not gain `STILL` of the largest possible
        objective.
        """
        return not self.problem.held and 2 * self._drift.get(root.name, math.inf) < STILL

    def visited(self, root: Space) -> None:
        """Note that a space and all within it are at their best, everything else held."""
        self._drift[root.name] = 0.0

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
        after = Alignment.of(spaces, step, problem.device).compose(before).elements
        self.found = Alignment({**self.found.elements, **after}, self.found.within)
        touched = {block.name: block for name in step for block in problem.touching[name]}
        if not problem.held:
            # a step of what only reorders is taken for what it gains, so that it does reorder
            only = len(step) == 1 and problem.chosen(spaces[next(iter(step))]) in REORDERING
            far = math.inf if only else _movement(step.values())
            for root in problem.roots:
                if root not in trees and problem.neighbours(root) & step.keys():
                    self._drift[root.name] = self._drift.get(root.name, math.inf) + far
        sums, self._sums, self._joint = self._sums, None, None
        for block in touched.values():
            self._values.pop(block.name, None)
            if problem.held:
                one, two = self._held[block.name]
                self._held[block.name] = [one, self._act(block, two, step)]
        if not problem.held:
            self._moving.update(
                {
                    name: converted(element, problem.device, problem.precision)
                    for name, element in after.items()
                }
            )
            if sums is not None and set(step) == {sums[0]}:
                name, plain, ordered = sums
                # elements found by matching keep lengths
                total = step[name].act(plain.mT, "writes").trace()
                # a map that mixes leaves gains, which are constant, as they are
                if ordered is not None:
                    reorders = isinstance(step[name], Permutation | Monomial)
                    total = (
                        total
                        + (step[name].act(ordered.mT, "order") if reorders else ordered).trace()
                    )
                self._joint = name, total

    def _value(self, block: Block) -> Tensor:
        if block.name not in self._values:
            total = sum(inner(x, y) for x, y in self.pairs(block))
            self._values[block.name] = torch.as_tensor(self.problem.weights[block.name] * total)
        return self._values[block.name]

    @property
    def known(self) -> bool:
        """Whether the objective can be told without looking at every parameter of a large model."""
        return self.problem.held or self._joint is not None

    @property
    def value(self) -> Tensor:
        """The objective as a share of the largest possible, where the models are, `[]`."""
        known, parts = (
            (set(), [])
            if self._joint is None
            else (set(self._names(self._joint[0])), [self._joint[1]])
        )
        parts += [self._value(block) for block in self.problem.blocks if block.name not in known]
        return torch.stack(parts).sum() / self.problem.bound if parts else torch.zeros(())

    @property
    def objective(self) -> float:
        """The same as a number."""
        return float(self.value)

    def _names(self, space: str) -> list[str]:
        return [block.name for block in self.problem.touching[space]]


def _movement(elements: Collection[Element]) -> float:
    """An upper bound of the sum of |T - 1| (the largest singular value, over all copies); infinite
    for what reorders. It is read in one copy from an accelerator.
    """
    parts: list[Tensor] = []
    for element in elements:
        if isinstance(element, Permutation | Monomial):
            still = torch.arange(element.indices.shape[-1], device=element.indices.device)
            stays = (element.indices == still).all()
            if isinstance(element, Monomial):
                stays = stays & (element.scales == 1).all()
            parts.append(torch.where(stays, 0.0, math.inf))
        else:
            values = element.matrix()
            eye = torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)
            parts.append(torch.linalg.matrix_norm(values - eye).max().float())
    return float(torch.stack(parts).sum())
