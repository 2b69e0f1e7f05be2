"""The mean of a number over pairs of models, with an interval for models and examples that were not
seen.

All pairs of n models are not n (n - 1) / 2 independent numbers: each model is in n - 1 of them.
Take the number of pair ij as

    b_ij = mu + e_i + e_j + e_ij,

e_i of the models (variance s^2) and e_ij of the pairs (variance r^2), all independent, so that the
mean b over pairs has variance 4 s^2 / n + 2 r^2 / (n (n - 1)), while the spread of pairs taken for
independent numbers sees only about half of the first term for n = 4. The jackknife over models does
see it: with b_(-k) the mean over the pairs without model k,

    V_models = (n - 1) / n  sum_k (b_(-k) - b)^2

The e_i enter b_(-k) - b as -2 (e_k - mean e) / (n - 1), so they give 4 / n times their sample
variance, unbiased and with n - 1 degrees of freedom; the e_ij give 2 (n - 1) / (n - 2) times their
due. So V_models is never too small on average, as Efron and Stein showed of the jackknife of any
symmetric statistic (1981, Annals of Statistics 9; of a network's nodes: Lin, Lunde and Sarkar 2020,
arXiv 2004.08935; reviewed by Miller 1974, Biometrika 61).

All pairs are also measured on the same examples. The error of that is common to all of them, so no
comparison of pairs shows it: average what every example adds over the pairs first, then take the
standard error over examples, V_examples. The sum

    V = V_models + V_examples,     freedom  V^2 / (V_models^2 / (n - 1) + V_examples^2 / (G - 1))

(Satterthwaite 1946) gives the interval b +- t sqrt(V). What examples do to each pair apart is in
both terms, which errs on the safe side. Two models are one pair, whose error is that of the
examples alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import freedom, stderr, student

LEVEL = 0.95


@dataclass(frozen=True)
class PairMean:
    """A mean over pairs of models.

    Attributes:
        value: the mean.
        models: how many models the pairs are of.
        pairs: how many pairs there are.
        over_models: standard error by the jackknife over models; None where leaving one out leaves
            no pair.
        over_examples: standard error over the examples that all pairs share; None if none were
            given.
        freedom: degrees of freedom of the sum; 0 if there is no error at all.
    """

    value: float
    models: int
    pairs: int
    over_models: float | None
    over_examples: float | None
    freedom: float

    @property
    def stderr(self) -> float | None:
        """The standard error, of models and examples together; None if there is none."""
        parts = [part for part in (self.over_models, self.over_examples) if part is not None]
        return sum(part**2 for part in parts) ** 0.5 if parts else None

    @property
    def half(self) -> float | None:
        """Half the width of the 95 % interval; None if there is none."""
        return None if self.stderr is None else student(self.freedom, LEVEL) * self.stderr


def over_pairs(
    pairs: Sequence[tuple[Hashable, Hashable]],
    values: Sequence[float],
    parts: Tensor | None = None,
    groups: Tensor | None = None,
) -> PairMean:
    """The mean over pairs of models, with its error over models and examples.

    Args:
        pairs: of two different models each.
        values: of the pairs.
        parts: what every example adds to the value of its pair, up to a constant for each pair, so
            that the standard error of its mean is that of the value, `[pairs, examples]`; None to
            leave the examples out.
        groups: which examples belong together, `[examples]`; None for none.

    Raises:
        BadInput: if there are no pairs, a model is paired with itself, or the numbers do not fit
            each other.
    """
    if (
        not pairs
        or len(values) != len(pairs)
        or (parts is not None and (parts.ndim != 2 or len(parts) != len(pairs)))
    ):
        raise BadInput(
            f"One value for each of the pairs is expected; {len(values)} came for {len(pairs)} "
            "pairs."
        )
    if any(one == other for one, other in pairs):
        raise BadInput("A pair should be of two different models.")
    models = list(dict.fromkeys(model for pair in pairs for model in pair))
    value = sum(values) / len(values)
    over_models = _jackknife(models, pairs, values, value)
    over_examples, free = None, 0
    if parts is not None:
        together = (parts.double() - parts.double().mean(1, keepdim=True)).mean(0)
        over_examples, free = float(stderr(together, groups)), freedom(parts.shape[1], groups)
    free_of_both = _satterthwaite((over_models, len(models) - 1), (over_examples, free))
    return PairMean(value, len(models), len(pairs), over_models, over_examples, free_of_both)


def _jackknife(
    models: Sequence[Hashable],
    pairs: Sequence[tuple[Hashable, Hashable]],
    values: Sequence[float],
    mean: float,
) -> float | None:
    """Standard error by leaving out one model after the other; None where nothing would be left."""
    without = []
    for model in models:
        rest = [value for pair, value in zip(pairs, values, strict=True) if model not in pair]
        if not rest:
            return None
        without.append(sum(rest) / len(rest))
    count = len(models)
    return ((count - 1) / count * sum((value - mean) ** 2 for value in without)) ** 0.5


def _satterthwaite(*parts: tuple[float | None, int]) -> float:
    """Degrees of freedom of a sum of independent variances, each given by its root and its own
    degrees of freedom.
    """
    known = [(error**2, free) for error, free in parts if error is not None]
    if not known:
        return 0.0
    total = sum(variance for variance, _ in known)
    if total == 0:
        return float(min(free for _, free in known))
    return total**2 / sum(variance**2 / free for variance, free in known)
