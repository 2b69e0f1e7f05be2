"""The exact solution of one space at a time: argmax over a group of <M, T> = sum_ij M[i, j] T[i, j].

`M = a b^T` gathers what model A (rows) and model B (columns) have along the space. All in float64.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lmc_core.symmetry.elements import ones_complement
from lmc_core.symmetry.spaces import SymmetryClass


def assignment(similarity: Tensor) -> Tensor:
    """Indices p that maximise sum_i M[i, p[i]] (linear assignment, Jonker and Volgenant 1987), int64 `[n]`.

    Ties fall to the identity: a pull far below rounding of the entries is added to the diagonal.
    """
    values = similarity.numpy()
    scale = float(np.abs(values).max()) if values.size else 0.0
    pulled = values + np.eye(len(values)) * scale * 1e-14
    return torch.from_numpy(linear_sum_assignment(pulled, maximize=True)[1].astype(np.int64))


def procrustes(similarity: Tensor, fixes_ones: bool = False) -> Tensor:
    """The orthogonal map that maximises <M, R>: R = U V^T for M = U S V^T (Schoenemann 1966), `[..., n, n]`.

    With `fixes_ones`, R is restricted to the maps with R 1 = 1: the same formula in the complement of the ones vector.
    """
    if not fixes_ones:
        u, _, vt = torch.linalg.svd(similarity)
        return u @ vt
    size = similarity.shape[-1]
    basis = ones_complement(size)
    inner = procrustes(basis.mT @ similarity @ basis)
    return basis @ inner @ basis.mT + 1 / size


def best_value(similarity: Tensor, chosen: SymmetryClass) -> Tensor:
    """The maximum of <M, T> over the class, for a batch `[..., n, n]` -> `[...]`.

    The trace for none, an assignment for permutation, the nuclear norm for orthogonal and above.
    """
    if chosen is SymmetryClass.NONE:
        return similarity.diagonal(dim1=-2, dim2=-1).sum(-1)
    if chosen is SymmetryClass.PERMUTATION:
        flat = similarity.flatten(0, -3)
        values = torch.stack([m[torch.arange(len(m)), assignment(m)].sum() for m in flat])
        return values.view(similarity.shape[:-2])
    return torch.linalg.matrix_norm(similarity, "nuc")
