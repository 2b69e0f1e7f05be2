"""Charts: smooth parameters of the maps near the identity, for learning with gradients. No
projection, no decomposition.

    orthogonal   T = (I + S)^-1 (I - S),  S = X - X^T (Cayley 1846); on the complement of 1 where
                 that is kept
    invertible   T = exp(X'),  T^-1 = exp(-X')
    rotation     each rotary pair by exp(i phi); the other coordinates by a Cayley map
    rotary       each rotary pair by exp(s' + i phi); the other coordinates by exp(X')
    scales       T = diag(exp s')

All parameters are zero at the identity. The gradient of a singular value decomposition is not
finite there, that of a Cayley map and of the exponential is; and both are invertible wherever they
are defined, so nothing has to be projected back. The differential of a Cayley map is
dT = -(I + T) dS (I + T) / 2, as I + T = 2 (I + S)^-1; no system is solved for it.

Maps that stretch could run away: a loss between two models may fall for ever as one side grows and
the other shrinks, until float32 no longer carries the product. So their symmetric part H = (X +
X^T) / 2, and likewise s, is held below a bound c,

    X' = (X - X^T) / 2 + f H,    f = (1 + tr (H / c)^p)^(-1/p),
    s' = s (1 + (s / c)^p)^(-1/p),    p = 16.

(tr H^p)^(1/p) is at least the largest |eigenvalue| of H and at most n^(1/p) times that, so f H has
eigenvalues below c, and |exp(X')|_2 <= exp(largest eigenvalue of the symmetric part of X')
(Dahlquist 1958, Lozinskii 1958: along dx/dt = X x, d|x|^2/dt = 2 <x, H x>). So all singular values
of T lie between exp(-c) and exp(c), and its condition number is below exp(2 c), wherever gradients
lead. The trace is smooth, zero included, and while it is below 2^-p, X' differs from X by less than
a millionth of H. Rotations, which keep lengths, are not held.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from lmc_core.matching.learned.moved_state import Slopes
from lmc_core.symmetry.elements import (
    Element,
    Invertible,
    Monomial,
    Orthogonal,
    ones_complement,
    rotary_matrix,
)
from lmc_core.symmetry.spaces import Classes, Pairs, Space, SymmetryClass, class_of

ROTATES = {SymmetryClass.ORTHOGONAL, SymmetryClass.ROTATION}
SMOOTH = {
    *(
        SymmetryClass.ORTHOGONAL,
        SymmetryClass.INVERTIBLE,
        SymmetryClass.ROTATION,
        SymmetryClass.ROTARY,
    ),
    *(SymmetryClass.SCALES, SymmetryClass.SCALED),
}
STRETCH = 4.0  # c, chosen on held-out data (docs/LOG.md); condition numbers stay below 3,000
POWER = 16  # p, a power of two
SQUARINGS = 6  # of an exponential at the most, for matrices of norms below 64


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]


class _Cayley(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, skew: Tensor) -> Tensor:
        one = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
        # the matrix is never singular, so that no device waits for a check of it
        found, _ = torch.linalg.solve_ex(one + skew, one - skew)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> Tensor:
        (found,) = ctx.saved_tensors
        one = torch.eye(found.shape[-1], dtype=found.dtype, device=found.device)
        side = (one + found).mT
        return -0.5 * side @ gradients[0] @ side


def cayley(skew: Tensor) -> Tensor:
    """(I + S)^-1 (I - S) of skew matrices `[..., n, n]`: a rotation without the eigenvalue -1."""
    return _Cayley.apply(skew)


def exponentials(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """exp(X) and exp(-X) of matrices `[..., n, n]`.

    In float32 both from the even and the odd part of one series of degree 12 of X / 2^s, squared s
    times. Where |X| <= 2^s the first term that is left out is below 1 / 13! = 2e-10 (Moler and Van
    Loan 2003, method 3). On other devices than the CPU s is 6, so that none waits for a norm.
    """
    if matrix.dtype != torch.float32:
        return torch.matrix_exp(matrix), torch.matrix_exp(-matrix)
    squarings = SQUARINGS
    if matrix.device.type == "cpu":
        norm = float(torch.linalg.matrix_norm(matrix.detach(), 1).max()) if matrix.numel() else 0.0
        if not norm < 2.0**SQUARINGS:  # far from what learning reaches, or not finite
            return torch.matrix_exp(matrix), torch.matrix_exp(-matrix)
        squarings = max(0, math.ceil(math.log2(norm))) if norm > 0 else 0
    x = matrix / 2**squarings
    square = x @ x
    fourth = square @ square
    sixth = square @ fourth
    one = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    low = [one + square / 2 + fourth / 24, one + square / 6 + fourth / 120]
    high = [
        (one / 720 + square / 40320 + fourth / 3628800 + sixth / 479001600),
        (one / 5040 + square / 362880 + fourth / 39916800),
    ]
    even, odd = (small + sixth @ large for small, large in zip(low, high, strict=True))
    odd = x @ odd
    there, back = even + odd, even - odd
    for _ in range(squarings):
        there, back = there @ there, back @ back
    return there, back


def held(matrix: Tensor, bound: float) -> Tensor:
    """Matrices `[..., n, n]` whose symmetric part is held below a bound: X' of the module, X itself
    where f rounds to 1.
    """
    symmetric = (matrix + matrix.mT) / 2
    size = torch.linalg.matrix_norm(symmetric.detach(), keepdim=True)
    unit = (size / bound).clamp_min(1.0)  # of no effect but that nothing overflows
    power = torch.linalg.matrix_power(symmetric / (bound * unit), POWER // 2)
    total = unit**-POWER + power.square().sum((-2, -1), keepdim=True)
    factor = total ** (-1 / POWER) / unit
    return torch.where(factor == 1, matrix, (matrix - matrix.mT) / 2 + factor * symmetric)


def held_each(logarithms: Tensor, bound: float) -> Tensor:
    """Logarithms of scales, each held below a bound: s' of the module."""
    unit = (logarithms.detach().abs() / bound).clamp_min(1.0)
    total = unit**-POWER + (logarithms / (bound * unit)) ** POWER
    return logarithms * total ** (-1 / POWER) / unit


@dataclass(frozen=True)
class _Kind:
    """What spaces must share for their maps to be computed together."""

    chosen: SymmetryClass
    size: int
    fixes_ones: bool
    pairs: Pairs | None

    @property
    def rest(self) -> int:
        """Edge of the matrix of parameters: without the ones direction, without what is rotated."""
        if self.pairs is not None and self.chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
            return self.size - self.pairs.rotated
        return self.size - int(self.fixes_ones)


class Charts(nn.Module):
    """One map near the identity for every copy of every space whose chosen class is smooth.

    Spaces of one kind and size are computed together; parameters are `[copies, ...]`, one tensor
    per kind of space.

    Args:
        spaces: of the layout.
        classes: chosen class of each kind of space.
        dtype: of the parameters.
        stretch: c, what the logarithms of singular values stay below.
    """

    def __init__(
        self,
        spaces: Mapping[str, Space],
        classes: Classes,
        dtype: torch.dtype = torch.float32,
        stretch: float = STRETCH,
    ):
        super().__init__()
        self.classes, self.stretch = classes, stretch
        self._bases: dict[int, Tensor] = {}
        self.kinds: dict[_Kind, list[Space]] = {}
        for space in spaces.values():
            chosen = class_of(space, classes)
            if chosen in SMOOTH:
                kind = _Kind(chosen, space.size, space.fixes_ones, space.pairs)
                self.kinds.setdefault(kind, []).append(space)
        self.matrices, self.vectors = nn.ParameterDict(), nn.ParameterDict()
        for number, (kind, members) in enumerate(self.kinds.items()):
            copies = sum(space.copies for space in members)
            if kind.chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
                self.vectors[f"{number}_scale"] = nn.Parameter(
                    torch.zeros(copies, kind.size, dtype=dtype)
                )
                continue
            if kind.rest:
                self.matrices[f"{number}"] = nn.Parameter(
                    torch.zeros(copies, kind.rest, kind.rest, dtype=dtype)
                )
            if kind.chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
                assert kind.pairs is not None
                turns = torch.zeros(copies, kind.pairs.rotated // 2, dtype=dtype)
                self.vectors[f"{number}_angle"] = nn.Parameter(turns)
                if kind.chosen is SymmetryClass.ROTARY:
                    self.vectors[f"{number}_scale"] = nn.Parameter(turns.clone())

    def elements(self) -> dict[str, Element]:
        """The maps by name of space, differentiable; spaces without a smooth class are left out."""
        found: dict[str, Element] = {}
        for number, (kind, members) in enumerate(self.kinds.items()):
            together = self._of(f"{number}", kind)
            start = 0
            for space in members:
                part = [
                    t[start : start + space.copies] if space.within is not None else t[start]
                    for t in together
                ]
                start += space.copies
                if kind.chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
                    indices = torch.arange(space.size, device=part[0].device).expand(part[0].shape)
                    found[space.name] = Monomial(indices, part[0])
                else:
                    found[space.name] = (
                        Orthogonal(part[0])
                        if kind.chosen in ROTATES
                        else Invertible(part[0], part[1])
                    )
        return found

    def pull(self, elements: Mapping[str, Element], slopes: Slopes) -> None:
        """Give all parameters their gradients.

        Args:
            elements: as `elements` returned them, with scales in other maps where permutations move
                too.
            slopes: of the loss for them.
        """
        slopes.finish()
        outputs, gradients = [], []
        for name, factor in slopes.factors.items():
            element = elements[name]
            assert isinstance(element, Orthogonal | Invertible)
            outputs.append(element.values)
            inverse = (
                element.values if isinstance(element, Orthogonal) else element.inverse_values.mT
            )
            gradients.append(factor.to(inverse) @ inverse.detach())
        for name, slope in slopes.scales.items():
            element = elements[name]
            assert isinstance(element, Monomial)
            if element.scales.requires_grad:
                outputs.append(element.scales)
                gradients.append(slope.to(element.scales) / element.scales.detach())
        if outputs:
            torch.autograd.backward(outputs, gradients)

    def _basis(self, size: int, like: Tensor) -> Tensor:
        """The complement of the ones vector, brought to a device once."""
        if self._bases.get(size) is None or self._bases[size].device != like.device:
            self._bases[size] = ones_complement(size).to(like)
        return self._bases[size]

    def _of(self, name: str, kind: _Kind) -> tuple[Tensor, ...]:
        if kind.chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
            return (held_each(self.vectors[f"{name}_scale"], self.stretch).exp(),)
        if kind.rest:
            matrix = self.matrices[name]
            if kind.chosen in ROTATES:
                matrix = cayley(matrix - matrix.mT)
                maps: tuple[Tensor, ...] = (matrix,)
            else:
                matrix = held(matrix, self.stretch)
                maps = exponentials(matrix)
        else:
            angle = self.vectors[f"{name}_angle"]
            maps = (angle.new_zeros(len(angle), 0, 0),) * (1 if kind.chosen in ROTATES else 2)
        if kind.chosen is SymmetryClass.ORTHOGONAL and kind.fixes_ones:
            basis = self._basis(kind.size, maps[0])
            return (basis @ maps[0] @ basis.mT + 1 / kind.size,)
        if kind.chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
            assert kind.pairs is not None
            angle = self.vectors[f"{name}_angle"]
            scale = torch.zeros_like(angle)
            if kind.chosen is SymmetryClass.ROTARY:
                scale = held_each(self.vectors[f"{name}_scale"], self.stretch)
            factors = [torch.polar(scale.exp(), angle), torch.polar((-scale).exp(), -angle)]
            return tuple(
                rotary_matrix(kind.pairs, factor, rest)
                for factor, rest in zip(factors, maps, strict=False)
            )
        return maps
