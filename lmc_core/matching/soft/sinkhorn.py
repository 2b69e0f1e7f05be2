"""Doubly stochastic matrices by Sinkhorn's iteration: assignments that are soft.

At temperature T > 0 the match of a similarity M is

    argmax of  <M, P> + T H(P),   H(P) = -sum_ij P_ij log P_ij,
    over P >= 0 whose rows and columns sum to 1,

    P_ij = exp((M_ij + f_i + g_j) / T),

with potentials f, g that make rows and columns sum to 1 in turn (Sinkhorn 1964; Cuturi 2013, arXiv
1306.0895). T -> 0 gives the assignment, T -> infinity the uniform matrix. Potentials are kept as
logarithms, so that nothing under- or overflows; between two such updates the matrix itself is
scaled, which is faster (Schmitzer 2019, arXiv 1610.06519). From a cold start T is lowered by
halves. What is left of the error is removed by scaling down and one matrix of rank one (Altschuler,
Weed, Rigollet 2017, arXiv 1705.09634), so that rows and columns always sum to 1 to rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.solvers import assignment
from lmc_core.symmetry.arithmetic import precise

TOLERANCE = 1e-9  # of the sums of rows, before what is left is removed
LIMIT = 2000  # iterations at one temperature
SCALINGS = 20  # of the matrix itself, between two updates of the potentials
WARMING = 60  # iterations at each temperature above the one that was asked for
STEPS = 48  # halvings from a cold start at the most

Potentials = tuple[Tensor, Tensor]


def sinkhorn(
    similarity: Tensor, temperature: float, tolerance: float = TOLERANCE, limit: int = LIMIT
) -> Tensor:
    """The doubly stochastic match of a similarity at a temperature.

    Args:
        similarity: M, `[..., n, n]`; larger is more alike.
        temperature: T, in the unit of M; 0 gives the assignment, infinity the uniform matrix.
        tolerance: how far the sums of rows may be from 1 when the iteration stops.
        limit: iterations at the most; at a very low temperature they end before the tolerance is
            met.

    Returns:
        P, float64 `[..., n, n]`; its rows and columns sum to 1 to rounding.

    Raises:
        BadInput: for a temperature below 0, or a similarity that is not square and finite.
    """
    if (
        similarity.ndim < 2
        or similarity.shape[-1] != similarity.shape[-2]
        or not bool(similarity.isfinite().all())
    ):
        raise BadInput(
            "A square similarity of finite numbers is expected; one of shape "
            f"{list(similarity.shape)} came."
        )
    if not temperature >= 0:
        raise BadInput(f"A temperature should be 0 or more; {temperature} came.")
    similarity = precise(similarity)
    size = similarity.shape[-1]
    if math.isinf(temperature):
        return torch.full_like(similarity, 1 / max(size, 1))
    if temperature == 0:
        return precise(torch.nn.functional.one_hot(assignment(similarity), size))
    return balanced(similarity, temperature, tolerance=tolerance, limit=limit)[0]


def balanced(
    similarity: Tensor,
    temperature: float,
    start: Potentials | None = None,
    tolerance: float = TOLERANCE,
    limit: int = LIMIT,
) -> tuple[Tensor, Potentials]:
    """The same for 0 < T < infinity, from and with the potentials.

    Args:
        similarity: M, float64 `[..., n, n]`.
        temperature: T.
        start: potentials of a similar matrix, or of another temperature.
        tolerance: see `sinkhorn`.
        limit: see `sinkhorn`.

    Returns:
        P, and the potentials (f, g), each `[..., n]`, in the unit of M.
    """
    if start is None:
        zero = torch.zeros_like(similarity[..., 0])
        start = zero, zero
        spread = float(similarity.max() - similarity.min()) if similarity.numel() else 0.0
        for step in range(min(STEPS, math.ceil(math.log2(max(1.0, spread / temperature)))), 0, -1):
            _, start = _iterate(similarity, temperature * 2.0**step, start, tolerance, WARMING)
    found, potentials = _iterate(similarity, temperature, start, tolerance, limit)
    return _repaired(found), potentials


def _iterate(
    similarity: Tensor, temperature: float, start: Potentials, tolerance: float, limit: int
) -> tuple[Tensor, Potentials]:
    scaled = similarity / temperature
    f, g = (each / temperature for each in start)
    found = scaled
    for _ in range(max(1, limit // SCALINGS)):
        f = -(scaled + g[..., None, :]).logsumexp(-1)
        g = -(scaled + f[..., :, None]).logsumexp(-2)
        found = (scaled + f[..., :, None] + g[..., None, :]).exp()
        if not found.numel() or float((found.sum(-1) - 1).abs().max()) <= tolerance:
            break
        rows, columns = torch.ones_like(f)[..., None], torch.ones_like(g)[..., None]
        for _ in range(SCALINGS):
            rows = 1 / (found @ columns)
            columns = 1 / (found.mT @ rows)
        more = rows[..., 0].log(), columns[..., 0].log()
        if all(bool(each.isfinite().all()) for each in more):
            f, g = f + more[0], g + more[1]
    return found, (f * temperature, g * temperature)


def _repaired(found: Tensor) -> Tensor:
    """A doubly stochastic matrix near one that nearly is."""
    found = found / found.sum(-1, keepdim=True).clamp_min(1.0)
    found = found / found.sum(-2, keepdim=True).clamp_min(1.0)
    rows, columns = (1 - found.sum(-1)).clamp_min(0.0), (1 - found.sum(-2)).clamp_min(0.0)
    total = rows.sum(-1)[..., None, None]
    return found + rows[..., :, None] * columns[..., None, :] / torch.where(total > 0, total, 1.0)
