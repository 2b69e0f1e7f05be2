"""The canonical form of a model that does not fit in memory: every parameter is brought into it
when it is read, from the file's own precision.

What the rewrite does to a weight is linear in it and acts on the coordinates of one space at a
time: a gain, a mean, the two sides of a plane. So it is enough to note, block by block, what is to
be done, which takes a vector for every norm and a matrix of the size of a head for every side of a
plane. Biases and gains, which the rewrite sets, are held.

Equal shares of a product: with L^T = Q_l R_l, R^T = Q_r R_r and R_l R_r^T = U S V^T (`canonical`)
the shares are S^1/2 U^T Q_l^T = S^-1/2 V^T R_r L and S^1/2 V^T Q_r^T = S^-1/2 U^T R_l R: maps of
n x n on L and R, without the inverse of either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import torch
from torch import Tensor

from lmc_core.models.lazy import LazyState, is_lazy, shapes
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.alignment import (
    Alignment,
    Pieced,
    act_on_block,
    chunks,
    is_identity,
    moved_whole,
    read_pieces,
)
from lmc_core.symmetry.canonical import (
    Blocks,
    Step,
    along,
    balance_whole,
    fold,
    independent,
    rewrite_blocks,
)
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import Block, Layout, State
from lmc_core.symmetry.rewrite import Norm, Product, Rewrite
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass

# relative; a singular value of a product below this is rounding, and its coordinate is not used
NOTHING = 1e-13
CPU = torch.device("cpu")  # where what is lazily read comes to


class Change(Protocol):
    """Something done to a block, or to a piece that is cut along an axis without a space."""

    def apply(self, value: Tensor, block: Block, layout: Layout) -> Tensor:
        """The block, or the piece, after it; what is given may be written into, as new memory costs
        more than the change itself.
        """
        ...


@dataclass(frozen=True)
class Scaled:
    """Multiplied by one number for every coordinate of a space."""

    space: str
    factors: Tensor

    def apply(self, value: Tensor, block: Block, layout: Layout) -> Tensor:
        """See `Change`."""
        return value.mul_(along(self.factors.to(value.dtype), value, block.axis(self.space)))


@dataclass(frozen=True)
class Centred:
    """Without its mean over the coordinates of a space."""

    space: str

    def apply(self, value: Tensor, block: Block, layout: Layout) -> Tensor:
        """See `Change`."""
        return value.sub_(value.mean(block.axis(self.space), keepdim=True))


@dataclass(frozen=True)
class Folded:
    """With the gain of a norm, and its offset where there is no bias."""

    norm: Norm
    gain: Tensor
    offset: Tensor | None

    def apply(self, value: Tensor, block: Block, layout: Layout) -> Tensor:
        """See `Change`."""
        gain = self.gain.to(value.dtype)
        offset = None if self.offset is None else self.offset.to(value.dtype)
        axis = block.axis(self.norm.space)
        return fold(value, axis, gain, offset, self.norm.centred, True, out=value)[0]


@dataclass(frozen=True)
class Mapped:
    """Every copy of a space multiplied by a number for each coordinate `[copies, n]`, or by a
    matrix `[copies, n, n]`.
    """

    space: str
    values: Tensor
    diagonal: bool

    def apply(self, value: Tensor, block: Block, layout: Layout) -> Tensor:
        """See `Change`."""
        values = self.values.to(value.dtype)
        found = layout.copies(value, block, self.space)
        moved = found * values[..., None] if self.diagonal else values @ found
        return layout.uncopies(moved, block, tuple(value.shape), self.space)


class _Latest(threading.local):
    """The parameter that a thread has read last, with its name."""

    parameter: tuple[str, Tensor] | None = None


class CanonicalState(LazyState):
    """Parameters in canonical form, made when they are read; float64 where they are stored so,
    float32 otherwise.

    Args:
        layout: of the (untied) model.
        rewrite: what to work on.
        state: parameters in any precision, lazily read or held.
        classes: chosen class of each kind of space.
    """

    def __init__(self, layout: Layout, rewrite: Rewrite, state: State, classes: Classes):
        own = shapes(state)
        super().__init__(
            {
                n: torch.empty(t.shape, dtype=_working(t.dtype), device="meta")
                for n, t in own.items()
            },
            self._read,
        )
        self.layout, self.original = layout, state
        self._latest = _Latest()
        self._changes = _NotedBlocks(self)
        rewrite_blocks(self._changes, rewrite, classes)

    def pieces(self, block: Block) -> Iterator[Tensor]:
        """A block in canonical form, in pieces if it is large: what `chunks` gives of a parameter
        that is held.
        """
        yield from self._changes.values(block)

    def raw(self, name: str) -> Tensor:
        """A parameter as it is stored; the latest fused one is kept, for it is read by blocks."""
        latest = self._latest.parameter
        if latest is not None and latest[0] == name:
            return latest[1]
        self._latest.parameter = None  # two are not held at once
        found = self.original[name]
        if len(self._blocks[name]) > 1:
            self._latest.parameter = name, found
        return found

    def _read(self, name: str) -> Tensor:
        held = not is_lazy(self.original)
        found = self.original[name].to(self.shapes[name].dtype, copy=held).contiguous()
        for block in self._blocks[name]:
            if self._changes.changed(block):
                view = self.layout.view({name: found}, block)
                # what is stored is not held beside it
                for part, value in zip(
                    chunks(view, block), self._changes.values(block, stored=view), strict=True
                ):
                    part.copy_(value)
        return found

    @cached_property
    def _blocks(self) -> dict[str, list[Block]]:
        found: dict[str, list[Block]] = {name: [] for name in self.shapes}
        for block in self.layout.blocks:
            found[block.parameter].append(block)
        return found


class MovedState(LazyState):
    """Parameters moved by an alignment when they are read.

    Args:
        layout: of the model.
        state: its parameters, lazily read.
        alignment: that moves them.
    """

    def __init__(self, layout: Layout, state: LazyState, alignment: Alignment):
        super().__init__(state.shapes, self._read)
        self._layout, self._state = layout, state
        self._moving: dict[str, Element] = {
            name: element
            for name, element in alignment.elements.items()
            if not is_identity(element)
        }

    def _read(self, name: str) -> Tensor:
        found = self._state[name]
        for block in self._layout.blocks:
            if block.parameter != name or not any(
                axis.space in self._moving for axis in block.axes
            ):
                continue
            whole = moved_whole(self._layout, self._moving)
            parts = chunks(self._layout.view({name: found}, block), block, whole)
            moves = [partial(self._move, block, part) for part in parts]
            for _ in side_by_side(moves, found.device):
                pass
        return found

    def pieces(self, block: Block) -> Iterator[Tensor]:
        """A moved block, as `CanonicalState.pieces` gives one."""
        for part in read_pieces(self._layout, self._state, block):
            yield act_on_block(self._layout, block, part.double(), self._moving).to(part.dtype)

    def _move(self, block: Block, part: Tensor) -> None:
        part.copy_(act_on_block(self._layout, block, part.double(), self._moving))


class _NotedBlocks(Blocks):
    """The blocks of a model of which it is noted what is to be done to them."""

    def __init__(self, owner: CanonicalState):
        super().__init__(owner.layout, {})
        self._owner = owner
        self._held: dict[str, Tensor] = {}
        self._noted: dict[str, list[Change]] = {}

    def changed(self, block: Block) -> bool:
        """Whether a block is not what is stored."""
        return block.name in self._held or block.name in self._noted

    def values(
        self, block: Block, dtype: torch.dtype | None = None, stored: Tensor | None = None
    ) -> Iterator[Tensor]:
        """A block as it is now, in pieces.

        Args:
            block: which one.
            dtype: of the pieces; by default that which the parameter is worked in.
            stored: what is stored of it, where that was read before.
        """
        dtype = dtype or self._owner.shapes[block.parameter].dtype
        if block.name in self._held:
            yield from (part.to(dtype) for part in chunks(self._held[block.name], block))
            return
        changes = self._noted.get(block.name, ())
        for part in self._stored(block) if stored is None else chunks(stored, block):
            value = part.to(dtype, copy=bool(changes))
            for change in changes:
                value = change.apply(value, block, self.layout)
            yield value

    def _stored(self, block: Block) -> Iterator[Tensor]:
        """A block as it is stored, in pieces; nothing is written into them."""
        if isinstance(self._owner.original, Pieced):
            return self._owner.original.pieces(block)
        return chunks(self.view(block.name), block)

    def view(self, name: str) -> Tensor:
        """A block as it is stored; nothing is written into it."""
        block = self.layout.by_name[name]
        return self.layout.view({block.parameter: self._owner.raw(block.parameter)}, block)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a block."""
        block = self.layout.by_name[name]
        return tuple(self.layout.view(self._owner.shapes, block).shape)

    def __getitem__(self, name: str) -> Tensor:
        block = self.layout.by_name[name]
        parts = list(self.values(block, torch.float64))
        if len(parts) == 1:
            return parts[0].clone() if name in self._held else parts[0]
        shape = self.shape(name)
        axis = next(i for i, size in enumerate(shape) if parts[0].shape[i] != size)
        return torch.cat(parts, axis)

    def __setitem__(self, name: str, value: Tensor) -> None:
        self._held[name] = value
        self._noted.pop(name, None)

    def _note(self, name: str, change: Change) -> None:
        if name in self._held:
            self._held[name] = change.apply(
                self._held[name].clone(), self.layout.by_name[name], self.layout
            )
        else:
            self._noted.setdefault(name, []).append(change)

    def scale(self, name: str, space: str, factors: Tensor) -> None:
        """Note the factors."""
        self._note(name, Scaled(space, factors))

    def centre(self, name: str, space: str) -> None:
        """Note that the mean is to be removed."""
        self._note(name, Centred(space))

    def fold(
        self, name: str, bias: str | None, norm: Norm, gain: Tensor, offset: Tensor | None
    ) -> None:
        """Note the gain; what comes of the offset is added to the bias now."""
        if bias is not None and offset is not None:
            axis = self.layout.by_name[name].axis(norm.space)
            if bool(offset.any()):
                value = self[name]
                self[bias] = self[bias] + (value * along(offset, value, axis)).sum(axis)
            offset = None
        if offset is not None and not bool(offset.any()):
            offset = None
        self._note(name, Folded(norm, gain, offset))

    def balance(self, product: Product, space: Space, chosen: SymmetryClass) -> None:
        """Note the map of each side."""
        if not chosen.stretches:
            return
        groups = [names for names in (product.left, product.right, product.gate) if names]
        if chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
            factors = _factors(
                [self._squares(names, space) for names in groups], bool(product.gate)
            )
            for names, values in zip(groups, factors, strict=True):
                self._map(names, space, values, True)
            return
        sides = [self._side(names, space) for names in (product.left, product.right)]
        if min(side.shape[-1] for side in sides) < space.size:
            balance_whole(self.layout, product, space, chosen, self)
            return
        rotated = space.pairs.rotated if chosen is SymmetryClass.ROTARY and space.pairs else 0
        maps = list(_shares(*(side[..., rotated:, :] for side in sides)))
        if rotated:
            assert space.pairs is not None
            first, second = space.pairs.indices()
            power = [side.square().sum(-1) for side in sides]
            pairs = [each[..., first] + each[..., second] for each in power]
            ratio, other = _factors(pairs, False)
            for number, by in enumerate((ratio, other)):
                whole = by.new_zeros(*by.shape[:-1], space.size, space.size)
                whole[..., first, first] = whole[..., second, second] = by
                whole[..., rotated:, rotated:] = maps[number]
                maps[number] = whole
        diagonal = rotated == space.size
        for names, values in zip((product.left, product.right), maps, strict=True):
            self._map(
                names, space, values.diagonal(dim1=-2, dim2=-1) if diagonal else values, diagonal
            )

    def take(self, steps: Sequence[Step]) -> None:
        """Take the steps of several layers side by side."""

        def take_all(own: Sequence[Callable[[], None]]) -> None:
            for step in own:
                step()

        for _ in side_by_side([partial(take_all, own) for own in independent(steps)], CPU):
            pass

    def _map(self, names: Sequence[str], space: Space, values: Tensor, diagonal: bool) -> None:
        for name in names:
            dtype = self._owner.shapes[self.layout.by_name[name].parameter].dtype
            kept = values if name in self._held else values.to(dtype).contiguous()
            self._note(name, Mapped(space.name, kept, diagonal))

    def _side(self, names: Sequence[str], space: Space) -> Tensor:
        """All blocks of one side, copy by copy, float64 `[copies, n, k]`."""
        return torch.cat(
            [
                self.layout.copies(self[name], self.layout.by_name[name], space.name)
                for name in names
            ],
            -1,
        )

    def _squares(self, names: Sequence[str], space: Space) -> Tensor:
        """The squared norms of the rows of a side, float64 `[copies, n]`."""
        total: Tensor | None = None
        for name in names:
            block = self.layout.by_name[name]
            for part in self.values(block):
                found = self.layout.copies(part, block, space.name).square()
                squares = found.sum(-1, dtype=torch.float64)
                total = squares if total is None else total + squares
        assert total is not None
        return total


def _working(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype is torch.float64 else torch.float32


def _factors(squares: Sequence[Tensor], three: bool) -> list[Tensor]:
    """What rows of all sides are multiplied by so that their norms are equal; 1 where one is 0.

    Args:
        squares: of the norms of two sides, or of three.
        three: whether all go to their geometric mean; of two sides the product stays.
    """
    some = torch.stack(list(squares)).gt(0).all(0)
    if three:
        norms = [each.clamp_min(1e-300).log() / 2 for each in squares]
        mean = torch.stack(norms).mean(0)
        return [torch.where(some, (mean - each).exp(), 1.0) for each in norms]
    left, right = squares
    ratio = torch.where(some, (right / left) ** 0.25, 1.0)
    return [ratio, 1 / ratio]


def _shares(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The maps that give two sides equal shares of their product, `[..., n, n]` each."""
    rl, rr = (torch.linalg.qr(side.mT, mode="r")[1] for side in (left, right))
    u, s, vt = torch.linalg.svd(rl @ rr.mT)
    known = s > NOTHING * s[..., :1].clamp_min(1e-300)
    root = torch.where(known, s.clamp_min(1e-300).rsqrt(), 0.0)[..., None]
    return root * (vt @ rr), root * (u.mT @ rl)
