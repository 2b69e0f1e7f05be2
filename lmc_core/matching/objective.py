"""Two models as weighted blocks, and what each space sees of them: the Gram matrices that a
matching step maximises over.

Small models are held in float64 as a whole. Of large ones only one block at a time is looked at, in
float32, and model B's blocks are moved then, so that no second copy of either model exists; sums of
products and what is solved stay in float64. On devices without a fast float64 everything is in
float32 (`symmetry.arithmetic`). All is computed where the parameters are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from lmc_core.matching.metric import stream_metrics
from lmc_core.models.lazy import is_lazy, shapes
from lmc_core.side_by_side import T, side_by_side
from lmc_core.symmetry.alignment import read_pieces
from lmc_core.symmetry.arithmetic import find_device, inner, precise_type
from lmc_core.symmetry.layout import Block, Layout, State, rows, unrows
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

SPREAD = 0.5  # between weights as they are and what they compute of a stream that is only estimated
# parameters; models up to this size are held in float64 while they are matched (2 x 128 MB)
HELD = 2**24


class Objective:
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
        self.blocks = compared(layout)
        count = sum(each.numel() for each in shapes(a).values())
        self.held = count <= (HELD if held is None else held)
        # lazily read parameters come to the CPU
        self.device = torch.device("cpu") if is_lazy(a) else find_device(a)
        self.precision = precise_type(self.device) if self.held else torch.float32
        self._streams: dict[str, str] = {}
        self._metrics: dict[tuple[str, int], Tensor] = {}
        power = (SPREAD if self.held else 0.0) if spread is None else spread
        if power:
            self._compare_readers(power)
        self.means = self._find_means()
        self.weights = dict.fromkeys((block.name for block in self.blocks), 1.0)
        # <a_p, b_p> of the blocks of large models with nothing moved, from the same look at them
        self.products: dict[str, float] = {}
        norms = self._square_norms()
        if unit_weights:
            self._weigh_layers(norms, sizes)
        self.bound = (
            sum(self.weights[name] * (one * two) ** 0.5 for name, (one, two) in norms.items())
            or 1.0
        )
        spaces = list(layout.spaces.values())
        self.roots = [space for space in spaces if space.within is None]
        self.children = {
            each.name: [space for space in spaces if space.within == each.name] for each in spaces
        }
        self.touching = {each.name: self._find_touching(each.name) for each in spaces}

    def _find_touching(self, space: str) -> list[Block]:
        """The blocks with an axis in a space."""
        return [block for block in self.blocks if any(axis.space == space for axis in block.axes)]

    def _compare_readers(self, power: float) -> None:
        """Set the metric in which readers of each stream that mixes are compared."""
        for stream in self.layout.spaces.values():
            mixes = class_of(stream, self.classes).mixes
            if stream.kind != "residual" or stream.within is not None or not mixes:
                continue
            for side, state in enumerate(self.states):
                metrics = stream_metrics(self.layout, state, stream, power, self.masks)
                for name, metric in metrics.items():
                    self._metrics[name, side] = metric.to(self.precision)
                    self._streams[name] = stream.name

    def _find_means(self) -> dict[tuple[str, int], Tensor]:
        """The means that blocks ignore, by block and side."""
        wanted = {
            (block.name, side): partial(self._mean, block, state, block.ignores_mean_over)
            for block in self.blocks
            if block.ignores_mean_over is not None
            for side, state in enumerate(self.states)
        }
        return dict(zip(wanted, self._each(list(wanted.values())), strict=True))

    def _each(self, pieces: Sequence[Callable[[], T]]) -> Iterator[T]:
        """What independent pieces of work give; of large models these are done side by side."""
        return (piece() for piece in pieces) if self.held else side_by_side(pieces, self.device)

    def _mean(self, block: Block, state: State, axes: int | tuple[int, ...]) -> Tensor:
        """The mean of a block over some axes, which are kept with one entry."""
        dtype = precise_type(self.device)
        if not is_lazy(state):
            return self.layout.view(state, block).mean(axes, keepdim=True, dtype=dtype)
        parts = [
            part.sum(axes, keepdim=True, dtype=dtype)
            for part in read_pieces(self.layout, state, block)
        ]
        shape = self.shape(block)
        averaged = axes if isinstance(axes, tuple) else (axes,)
        # pieces are cut along one axis: they are averaged over as well, or put together
        total = parts[0]
        if len(parts) > 1:
            others = (i for i in range(len(shape)) if i not in averaged)
            cut = next((i for i in others if parts[0].shape[i] != shape[i]), None)
            total = torch.stack(parts).sum(0) if cut is None else torch.cat(parts, cut)
        return total / math.prod(shape[axis] for axis in averaged)

    def shape(self, block: Block) -> tuple[int, ...]:
        """The shape of a block."""
        return tuple(self.layout.view(shapes(self.states[0]), block).shape)

    def _square_norms(self) -> dict[str, list[float]]:
        """The squared norm of every block, of A and of B, as they are compared (`parts`)."""
        looks = self._each([partial(self._look_at, block) for block in self.blocks])
        norms = {}
        for block, (one, two, both) in zip(self.blocks, looks, strict=True):
            norms[block.name] = [one, two]
            if not self.held:
                self.products[block.name] = both
        return norms

    def _look_at(self, block: Block) -> list[float]:
        """|a_p|^2, |b_p|^2 and <a_p, b_p>."""
        parts = zip(self.parts(block, 0), self.parts(block, 1), strict=True)
        found = [torch.stack([inner(a, a), inner(b, b), inner(a, b)]) for a, b in parts]
        return torch.stack(found).sum(0).tolist()

    def _weigh_layers(self, norms: Mapping[str, Sequence[float]], sizes: float) -> None:
        """Give all blocks of a layer the weight n_l^sizes / (|a_l| |b_l|)."""
        layout = self.layout
        for names in layers(self.blocks).values():
            both = [sum(norms[name][side] for name in names) ** 0.5 for side in (0, 1)]
            entries = sum(math.prod(self.shape(layout.by_name[name])) for name in names)
            for name in names:
                self.weights[name] = entries**sizes / max(both[0] * both[1], 1e-300)

    def chosen(self, space: Space) -> SymmetryClass:
        """The class of a space."""
        return class_of(space, self.classes)

    def tree(self, root: Space) -> list[Space]:
        """A space and all those within it, level by level."""
        return [root, *(each for child in self.children[root.name] for each in self.tree(child))]

    def neighbours(self, root: Space) -> set[str]:
        """Names of the spaces that blocks of a root space or of those within it live in as well."""
        blocks = {b.name: b for space in self.tree(root) for b in self.touching[space.name]}
        return {axis.space for block in blocks.values() for axis in block.axes if axis.space}

    def parts(self, block: Block, side: int) -> Iterator[Tensor]:
        """A block of one side, in pieces if it is large: without the mean that is ignored, its rows
        masked.
        """
        state = self.states[side]
        mask = self.masks.get(block.parameter)
        mean = self.means.get((block.name, side))
        start = 0
        cut = mask is None or len(block.axes) == 2
        for part in (
            read_pieces(self.layout, state, block) if cut else (self.layout.view(state, block),)
        ):
            value = part.to(self.precision)
            if mean is not None:
                value = value - mean.to(self.precision)
            if mask is not None:  # the product of both sides gets the weight of a row once
                value = value * mask[start : start + len(part)].to(value).sqrt()[:, None]
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
        shape = self.shape(block)
        axis = next(i for i, size in enumerate(shape) if pieces[0].shape[i] != size)
        return torch.cat(pieces, axis)


def compared(layout: Layout) -> list[Block]:
    """The blocks that are matched: a block with two axes in one space is not linear in that space's
    element; few exist (BERT's tied transform).
    """
    return [
        block
        for block in layout.blocks
        if not block.twice and any(axis.space is not None for axis in block.axes)
    ]


def layers(blocks: Sequence[Block]) -> dict[str, list[str]]:
    """Names of blocks by layer: a weight and its bias count as one matrix [W b].

    A bias on its own, at unit weight, would decide everything: any vector can be rotated onto any
    other.
    """
    found: dict[str, list[str]] = {}
    for block in blocks:
        found.setdefault(block.name.rpartition(".")[0], []).append(block.name)
    return found
