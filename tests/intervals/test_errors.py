"""Errors of means whose examples belong together, against slow loops, known cases and simulated
coverage.
"""

from __future__ import annotations

import pytest
import torch

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import freedom, shares, stderr, student, units


def test_without_groups_it_is_the_usual_standard_error() -> None:
    values = torch.rand(3, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    usual = values.std(1) / 50**0.5
    assert torch.allclose(stderr(values), usual, rtol=1e-12)
    # each its own group
    assert torch.allclose(stderr(values, torch.randperm(50)), usual, rtol=1e-12)
    # one group says nothing
    assert torch.allclose(stderr(values, torch.full((50,), 7)), usual, rtol=1e-12)
    assert freedom(50) == freedom(50, torch.full((50,), 7)) == 49


def test_against_a_slow_loop_over_groups_of_unequal_size() -> None:
    generator = torch.Generator().manual_seed(1)
    values, groups = (
        torch.randn(40, generator=generator),
        torch.randint(5, (40,), generator=generator) * 3 - 4,
    )
    mean = sum(values.tolist()) / 40
    total = sum(
        sum(v - mean for v, g in zip(values.tolist(), groups.tolist(), strict=True) if g == k) ** 2
        for k in set(groups.tolist())
    )
    assert float(stderr(values, groups)) == pytest.approx((5 / 4 * total) ** 0.5 / 40, rel=1e-6)
    assert freedom(40, groups) == 4
    assert torch.allclose(shares(values, groups).square().sum(), stderr(values, groups) ** 2)


def test_groups_of_equal_size_are_the_error_of_their_means() -> None:
    values = torch.randn(8, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    groups = torch.arange(8).repeat_interleave(30)
    assert float(stderr(values.flatten(), groups)) == pytest.approx(
        float(values.mean(1).std() / 8**0.5), rel=1e-12
    )


def test_copies_of_an_example_add_nothing() -> None:
    values = torch.randn(20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    thrice = values.repeat(3)
    assert float(stderr(thrice, torch.arange(20).repeat(3))) == pytest.approx(
        float(stderr(values)), rel=1e-12
    )
    # what counting them as independent would say
    assert float(stderr(thrice)) < 0.6 * float(stderr(values))


def coverage(sizes: list[int], clustered: bool) -> float:
    """How often the 95 % interval of a mean holds the truth, zero; windows of a work share half of
    their variance.
    """
    generator = torch.Generator().manual_seed(4)
    groups = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    draws, count = 4000, sum(sizes)
    works = torch.randn(draws, len(sizes), generator=generator, dtype=torch.float64)
    values = works[:, groups] + torch.randn(draws, count, generator=generator, dtype=torch.float64)
    known = groups if clustered else None
    half = student(freedom(count, known)) * stderr(values, known)
    return float((values.mean(1).abs() <= half).double().mean())


def test_eight_works_hold_what_is_promised_and_windows_alone_do_not() -> None:
    assert coverage([40] * 8, True) == pytest.approx(0.95, abs=0.01)
    assert coverage([30, 35, 40, 40, 45, 50, 40, 40], True) == pytest.approx(0.95, abs=0.015)
    assert coverage([20] * 16, True) == pytest.approx(0.95, abs=0.01)
    assert coverage([40] * 8, False) < 0.5


def test_quantiles_from_a_table() -> None:
    assert student(3) == pytest.approx(3.182, abs=1e-3) and student(7) == pytest.approx(
        2.365, abs=1e-3
    )
    assert student(1e9) == pytest.approx(1.95996, abs=1e-4)


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="2 examples"):
        stderr(torch.rand(5, 1))
    with pytest.raises(BadInput, match="One group for each of the 4"):
        stderr(torch.rand(2, 4), torch.zeros(3))
    assert units(4, None) is None
