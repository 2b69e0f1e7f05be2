"""Measuring one model and several that vote, against the curve's own numbers and a loop."""

from __future__ import annotations

import math

import pytest
import torch

from lmc_core.merging.measure import measure
from lmc_core.models.model import Model
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import evaluate
from tests.networks import random_inputs, random_model


@pytest.fixture(scope="module")
def three() -> tuple[list[Model], Examples]:
    models = [random_model("gpt2", seed, torch.float32) for seed in range(3)]
    inputs = random_inputs(models[0], 7)
    return models, Examples(inputs, inputs.roll(-1, 1))


def test_one_model_as_on_a_curve(three: tuple[list[Model], Examples]) -> None:
    models, examples = three
    found = measure(models[0], [models[1].state], examples)
    losses, correct = evaluate(models[0], [models[1].state], examples)
    assert torch.equal(found.losses, losses[0]) and torch.equal(found.correct, correct[0])
    numbers = found.numbers("perplexity")
    assert numbers["loss"] == pytest.approx(float(losses.mean())) and numbers[
        "perplexity"
    ] == pytest.approx(math.exp(numbers["loss"]))
    assert numbers["loss_stderr"] == pytest.approx(float(losses.std()) / 7**0.5)
    assert numbers["perplexity_stderr"] == pytest.approx(
        numbers["perplexity"] * numbers["loss_stderr"]
    )
    assert found.numbers("accuracy")["accuracy"] == pytest.approx(float(correct.mean()))
    assert len(numbers["reliability"]["share"]) == 15 and sum(
        numbers["reliability"]["share"]
    ) == pytest.approx(1)


@pytest.mark.parametrize("weights", [(1 / 3, 1 / 3, 1 / 3), (0.5, 0.0, 0.5), (0.7, 0.2, 0.1)])
def test_votes_against_a_loop(
    three: tuple[list[Model], Examples], weights: tuple[float, ...]
) -> None:
    models, examples = three
    found = measure(models[0], [m.state for m in models], examples, weights)
    each = [m.family.outputs(m.module(), examples.inputs).softmax(-1) for m in models]
    mixture = torch.stack([w * p for w, p in zip(weights, each, strict=True)]).sum(0)
    own = [
        -p.gather(-1, examples.targets[..., None])[..., 0].log().mean(1) for p in [mixture, *each]
    ]
    assert torch.allclose(found.losses, own[0], atol=1e-5)
    assert float(found.losses.mean()) < sum(
        w * float(loss.mean()) for w, loss in zip(weights, own[1:], strict=True)
    )
    assert torch.equal(found.correct, (mixture.argmax(-1) == examples.targets).float().mean(1))
    sure, named = mixture.max(-1)
    sums = found.calibration.sums.sum((0, 1))
    assert sums.tolist() == pytest.approx(
        [examples.targets.numel(), float(sure.sum()), float((named == examples.targets).sum())]
    )


def test_progress_can_stop_it(three: tuple[list[Model], Examples]) -> None:
    models, examples = three
    told: list[float] = []
    measure(models[0], [models[0].state], examples, progress=told.append)
    assert told[-1] == 1.0

    def stop(share: float) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        measure(models[0], [models[0].state], examples, progress=stop)
