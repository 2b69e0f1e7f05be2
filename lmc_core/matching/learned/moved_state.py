"""Model B as a differentiable function of the elements that move it: blocks are cut once, moved and
put together each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lmc_core.symmetry.alignment import act_on_block
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import Block, Layout, State

Place = tuple[Block, tuple[int, ...]]  # a block, and its shape in the parameter


class MovedState:
    """The parameters of a model, moved by elements of some spaces.

    Args:
        layout: of the model.
        state: its parameters, in the precision and on the device that they are moved in.
        spaces: names of the spaces that will have an element.
    """

    def __init__(self, layout: Layout, state: State, spaces: Iterable[str]):
        self.layout, self.state = layout, state
        names = set(spaces)
        self.blocks: dict[str, list[Block]] = {}
        for block in layout.blocks:
            if any(axis.space in names for axis in block.axes):
                self.blocks.setdefault(block.parameter, []).append(block)
        self._views = {
            block.name: layout.view(state, block)
            for blocks in self.blocks.values()
            for block in blocks
        }

    def moved(self, elements: Mapping[str, Element]) -> dict[str, Tensor]:
        """The parameters that some element moves, by name; the others stay as they are in
        `state`.
        """
        found = {}
        for parameter, blocks in self.blocks.items():
            base = self.state[parameter]
            parts = [
                act_on_block(self.layout, block, self._views[block.name], elements)
                for block in blocks
            ]
            if len(parts) == 1 and parts[0].numel() == base.numel():
                found[parameter] = parts[0].reshape(base.shape)
                continue
            shapes = [block.view_shape(self.layout.spaces, base.numel()) for block in blocks]
            places = list(zip(blocks, shapes, strict=True))
            found[parameter] = _Assembled.apply(base, places, *parts)
        return found


class _Context(FunctionCtx):
    places: list[Place]


class _Assembled(torch.autograd.Function):
    """A parameter with some of its blocks replaced; one pass over it forwards, one backwards."""

    @staticmethod
    def forward(ctx: _Context, base: Tensor, places: list[Place], *parts: Tensor) -> Tensor:
        ctx.places = places
        whole = base.clone(memory_format=torch.contiguous_format)
        for (block, shape), part in zip(places, parts, strict=True):
            block.rows_of(whole).view(shape)[block.slices].copy_(part)
        return whole

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0].contiguous()
        views = [block.rows_of(gradient).view(shape)[block.slices] for block, shape in ctx.places]
        return (None, None, *views)
