"""The value of a curve at its maximum without the bias of having looked for it.

Choose the place of the maximum on one half of the examples, read the curve there on the other half;
the same the other way round; average both. Given the place, what is read there has the mean of the
true curve at that place, whatever noise chose it. So the estimate has no upward bias at all: where
the true curve is zero its mean is zero, and else it is that of the true curve at the chosen places,
at most its maximum. (Cross-fitting: Chernozhukov et al. 2018, The Econometrics Journal 21.)

The two readings are not independent: the half that chose a place because it was high there is read
by the other. For a flat curve their correlation is near 1/3, and errors that take them for
independent hold 0.91 in place of 0.95. So the error is that of the whole procedure: the means of
both halves are drawn anew, normal around the means of all examples with twice their covariance, and
places chosen and read as before. Where the maximum is clear that is the error of the mean there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import root, shares, units

LEAST = 4  # groups, or examples: with fewer a half has no spread
DRAWS = 1000


def crossfit(
    values: Tensor, choose: Callable[[Tensor], Tensor], groups: Tensor | None = None, seed: int = 0
) -> tuple[float, float]:
    """The cross-fitted value at the place that `choose` chooses, and its standard error.

    Args:
        values: of every example at every point, `[points, examples]`, all finite.
        choose: means at every point `[..., points]` -> places `[...]`.
        groups: which examples belong together, `[examples]`; they stay in one half. None for none.
        seed: of the halves and of the draws.

    Raises:
        BadInput: for fewer than four examples, or groups.
    """
    values = values.double()
    numbers = units(values.shape[1], groups)
    numbers = torch.arange(values.shape[1]) if numbers is None else numbers
    count = int(numbers.max()) + 1 if len(numbers) else 0
    if count < LEAST:
        raise BadInput(
            f"At least {LEAST} independent examples are needed to choose on one half and read on "
            "the other."
        )
    generator = torch.Generator().manual_seed(seed)
    second = torch.isin(numbers, torch.randperm(count, generator=generator)[count // 2 :])
    found = _read(values[:, ~second].mean(1), values[:, second].mean(1), choose)
    noise = torch.randn(2, DRAWS, len(values), generator=generator, dtype=torch.float64) @ root(
        shares(values, groups)
    )
    one, other = values.mean(1) + 2**0.5 * noise
    again = _read(one, other, choose)
    return float(found), float(again.std())


def _read(one: Tensor, other: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    """What each of two halves reads where the other chooses, averaged; `[..., points]` ->
    `[...]`.
    """
    return (other.gather(-1, choose(one)[..., None]) + one.gather(-1, choose(other)[..., None]))[
        ..., 0
    ] / 2
