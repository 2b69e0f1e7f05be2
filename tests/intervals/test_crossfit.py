"""The maximum of noise is positive; read on the half that did not choose it, it is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.crossfit import crossfit
from lmc_core.paths.barrier import place

RUNS, POINTS, EXAMPLES = 400, 9, 64


def noise(seed: int) -> Tensor:
    """Excess of curves without a barrier: zero at both ends, independent noise inside."""
    values = torch.randn(
        RUNS, POINTS, EXAMPLES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    values[:, [0, -1]] = 0
    return values


def test_no_bias_where_there_is_no_barrier_and_an_honest_error() -> None:
    found = torch.tensor(
        [crossfit(each, place, seed=run) for run, each in enumerate(noise(0))], dtype=torch.float64
    )
    error = 1 / EXAMPLES**0.5
    assert abs(float(found[:, 0].mean())) < 4 * error / RUNS**0.5
    largest = noise(0).mean(2)[:, 1:-1].amax(1)
    # the bias of the plain maximum, in standard errors of one point
    assert float(largest.mean()) > 1.2 * error
    assert float((found[:, 0].abs() <= 1.96 * found[:, 1]).double().mean()) >= 0.94


@pytest.mark.parametrize("height", [0.3, 1.0])
def test_the_error_counts_the_choice(height: float) -> None:
    """Where the maximum is there but hard to see: the interval holds nine times in ten at the
    least, and is no lower bound.
    """
    hill = (
        4
        * height
        * torch.linspace(0, 1, POINTS, dtype=torch.float64)
        * (1 - torch.linspace(0, 1, POINTS, dtype=torch.float64))
    )
    values = 2 * noise(3) + hill[:, None]
    found = torch.tensor(
        [crossfit(each, place, seed=run) for run, each in enumerate(values)], dtype=torch.float64
    )
    inside = ((found[:, 0] - height).abs() <= 1.96 * found[:, 1]).double().mean()
    assert 0.9 <= float(inside) <= 0.99
    assert float(found[:, 0].mean()) <= height  # never upwards


def test_a_clear_barrier_is_found_as_it_is() -> None:
    hill = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    values = noise(1) + (40 * hill * (1 - hill))[:, None]  # 10 in the middle
    found = torch.tensor(
        [crossfit(each, place, seed=run) for run, each in enumerate(values)], dtype=torch.float64
    )
    assert float(found[:, 0].mean()) == pytest.approx(10, abs=0.02)
    mean, row = values[0].mean(1), values[0, int(place(values[0].mean(1)))]
    # both halves choose the place that all do
    assert crossfit(values[0], place)[0] == pytest.approx(float(mean.max()))
    assert crossfit(values[0], place)[1] == pytest.approx(float(row.std() / EXAMPLES**0.5), rel=0.1)


def test_groups_stay_in_one_half() -> None:
    """Copies of four examples: were they torn apart, each half would know what the other reads."""
    four = noise(2)[:, :, :4]
    groups = torch.arange(32) % 4
    found = torch.tensor(
        [crossfit(each.repeat(1, 8), place, groups, run)[0] for run, each in enumerate(four)]
    )
    torn = torch.tensor(
        [crossfit(each.repeat(1, 8), place, None, run)[0] for run, each in enumerate(four)]
    )
    error = 1 / 4**0.5 / RUNS**0.5
    assert abs(float(found.mean())) < 4 * error < float(torn.mean())


def test_too_few_to_halve() -> None:
    for count, groups in ((3, None), (12, torch.arange(12) % 3)):
        with pytest.raises(BadInput, match="At least 4 independent"):
            crossfit(torch.rand(5, count), place, groups)
