"""Two models as weighted blocks, and what each space sees of them: the Gram matrices that a
matching step maximises over.

Small models are held in float64 as a whole. Of large ones only one block at a time is looked at, in
float32, and model B's blocks are moved then, so that no second copy of either model exists; sums of
products and what is solved stay in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from lmc_core.matching.metric import stream_metrics
from lmc_core.symmetry.alignment import Alignment, act_on_block, chunks
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.layout import Block, Layout, State, rows, unrows
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

SPREAD = 0.5  # between weights as they are and what they compute of a stream that is only estimated
# parameters; models up to this size are held in float64 while they are matched (2 x 128 MB)
HELD = 2**24


class Problem:
    """Both models, the weight of each block, and the tree of spaces."""

    def __init__(
        self,
        layout: Layout,
        a: State,
        b: State,
        classes: Classes,
        unit_weights: bool = True,
        masks: Mapping[str, Tensor] | None = None,
        held: int | None = None,
        sizes: float = 0.0,
        spread: float | None = 0.0,
    ):
        """Read the norms of both models.

        Args:
            layout: of both.
            a: parameters of the model that stays.
            b: parameters of the model that moves.
            classes: chosen class of each kind of space.
            unit_weights: weigh block p of a layer l by n_l^sizes / (|a_l| |b_l|), n_l its number of
                entries; otherwise by 1.
            masks: by parameter, the weight of each row.
            held: models with at most this number of parameters are held in float64; `HELD` by
                default.
            sizes: see `unit_weights`. A cosine of n independent numbers has the standard deviation
                n^-1/2, so that 1/2 measures every layer in standard deviations.
            spread: power of the metric in which readers of a stream that mixes are compared
                (`metric`), 0 for none; None for `SPREAD`, or 0 for models that are not held.
        """
        self.layout, self.states, self.classes, self.masks = layout, (a, b), classes, masks or {}
        # a block with two axes in one space is not linear in that space's element; few exist
        # (BERT's tied transform)
        self.blocks = [
            block
            for block in layout.blocks
            if not block.twice and any(axis.space is not None for axis in block.axes)
        ]
        self.held = sum(tensor.numel() for tensor in a.values()) <= (HELD if held is None else held)
        self.precision = torch.float64 if self.held else torch.float32
        self._streams: dict[str, str] = {}
        self._metrics: dict[tuple[str, int], Tensor] = {}
        power = (SPREAD if self.held else 0.0) if spread is None else spread
        for stream in layout.spaces.values():
            if (
                power
                and stream.kind == "residual"
                and stream.within is None
                and class_of(stream, classes).mixes
            ):
                for side, state in enumerate(self.states):
                    for name, metric in stream_metrics(
                        layout, state, stream, power, self.masks
                    ).items():
                        self._metrics[name, side] = metric.to(self.precision)
                        self._streams[name] = stream.name
        self.means = {
            (block.name, side): layout.view(state, block).mean(
                block.ignores_mean_over, keepdim=True, dtype=torch.float64
            )
            for block in self.blocks
            if block.ignores_mean_over is not None
            for side, state in enumerate(self.states)
        }
        self.weights = dict.fromkeys((block.name for block in self.blocks), 1.0)
        norms = {
            block.name: [
                sum(
                    float(part.square().sum(dtype=torch.float64))
                    for part in self.parts(block, side)
                )
                for side in (0, 1)
            ]
            for block in self.blocks
        }
        if unit_weights:
            for names in layers(self.blocks).values():
                both = [sum(norms[name][side] for name in names) ** 0.5 for side in (0, 1)]
                entries = sum(layout.view(a, layout.by_name[name]).numel() for name in names)
                for name in names:
                    self.weights[name] = entries**sizes / max(both[0] * both[1], 1e-300)
        self.bound = (
            sum(self.weights[name] * (one * two) ** 0.5 for name, (one, two) in norms.items())
            or 1.0
        )
        self.roots = [space for space in layout.spaces.values() if space.within is None]
        self.children = {
            name: [s for s in layout.spaces.values() if s.within == name] for name in layout.spaces
        }
        self.touching = {
            name: [block for block in self.blocks if any(axis.space == name for axis in block.axes)]
            for name in layout.spaces
        }

    def chosen(self, space: Space) -> SymmetryClass:
        """The class of a space."""
        return class_of(space, self.classes)

    def tree(self, root: Space) -> list[Space]:
        """A space and all those within it, level by level."""
        return [root, *(each for child in self.children[root.name] for each in self.tree(child))]

    def parts(self, block: Block, side: int) -> Iterator[Tensor]:
        """A block of one side, in pieces if it is large: without the mean that is ignored, its rows
        masked.
        """
        view = self.layout.view(self.states[side], block)
        mask = self.masks.get(block.parameter)
        mean = self.means.get((block.name, side))
        start = 0
        for part in chunks(view, block) if mask is None or len(block.axes) == 2 else (view,):
            value = part.to(self.precision)
            if mean is not None:
                value = value - mean.to(self.precision)
            if mask is not None:  # the product of both sides gets the weight of a row once
                value = value * mask[start : start + len(part)].to(self.precision).sqrt()[:, None]
                start += len(part)
            metric = self._metrics.get((block.name, side))
            if metric is not None:
                first = [block.axis(self._streams[block.name])]
                value = unrows(metric @ rows(value, first), first, tuple(value.shape))
            yield value

    def whole(self, block: Block, side: int) -> Tensor:
        """The same in one piece."""
        pieces = list(self.parts(block, side))
        if len(pieces) == 1:
            return pieces[0]
        shape = self.layout.view(self.states[side], block).shape
        axis = next(i for i, size in enumerate(shape) if pieces[0].shape[i] != size)
        return torch.cat(pieces, axis)


class Moved:
    """Model B where a search has brought it, block by block."""

    def __init__(self, problem: Problem):
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


def layers(blocks: Sequence[Block]) -> dict[str, list[str]]:
    """Names of blocks by layer: a weight and its bias count as one matrix [W b].

    A bias on its own, at unit weight, would decide everything: any vector can be rotated onto any
    other.
    """
    found: dict[str, list[str]] = {}
    for block in blocks:
        found.setdefault(block.name.rpartition(".")[0], []).append(block.name)
    return found
