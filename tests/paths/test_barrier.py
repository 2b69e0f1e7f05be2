"""The barrier's sign, error and place; curves' ends; one pass over the data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc_core.errors import BadInput, Incompatible
from lmc_core.matching.pair import align_pair
from lmc_core.paths.barrier import barrier, excess
from lmc_core.paths.curve import curve
from lmc_core.paths.line import Line
from lmc_core.tasks import Examples, losses
from lmc_core.tasks.evaluator import evaluate
from tests.networks import random_inputs, random_model

LAM = torch.linspace(0, 1, 5, dtype=torch.float64)


def flat(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None].expand(-1, 4).clone()


def test_the_barrier_is_the_largest_excess_over_the_chord_not_over_the_ends() -> None:
    found = barrier(LAM, flat(1.0, 1.5, 2.0, 2.9, 3.0))  # the chord runs from 1 to 3
    assert (found.value, found.lam, found.index) == (pytest.approx(0.4), 0.75, 3)


def test_a_path_below_its_chord_is_negative_at_its_deepest_point() -> None:
    found = barrier(LAM, flat(1.0, 0.9, 0.5, 0.8, 1.0))
    assert (found.value, found.lam) == (pytest.approx(-0.5), 0.5)


def test_one_point_above_is_enough_to_be_positive() -> None:
    assert barrier(LAM, flat(1.0, 1.1, 0.2, 0.8, 1.0)).value == pytest.approx(0.1)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(2, 30), st.integers(0, 2**20))
def test_against_a_slow_reference(count: int, seed: int) -> None:
    values = torch.rand(
        5, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    means = []
    for point in range(5):
        rows = [
            float(values[point, i] - ((1 - LAM[point]) * values[0, i] + LAM[point] * values[-1, i]))
            for i in range(count)
        ]
        mean = sum(rows) / count
        spread = (sum((row - mean) ** 2 for row in rows) / (count - 1)) ** 0.5
        means.append((mean, spread / count**0.5))
    inner = means[1:-1]
    expected = max(inner) if max(inner)[0] > 0 else min(inner)
    found = barrier(LAM, values)
    assert found.value == pytest.approx(expected[0], abs=1e-12) and found.stderr == pytest.approx(
        expected[1], abs=1e-12
    )


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_an_offset_does_not_matter_and_a_scale_scales(offset: float, scale: float) -> None:
    values = torch.rand(5, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one, two = barrier(LAM, values), barrier(LAM, scale * values + offset)
    assert two.value == pytest.approx(scale * one.value, abs=1e-9)
    assert two.stderr == pytest.approx(scale * one.stderr, abs=1e-9)


@pytest.mark.parametrize(
    "lam", [[0.0, 1.0], [0.1, 0.5, 1.0], [0.0, 0.6, 0.5, 1.0], [0.0, 0.5, 0.9]]
)
def test_points_must_run_from_zero_to_one(lam: list[float]) -> None:
    with pytest.raises(BadInput, match="run from 0 to 1"):
        excess(torch.tensor(lam), torch.rand(len(lam), 3))


def test_one_example_has_no_standard_error() -> None:
    with pytest.raises(BadInput, match="2 examples"):
        barrier(LAM, torch.rand(5, 1))


def examples_for(name: str, count: int = 40) -> Examples:
    model = random_model(name)
    inputs = random_inputs(model, count, 3)
    outputs = model.family.sizes(model.config)
    classes = outputs.get("tokens", outputs.get("classes"))
    shape = inputs.shape if model.family.takes == "text" else (count,)
    targets = torch.randint(classes, shape, generator=torch.Generator().manual_seed(4))  # type: ignore[arg-type]
    return Examples(inputs.float() if inputs.is_floating_point() else inputs, targets)


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_the_ends_are_the_models_own_losses(name: str) -> None:
    a, b = (random_model(name, seed, torch.float32) for seed in (0, 1))
    examples = examples_for(name)
    found = curve(Line(a, b), examples, points=5, refine=2)
    for model, row in [(a, found.losses[0]), (b, found.losses[-1])]:
        with torch.no_grad():
            own = losses(model.family.outputs(model.module(), examples.inputs), examples.targets)[0]
        torch.testing.assert_close(row, own, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "vit"])
def test_points_of_a_curve_against_modules_built_one_by_one(name: str) -> None:
    a, b = (random_model(name, seed, torch.float32) for seed in (0, 1))
    examples = examples_for(name)
    found = curve(Line(a, b), examples, points=3, refine=0)
    middle = a.with_state({n: 0.5 * t + 0.5 * b.state[n] for n, t in a.state.items()})
    with torch.no_grad():
        own = losses(middle.family.outputs(middle.module(), examples.inputs), examples.targets)
    torch.testing.assert_close(found.losses[1], own[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.correct[1], own[1])


def test_refinement_adds_points_around_the_maximum_only() -> None:
    a, b = (random_model("vit", seed, torch.float32) for seed in (0, 1))
    examples = examples_for("vit")
    coarse, fine = (curve(Line(a, b), examples, points=9, refine=refine) for refine in (0, 4))
    top = coarse.barrier.lam
    added = sorted(set(fine.lam.tolist()) - set(coarse.lam.tolist()))
    assert len(added) == 4 and all(abs(x - top) < 1 / 8 for x in added) and len(fine.lam) == 13
    assert abs(fine.barrier.value) >= abs(coarse.barrier.value)
    assert bool((fine.lam.diff() > 0).all())


def test_each_batch_is_loaded_once_for_all_points(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (random_model("vit", seed, torch.float32) for seed in (0, 1))
    examples = examples_for("vit")
    loads = []
    original = Examples.batches

    def counted(self: Examples, size: int):  # type: ignore[no-untyped-def]
        for batch in original(self, size):
            loads.append(len(batch))
            yield batch

    monkeypatch.setattr(Examples, "batches", counted)
    curve(Line(a, b), examples, points=25, refine=0)
    assert sum(loads) == len(examples)


def test_a_model_and_its_moved_copy_have_no_barrier() -> None:
    a = random_model("gpt2", 0, torch.float32)
    pair = align_pair(a, a, random_inputs(a))
    found = curve(Line(pair.a, pair.b), examples_for("gpt2"), points=5)
    assert abs(found.barrier.value) < 1e-5


def test_progress_reaches_one_and_can_stop() -> None:
    a, b = (random_model("vit", seed, torch.float32) for seed in (0, 1))
    shares: list[float] = []
    curve(Line(a, b), examples_for("vit"), points=5, refine=2, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(a, [a.state], examples_for("vit"), progress=stop)


def test_bad_settings() -> None:
    a, b = (random_model("vit", seed, torch.float32) for seed in (0, 1))
    with pytest.raises(BadInput, match="3 points"):
        curve(Line(a, b), examples_for("vit"), points=2)
    with pytest.raises(BadInput, match="refining"):
        curve(Line(a, b), examples_for("vit"), refine=-1)
    with pytest.raises(Incompatible, match="align them first"):
        Line(a, random_model("gpt2"))
