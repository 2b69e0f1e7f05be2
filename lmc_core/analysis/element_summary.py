"""What a group element does to its space, as numbers: who moved, the angles, the stretch, the
distance to staying.

Angles are the arguments of the eigenvalues of the orthogonal factor U of T = U P (polar
decomposition; U = T for orthogonal maps), which lie on the unit circle. For every pair of conjugate
ones, U is a rotation by that angle in a plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.spaces import Space, SymmetryClass

LARGEST = 4096  # coordinates up to which eigenvalues and singular values are computed


@dataclass(frozen=True)
class ElementSummary:
    """One element, copy by copy.

    Attributes:
        distance: |T - I| / n^1/2 (Frobenius): 0 when nothing moved, 2^1/2 for a permutation without
            fixed points and on average for a random rotation, `[copies]`.
        moved: coordinates that changed places, int64 `[copies]`; None for maps that mix.
        flipped: coordinates with a negative sign, int64 `[copies]`; None for maps that mix.
        angles: in degrees, in (-180, 180], increasing, `[copies, n]`; None for maps that reorder.
        singular: singular values, decreasing, `[copies, n]`.
        factors: one complex number for each rotary pair, `[copies, pairs]`; None for other spaces.
    """

    distance: Tensor
    moved: Tensor | None
    flipped: Tensor | None
    angles: Tensor | None
    singular: Tensor | None
    factors: Tensor | None

    @property
    def condition(self) -> Tensor | None:
        """Largest over smallest singular value, `[copies]`."""
        return None if self.singular is None else self.singular[:, 0] / self.singular[:, -1]


def summarise_element(space: Space, element: Element, chosen: SymmetryClass) -> ElementSummary:
    """Describe an element of a space.

    Args:
        space: where it acts.
        element: what acts.
        chosen: the class it was taken from.
    """
    if isinstance(element, Permutation | Monomial):
        indices = element.indices.reshape(-1, space.size)
        scales = (
            element.scales.reshape(-1, space.size)
            if isinstance(element, Monomial)
            else torch.ones(indices.shape).double()
        )
        stay = indices == torch.arange(space.size)
        squares = torch.where(stay, (scales - 1).square(), scales.square() + 1)
        return ElementSummary(
            (squares.sum(-1) / space.size).sqrt(),
            (~stay).sum(-1),
            (scales < 0).sum(-1),
            None,
            scales.abs().sort(-1, descending=True).values,
            _factors(space, element.matrix(), chosen),
        )
    matrix = element.matrix().double().reshape(-1, space.size, space.size)
    away = matrix - torch.eye(space.size, dtype=torch.float64)
    distance = away.square().sum((-2, -1)).div(space.size).sqrt()
    if space.size > LARGEST:
        return ElementSummary(distance, None, None, None, None, None)
    left, singular, right = torch.linalg.svd(matrix)
    turns = torch.linalg.eigvals(left @ right).angle().rad2deg()
    turns = torch.where(turns <= -180 + 1e-6, 180.0, turns)  # one name for a reflection
    return ElementSummary(
        distance, None, None, turns.sort(-1).values, singular, _factors(space, matrix, chosen)
    )


def _factors(space: Space, matrix: Tensor, chosen: SymmetryClass) -> Tensor | None:
    """T on every rotary pair read as a complex number, `[copies, pairs]`."""
    rotary = (
        SymmetryClass.ROTARY,
        SymmetryClass.ROTATION,
        SymmetryClass.SIGNS,
        SymmetryClass.TURNS,
    )
    if space.pairs is None or chosen not in rotary:
        return None
    first, second = (torch.tensor(side) for side in space.pairs.indices())
    matrix = matrix.reshape(-1, space.size, space.size)
    return torch.complex(matrix[:, first, first], matrix[:, second, first])
