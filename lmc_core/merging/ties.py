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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from lmc_core.lazy_torch import torch
from lmc_core.limits import require_settings
from lmc_core.merging.ingredients import Ingredients, Merged, require_share
from lmc_core.merging.method import MergeMethod
from lmc_core.merging.selection import find_largest
from lmc_core.models.lazy import shapes

if TYPE_CHECKING:
    from torch import Tensor

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
    limits = _limits(given, settings.density)

    def merge(piece: Ingredients, name: str) -> Tensor:
        slack = rounding(piece, name)
        vectors = zip(piece.task_vectors(name), limits, strict=True)
        kept = [torch.where(v.abs() >= limit - slack, v, 0.0) for v, limit in vectors]
        return piece.base(name) + settings.scale * agreed(kept, given.weights, slack)

    return given.entrywise(merge)


def rounding(given: Ingredients, name: str) -> Tensor:
    """What arithmetic may leave of a sum of task vectors that is zero, entry by entry of one
    parameter.
    """
    largest = given.base(name).abs()
    for tensor in given.of(name):
        torch.maximum(largest, tensor.abs(), out=largest)
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
    assert isinstance(balance, torch.Tensor)
    sign = torch.where(balance.abs() > slack, balance.sign(), 0.0)
    total, mass = torch.zeros_like(sign), torch.zeros_like(sign)
    for weight, vector in zip(weights, vectors, strict=True):
        same = (vector.sign() == sign) & (sign != 0)
        total += weight * vector * same
        mass += weight * same
    return torch.where(mass > 0, total / mass.clamp_min(torch.finfo(mass.dtype).tiny), 0.0)


def _limits(given: Ingredients, density: float) -> list[float]:
    """The smallest magnitude that each model keeps: of all its entries the share `density` is at
    least as large.
    """
    if density == 1:
        return [0.0] * len(given)
    outlines = shapes(given.states[0])
    size = sum(tensor.numel() for tensor in outlines.values())
    passes = count(1)

    def magnitudes() -> Iterator[list[Tensor]]:
        number = next(passes)
        for done, name in enumerate(outlines, 1):
            for piece in given.pieces(name):
                yield [vector.abs_() for vector in piece.task_vectors(name)]
            # each pass takes half of what is left: how many there are is not known
            given.progress(0.3 * (1 - 0.5**number * (2 - done / len(outlines))))

    return find_largest(magnitudes, max(1, round(density * size)), len(given))


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
