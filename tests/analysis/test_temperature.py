"""The temperature: against a slow minimiser, where it is known, where there is none, and along a
curve.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from lmc_core.analysis import temperature
from lmc_core.analysis.temperature import fit_temperature, temperatures, tempered
from lmc_core.paths.curve import curve, measure
from lmc_core.paths.line import Line
from lmc_core.tasks import evaluator
from lmc_core.tasks.evaluator import evaluate
from lmc_core.tasks.task import IGNORED, Examples
from tests.networks import random_model
from tests.paths.test_barrier import examples_for


def answered(name: str, count: int = 40) -> tuple[Line, Examples]:
    """A line, and targets drawn from what its middle says at a temperature of 2."""
    line = Line(*(random_model(name, seed, torch.float32) for seed in (0, 1)))
    inputs = examples_for(name, count).inputs
    with torch.no_grad():
        logits = line.a.family.outputs(line.a.with_state(line.state(0.5)).module(), inputs)
    drawn = (
        (logits / 2)
        .softmax(-1)
        .flatten(0, -2)
        .multinomial(1, generator=torch.Generator().manual_seed(0))
    )
    return line, Examples(inputs, drawn.view(logits.shape[:-1]))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(2, 40), st.integers(0, 2**20), st.floats(0.1, 20))
def test_against_scipy(classes: int, seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(60, classes, generator=generator, dtype=torch.float64)
    targets = torch.distributions.Categorical(logits=logits / (2 * scale)).probs.multinomial(
        1, generator=generator
    )[:, 0]
    weights = torch.rand(60, generator=generator, dtype=torch.float64)

    def loss(log_beta: float) -> float:
        each = cross_entropy(logits * math.exp(log_beta), targets, reduction="none")
        return float((weights * each).sum() / weights.sum())

    best: dict[str, float] = minimize_scalar(
        loss, bounds=(-4.6, 4.6), method="bounded", options={"xatol": 1e-9}
    )  # type: ignore
    found = fit_temperature(logits, targets, weights)
    at, least = best["x"], best["fun"]
    assert loss(-math.log(found)) <= least + 1e-12
    if 0.02 < found < 50:
        assert found == pytest.approx(math.exp(-at), rel=1e-4)


@pytest.mark.parametrize("true", [0.25, 1.0, 4.0])
def test_calibrated_logits_have_the_temperature_they_were_drawn_with(true: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(30_000, 6, generator=generator)
    targets = (logits / true).softmax(1).multinomial(1, generator=generator)[:, 0]
    assert fit_temperature(logits, targets) == pytest.approx(true, rel=0.05)
    assert fit_temperature(3 * logits, targets) == pytest.approx(3 * true, rel=0.05)


def test_logits_without_a_best_temperature_get_the_nearest_bound() -> None:
    logits = torch.eye(5)
    # never wrong: the smaller, the better
    assert fit_temperature(logits, torch.arange(5)) == pytest.approx(0.01, rel=1e-3)
    # always wrong
    assert fit_temperature(logits, torch.arange(5).roll(1)) == pytest.approx(100, rel=1e-3)
    assert 0.01 <= fit_temperature(torch.zeros(5, 5), torch.arange(5)) <= 100  # says nothing


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_a_tempered_curve_is_the_lowest_on_what_it_was_fitted_on(name: str) -> None:
    line, examples = answered(name)
    before = curve(line, examples, points=3, refine=0)
    found, after = tempered(line, before.lam, examples, examples)
    assert float(found[1]) == pytest.approx(2, rel=0.2)
    assert (
        bool((after.mean <= before.mean).all()) and float((before.mean - after.mean).max()) > 0.02
    )
    # the order of the classes does not depend on it
    torch.testing.assert_close(after.correct, before.correct)
    for factor in (0.9, 1.1):
        other = measure(line, before.lam, examples, temperatures=found * factor)
        # at the ends the targets are noise, and any large one is as good
        assert float(other.mean[1]) > float(after.mean[1])


def test_masked_targets_do_not_count_and_windows_count_alike() -> None:
    line, examples = answered("gpt2", 6)
    targets = examples.targets.clone()
    targets[0, 1:] = IGNORED
    masked = Examples(examples.inputs, targets)
    lam = torch.tensor([0.5])
    (found,), (other,) = temperatures(line, lam, masked), temperatures(line, lam, examples)
    assert abs(float(found - other)) > 1e-3
    values = [
        float(
            evaluate(
                line.a,
                [line.state(0.5)],
                masked,
                temperatures=torch.tensor([float(found) * factor]),
            )[0].mean()
        )
        for factor in (0.9, 1.0, 1.1)
    ]
    assert values[1] < min(values[0], values[2])


def test_of_many_logits_evenly_spaced_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    line, examples = answered("gpt2")
    lam = torch.tensor([0.5])
    whole = temperatures(line, lam, examples)
    monkeypatch.setattr(temperature, "HELD", 31 * 100)  # 480 targets: every fifth is kept
    monkeypatch.setattr(evaluator, "batch_size", lambda model, examples: 7)
    part = temperatures(line, lam, examples)
    with torch.no_grad():
        logits = line.a.family.outputs(
            line.a.with_state(line.state(0.5)).module(), examples.inputs
        ).flatten(0, 1)
    assert float(part) == pytest.approx(
        fit_temperature(logits[::5], examples.targets.flatten()[::5]), rel=1e-4
    )
    assert float(whole) == pytest.approx(
        fit_temperature(logits, examples.targets.flatten()), rel=1e-4
    )
    assert abs(float(part - whole)) > 1e-3


def test_progress_reaches_one() -> None:
    line, examples = answered("vit", 10)
    shares: list[float] = []
    tempered(line, torch.linspace(0, 1, 3), examples, examples, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
