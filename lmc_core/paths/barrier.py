"""The loss barrier of a path, with its sign and its standard error.

    excess(lam)  = L(lam) - [(1 - lam) L(0) + lam L(1)]    above the chord between the end losses
    barrier      = max over lam of excess(lam)

(Frankle et al. 2020, arXiv 1912.05671; Entezari et al. 2022).

At both ends the excess is 0 by definition, so they do not count. If the whole interior lies below
the chord, the barrier is the excess at the deepest point, a negative number: the largest one would
only tell how close to an end the first point is.

The largest of many noisy values is positive even where the barrier is zero; `lmc_core.intervals`
has a band for the whole curve and the value at the maximum without that bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr


@dataclass(frozen=True)
class Barrier:
    """A barrier.

    Attributes:
        value: in nats; negative for a path below its chord.
        stderr: standard error of the excess at `lam` over examples, or groups of them, in nats. It
            does not count the choice of `lam`.
        lam: where on the path.
        index: which point of the curve.
    """

    value: float
    stderr: float
    lam: float
    index: int


def excess(lam: Tensor, losses: Tensor) -> Tensor:
    """Loss above the chord of each example.

    Args:
        lam: the points, the first 0 and the last 1, `[points]`.
        losses: in nats, `[points, examples]`.

    Returns:
        float64 `[points, examples]`, zero in the first and last row.

    Raises:
        BadInput: if the points do not run from 0 to 1.
    """
    if (
        len(lam) < 3
        or float(lam[0]) != 0.0
        or float(lam[-1]) != 1.0
        or not bool((lam.diff() > 0).all())
    ):
        raise BadInput("A curve needs at least three increasing points that run from 0 to 1.")
    losses, weight = losses.double(), lam.double()[:, None]
    return losses - ((1 - weight) * losses[:1] + weight * losses[-1:])


def place(mean: Tensor) -> Tensor:
    """Which point of a curve its barrier is at.

    Args:
        mean: the mean excess at each point, `[..., points]`; the first and the last do not count.

    Returns:
        int64 `[...]`.
    """
    inner = mean[..., 1:-1]
    return 1 + torch.where(inner.amax(-1) <= 0, inner.argmin(-1), inner.argmax(-1))


def barrier(lam: Tensor, losses: Tensor, groups: Tensor | None = None) -> Barrier:
    """The barrier of a curve given by the losses of the same examples at every point.

    Args:
        lam: the points, `[points]`.
        losses: in nats, `[points, examples]`, at least two examples.
        groups: which examples belong together, `[examples]`; None for none.

    Raises:
        BadInput: if the points do not run from 0 to 1, or there are fewer than two examples.
    """
    above = excess(lam, losses)
    index = int(place(above.mean(1)))
    row = above[index]
    return Barrier(float(row.mean()), float(stderr(row, groups)), float(lam[index]), index)
