"""Model B moved by elements of its spaces, one parameter at a time, and the derivative of a loss
for these elements from its gradient for the moved parameter.

A map is varied by a factor from the left, T -> (1 + W) T. Along an axis that writes, the moved
block Y then varies by W Y, along one that reads by -W^T Y, whatever acts on its other axes. So with
G = dL / dY, both cut along the axis,

    dL / dW = G Y^T (writes),    -Y G^T (reads),    dL / dT = (dL / dW) T^-T,

and nothing is needed but the moved block itself: no intermediate is kept, and no block is moved
twice. A permutation P is seen as a matrix in the same way: Y = P x, so dL / dP [i, p[j]] = (G Y^T)
[i, j], and with scales s the entry is multiplied by s[i] / s[j] (writes) or s[j] / s[i] (reads).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmc_core.models.mixing import in_single
from lmc_core.symmetry.elements import Element, Invertible, Monomial, Orthogonal, Permutation, Role
from lmc_core.symmetry.layout import Block, Layout, State, rows, unrows

HALF = (torch.bfloat16, torch.float16)
WIDE = 4  # a product of two wide matrices is taken once they are so many times as wide as high


@dataclass
class Slopes:
    """Derivatives of a loss for the maps of one model, by name of space; sums over its blocks.

    Attributes:
        probed: spaces whose permutations are probed.
        factors: dL / dW of maps that mix coordinates, `[n, n]` or `[copies, n, n]`.
        scales: dL / d log s of scales, `[n]` or `[copies, n]`.
        probes: dL / dP of permutations.
    """

    probed: Collection[str] = ()
    factors: dict[str, Tensor] = field(default_factory=dict)
    scales: dict[str, Tensor] = field(default_factory=dict)
    probes: dict[str, Tensor] = field(default_factory=dict)
    _waiting: dict[tuple[str, torch.dtype], list[tuple[Tensor, Tensor]]] = field(
        default_factory=dict
    )

    def gather(
        self, space: str, element: Element, role: Role, moved: Tensor, gradient: Tensor
    ) -> None:
        """Add what one axis of a block gives; both tensors `[n, k]` or `[copies, n, k]`."""
        if isinstance(element, Orthogonal | Invertible):
            if role == "order":  # it stays as it is
                return
            if role == "reads" and isinstance(element, Invertible):
                gradient, moved = -moved, gradient
            # of a rotation the skew part alone counts, and that of -Y G^T is that of G Y^T
            key = (space, torch.promote_types(gradient.dtype, moved.dtype))
            waiting = self._waiting.setdefault(key, [])
            waiting.append((gradient, moved))
            wide = 1 if key[1] in HALF else WIDE  # joining these costs more than it saves
            if sum(each.shape[-1] for each, _ in waiting) >= wide * moved.shape[-2]:
                self._multiply(key)
            return
        sign = {"writes": 1, "reads": -1, "order": 0}[role]
        if space in self.probed:
            product = in_single(gradient @ moved.mT)
            if isinstance(element, Monomial) and sign:
                _add(self.scales, space, sign * product.diagonal(dim1=-2, dim2=-1))
                power = element.scales if sign > 0 else 1 / element.scales
                product = product * power[..., :, None] / power[..., None, :]
            places = element.indices[..., None, :].expand_as(product)
            _add(self.probes, space, torch.zeros_like(product).scatter_(-1, places, product))
        elif isinstance(element, Monomial) and sign:
            _add(self.scales, space, sign * (gradient * moved).sum(-1))

    def finish(self) -> None:
        """Take the products that still wait for more."""
        for key in list(self._waiting):
            self._multiply(key)

    def _multiply(self, key: tuple[str, torch.dtype]) -> None:
        left, right = zip(*self._waiting.pop(key), strict=True)
        joined = [each[0] if len(each) == 1 else torch.cat(each, -1) for each in (left, right)]
        _add(self.factors, key[0], joined[0].to(key[1]) @ joined[1].to(key[1]).mT)


def _add(found: dict[str, Tensor], name: str, value: Tensor) -> None:
    if name in found:
        found[name] += value
    else:  # sums are in float32 at least
        found[name] = in_single(value)


@dataclass(frozen=True)
class _Axis:
    """An axis that moves: its space, what it does there, and what comes first where it is cut."""

    space: str
    role: Role
    first: tuple[int, ...]

    def cut(self, tensor: Tensor) -> Tensor:
        """`[n, k]` or `[copies, n, k]`."""
        found = rows(tensor, self.first)
        return found.flatten(0, -3) if found.ndim > 2 else found


class _Cut:
    """A block of a parameter, and its axes that move, outer spaces first."""

    def __init__(self, layout: Layout, block: Block, elements: int, names: Collection[str]):
        self.block, self.shape = block, block.view_shape(layout.spaces, elements)
        found = [
            (len(layout.path(axis.space)), position, axis)
            for position, axis in enumerate(block.axes)
            if axis.space in names and axis.space is not None
        ]
        self.axes = []
        for _, position, axis in sorted(found, key=lambda each: each[0]):
            assert axis.space is not None
            outer = (block.axis(each) for each in layout.path(axis.space))
            self.axes.append(_Axis(axis.space, axis.role, (*outer, position)))

    def view(self, parameter: Tensor) -> Tensor:
        """The block as a view into its parameter, as `Layout.view`."""
        return self.block.rows_of(parameter).view(self.shape)[self.block.slices]


def _act(element: Element, x: Tensor, role: Role) -> Tensor:
    """What an element makes of `[..., n, k]`, in half precision in the order that the numbers lie
    in: adding it to another parameter then takes an eighth of the time.
    """
    if not isinstance(element, Orthogonal | Invertible) or role == "order":
        return element.act(x, role)
    if x.dtype not in HALF or x.stride(-2) != 1:
        return element.act(x, role)
    if role == "reads" and isinstance(element, Invertible):
        return (x.mT @ element.inverse_values).mT
    return (x.mT @ element.values.mT).mT


class MovedState:
    """The parameters of a model, moved by elements of some spaces.

    Args:
        layout: of the model.
        state: its parameters, on the device that they are moved on; gains of spaces whose maps mix
            coordinates are constant (the canonical form).
        spaces: names of the spaces that will have an element.
        permuted: those of them that are permuted.
    """

    def __init__(
        self, layout: Layout, state: State, spaces: Iterable[str], permuted: Collection[str] = ()
    ):
        self.permuted = permuted
        names = set(spaces)
        self.cuts: dict[str, list[_Cut]] = {}
        for block in layout.blocks:
            cut = _Cut(layout, block, state[block.parameter].numel(), names)
            if cut.axes:
                self.cuts.setdefault(block.parameter, []).append(cut)

    def move(self, name: str, base: Tensor, elements: Mapping[str, Element]) -> Tensor:
        """A parameter with some values where the elements bring it."""
        whole = None
        for cut in self.cuts.get(name, ()):
            tensor = cut.view(base)
            for axis in cut.axes:
                element = elements[axis.space]
                if axis.role == "order" and not isinstance(element, Permutation | Monomial):
                    continue
                moved = _act(element, axis.cut(tensor), axis.role)
                tensor = unrows(moved, axis.first, tuple(tensor.shape))
            if tensor.numel() == base.numel():
                return tensor.reshape(base.shape)
            if whole is None:
                whole = base.clone(memory_format=torch.contiguous_format)
            cut.view(whole).copy_(tensor)
        return base if whole is None else whole

    def moves_rows(self, name: str) -> bool:
        """Whether a parameter is one block `[rows, n]` of which the second axis alone moves, by
        maps that mix coordinates.
        """
        cuts = self.cuts.get(name, [])
        return (
            len(cuts) == 1
            and len(cuts[0].block.axes) == len(cuts[0].shape) == 2
            and [axis.first for axis in cuts[0].axes] == [(1,)]
            and cuts[0].axes[0].role != "order"
            and cuts[0].axes[0].space not in self.permuted
        )

    def move_rows(self, name: str, elements: Mapping[str, Element], rows: Tensor) -> Tensor:
        """Some rows `[t, n]` of such a parameter where the elements bring them."""
        (axis,) = self.cuts[name][0].axes
        return _act(elements[axis.space], rows.mT, axis.role).mT

    def gather_rows(
        self,
        name: str,
        elements: Mapping[str, Element],
        moved: Tensor,
        gradient: Tensor,
        slopes: Slopes,
    ) -> None:
        """Add to `slopes` what a product of two factors `[n, t]` of such a parameter's gives."""
        (axis,) = self.cuts[name][0].axes
        slopes.gather(axis.space, elements[axis.space], axis.role, moved, gradient)

    def gather(
        self,
        name: str,
        elements: Mapping[str, Element],
        moved: Tensor,
        gradient: Tensor,
        slopes: Slopes,
    ) -> None:
        """Add to `slopes` what the gradient for a moved parameter gives."""
        moved, gradient = moved.contiguous(), gradient.contiguous()
        for cut in self.cuts.get(name, ()):
            here, there = cut.view(moved), cut.view(gradient)
            for axis in cut.axes:
                element = elements[axis.space]
                if not isinstance(element, Permutation) or axis.space in slopes.probed:
                    slopes.gather(axis.space, element, axis.role, axis.cut(here), axis.cut(there))
