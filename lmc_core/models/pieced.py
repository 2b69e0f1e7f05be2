"""Parameters that are made of others block by block: moved, scaled, or the mean of several models.

Blocks cover every entry of a parameter once, so that they say all of it. What they are made of is
read in the pieces that `symmetry.alignment.chunks` cuts, so that of a large table there is what is
stored of one model at a time, and of a mean the mean itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from lmc_core.models.lazy import LazyState, is_lazy, shapes
from lmc_core.symmetry.alignment import Alignment, act_on_block, chunks, is_identity, read_pieces
from lmc_core.symmetry.arithmetic import find_device, precise_type
from lmc_core.symmetry.elements import converted
from lmc_core.symmetry.layout import Block, Layout, State

CPU = torch.device("cpu")  # where what is lazily read comes to


class PiecedState(LazyState):
    """Parameters whose blocks are made when they are asked for.

    Args:
        layout: of the model.
        like: parameters of its shapes.
        make: block -> its pieces, as `chunks` cuts them.
        dtype: of all of them.
    """

    def __init__(
        self,
        layout: Layout,
        like: State,
        make: Callable[[Block], Iterator[Tensor]],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        found = {
            name: torch.empty(tensor.shape, dtype=dtype, device="meta")
            for name, tensor in shapes(like).items()
        }
        super().__init__(found, self._put_together)
        self.dtype = dtype
        self._layout, self._make_pieces = layout, make

    def pieces(self, block: Block) -> Iterator[Tensor]:
        """What `chunks` gives of a block; nothing else has it."""
        return self._make_pieces(block)

    def _put_together(self, name: str) -> Tensor:
        found = torch.empty(self.shapes[name].shape, dtype=self.shapes[name].dtype)
        for block in self._layout.blocks:
            if block.parameter == name:
                view = self._layout.view({name: found}, block)
                for part, value in zip(chunks(view, block), self.pieces(block), strict=True):
                    part.copy_(value)
        return found


def working_type(state: State) -> torch.dtype:
    """The type that blocks of a model are worked on in: float64 (`arithmetic`) of one that is held,
    of lazily read parameters float64 where they are stored so and float32 otherwise.
    """
    if not is_lazy(state):
        return precise_type(find_device(state))
    stored = {tensor.dtype for tensor in shapes(state).values()}
    return torch.float64 if stored == {torch.float64} else torch.float32


def rescaled(layout: Layout, state: State, factors: Mapping[str, float]) -> State:
    """Parameters some blocks of which are multiplied by a number; lazy where they are, else a copy
    in the type that is worked in.

    Args:
        layout: of the model.
        state: its parameters.
        factors: by name of block.
    """
    dtype = working_type(state)
    if not is_lazy(state):
        held = {
            name: tensor.to(dtype, copy=True, memory_format=torch.contiguous_format)
            for name, tensor in state.items()
        }
        for name, factor in factors.items():
            layout.view(held, layout.by_name[name]).mul_(factor)
        return held

    def make(block: Block) -> Iterator[Tensor]:
        factor = factors.get(block.name, 1.0)
        for part in read_pieces(layout, state, block):
            yield part.to(dtype) if factor == 1 else part.to(dtype) * factor

    return PiecedState(layout, state, make, dtype)


def cut_again(parts: Iterable[Tensor], cut: tuple[int, int] | None) -> Iterator[Tensor]:
    """The pieces of a block cut at other places.

    Args:
        parts: all pieces, cut along the same axis, or the whole block.
        cut: the axis, and the places of each piece but the last (`find_cut`); None for one piece.
    """
    if cut is None:
        yield from parts
        return
    axis, count = cut
    left: Tensor | None = None
    for part in parts:
        pieces = list((part if left is None else torch.cat([left, part], axis)).split(count, axis))
        left = pieces.pop() if pieces[-1].shape[axis] < count else None
        yield from pieces
    if left is not None:
        yield left


def moved(
    layout: Layout, state: State, alignment: Alignment, dtype: torch.dtype = torch.float32
) -> PiecedState:
    """Parameters where an alignment brings them.

    Args:
        layout: of the model.
        state: its parameters, lazily read.
        alignment: that moves them.
        dtype: that they are moved in, and come in.
    """
    moving = {
        name: converted(element, CPU, dtype)
        for name, element in alignment.elements.items()
        if not is_identity(element)
    }

    def make(block: Block) -> Iterator[Tensor]:
        for part in read_pieces(layout, state, block):
            yield act_on_block(layout, block, part.to(dtype), moving)

    return PiecedState(layout, state, make, dtype)


def mean(layout: Layout, states: Sequence[State], dtype: torch.dtype = torch.float32) -> State:
    """The mean of the parameters of several models, as a running mean: x_1, then after each further
    one x + (x_k - x) / k.

    Args:
        layout: of all of them.
        states: their parameters, lazily read; one at a time is.
        dtype: that the mean comes in.
    """

    def make(block: Block) -> Iterator[Tensor]:
        found = [part.to(dtype, copy=True) for part in read_pieces(layout, states[0], block)]
        for number, state in enumerate(states[1:], 2):
            for part, other in zip(found, read_pieces(layout, state, block), strict=True):
                part.lerp_(other.to(dtype), 1 / number)
        while found:  # let go of what has been looked at
            yield found.pop(0)

    return PiecedState(layout, states[0], make, dtype)
