"""The mean of a number over pairs (or groups) of models, with an interval for models and examples
that were not seen.

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

The same holds for groups of m models, and for some of all pairs: leaving out model k takes away
about sum_(c with k) (b_c - b) / C of the mean over C pairs, so that V_models counts twice (m times)
the square of each pair and once each product of two that share a model, where the variance of the
mean has both once (Aronow, Samii and Assenova 2015, Political Analysis 23). Models that are never
apart, as in groups without common models, count as one. A reference that all others are compared
with is held fixed: the pairs are then as independent as the others are.

`components` estimates s and r themselves, without that surplus, by equating two sums of squares to
their expectations (Henderson 1953, Biometrics 9; for all pairs these are the general and specific
combining abilities of a diallel cross: Griffing 1956, Australian Journal of Biological Sciences 9).
With Z the incidence of models in pairs, A = Z Z', y the deviations from the mean, M = I - 11' / C:

    E[y' y]   = s^2 tr(M A)     + r^2 (C - 1)
    E[y' A y] = s^2 tr(M A M A) + r^2 tr(M A)

That is unbiased before what is below zero is set to zero, and says how much more models would help.
Intervals are made of V_models all the same: those of components cover 0.92 to 0.99 for all pairs,
but 0.87 to 0.96 for the consecutive pairs of five models.

All pairs are also measured on the same examples. The error of that is common to all of them, so no
comparison of pairs shows it: average what every example adds over the pairs first, then take the
standard error over examples, V_examples. The sum

    V = V_models + V_examples,     freedom  V^2 / (V_models^2 / (n - 1) + V_examples^2 / (G - 1))

(Satterthwaite 1946) gives the interval b +- t sqrt(V). What examples do to each pair apart is in
both terms, which errs on the safe side. Two models are one pair, whose error is that of the
examples alone.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import freedom, stderr, student

LEVEL = 0.95
Unit = Sequence[Hashable]  # the models of a pair or a group


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


@dataclass(frozen=True)
class Components:
    """How much models and pairs vary, as standard deviations of one of each.

    Attributes:
        models: s, of what a model adds to every pair that it is in.
        pairs: r, of what a pair adds besides.
        stderr: of the mean over the pairs, from both.
    """

    models: float
    pairs: float
    stderr: float


def over_pairs(
    pairs: Sequence[Unit],
    values: Sequence[float],
    parts: Tensor | None = None,
    groups: Tensor | None = None,
    fixed: Collection[Hashable] = (),
) -> PairMean:
    """The mean over pairs of models, or groups of several, with its error over models and examples.

    Args:
        pairs: of different models each.
        values: of the pairs.
        parts: what every example adds to the value of its pair, up to a constant for each pair, so
            that the standard error of its mean is that of the value, `[pairs, examples]`; None to
            leave the examples out.
        groups: which examples belong together, `[examples]`; None for none.
        fixed: models that stay the same in a repetition, such as a reference that all others are
            compared with; the error is over the others.

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
    if any(len(set(pair)) < len(pair) for pair in pairs):
        raise BadInput("A pair should be of two different models, and a group of different ones.")
    models = dict.fromkeys(model for pair in pairs for model in pair)
    clusters = _find_clusters(pairs, fixed)
    value = sum(values) / len(values)
    over_models = _jackknife(clusters, values, value)
    over_examples, free = None, 0
    if parts is not None:
        together = (parts.double() - parts.double().mean(1, keepdim=True)).mean(0)
        over_examples, free = float(stderr(together, groups)), freedom(parts.shape[1], groups)
    free_of_both = join_freedom((over_models, len(clusters) - 1), (over_examples, free))
    return PairMean(value, len(models), len(pairs), over_models, over_examples, free_of_both)


def components(
    pairs: Sequence[Unit], values: Sequence[float], fixed: Collection[Hashable] = ()
) -> Components | None:
    """How much models and pairs vary; None where the pairs do not tell one from the other, as those
    without a common model.

    Args:
        pairs: of different models each.
        values: of the pairs.
        fixed: see `over_pairs`.
    """
    incidence = np.array(_find_clusters(pairs, fixed), dtype=float).reshape(-1, len(pairs)).T
    count, kin = len(pairs), incidence @ incidence.T
    centred = kin - kin.mean(0)  # M A
    deviations = np.asarray(values, dtype=float) - np.mean(values)
    squares = np.array([deviations @ deviations, deviations @ kin @ deviations])
    expected = np.array(
        [[np.trace(centred), count - 1], [np.trace(centred @ centred), np.trace(centred)]]
    )
    if count < 3 or np.linalg.cond(expected) > 1e9:
        return None
    models, own = (float(each) for each in np.linalg.solve(expected, squares))
    if models < 0:
        models, own = 0.0, float(squares[0] / expected[0, 1])
    elif own < 0:
        models, own = float(squares[0] / expected[0, 0]), 0.0
    degrees = incidence.sum(0)
    variance = models * float(degrees @ degrees) / count**2 + own / count
    return Components(models**0.5, own**0.5, variance**0.5)


def _find_clusters(pairs: Sequence[Unit], fixed: Collection[Hashable]) -> list[tuple[bool, ...]]:
    """In which pairs each model is that is not fixed; models that are never apart once."""
    models = dict.fromkeys(model for pair in pairs for model in pair if model not in fixed)
    return list(dict.fromkeys(tuple(model in pair for pair in pairs) for model in models))


def _jackknife(
    clusters: Sequence[tuple[bool, ...]], values: Sequence[float], mean: float
) -> float | None:
    """Standard error by leaving out one model after the other; None where nothing would be left."""
    if not clusters:
        return None
    without = []
    for inside in clusters:
        rest = [value for value, left in zip(values, inside, strict=True) if not left]
        if not rest:
            return None
        without.append(sum(rest) / len(rest))
    count = len(clusters)
    return ((count - 1) / count * sum((value - mean) ** 2 for value in without)) ** 0.5


def join_freedom(*parts: tuple[float | None, int]) -> float:
    """Degrees of freedom of a sum of independent variances, each given by its root and its own
    degrees of freedom.
    """
    known = [(error, free) for error, free in parts if error is not None]
    if not known:
        return 0.0
    largest = max(error for error, _ in known)
    if largest == 0:
        return float(min(free for _, free in known))
    # relative to the largest, since the square of a small variance is zero
    shares = [((error / largest) ** 2, free) for error, free in known]
    total = sum(share for share, _ in shares)
    return total**2 / sum(share**2 / free for share, free in shares)
