"""Curves, planes and merges on the device: the numbers of the CPU, and how often it is waited for."""

from __future__ import annotations

import pytest
import torch

from lmc_core.merging.measure import measure as measure_merge
from lmc_core.paths.bezier import Bezier
from lmc_core.paths.curve import curve, measure
from lmc_core.paths.grid import Grid, measure_grid
from lmc_core.paths.line import Line
from lmc_core.paths.plane import Plane
from lmc_core.tasks import evaluator
from tests.networks import random_model
from tests.paths.test_barrier import examples_for
from tests.standin.device import counting


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_a_curve_waits_for_its_losses_alone(
    standin: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One copy to the host for a pass, whatever the points and batches, but for one byte that
    transformers' own GPT-2 asks for in every forward pass (are sequences packed?); models go to the
    device once, and the memory there does not grow with the points but for the losses.
    """
    monkeypatch.setattr(evaluator, "BATCH", 8)
    a, b = (random_model(name, seed, torch.float32) for seed in (0, 1))
    examples, found = examples_for(name), []
    for points in (3, 7):
        with counting() as counts:
            there = curve(Line(a, b), examples, points, 0, standin)
        here = curve(Line(a, b), examples, points, 0)
        torch.testing.assert_close(there.losses, here.losses, atol=1e-5, rtol=1e-5)
        losses = 4 * 2 * points * len(examples)
        passes = points * 5 if name == "gpt2" else 0
        assert counts.to_host == 1 + passes and counts.bytes_to_host == losses + passes
        found.append(counts)
    assert found[0].to_device == found[1].to_device
    assert found[1].peak <= found[0].peak + 4 * 2 * (7 - 3) * len(examples)


@pytest.mark.alone
def test_planes_bends_and_merges_find_what_they_find_on_the_cpu(standin: str) -> None:
    a, b, c = (random_model("gpt2", seed, torch.float32) for seed in range(3))
    examples = examples_for("gpt2")
    plane = Plane.through(a, b, c)
    grid = Grid.around(plane.corners, 3)
    here, there = (measure_grid(plane, grid, examples, device) for device in ("cpu", standin))
    torch.testing.assert_close(there.loss, here.loss, atol=1e-5, rtol=1e-5)
    bend = Bezier(a, b, c.state)
    lam = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    one, two = (measure(bend, lam, examples, device).losses for device in ("cpu", standin))
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-5)
    states, shares = [a.state, b.state], (0.3, 0.7)
    with counting() as counts:
        votes = measure_merge(a, states, examples, shares, standin)
    expected = measure_merge(a, states, examples, shares)
    torch.testing.assert_close(votes.losses, expected.losses, atol=1e-5, rtol=1e-5)
    assert counts.to_host == 2 + len(states)
