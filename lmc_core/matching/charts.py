"""Charts: smooth parameters of the maps near the identity, for learning with gradients. No projection, no decomposition.

    orthogonal   T = (I + S)^-1 (I - S),  S = X - X^T (Cayley 1846); on the complement of 1 where that is kept
    invertible   T = exp(X),  T^-1 = exp(-X)
    rotation     each rotary pair by exp(i phi); the other coordinates by a Cayley map
    rotary       each rotary pair by exp(s + i phi); the other coordinates by exp(X)
    scales       T = diag(exp s)

All parameters are zero at the identity. The gradient of a singular value decomposition is not finite there, that of a Cayley
map and of the exponential is; and both are invertible wherever they are defined, so nothing has to be projected back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmc_core.symmetry.elements import Element, Invertible, Monomial, Orthogonal, ones_complement, rotary_matrix
from lmc_core.symmetry.spaces import Classes, Pairs, Space, SymmetryClass, class_of

ROTATES = {SymmetryClass.ORTHOGONAL, SymmetryClass.ROTATION}
SMOOTH = {
    *(SymmetryClass.ORTHOGONAL, SymmetryClass.INVERTIBLE, SymmetryClass.ROTATION, SymmetryClass.ROTARY),
    *(SymmetryClass.SCALES, SymmetryClass.SCALED),
}


def cayley(skew: Tensor) -> Tensor:
    """(I + S)^-1 (I - S) of skew matrices `[..., n, n]`: a rotation without the eigenvalue -1."""
    one = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    return torch.linalg.solve(one + skew, one - skew)


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

    Spaces of one kind and size are computed together; parameters are `[copies, ...]`, one tensor per kind of space.

    Args:
        spaces: of the layout.
        classes: chosen class of each kind of space.
        dtype: of the parameters.
    """

    def __init__(self, spaces: Mapping[str, Space], classes: Classes, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.classes = classes
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
                self.vectors[f"{number}_scale"] = nn.Parameter(torch.zeros(copies, kind.size, dtype=dtype))
                continue
            if kind.rest:
                self.matrices[f"{number}"] = nn.Parameter(torch.zeros(copies, kind.rest, kind.rest, dtype=dtype))
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
                part = [t[start : start + space.copies] if space.within is not None else t[start] for t in together]
                start += space.copies
                if kind.chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
                    indices = torch.arange(space.size, device=part[0].device).expand(part[0].shape)
                    found[space.name] = Monomial(indices, part[0])
                else:
                    found[space.name] = Orthogonal(part[0]) if kind.chosen in ROTATES else Invertible(part[0], part[1])
        return found

    def _of(self, name: str, kind: _Kind) -> tuple[Tensor, ...]:
        if kind.chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
            return (self.vectors[f"{name}_scale"].exp(),)
        if kind.rest:
            matrix = self.matrices[name]
            if kind.chosen in ROTATES:
                matrix = cayley(matrix - matrix.mT)
                maps: tuple[Tensor, ...] = (matrix,)
            else:
                maps = torch.matrix_exp(matrix), torch.matrix_exp(-matrix)
        else:
            angle = self.vectors[f"{name}_angle"]
            maps = (angle.new_zeros(len(angle), 0, 0),) * (1 if kind.chosen in ROTATES else 2)
        if kind.chosen is SymmetryClass.ORTHOGONAL and kind.fixes_ones:
            basis = ones_complement(kind.size).to(maps[0])
            return (basis @ maps[0] @ basis.mT + 1 / kind.size,)
        if kind.chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
            assert kind.pairs is not None
            angle = self.vectors[f"{name}_angle"]
            scale = self.vectors[f"{name}_scale"] if kind.chosen is SymmetryClass.ROTARY else torch.zeros_like(angle)
            factors = [torch.polar(scale.exp(), angle), torch.polar((-scale).exp(), -angle)]
            return tuple(rotary_matrix(kind.pairs, factor, rest) for factor, rest in zip(factors, maps, strict=False))
        return maps
