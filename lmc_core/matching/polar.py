"""The orthogonal factor of a matrix, R = U V^T of M = U S V^T, by decomposition or by iteration.

The scaled Newton iteration

    X <- (z X + (z X)^-T) / 2,    z = (|X^-1|_1 |X^-1|_inf / (|X|_1 |X|_inf))^1/4,

has R as its limit from X = M (Higham, SIAM J. Sci. Stat. Comput. 7, 1986) and needs nothing but
inverses, ten of them for any condition number that a type can hold; a step X <- X (3 - X^T X) / 2
(Newton, Schulz) then takes out the rounding of the last inverse. On CPUs a decomposition is two to
five times sooner (docs/log/matching.md). On CUDA decompositions of batches are loops and inverses
are not, so that the iteration is used there; a matrix that is singular to working precision has no
one factor, and is decomposed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.symmetry.arithmetic import refined

STEPS = 12  # of the Newton iteration; 9 reach the limit from a condition number of 1e16
BY_ITERATION = ("cuda",)  # kinds of devices
# largest entry of R^T R - 1 that is taken for rounding, by precision, of matrices of any size
ROUNDING = {torch.float64: 1e-11, torch.float32: 1e-4}


def orthogonal_factor(matrix: Tensor) -> Tensor:
    """R of each matrix `[..., n, n]`, by whichever way is faster on its device."""
    if matrix.device.type in BY_ITERATION and matrix.shape[-1] > 1:
        found = iterate(matrix)
        if found is not None:
            return found
    u, _, vt = torch.linalg.svd(matrix)
    return u @ vt


def iterate(matrix: Tensor, steps: int = STEPS) -> Tensor | None:
    """R by the iteration; None where one of the matrices is singular to working precision.

    Args:
        matrix: `[..., n, n]`.
        steps: of the Newton iteration.
    """
    x = matrix
    for _ in range(steps):
        inverse = torch.linalg.inv_ex(x)[0].mT  # without waiting for what it says of singular ones
        z = (_norms(inverse) / _norms(x)).sqrt().sqrt()[..., None, None]
        x = (z * x + inverse / z) / 2
    x = refined(x)
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    apart = (x.mT @ x - eye).abs().amax() if x.numel() else x.new_zeros(())
    return x if bool(apart < ROUNDING[x.dtype]) else None


def _norms(x: Tensor) -> Tensor:
    """|X|_1 |X|_inf, `[...]`."""
    size = x.abs()
    return size.sum(-2).amax(-1) * size.sum(-1).amax(-1)
