"""Group elements: permutations, orthogonal and invertible maps, one for a space or one for each of its copies.

Conventions. An element T of size n acts on column vectors. Along an axis that *writes* to the space a tensor is multiplied by
T, along an axis that *reads* from it by T^-T, so that reader times writer is unchanged: (W T^-1)(T V) = W V. A permutation is
stored as indices p with (T x)[i] = x[p[i]]. A leading batch dimension holds one element per copy of the space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.symmetry.spaces import Space, SymmetryClass

Role = Literal["writes", "reads", "scales"]


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
        return torch.nn.functional.one_hot(self.indices, self.indices.shape[-1]).double()

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act on `[n, k]`, or on `[copies, n, k]` copy by copy. T^-T = T for a permutation."""
        if self.indices.ndim == 1:
            return x[self.indices]
        return torch.take_along_dim(x, self.indices[..., None].expand(*self.indices.shape, x.shape[-1]), 1)

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
    """Any invertible map, kept together with its inverse.

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
            raise BadInput("An invertible map was expected; this one is singular to working precision.")
        return cls(values, torch.linalg.inv(values))

    def matrix(self) -> Tensor:
        """T."""
        return self.values

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Act on `[n, k]`, or on `[copies, n, k]` copy by copy: by T, or by T^-T where the axis reads."""
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


Element = Permutation | Orthogonal | Invertible


def identity(space: Space) -> Permutation:
    """The element that changes nothing."""
    indices = torch.arange(space.size)
    return Permutation(indices if space.within is None else indices.expand(space.copies, -1))


def compose(second: Element, first: Element) -> Element:
    """The element that acts like `first`, then `second`: T = T2 T1. Its class is the larger of the two."""
    if isinstance(first, Permutation) and isinstance(second, Permutation):
        return Permutation(first.indices.gather(-1, second.indices))
    values = second.matrix() @ first.matrix()
    if isinstance(first, Invertible) or isinstance(second, Invertible):
        return Invertible(values, first.inverse().matrix() @ second.inverse().matrix())
    return Orthogonal(values)


def ones_complement(size: int) -> Tensor:
    """Orthonormal basis `[n, n-1]` of the vectors whose coordinates sum to zero (Helmert's), float64."""
    rows = torch.arange(1, size, dtype=torch.float64)
    basis = torch.tril(torch.ones(size - 1, size, dtype=torch.float64))
    basis[torch.arange(size - 1), torch.arange(1, size)] = -rows
    return (basis / (rows * (rows + 1)).sqrt()[:, None]).mT


def random_element(space: Space, chosen: SymmetryClass, generator: torch.Generator) -> Element:
    """Draw an element: uniform permutations, Haar orthogonal maps, invertible maps of condition number at most 9.

    Orthogonal maps of a space that `fixes_ones` are Haar on the complement of the all-ones vector.

    Raises:
        Inadmissible: if the class is too large for the space.
    """
    space.require(chosen)
    shape = () if space.within is None else (space.copies,)
    if chosen is SymmetryClass.NONE:
        return identity(space)
    if chosen is SymmetryClass.PERMUTATION:
        return Permutation(torch.rand(*shape, space.size, generator=generator).argsort(-1))

    def haar(n: int) -> Tensor:
        q, r = torch.linalg.qr(torch.randn(*shape, n, n, generator=generator, dtype=torch.float64))
        return q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]

    if chosen is SymmetryClass.ORTHOGONAL:
        if not space.fixes_ones:
            return Orthogonal(haar(space.size))
        basis = ones_complement(space.size)
        return Orthogonal(basis @ haar(space.size - 1) @ basis.mT + 1 / space.size)
    scales = 3 ** (2 * torch.rand(*shape, space.size, generator=generator, dtype=torch.float64) - 1)
    left, right = haar(space.size), haar(space.size)
    return Invertible((left * scales[..., None, :]) @ right, right.mT @ (left / scales[..., None, :]).mT)
