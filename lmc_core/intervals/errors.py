"""The standard error of a mean over examples, of which some may belong together.

Windows of one play share its words and its people, so they are not independent; whole plays nearly
are. With the examples in G groups, S_g the sum of the deviations x_i - m over group g, and n
examples in all,

    Var(m) = G / (G - 1)  sum_g S_g^2 / n^2

(the cluster-robust variance of a mean: Liang and Zeger 1986; Cameron and Miller 2015). If every
example is its own group this is s^2 / n. As only G sums enter, an interval takes the quantile of
Student's t with G - 1 degrees of freedom: for groups of equal size and normal sums that is exact,
since m and the S_g are then the mean and the deviations of G independent values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.errors import BadInput


def units(count: int, groups: Tensor | None) -> Tensor | None:
    """Number the groups from 0, int64 `[count]`; None where every example stands for itself.

    It does so too where all examples are of one group: between groups nothing can be seen then, and
    the error within the group is all there is.

    Args:
        count: of examples.
        groups: any number for each example, equal for those that belong together, `[count]`.

    Raises:
        BadInput: for another number of groups than of examples.
    """
    if groups is None:
        return None
    if groups.shape != (count,):
        raise BadInput(
            f"One group for each of the {count} examples is expected; an array of shape "
            f"{tuple(groups.shape)} came."
        )
    found, numbers = groups.unique(return_inverse=True)
    return numbers if 1 < len(found) < count else None


def shares(values: Tensor, groups: Tensor | None = None) -> Tensor:
    """What every group adds to the deviation of the mean: the sum of their squares is the variance
    of the mean.

    Args:
        values: `[..., examples]`, at least two examples.
        groups: which examples belong together, `[examples]`; None for none.

    Returns:
        float64 `[..., groups]`, sqrt(G / (G - 1)) S_g / n.

    Raises:
        BadInput: for fewer than two examples.
    """
    values = values.double()
    count = values.shape[-1]
    if count < 2:
        raise BadInput("At least 2 examples are needed for a standard error.")
    sums = values - values.mean(-1, keepdim=True)
    if (numbers := units(count, groups)) is not None:
        empty = sums.new_zeros(*sums.shape[:-1], int(numbers.max()) + 1)
        sums = empty.index_add(-1, numbers.to(sums.device), sums)
    size = sums.shape[-1]
    return sums * (size / (size - 1)) ** 0.5 / count


def stderr(values: Tensor, groups: Tensor | None = None) -> Tensor:
    """Standard error of the mean over the last axis.

    Args:
        values: `[..., examples]`, at least two examples.
        groups: which examples belong together, `[examples]`; None for none.

    Returns:
        float64 `[...]`.

    Raises:
        BadInput: for fewer than two examples.
    """
    return shares(values, groups).square().sum(-1).sqrt()


def root(parts: Tensor) -> Tensor:
    """The symmetric root of P P', which normal numbers are multiplied by to get that covariance;
    the same on every machine.

    Args:
        parts: P, `[points, groups]`, as `shares` gives it.

    Returns:
        float64 `[points, points]`.
    """
    values, basis = torch.linalg.eigh(parts @ parts.T)
    return basis @ (values.clamp_min(0).sqrt()[:, None] * basis.T)


def freedom(count: int, groups: Tensor | None = None) -> int:
    """Degrees of freedom of that standard error: one less than there are groups, or examples."""
    numbers = units(count, groups)
    return (count if numbers is None else int(numbers.max()) + 1) - 1


def student(freedom: float, level: float = 0.95) -> float:
    """Half the width of a two-sided interval in standard errors: the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))
