"""Numbers of a barrier with what every example adds to them, for means over the pairs of a
family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmc_core.intervals.pairs import PairMean, Unit, over_pairs
from lmc_core.paths.barrier import barrier, excess
from lmc_core.paths.curve import Curve
from lmc_core.paths.soft_end import against_true_ends


@dataclass(frozen=True)
class Measured:
    """A number of one pair.

    Attributes:
        value: the number.
        parts: what every example adds to it, up to a constant, float64 `[examples]`.
    """

    value: float
    parts: Tensor

    def over(self, other: Measured) -> Measured:
        """The ratio; a small change of x / y is (dx - (x / y) dy) / y."""
        ratio = self.value / other.value
        return Measured(ratio, (self.parts - ratio * other.parts) / other.value)


def numbers(
    lam: Sequence[float], arrays: Mapping[str, np.ndarray], score: str
) -> dict[str, Measured]:
    """Barrier, and drop of the accuracy in points or largest perplexity, each read where it is
    largest.

    Args:
        lam: the points of the curve.
        arrays: ``losses`` and ``correct``, `[points, examples]`; of a line to a soft end also
            ``own``, what B itself loses, `[examples]`.
        score: ``accuracy`` or ``perplexity``.
    """
    at = torch.tensor(lam, dtype=torch.float64)
    losses, correct = (torch.as_tensor(arrays[name]).double() for name in ("losses", "correct"))
    if "own" in arrays:
        soft = against_true_ends(Curve(at, losses, correct), torch.as_tensor(arrays["own"]))
        found = {"barrier": _at(soft.excess, soft.barrier.index)}
    else:
        found = {"barrier": _at(excess(at, losses), barrier(at, losses).index)}
    if score == "accuracy":
        wrong = 100 * (1 - correct)
        found["score"] = _at(excess(at, wrong), barrier(at, wrong).index)
    else:
        worst = _at(losses, int(losses.mean(1).argmax()))
        largest = math.exp(min(worst.value, 700.0))
        found["score"] = Measured(largest, largest * worst.parts)
    return found


def _at(rows: Tensor, place: int) -> Measured:
    return Measured(float(rows[place].mean()), rows[place])


def summarise_pairs(
    pairs: Sequence[Unit], each: Sequence[Measured], groups: Tensor | None
) -> PairMean:
    """The mean over pairs (or groups) that were measured on the same examples; on different ones,
    the error is over models alone.
    """
    same = len({len(one.parts) for one in each}) == 1
    parts = torch.stack([one.parts for one in each]) if same else None
    return over_pairs(pairs, [one.value for one in each], parts, groups if same else None)


def words(mean: PairMean, digits: int = 3, errors: bool = False) -> str:
    """The mean with half the width of its 95 % interval: "2.796 ± 1.324"; without an interval the
    mean alone.

    Args:
        mean: over pairs.
        digits: after the point.
        errors: give the standard errors over models and over examples instead: "2.796 (models
            0.416, examples 0.021)".
    """
    if errors:
        known = {"models": mean.over_models, "examples": mean.over_examples}
        said = ", ".join(
            f"{name} {value:.{digits}f}" for name, value in known.items() if value is not None
        )
        return f"{mean.value:.{digits}f} ({said})" if said else f"{mean.value:.{digits}f}"
    half = "" if mean.half is None else f" ± {mean.half:.{digits}f}"
    return f"{mean.value:.{digits}f}{half}"


def count_words(mean: PairMean) -> str:
    """Return how many pairs of how many models there are: "6 pairs of 4 models"."""
    return f"{mean.pairs} pair{'s' * (mean.pairs > 1)} of {mean.models} models"
