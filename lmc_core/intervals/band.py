"""A band that holds a whole curve of means with 95 % confidence, not each of its points by itself.

The largest of 29 noisy values is above zero even if all their means are zero, so an error bar at
the largest one says little. With m_j the mean at point j, s_j its standard error and c the 95 %
quantile of

    max_j | sum_i g_i (x_ij - m_j) | / (n s_j),     g_i independent standard normals, the x_ij held

the band m_j - c s_j ... m_j + c s_j covers all true means at once with probability 0.95 (the
Gaussian multiplier bootstrap: Chernozhukov, Chetverikov and Kato 2013, Annals of Statistics 41). It
has two sides, for a curve may also dip below its chord, and both would contradict "nothing is
there"; without the absolute value, for the lower side alone, c is about 2.3 where it is 2.6 here.
Examples that belong together share one g.

Two things are done in closed form. Given the data, the sums of all points are jointly normal with
the correlation matrix R = U U', U the rows of `errors.shares` divided by their norms; so they are
drawn as R^(1/2) z, z standard normal, which is the same law at a price that does not grow with the
examples. And s_j is itself estimated, from G groups: the sums are divided by the root of an
independent chi^2 with G - 1 degrees of freedom over G - 1, so that a single point gets Student's t
exactly. Of thousands of examples that changes nothing, of eight plays it is the difference between
2.0 and 2.4 standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.intervals.errors import freedom, root, shares

DRAWS = 10_000  # the quantile is then known to about one per cent
LEVEL = 0.95


@dataclass(frozen=True)
class Band:
    """A simultaneous band.

    Attributes:
        factor: c, half the width in standard errors; NaN where no point has an error.
        mean: m_j, float64 `[points]`.
        stderr: s_j, float64 `[points]`.
        rounding: differences up to which are what arithmetic leaves, in the unit of the mean.
    """

    factor: float
    mean: Tensor
    stderr: Tensor
    rounding: float = 0.0

    @property
    def half(self) -> Tensor:
        """Half the width at each point, float64 `[points]`; 0 where nothing varies."""
        return torch.where(self.stderr > 0, self.factor * self.stderr, self.stderr)

    @property
    def low(self) -> Tensor:
        """The lower edge, float64 `[points]`."""
        return self.mean - self.half

    @property
    def high(self) -> Tensor:
        """The upper edge, float64 `[points]`."""
        return self.mean + self.half

    @property
    def at_zero(self) -> bool:
        """Whether the band, widened by what rounding leaves, contains zero everywhere; no if any
        mean is not finite.
        """
        return bool((self.mean.abs() <= self.half + self.rounding).all())


def band(
    values: Tensor, groups: Tensor | None = None, rounding: float = 0.0, level: float = LEVEL
) -> Band:
    """The simultaneous band of the means of some curves' examples, by a fixed seed.

    Args:
        values: `[points, examples]`, at least two examples; points without variation, as the ends
            of an excess, get no width.
        groups: which examples belong together, `[examples]`; None for none.
        rounding: differences up to which are what arithmetic leaves, in the unit of the values.
        level: of confidence.

    Raises:
        BadInput: for fewer than two examples.
    """
    parts = shares(values, groups)
    error = parts.square().sum(1).sqrt()
    varied = (error > 0) & error.isfinite()
    factor = float("nan")
    if varied.any():
        factor = _factor(
            parts[varied] / error[varied, None], freedom(values.shape[1], groups), level
        )
    return Band(factor, values.double().mean(1), error, rounding)


def _factor(rows: Tensor, free: int, level: float) -> float:
    """The factor c of some rows of length 1, `[points, groups]`, whose errors have `free` degrees
    of freedom.
    """
    from scipy.special import chdtri

    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(DRAWS, len(rows), generator=generator, dtype=torch.float64)
    uniform = torch.rand(DRAWS, generator=generator, dtype=torch.float64)
    scale = torch.as_tensor(chdtri(free, uniform.numpy())) / free
    largest = (normal @ root(rows)).abs().amax(1) / scale.sqrt()
    return float(largest.quantile(level))
