"""A layout says which space each axis of each parameter lives in: symmetry as data.

A parameter is cut into *blocks*, tensors whose every axis lives in one space. The cut is written as
a pattern, one word per axis of the parameter once it is reshaped:

    +residual          the axis writes to the space `residual`
    -residual          the axis reads from it
    =residual          the axis keeps its order alone: permutations move it, signs and scales do
                       not, and under a map that mixes coordinates it must be constant (the gain of
                       a norm, the gate of a gated unit)
    0:16/24+query-key  an axis of length 24 whose first 16 places live in the space; the block is
                       those 16
    1/3                the axis has length 3 and this block is its slice number 1 (fused tensors)
    *                  an axis that no symmetry touches, of whatever length is left (tokens,
                       positions, pixels)
    [0:16/48]          first of all words: rows 0 to 15 of the 48 that the parameter's first axis
                       has; the other words cut these

GPT-2's fused `c_attn.weight` `[width, 3 width]` gives three blocks; the keys are "-residual 1/3
+heads.0 -query-key.0".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from lmc_core.errors import BadCheckpoint
from lmc_core.symmetry.spaces import Space

if TYPE_CHECKING:
    from torch import Tensor

    from lmc_core.symmetry.elements import Role

ROLES: dict[str, Role] = {"+": "writes", "-": "reads", "=": "order"}
_ROWS = re.compile(r"\[(\d+):(\d+)/(\d+)\] ")
_WORD = re.compile(r"(?:(\d+):(\d+)/(\d+))?([+=-])(\S+)|(\d+)/(\d+)|\*")
State: TypeAlias = "Mapping[str, Tensor]"


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
        ignores_mean_over: index of an axis of the block over whose mean the loss does not care (the
            classes of a head, since cross-entropy ignores a vector added to every row), or of
            several over whose common mean it does not; the mean is removed for matching alone.
    """

    name: str
    parameter: str
    pattern: str
    ignores_mean_over: int | tuple[int, ...] | None = None

    @cached_property
    def _words(self) -> list[re.Match[str]]:
        found = [
            (_WORD.fullmatch(word), word) for word in _ROWS.sub("", self.pattern, count=1).split()
        ]
        for match, word in found:
            if match is None:
                raise ValueError(
                    f"{word!r} in the pattern of {self.name!r} is no word of a pattern."
                )
        return [match for match, _ in found if match is not None]

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the block, without those that only slice the parameter."""
        return tuple(
            Axis(w[5], ROLES[w[4]]) if w[5] else Axis(None) for w in self._words if not w[7]
        )

    @cached_property
    def _rows(self) -> tuple[int, int, int] | None:
        """First row, end and number of all rows where the pattern names some of them."""
        match = _ROWS.match(self.pattern)
        return None if match is None else (int(match[1]), int(match[2]), int(match[3]))

    def rows_of(self, parameter: Tensor) -> Tensor:
        """The rows of the parameter that the pattern names, as a view; all of them where it names
        none.
        """
        return parameter if self._rows is None else parameter[self._rows[0] : self._rows[1]]

    def view_shape(self, spaces: Mapping[str, Space], elements: int) -> tuple[int, ...]:
        """The shape that the parameter, or the rows that are named, takes before slices are cut.

        Args:
            spaces: by name.
            elements: of the whole parameter.
        """
        if self._rows is not None:
            start, end, rows = self._rows
            elements = elements // rows * (end - start)
        sizes = [int(w[3] or w[7] or (spaces[w[5]].size if w[5] else -1)) for w in self._words]
        known = math.prod(size for size in sizes if size > 0)
        return tuple(elements // known if size < 0 else size for size in sizes)

    @cached_property
    def slices(self) -> tuple[int | slice, ...]:
        """The index that cuts the block out of the reshaped parameter."""
        return tuple(
            int(w[6]) if w[7] else slice(int(w[1]), int(w[2])) if w[3] else slice(None)
            for w in self._words
        )

    def axis(self, space: str) -> int:
        """Number of the first axis that lives in the space."""
        return [axis.space for axis in self.axes].index(space)

    @cached_property
    def twice(self) -> bool:
        """Whether two of its axes live in one space, so that it is not linear in that space's
        element.
        """
        names = [axis.space for axis in self.axes if axis.space]
        return len(set(names)) < len(names)


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
        """Raise `BadCheckpoint` naming the first parameter that is missing, too many, or of the
        wrong shape or type.
        """
        for name, shape in self.shapes.items():
            if name not in state:
                raise BadCheckpoint(f"The parameter {name!r} of a {self.family} model is missing.")
            if tuple(state[name].shape) != shape:
                raise BadCheckpoint(
                    f"The parameter {name!r} was expected with shape {list(shape)}; it has "
                    f"{list(state[name].shape)}."
                )
            if not state[name].is_floating_point():
                raise BadCheckpoint(
                    f"The parameter {name!r} has type {state[name].dtype}; floating-point numbers "
                    "are expected."
                )
        for name in state:
            if name not in self.shapes:
                raise BadCheckpoint(
                    f"The parameter {name!r} fits no place in a {self.family} model of this "
                    "configuration."
                )

    @cached_property
    def by_name(self) -> dict[str, Block]:
        """The blocks by their names."""
        return {block.name: block for block in self.blocks}

    def path(self, space: str) -> tuple[str, ...]:
        """The spaces that this one lives within, outermost first."""
        outer = self.spaces[space].within
        return () if outer is None else (*self.path(outer), outer)

    def view(self, state: State, block: Block) -> Tensor:
        """The block as a view into its parameter, one axis per space."""
        parameter = state[block.parameter]
        shape = block.view_shape(self.spaces, parameter.numel())
        return block.rows_of(parameter).view(shape)[block.slices]

    def read(self, state: State) -> dict[str, Tensor]:
        """All blocks by name, as views."""
        return {block.name: self.view(state, block) for block in self.blocks}

    def rows(self, tensor: Tensor, block: Block, *first: str) -> Tensor:
        """Put the axes of the named spaces first, in that order, and flatten the rest:
        `[n, ..., k]`.
        """
        return rows(tensor, [block.axis(name) for name in first])

    def unrows(self, values: Tensor, block: Block, shape: tuple[int, ...], *first: str) -> Tensor:
        """The inverse of `rows`, for a block of that shape."""
        return unrows(values, [block.axis(name) for name in first], shape)

    def copies(self, tensor: Tensor, block: Block, space: str) -> Tensor:
        """A block copy by copy of a space: `[copies, n, k]`, or `[n, k]` where the space is within
        no other.
        """
        found = self.rows(tensor, block, *self.path(space), space)
        return found.flatten(0, -3) if found.ndim > 2 else found

    def uncopies(self, values: Tensor, block: Block, shape: tuple[int, ...], space: str) -> Tensor:
        """The inverse of `copies`, for a block of that shape."""
        return self.unrows(values, block, shape, *self.path(space), space)


def rows(tensor: Tensor, first: Sequence[int]) -> Tensor:
    """Put the numbered axes first, in that order, and flatten the rest: `[n, ..., k]`."""
    moved = tensor.permute([*first, *(i for i in range(tensor.ndim) if i not in first)])
    return moved.reshape(*moved.shape[: len(first)], -1)


def unrows(values: Tensor, first: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """The inverse of `rows`, for a tensor of that shape."""
    order = [*first, *(i for i in range(len(shape)) if i not in first)]
    return values.reshape([shape[i] for i in order]).permute(
        [order.index(i) for i in range(len(shape))]
    )
