"""The exact solution of one space at a time: argmax over a group of <M, T> = sum_ij M[i, j] T[i,
j].

`M = a b^T` gathers what model A (rows) and model B (columns) have along the space. All in float64
(`symmetry.arithmetic`) and where M is; only assignments are solved on the CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.matching.polar import orthogonal_factor
from lmc_core.matching.sparse_assignment import assignment
from lmc_core.symmetry.elements import (
    Element,
    Monomial,
    Orthogonal,
    Permutation,
    ones_complement,
    pair_indices,
    pair_signs,
    quarter_turns,
    rotary_matrix,
)
from lmc_core.symmetry.spaces import Pairs, Space, SymmetryClass


def procrustes(similarity: Tensor, fixes_ones: bool = False) -> Tensor:
    """The orthogonal map that maximises <M, R>: R = U V^T for M = U S V^T (Schoenemann 1966),
    `[..., n, n]`.

    With `fixes_ones`, R is restricted to the maps with R 1 = 1: the same formula in the complement
    of the ones vector.
    """
    if not fixes_ones:
        return orthogonal_factor(similarity)
    size = similarity.shape[-1]
    basis = ones_complement(size, similarity.device)
    inner = procrustes(basis.mT @ similarity @ basis)
    return basis @ inner @ basis.mT + 1 / size


def rotations(similarity: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Maximise <M, T> over rotations of the rotary pairs and orthogonal maps of the other
    coordinates.

    With M read on one pair as (a, b; c, d), <M, rotation by phi> = (a + d) cos phi + (c - b) sin
    phi, so phi = arg((a + d) + i (c - b)) and the maximum is its modulus.

    Returns:
        T, float64 `[..., n, n]`, and the maximum `[...]`.
    """
    first, second = pair_indices(pairs, similarity.device)
    even = similarity[..., first, first] + similarity[..., second, second]
    odd = similarity[..., second, first] - similarity[..., first, second]
    modulus = torch.hypot(even, odd)
    scale = torch.where(modulus > 0, modulus, 1.0)
    factors = torch.complex(torch.where(modulus > 0, even / scale, 1.0), odd / scale)
    rest = similarity[..., pairs.rotated :, pairs.rotated :]
    value = modulus.sum(-1) + (torch.linalg.matrix_norm(rest, "nuc") if rest.shape[-1] else 0.0)
    return rotary_matrix(pairs, factors, procrustes(rest) if rest.shape[-1] else rest), value


def maximise(
    space: Space, chosen: SymmetryClass, similarity: Tensor, order: Tensor | None = None
) -> tuple[Element, Tensor]:
    """The element of a class that fits best, and how well: argmax and max of <M, T> (+ <M', |T|>).

    Scales are balanced before matching, so that of the classes that stretch only signs and
    rotations are left to find.

    Args:
        space: where.
        chosen: one of its classes.
        similarity: M, float64 `[n, n]`, or `[copies, n, n]` for a space within another.
        order: M', what counts whatever the signs are (gains, gates), same shape.

    Returns:
        The element, and the maximum, `[]` or `[copies]`.
    """
    diagonal = similarity.diagonal(dim1=-2, dim2=-1)
    extra = torch.zeros_like(similarity) if order is None else order
    if chosen in (SymmetryClass.ORTHOGONAL, SymmetryClass.INVERTIBLE):
        found = procrustes(similarity, space.fixes_ones)
        return Orthogonal(found), (found * similarity).sum((-2, -1)) + extra.diagonal(
            dim1=-2, dim2=-1
        ).sum(-1)
    if chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
        assert space.pairs is not None
        values, best = rotations(similarity, space.pairs)
        return Orthogonal(values), best
    indices = torch.arange(space.size, device=similarity.device).expand(diagonal.shape)
    if chosen in (SymmetryClass.NONE, SymmetryClass.SCALES):
        return Permutation(indices), (diagonal + extra.diagonal(dim1=-2, dim2=-1)).sum(-1)
    if chosen is SymmetryClass.SIGNS:
        each = diagonal
        if space.pairs is not None:
            first, second = pair_indices(space.pairs, similarity.device)
            each = pair_signs(space, diagonal[..., first] + diagonal[..., second])
        signs = torch.where(each < 0, -1.0, 1.0).to(each)
        return Monomial(indices, signs), (signs * diagonal + extra.diagonal(dim1=-2, dim2=-1)).sum(
            -1
        )
    if chosen is SymmetryClass.TURNS:
        assert space.pairs is not None
        first, second = pair_indices(space.pairs, similarity.device)
        even = diagonal[..., first] + diagonal[..., second]
        odd = similarity[..., second, first] - similarity[..., first, second]
        best, turns = torch.stack([even, odd, -even, -odd], -1).max(-1)
        return quarter_turns(space, turns), best.sum(-1) + diagonal[..., space.pairs.rotated :].sum(
            -1
        )
    free = chosen is not SymmetryClass.PERMUTATION and not space.positive
    value = (similarity.abs() if free else similarity) + extra
    if space.size > 1:
        indices = assignment(value)
    best = value.gather(-1, indices[..., None])[..., 0].sum(-1)
    if not free:
        return Permutation(indices), best
    signs = torch.where(similarity.gather(-1, indices[..., None])[..., 0] < 0, -1.0, 1.0)
    return Monomial(indices, signs.to(similarity)), best


def reach(space: Space, chosen: SymmetryClass, similarity: Tensor) -> Tensor:
    """The maximum of `maximise` alone, `[copies]`: of orthogonal maps the sum of singular values,
    without the vectors.
    """
    if chosen in (SymmetryClass.ORTHOGONAL, SymmetryClass.INVERTIBLE) and not space.fixes_ones:
        return torch.linalg.svdvals(similarity).sum(-1)
    return maximise(space, chosen, similarity)[1]
