"""Group elements: maps of a space, one for a space or one for each of its copies.

Conventions. An element T of size n acts on column vectors. Along an axis that *writes* to the space
a tensor is multiplied by T, along an axis that *reads* from it by T^-T, so that reader times writer
is unchanged: (W T^-1)(T V) = W V. Along an axis that only keeps *order* (the gain of a norm, the
gate of a gated unit) just the reordering of T counts. A permutation is stored as indices p with (T
x)[i] = x[p[i]]. The elements of a space within another have one leading axis, of all its copies in
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.symmetry.arithmetic import brought, precise, precise_type, refined
from lmc_core.symmetry.spaces import Pairs, Space, SymmetryClass

Role = Literal["writes", "reads", "order"]


def _reorder(x: Tensor, indices: Tensor) -> Tensor:
    if indices.ndim == 1:
        # in the order that the numbers lie in, which takes a sixth of the time of going across it
        if x.ndim == 2 and x.stride(0) == 1 < x.stride(1):
            return x.mT.gather(1, indices.expand(x.shape[1], -1)).mT
        return x.index_select(0, indices)
    return torch.take_along_dim(x, indices[..., None].expand(*indices.shape, x.shape[-1]), -2)


@dataclass(frozen=True)
class Permutation:
    """Reordering of coordinates: (T x)[i] = x[indices[i]].

    Attributes:
        indices: int64 `[n]`, or `[copies, n]`.
    """

    indices: Tensor
    kind = SymmetryClass.PERMUTATION

    def matrix(self) -> Tensor:
        """The permutation matrix, float64 `[..., n, n]`."""
        return precise(torch.nn.functional.one_hot(self.indices, self.indices.shape[-1]))

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act on `[n, k]`, or on `[copies, n, k]` copy by copy. T^-T = T for a permutation."""
        return _reorder(x, self.indices)

    def inverse(self) -> Permutation:
        """T^-1."""
        return Permutation(self.indices.argsort(-1))

    def select(self, copies: Tensor) -> Permutation:
        """Reorder the copies."""
        return Permutation(self.indices[copies])

    def tensors(self) -> dict[str, Tensor]:
        """What is stored."""
        return {"indices": self.indices}


@dataclass(frozen=True)
class Monomial:
    """Reordering with a factor for every coordinate, a sign or a scale: (T x)[i] = scales[i]
    x[indices[i]].

    Attributes:
        indices: int64 `[n]`, or `[copies, n]`.
        scales: float64 of the same shape, none of them zero.
    """

    indices: Tensor
    scales: Tensor
    kind = SymmetryClass.SCALED

    def matrix(self) -> Tensor:
        """T."""
        return self.scales[..., None] * Permutation(self.indices).matrix()

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act on `[n, k]`, or on `[copies, n, k]` copy by copy; an axis that reads is divided by
        the factors.
        """
        moved = _reorder(x, self.indices)
        if role == "order":
            return moved
        return moved * (1 / self.scales if role == "reads" else self.scales)[..., None]

    def inverse(self) -> Monomial:
        """T^-1."""
        back = self.indices.argsort(-1)
        return Monomial(back, 1 / self.scales.gather(-1, back))

    def select(self, copies: Tensor) -> Monomial:
        """Reorder the copies."""
        return Monomial(self.indices[copies], self.scales[copies])

    def tensors(self) -> dict[str, Tensor]:
        """What is stored."""
        return {"indices": self.indices, "scales": self.scales}


@dataclass(frozen=True)
class Orthogonal:
    """Rotation or reflection: T^T T = I.

    Attributes:
        values: float64 `[n, n]`, or `[copies, n, n]`.
    """

    values: Tensor
    kind = SymmetryClass.ORTHOGONAL

    def matrix(self) -> Tensor:
        """T."""
        return self.values

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act on `[n, k]`, or on `[copies, n, k]` copy by copy. T^-T = T for an orthogonal map."""
        return self.values @ x

    def inverse(self) -> Orthogonal:
        """T^-1 = T^T."""
        return Orthogonal(self.values.mT)

    def select(self, copies: Tensor) -> Orthogonal:
        """Reorder the copies."""
        return Orthogonal(self.values[copies])

    def tensors(self) -> dict[str, Tensor]:
        """What is stored."""
        return {"values": self.values}


@dataclass(frozen=True)
class Invertible:
    """Any invertible map, kept together with its inverse; the maps that rotary positions leave are
    of this kind too.

    Attributes:
        values: float64 `[n, n]`, or `[copies, n, n]`.
        inverse_values: the inverse, same shape.
    """

    values: Tensor
    inverse_values: Tensor
    kind = SymmetryClass.INVERTIBLE

    @classmethod
    def of(cls, values: Tensor) -> Invertible:
        """Build from T alone; raises `BadInput` when T has no usable inverse."""
        if not bool((torch.linalg.cond(values) < 1e12).all()):
            raise BadInput(
                "An invertible map was expected; this one is singular to working precision."
            )
        return cls(values, torch.linalg.inv(values))

    def matrix(self) -> Tensor:
        """T."""
        return self.values

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act on `[n, k]`, or on `[copies, n, k]` copy by copy: by T, or by T^-T where the axis
        reads.
        """
        return (self.inverse_values.mT if role == "reads" else self.values) @ x

    def inverse(self) -> Invertible:
        """T^-1."""
        return Invertible(self.inverse_values, self.values)

    def select(self, copies: Tensor) -> Invertible:
        """Reorder the copies."""
        return Invertible(self.values[copies], self.inverse_values[copies])

    def tensors(self) -> dict[str, Tensor]:
        """What is stored."""
        return {"values": self.values, "inverse_values": self.inverse_values}


Element = Permutation | Monomial | Orthogonal | Invertible


def converted(
    element: Element,
    device: torch.device | str,
    dtype: torch.dtype | None = None,
    fixes_ones: bool = False,
) -> Element:
    """An element on a device, its numbers of a type; of that worked in there by default.

    An orthogonal map found in float32 is made orthogonal to rounding in float64, and keeps the ones
    vector to rounding where its space has it kept (`fixes_ones`).
    """
    dtype = precise_type(device) if dtype is None else dtype
    moved = {
        key: brought(tensor, device, dtype if tensor.is_floating_point() else tensor.dtype)
        for key, tensor in element.tensors().items()
    }
    if isinstance(element, Orthogonal):
        values = moved["values"]
        if values.dtype is torch.float64 and element.values.dtype is torch.float32:
            values = _keeping_ones(values) if fixes_ones else values
            moved["values"] = refined(refined(values))  # 1e-7 to 1e-14 to rounding
    return type(element)(**moved)


def _keeping_ones(values: Tensor) -> Tensor:
    """C T C + 11^T / n of maps `[..., n, n]`, C = 1 - 11^T / n: T but for what it does to the ones
    vector.
    """
    values = values - values.mean(-1, keepdim=True)
    return values - values.mean(-2, keepdim=True) + 1 / values.shape[-1]


def identity(space: Space, device: torch.device | str = "cpu") -> Permutation:
    """The element that changes nothing."""
    indices = torch.arange(space.size, device=device)
    return Permutation(indices if space.within is None else indices.expand(space.copies, -1))


def compose(second: Element, first: Element) -> Element:
    """The element that acts like `first`, then `second`: T = T2 T1. Its class is the larger of the
    two.
    """
    if isinstance(first, Permutation) and isinstance(second, Permutation):
        return Permutation(first.indices.gather(-1, second.indices))
    if isinstance(first, Permutation | Monomial) and isinstance(second, Permutation | Monomial):
        scales = precise(torch.ones_like(second.indices))
        if isinstance(second, Monomial):
            scales = scales * second.scales
        if isinstance(first, Monomial):
            scales = scales * first.scales.gather(-1, second.indices)
        return Monomial(first.indices.gather(-1, second.indices), scales)
    values = second.matrix() @ first.matrix()
    if isinstance(first, Orthogonal | Permutation) and isinstance(second, Orthogonal | Permutation):
        return Orthogonal(values)
    return Invertible(values, first.inverse().matrix() @ second.inverse().matrix())


def ones_complement(size: int, device: torch.device | str = "cpu") -> Tensor:
    """Orthonormal basis `[n, n-1]` of the vectors whose coordinates sum to zero (Helmert's), in the
    type that is worked in.
    """
    rows = precise(torch.arange(1, size, device=device))
    basis = torch.tril(rows.new_ones(size - 1, size))
    basis.diagonal(1).copy_(-rows)
    return (basis / (rows * (rows + 1)).sqrt()[:, None]).mT


def pair_indices(pairs: Pairs, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """The first and the second coordinates of all rotary pairs, int64 `[rotated / 2]` each."""
    first, second = torch.tensor(pairs.indices()).to(device)
    return first, second


def rotary_matrix(pairs: Pairs, factors: Tensor, rest: Tensor) -> Tensor:
    """The matrix that multiplies each rotary pair, read as a complex number, by a factor, and the
    other coordinates by `rest`.

    A rotary position encoding multiplies pair j of every query and key by exp(i m theta_j); complex
    numbers commute, so this is all that passes through it (reflections and exchanges of pairs do
    not).

    Args:
        pairs: which coordinates are pairs.
        factors: complex `[..., rotated / 2]`.
        rest: `[..., n - rotated, n - rotated]`.

    Returns:
        `[..., n, n]`, in the precision of `rest`.
    """
    size = pairs.rotated + rest.shape[-1]
    first, second = pair_indices(pairs, rest.device)
    matrix = rest.new_zeros(*factors.shape[:-1], size, size)
    matrix[..., first, first] = factors.real
    matrix[..., second, second] = factors.real
    matrix[..., second, first] = factors.imag
    matrix[..., first, second] = -factors.imag
    matrix[..., pairs.rotated :, pairs.rotated :] = rest
    return matrix


def pair_signs(space: Space, signs: Tensor) -> Tensor:
    """One sign per rotary pair `[..., rotated / 2]`, spread over all coordinates of the space
    `[..., n]`; others keep 1.
    """
    assert space.pairs is not None
    first, second = pair_indices(space.pairs, signs.device)
    result = precise(signs.new_ones(*signs.shape[:-1], space.size))
    result[..., first] = signs
    result[..., second] = signs
    return result


def quarter_turns(space: Space, turns: Tensor) -> Monomial:
    """Turn every rotary pair by a number of right angles, int64 `[..., rotated / 2]`; other
    coordinates stay.
    """
    assert space.pairs is not None
    first, second = pair_indices(space.pairs, turns.device)
    indices = torch.arange(space.size, device=turns.device).repeat(*turns.shape[:-1], 1)
    scales = precise(torch.ones_like(indices))
    odd = turns % 2 == 1
    indices[..., first] = torch.where(odd, second, first)
    indices[..., second] = torch.where(odd, first, second)
    # cosine, or minus the sine
    scales[..., first] = scales.new_tensor([1.0, -1.0, -1.0, 1.0])[turns]
    # cosine, or the sine
    scales[..., second] = scales.new_tensor([1.0, 1.0, -1.0, -1.0])[turns]
    return Monomial(indices, scales)


def random_element(space: Space, chosen: SymmetryClass, generator: torch.Generator) -> Element:
    """Draw an element: uniform permutations and signs, scales in [1/3, 3], Haar orthogonal maps,
    condition number at most 9.

    Orthogonal maps of a space that `fixes_ones` are Haar on the complement of the all-ones vector.

    Raises:
        Inadmissible: if the space does not admit the class.
    """
    space.require(chosen)
    draw, n = _Draw(space, generator), space.size
    if chosen is SymmetryClass.NONE:
        return identity(space)
    if chosen is SymmetryClass.SIGNS:
        pairs = space.pairs
        factors = draw.signs(n) if pairs is None else draw.signs(pairs.rotated // 2)
        factors = factors if pairs is None else pair_signs(space, factors)
        return Monomial(identity(space).indices, factors)
    if chosen is SymmetryClass.TURNS:
        return quarter_turns(space, draw.quarters())
    if chosen is SymmetryClass.SCALES:
        return Monomial(identity(space).indices, draw.scales(n))
    if chosen in (SymmetryClass.PERMUTATION, SymmetryClass.SIGNED, SymmetryClass.SCALED):
        indices = draw.order()
        if chosen is SymmetryClass.PERMUTATION:
            return Permutation(indices)
        scales = torch.ones(indices.shape, dtype=torch.float64)
        if chosen is SymmetryClass.SCALED:
            scales = draw.scales(n)
        return Monomial(indices, scales if space.positive else scales * draw.signs(n))
    if chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
        return draw.rotary(chosen)
    if chosen is SymmetryClass.ORTHOGONAL:
        if not space.fixes_ones:
            return Orthogonal(draw.rotation(n))
        basis = ones_complement(n)
        return Orthogonal(basis @ draw.rotation(n - 1) @ basis.mT + 1 / n)
    return Invertible(*draw.linear(n))


class _Draw:
    """Draws the parts that elements of a space are made of, one set for each of its copies."""

    def __init__(self, space: Space, generator: torch.Generator):
        self.space, self.generator = space, generator
        self.shape = () if space.within is None else (space.copies,)

    def rotation(self, size: int) -> Tensor:
        """Haar orthogonal maps."""
        shape = (*self.shape, size, size)
        q, r = torch.linalg.qr(torch.randn(shape, generator=self.generator, dtype=torch.float64))
        return q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]

    def scales(self, size: int) -> Tensor:
        """Factors in [1/3, 3]."""
        shape = (*self.shape, size)
        return 3 ** (2 * torch.rand(shape, generator=self.generator, dtype=torch.float64) - 1)

    def signs(self, size: int) -> Tensor:
        """Numbers 1 and -1."""
        return torch.randint(2, (*self.shape, size), generator=self.generator).double() * 2 - 1

    def order(self) -> Tensor:
        """Permutations."""
        return torch.rand(*self.shape, self.space.size, generator=self.generator).argsort(-1)

    def quarters(self) -> Tensor:
        """How many quarter turns each rotary pair makes."""
        assert self.space.pairs is not None
        half = self.space.pairs.rotated // 2
        return torch.randint(4, (*self.shape, half), generator=self.generator)

    def linear(self, size: int) -> tuple[Tensor, Tensor]:
        """Maps of condition number at most 9, and their inverses."""
        scales, left, right = self.scales(size), self.rotation(size), self.rotation(size)
        return (left * scales[..., None, :]) @ right, right.mT @ (left / scales[..., None, :]).mT

    def rotary(self, chosen: SymmetryClass) -> Element:
        """Rotations of the rotary pairs, scaled where the class has scales, and a map of the other
        coordinates.
        """
        pairs = self.space.pairs
        assert pairs is not None
        half, others = pairs.rotated // 2, self.space.size - pairs.rotated
        turn = torch.polar(
            torch.ones(*self.shape, half, dtype=torch.float64),
            6.283 * torch.rand(*self.shape, half, generator=self.generator).double(),
        )
        if chosen is SymmetryClass.ROTATION:
            return Orthogonal(rotary_matrix(pairs, turn, self.rotation(others)))
        factors = turn * self.scales(half)
        values, inverse = self.linear(others)
        return Invertible(
            rotary_matrix(pairs, factors, values), rotary_matrix(pairs, 1 / factors, inverse)
        )
