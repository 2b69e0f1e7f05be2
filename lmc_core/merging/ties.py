"""TIES: trim, elect sign, merge (Yadav et al. 2023, arXiv 2306.01708, algorithm 1).

    trim    of every task vector tau_k = theta_k - theta_0 the share `density` of largest
            magnitude stays, over the whole model; the rest becomes 0
    elect   every parameter gets the sign of sum_k w_k tau_k; none where that is no more than
            rounding
    merge   the mean, by weight, of those task vectors that are not 0 there and have that sign

    theta = theta_0 + scale * merged

With equal weights this is the paper's. From the mean of two models in place of an ancestor,
everything is in conflict and the result is that mean.

What is zero in exact arithmetic is not in floating point, and the sign of what is left would elect
one of the models. With M the largest |theta_k| or |theta_0| of an entry and eps that of float64:
each of the n - 1 steps of the mean theta_0 errs by at most 2 eps M, each difference tau_k by eps M,
and their weighted sum by n eps M more. So `SLACK` n eps M bounds the residue; a change that bf16 or
float32 can store is some 10^7 times larger. Magnitudes that are equal up to it are trimmed or kept
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.limits import require_settings
from lmc_core.merging.ingredients import Ingredients, Merged, require_share
from lmc_core.merging.method import MergeMethod

SLACK = 4  # rounding of n models, in units of n eps max |theta|


@dataclass(frozen=True)
class TiesSettings:
    """How much is kept of what the models learned, and how much of the outcome is added.

    Attributes:
        density: share of every task vector that is kept, above 0 and at most 1.
        scale: of the merged task vector.
    """

    density: float = 0.2
    scale: float = 1.0

    def __post_init__(self) -> None:
        require_settings(self)
        require_share("density", self.density)


def ties(given: Ingredients, settings: TiesSettings) -> Merged:
    """The ancestor with the task vectors that agree in sign added."""
    limits = [_limit(given, k, settings.density) for k in range(len(given))]

    def merge(name: str) -> Tensor:
        slack = rounding(given, name)
        vectors = zip(given.task_vectors(name), limits, strict=True)
        kept = [torch.where(v.abs() >= limit - slack, v, 0.0) for v, limit in vectors]
        return given.base(name) + settings.scale * agreed(kept, given.weights, slack)

    return given.each(merge)


def rounding(given: Ingredients, name: str) -> Tensor:
    """What arithmetic may leave of a sum of task vectors that is zero, entry by entry of one
    parameter.
    """
    largest = torch.stack([*given.of(name), given.base(name)]).abs().amax(0)
    return SLACK * len(given) * torch.finfo(largest.dtype).eps * largest


def agreed(vectors: list[Tensor], weights: Sequence[float], slack: Tensor) -> Tensor:
    """Elect a sign for every entry and take the weighted mean of the vectors that have it; 0 where
    none has.

    Args:
        vectors: trimmed task vectors of one parameter.
        weights: of the models.
        slack: sums up to which elect nobody, same shape.
    """
    balance = sum(w * v for w, v in zip(weights, vectors, strict=True))
    assert isinstance(balance, Tensor)
    sign = torch.where(balance.abs() > slack, balance.sign(), 0.0)
    total, mass = torch.zeros_like(sign), torch.zeros_like(sign)
    for weight, vector in zip(weights, vectors, strict=True):
        same = (vector.sign() == sign) & (sign != 0)
        total += weight * vector * same
        mass += weight * same
    return torch.where(mass > 0, total / mass.clamp_min(torch.finfo(mass.dtype).tiny), 0.0)


def _limit(given: Ingredients, k: int, density: float) -> float:
    """The smallest magnitude that model k keeps: of all its entries the share `density` is at least
    as large.
    """
    if density == 1:
        return 0.0
    size = sum(tensor.numel() for tensor in given.states[k].values())
    kept = max(1, round(density * size))
    magnitudes = torch.cat(
        [(given.states[k][n].double() - given.base(n)).abs().flatten() for n in given.states[k]]
    )
    return float(magnitudes.kthvalue(size - kept + 1).values)


METHOD = MergeMethod(
    name="ties",
    title="TIES",
    sentence="Keeps the largest changes since the common ancestor, elects a sign for every "
    "parameter, and averages what agrees.",
    source="Yadav et al. 2023, arXiv 2306.01708",
    settings=TiesSettings,
    merge=ties,
    ancestor=True,
    weighs=True,
)
