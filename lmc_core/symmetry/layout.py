"""A layout says which space each axis of each parameter lives in: symmetry as data.

A parameter is cut into *blocks*, tensors whose every axis lives in one space. The cut is written as a pattern, one word per
axis of the parameter once it is reshaped:

    +residual        the axis writes to the space `residual`
    -residual        the axis reads from it
    =residual        the axis scales its coordinates one by one (the gain of a norm); permutations move it, and under any
                     larger class it must be constant
    1/3              the axis has length 3 and this block is its slice number 1 (fused tensors)
    *                an axis that no symmetry touches, of whatever length is left (tokens, positions, pixels)

GPT-2's fused `c_attn.weight` `[width, 3 width]` gives three blocks; the keys are "-residual 1/3 +heads.0 -query-key.0".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.symmetry.elements import Role
from lmc_core.symmetry.spaces import Space

ROLES: dict[str, Role] = {"+": "writes", "-": "reads", "=": "scales"}
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Axis:
    """One axis of a block: its space (None when no symmetry touches it) and what it does there."""

    space: str | None
    role: Role = "writes"


@dataclass(frozen=True)
class Block:
    """One tensor with an axis per space, cut out of a parameter.

    Attributes:
        name: unique in the layout, e.g. ``blocks.0.key.weight``.
        parameter: the name in the state dict (in memory, not on disk).
        pattern: see the module's docstring.
        ignores_mean_over: index of an axis of the block over whose mean the loss does not care (the classes of a head,
            since cross-entropy ignores a vector added to every row); the mean is removed for matching alone.
    """

    name: str
    parameter: str
    pattern: str
    ignores_mean_over: int | None = None

    def axes(self) -> tuple[Axis, ...]:
        """The axes of the block, without those that only slice the parameter."""
        words = [word for word in self.pattern.split() if "/" not in word]
        return tuple(Axis(None) if word == "*" else Axis(word[1:], ROLES[word[0]]) for word in words)

    def view_shape(self, spaces: Mapping[str, Space], elements: int) -> tuple[int, ...]:
        """The shape the whole parameter takes before slices are cut."""
        sizes = [
            -1 if word == "*" else int(word.split("/")[1]) if "/" in word else spaces[word[1:]].size
            for word in self.pattern.split()
        ]
        known = math.prod(size for size in sizes if size > 0)
        return tuple(elements // known if size < 0 else size for size in sizes)

    def slices(self) -> tuple[int | slice, ...]:
        """The index that cuts the block out of the reshaped parameter."""
        return tuple(int(word.split("/")[0]) if "/" in word else slice(None) for word in self.pattern.split())


@dataclass(frozen=True)
class Layout:
    """The spaces of a network and the blocks of all its parameters.

    Attributes:
        family: name of the family.
        spaces: by name; a space comes before those within it.
        blocks: every parameter is covered by at least one.
        shapes: of every parameter, for checking.
    """

    family: str
    spaces: Mapping[str, Space]
    blocks: tuple[Block, ...]
    shapes: Mapping[str, tuple[int, ...]]

    def check(self, state: State) -> None:
        """Raise `BadCheckpoint` naming the first parameter that is missing, too many, or of the wrong shape or type."""
        for name, shape in self.shapes.items():
            if name not in state:
                raise BadCheckpoint(f"The parameter {name!r} of a {self.family} model is missing.")
            if tuple(state[name].shape) != shape:
                raise BadCheckpoint(
                    f"The parameter {name!r} was expected with shape {list(shape)}; it has {list(state[name].shape)}."
                )
            if not state[name].is_floating_point():
                raise BadCheckpoint(
                    f"The parameter {name!r} has type {state[name].dtype}; floating-point numbers are expected."
                )
        for name in state:
            if name not in self.shapes:
                raise BadCheckpoint(
                    f"The parameter {name!r} fits no place in a {self.family} model; supported families are listed by "
                    "`lmc models`."
                )

    def view(self, state: State, block: Block) -> Tensor:
        """The block as a view into its parameter, one axis per space."""
        parameter = state[block.parameter]
        return parameter.view(block.view_shape(self.spaces, parameter.numel()))[block.slices()]

    def read(self, state: State) -> dict[str, Tensor]:
        """All blocks by name, as views."""
        return {block.name: self.view(state, block) for block in self.blocks}

    def write(self, state: State, blocks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A new state dict: that of `state` with the blocks put in their places."""
        result = {name: tensor.clone().contiguous() for name, tensor in state.items()}
        by_name = {block.name: block for block in self.blocks}
        for name, tensor in blocks.items():
            self.view(result, by_name[name]).copy_(tensor)
        return result

    def rows(self, tensor: Tensor, block: Block, *first: str) -> Tensor:
        """Put the axes of the named spaces first, in that order, and flatten the rest: `[n, ..., k]`."""
        names = [axis.space for axis in block.axes()]
        order = [names.index(name) for name in first]
        order += [i for i in range(tensor.ndim) if i not in order]
        moved = tensor.permute(order)
        return moved.reshape(*moved.shape[: len(first)], -1)

    def unrows(self, rows: Tensor, block: Block, shape: tuple[int, ...], *first: str) -> Tensor:
        """The inverse of `rows`, for a block of that shape."""
        names = [axis.space for axis in block.axes()]
        order = [names.index(name) for name in first]
        order += [i for i in range(len(shape)) if i not in order]
        back = [order.index(i) for i in range(len(shape))]
        return rows.reshape([shape[i] for i in order]).permute(back)
