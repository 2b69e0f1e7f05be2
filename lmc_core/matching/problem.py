"""Two models as weighted blocks, and what each space sees of them: the Gram matrices that a matching step maximises over.

Small models are held in float64 as a whole. Of large ones only one block at a time is, and model B's blocks are moved when they
are looked at, so that no second copy of either model exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from lmc_core.symmetry.alignment import Alignment, act_on_block, chunks
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import Block, Layout, State
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

HELD = 2**24  # parameters; models up to this size are held in float64 while they are matched (2 x 128 MB)


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
        held: int = HELD,
    ):
        self.layout, self.states, self.classes, self.masks = layout, (a, b), classes, masks or {}
        # a block with two axes in one space is not linear in that space's element; few exist (BERT's tied transform)
        self.blocks = [
            block for block in layout.blocks if not block.twice and any(axis.space is not None for axis in block.axes)
        ]
        self.means = {
            (block.name, side): layout.view(state, block).mean(block.ignores_mean_over, keepdim=True, dtype=torch.float64)
            for block in self.blocks
            if block.ignores_mean_over is not None
            for side, state in enumerate(self.states)
        }
        self.weights = dict.fromkeys((block.name for block in self.blocks), 1.0)
        norms = {
            block.name: [sum(float(part.square().sum()) for part in self.parts(block, side)) for side in (0, 1)]
            for block in self.blocks
        }
        if unit_weights:
            for names in layers(self.blocks).values():
                both = [sum(norms[name][side] for name in names) ** 0.5 for side in (0, 1)]
                for name in names:
                    self.weights[name] = 1 / max(both[0] * both[1], 1e-300)
        self.bound = sum(self.weights[name] * (one * two) ** 0.5 for name, (one, two) in norms.items()) or 1.0
        self.held = sum(tensor.numel() for tensor in a.values()) <= held
        self.roots = [space for space in layout.spaces.values() if space.within is None]
        self.children = {name: [s for s in layout.spaces.values() if s.within == name] for name in layout.spaces}
        self.touching = {
            name: [block for block in self.blocks if any(axis.space == name for axis in block.axes)] for name in layout.spaces
        }

    def chosen(self, space: Space) -> SymmetryClass:
        """The class of a space."""
        return class_of(space, self.classes)

    def tree(self, root: Space) -> list[Space]:
        """A space and all those within it, level by level."""
        return [root, *(each for child in self.children[root.name] for each in self.tree(child))]

    def parts(self, block: Block, side: int) -> Iterator[Tensor]:
        """A block of one side in float64, in pieces if it is large: without the mean that is ignored, its rows masked."""
        view = self.layout.view(self.states[side], block)
        mask = self.masks.get(block.parameter)
        mean = self.means.get((block.name, side))
        start = 0
        for part in chunks(view, block) if mask is None or len(block.axes) == 2 else (view,):
            value = part.double()
            if mean is not None:
                value = value - mean
            if mask is not None:  # the product of both sides gets the weight of a row once
                value = value * mask[start : start + len(part)].double().sqrt()[:, None]
                start += len(part)
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
        self._held = {block.name: [problem.whole(block, side) for side in (0, 1)] for block in problem.blocks if problem.held}
        self._values = {block.name: self._value(block) for block in problem.blocks}

    def pairs(self, block: Block) -> Iterator[tuple[Tensor, Tensor]]:
        """The same block of A and of B as it stands, in float64, in pieces if it is large."""
        if self.problem.held:
            one, two = self._held[block.name]
            yield one, two
            return
        for one, two in zip(self.problem.parts(block, 0), self.problem.parts(block, 1), strict=True):
            yield one, act_on_block(self.problem.layout, block, two, self.found.elements)

    def take(self, step: Mapping[str, Element]) -> None:
        """Move B by one element for some spaces."""
        self.found = Alignment.of(self.problem.layout.spaces, step).compose(self.found)
        for block in {block.name: block for name in step for block in self.problem.touching[name]}.values():
            if self.problem.held:
                one, two = self._held[block.name]
                self._held[block.name] = [one, act_on_block(self.problem.layout, block, two, step)]
            self._values[block.name] = self._value(block)

    def _value(self, block: Block) -> float:
        return self.problem.weights[block.name] * sum(float((x * y).sum()) for x, y in self.pairs(block))

    @property
    def objective(self) -> float:
        """The objective as a share of the largest possible."""
        return sum(self._values.values()) / self.problem.bound


def layers(blocks: Sequence[Block]) -> dict[str, list[str]]:
    """Names of blocks by layer: a weight and its bias count as one matrix [W b].

    A bias on its own, at unit weight, would decide everything: any vector can be rotated onto any other.
    """
    found: dict[str, list[str]] = {}
    for block in blocks:
        found.setdefault(block.name.rpartition(".")[0], []).append(block.name)
    return found
