"""Calibration along a path: equal-mass bins and the error of a temperature."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.analysis.calibrated import calibrate
from lmc_core.analysis.temperature import fit_temperature, temperature_stderr
from lmc_core.errors import BadInput
from lmc_core.paths.line import Line
from lmc_core.tasks.calibration import BINS, Calibration, equal_mass_sums
from lmc_core.tasks.task import IGNORED, Examples
from tests.tiny import tiny


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def brute(sure: list[float], right: list[bool], bins: int) -> float:
    """Sorted by confidence and cut into parts of as many predictions each."""
    order = sorted(range(len(sure)), key=lambda k: sure[k])
    total = 0.0
    for number in range(bins):
        part = [k for rank, k in enumerate(order) if rank * bins // len(order) == number]
        if part:
            gap = sum(sure[k] - right[k] for k in part) / len(part)
            total += len(part) / len(order) * abs(gap)
    return total


@pytest.mark.parametrize("bins", [1, 4, BINS])
def test_equal_mass_bins_against_brute_force(bins: int) -> None:
    sure = torch.rand(20, 5, generator=drawn(0))
    right = torch.rand(20, 5, generator=drawn(1)) < sure**2
    counted = torch.ones(20, 5, dtype=torch.bool)
    sums = equal_mass_sums(sure, right, counted, bins)
    expected = brute(sure.flatten().tolist(), right.flatten().tolist(), bins)
    assert Calibration(sums).error == pytest.approx(expected, abs=1e-6)
    counts = sums.sum(0)[:, 0]
    assert float(counts.max() - counts.min()) <= 1 and float(counts.sum()) == 100
    # what does not count is in no bin
    counted[::2] = False
    some = equal_mass_sums(sure, right, counted, bins)
    rest = equal_mass_sums(sure[1::2], right[1::2], counted[1::2], bins)
    assert Calibration(some).error == pytest.approx(Calibration(rest).error)
    with pytest.raises(BadInput, match="1 bin"):
        equal_mass_sums(sure, right, counted, 0)


def sample(n: int, seed: int, heat: float = 2.0) -> tuple[Tensor, Tensor]:
    """Logits, and targets drawn as they say once they are divided by `heat`."""
    logits = 3 * torch.randn(n, 4, generator=drawn(seed))
    targets = torch.multinomial((logits / heat).softmax(1), 1, generator=drawn(seed + 1))[:, 0]
    return logits, targets


def test_the_error_of_a_temperature_is_its_spread() -> None:
    found, errors = [], []
    for seed in range(0, 400, 2):
        logits, targets = sample(300, seed)
        heat = fit_temperature(logits, targets)
        weights, owners = torch.ones(300), torch.arange(300)
        found.append(heat)
        errors.append(temperature_stderr(logits, targets, weights, owners, heat))
    spread = float(torch.tensor(found).std())
    assert sum(errors) / len(errors) == pytest.approx(spread, rel=0.12)
    assert sum(found) / len(found) == pytest.approx(2.0, abs=4 * spread / 200**0.5)


def test_examples_that_repeat_do_not_make_it_smaller() -> None:
    logits, targets = sample(200, 7)
    heat = fit_temperature(logits, targets)
    alone = temperature_stderr(logits, targets, torch.ones(200), torch.arange(200), heat)
    again = logits.repeat_interleave(3, 0), targets.repeat_interleave(3)
    groups = torch.arange(200).repeat_interleave(3)
    together = temperature_stderr(*again, torch.ones(600), torch.arange(600), heat, groups)
    assert together == pytest.approx(alone, rel=1e-6)


def test_a_path_is_calibrated_point_by_point() -> None:
    line = Line(tiny("gpt2", 0), tiny("gpt2", 1))
    tokens = torch.randint(81, (6, 9), generator=drawn(0))
    targets = tokens[:, 1:].clone()
    targets[2, 3:] = IGNORED
    told: list[float] = []
    found = calibrate(line, (0.0, 0.5, 1.0), Examples(tokens[:, :-1], targets), tell=told.append)
    assert found.sums.shape == (3, 6, BINS, 3) and told[-1] == pytest.approx(1)
    assert float(found.sums[0, ..., 0].sum()) == 6 * 8 - 5
    ends = calibrate(Line(line.b, line.a), (1.0,), Examples(tokens[:, :-1], targets))
    assert torch.allclose(ends.sums[0], found.sums[0])
    assert not torch.allclose(found.temperatures[0], found.temperatures[2])
    assert bool((found.errors > 0).all())
