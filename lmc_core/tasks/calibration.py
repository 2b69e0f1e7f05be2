"""Calibration: does a model that is 80 % sure turn out right 80 % of the time?

A prediction's confidence is the probability of the class it names. Predictions are sorted into bins
of equal width by confidence; the expected calibration error is the mean distance of accuracy and
confidence, by the bins' shares of them,

    ECE = sum_b (n_b / n) |accuracy_b - confidence_b|

(Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599). Images are one prediction each, windows of
text one for every target. It is biased upwards by chance, the more the fewer predictions there are.
Its standard error is a bootstrap over examples (Efron 1979), as those of one window belong
together, or over whole groups of examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import units
from lmc_core.symmetry.arithmetic import precise, zeros
from lmc_core.tasks.task import IGNORED

BINS = 15  # of equal width on [0, 1], as Guo et al.
RESAMPLES = 200  # of the bootstrap


@dataclass(frozen=True)
class Calibration:
    """How sure predictions are, and how often right, by bins of confidence.

    Attributes:
        sums: of each example and bin, how many predictions, the sum of their confidences, and how
            many are right; float64 `[examples, bins, 3]`.
    """

    sums: Tensor

    @property
    def bins(self) -> int:
        """How many bins of equal width there are."""
        return self.sums.shape[1]

    @property
    def error(self) -> float:
        """The expected calibration error, in [0, 1]."""
        return float(_errors(self.sums.sum(0)[None])[0])

    def of_groups(self, groups: Tensor | None) -> Calibration:
        """The same predictions with the examples of a group taken as one, so that the bootstrap
        draws whole groups.

        Args:
            groups: which examples belong together, `[examples]`; None for none.
        """
        if (numbers := units(len(self.sums), groups)) is None:
            return self
        empty = self.sums.new_zeros(int(numbers.max()) + 1, *self.sums.shape[1:])
        return Calibration(empty.index_add(0, numbers, self.sums))

    @property
    def stderr(self) -> float:
        """Standard error of it: the spread over `RESAMPLES` draws of as many examples with
        replacement, by a fixed seed.
        """
        count = len(self.sums)
        if count < 2:
            raise BadInput(f"At least 2 examples are needed for a standard error; {count} came.")
        drawn = torch.randint(count, (RESAMPLES, count), generator=torch.Generator().manual_seed(0))
        times = torch.zeros(RESAMPLES, count, dtype=torch.float64).scatter_add_(
            1, drawn, torch.ones_like(drawn).double()
        )
        again = (times @ self.sums.flatten(1)).view(RESAMPLES, self.bins, 3)
        return float(_errors(again).std())

    def curve(self) -> dict[str, list[float | None]]:
        """The reliability curve: of each bin its share of the predictions, mean confidence and
        accuracy; None if empty.
        """
        count, sure, right = self.sums.sum(0).unbind(1)
        there = (count > 0).tolist()

        def per_prediction(values: Tensor) -> list[float | None]:
            means = (values / count.clamp_min(1)).tolist()
            return [mean if known else None for mean, known in zip(means, there, strict=True)]

        return {
            "share": (count / count.sum()).tolist(),
            "confidence": per_prediction(sure),
            "accuracy": per_prediction(right),
        }


def _errors(sums: Tensor) -> Tensor:
    """ECE of some sums over examples, `[n, bins, 3]` -> `[n]`."""
    count, sure, right = sums.unbind(2)
    return (right - sure).abs().sum(1) / count.sum(1)


def confidence_sums(logits: Tensor, targets: Tensor, bins: int = BINS) -> Tensor:
    """Sort the predictions of a batch into bins by confidence.

    Args:
        logits: or logarithms of probabilities, `[n, classes]` or `[n, length, classes]`.
        targets: `[n]` or `[n, length]`; where they are `IGNORED`, nothing is counted.
        bins: of equal width; bin b holds confidences in (b / bins, (b + 1) / bins].

    Returns:
        `[n, bins, 3]`, in the type that is worked in there: how many predictions, the sum of their
            confidences, how many are right.

    Raises:
        BadInput: for less than one bin.
    """
    if bins < 1:
        raise BadInput(f"At least 1 bin is needed; {bins} came.")
    sure, named = logits.float().log_softmax(-1).max(-1)
    sure, named = precise(sure.exp().reshape(len(targets), -1)), named.reshape(len(targets), -1)
    wanted = targets.reshape(len(targets), -1)
    counted = precise(wanted != IGNORED)
    where = ((sure * bins).ceil().long() - 1).clamp(0, bins - 1)
    values = torch.stack([counted, counted * sure, counted * (named == wanted)], -1)
    result = zeros(len(targets), bins, 3, device=logits.device)
    return result.scatter_add_(1, where[..., None].expand(-1, -1, 3), values)


def equal_mass_sums(sure: Tensor, right: Tensor, counted: Tensor, bins: int = BINS) -> Tensor:
    """Sort predictions into bins that hold as many of them each, so that none is empty and no error
    rests on a few (Nixon et al. 2019, arXiv 1904.01685); a bootstrap of `Calibration` leaves the
    edges as they are.

    Args:
        sure: confidences, `[n, predictions]`.
        right: whether each is, of that shape.
        counted: whether each counts, of that shape.
        bins: how many; fewer hold something where there are fewer predictions.

    Returns:
        As `confidence_sums`.

    Raises:
        BadInput: for less than one bin.
    """
    if bins < 1:
        raise BadInput(f"At least 1 bin is needed; {bins} came.")
    order = sure.where(counted, torch.inf).flatten().argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    where = (rank * bins // counted.sum().clamp_min(1)).clamp(0, bins - 1).view_as(sure)
    weight = counted.double()
    values = torch.stack([weight, weight * sure.double(), weight * right.double()], -1)
    result = torch.zeros(len(sure), bins, 3, dtype=torch.float64)
    return result.scatter_add_(1, where[..., None].expand(-1, -1, 3), values)
