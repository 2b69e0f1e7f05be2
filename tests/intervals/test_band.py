"""The band holds whole curves as often as promised, point-wise errors do not; one point gets
Student's t.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.intervals.band import band
from lmc_core.intervals.errors import stderr, student

POINTS, RUNS = 9, 300


def smooth(runs: int, examples: int, seed: int, works: int = 0) -> Tensor:
    """Noise that is alike at neighbouring points, `[runs, points, examples]`; of some works, mostly
    that of the work.
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    kernel = (-((place[:, None] - place) ** 2) / 0.08).exp() + 1e-9 * torch.eye(
        POINTS, dtype=torch.float64
    )
    root = torch.linalg.cholesky(kernel)
    values = root @ torch.randn(runs, POINTS, examples, generator=generator, dtype=torch.float64)
    if works:
        shared = root @ torch.randn(runs, POINTS, works, generator=generator, dtype=torch.float64)
        values = values + 2 * shared[..., torch.arange(examples) % works]
    return values


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer draws, where the band is made hundreds of times."""
    monkeypatch.setattr("lmc_core.intervals.band.DRAWS", 1000)


@pytest.mark.usefixtures("quick")
def test_the_whole_curve_lies_in_the_band_as_often_as_promised() -> None:
    found = [band(each) for each in smooth(RUNS, 100, 0)]
    assert sum(each.at_zero for each in found) / RUNS == pytest.approx(0.95, abs=0.03)
    pointwise = [bool((each.mean.abs() <= 1.96 * each.stderr).all()) for each in found]
    assert sum(pointwise) / RUNS < 0.88  # the negative control
    assert all(2.0 < each.factor < 2.8 for each in found)


@pytest.mark.usefixtures("quick")
def test_eight_works_need_a_wider_band_than_so_many_windows() -> None:
    groups = torch.arange(80) % 8
    values = smooth(RUNS, 80, 1, works=8)
    assert sum(band(each, groups).at_zero for each in values) / RUNS == pytest.approx(
        0.95, abs=0.035
    )
    assert sum(band(each).at_zero for each in values) / RUNS < 0.5


def test_the_factor_is_that_of_the_multiplier_bootstrap() -> None:
    """The closed form against the sums that it stands for: 20,000 draws of a normal number for
    every example.
    """
    values = smooth(1, 60, 2)[0]
    deviations = values - values.mean(1, keepdim=True)
    errors = deviations.square().sum(1).sqrt() / 60
    generator = torch.Generator().manual_seed(3)
    drawn = (
        torch.randn(20_000, 60, generator=generator, dtype=torch.float64)
        @ deviations.T
        / 60
        / errors
    )
    scale = (
        torch.randn(20_000, 59, generator=generator, dtype=torch.float64).square().sum(1) / 59
    ).sqrt()
    slow = float((drawn.abs().amax(1) / scale).quantile(0.95))
    assert band(values).factor == pytest.approx(slow, rel=0.03)


def test_one_point_gets_students_t() -> None:
    values = torch.randn(1, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert band(values).factor == pytest.approx(student(7), rel=0.04)
    twice = band(values.repeat(5, 1))  # the same point five times is one point
    assert twice.factor == pytest.approx(student(7), rel=0.04)


def test_points_that_do_not_vary_get_no_width() -> None:
    values = smooth(1, 50, 5)[0]
    values[0] = values[-1] = 0.0
    found = band(values)
    assert found.half[0] == found.half[-1] == 0 and bool((found.half[1:-1] > 0).all())
    assert torch.allclose(found.high - found.mean, found.factor * stderr(values))
    nothing = band(torch.zeros(4, 10))
    assert (
        nothing.at_zero
        and nothing.factor != nothing.factor
        and torch.equal(nothing.low, torch.zeros(4).double())
    )


def test_at_zero_allows_for_rounding_and_not_for_more() -> None:
    values = 1e-9 * smooth(1, 50, 6)[0] + 1e-7
    assert not band(values).at_zero and band(values, rounding=2e-7).at_zero
    assert not band(values - 1e-6, rounding=2e-7).at_zero  # nor below


def test_what_is_not_finite_is_not_at_zero() -> None:
    values = smooth(1, 50, 7)[0]
    assert band(values).at_zero
    values[3, 2] = float("nan")
    found = band(values)
    assert not found.at_zero and found.factor == pytest.approx(
        band(values[[0, 1, 2, 4, 5, 6, 7, 8]]).factor
    )
    values[3, 2] = float("inf")
    assert not band(values).at_zero


def test_the_same_numbers_every_time() -> None:
    values = smooth(1, 50, 8)[0]
    assert band(values).factor == band(values.clone()).factor
    assert band(3 * values + 1).factor == pytest.approx(band(values).factor, rel=1e-9)
