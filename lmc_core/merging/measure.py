"""Loss, score and calibration of one model, or of several that vote, in one pass over the data.

The output ensemble is the mixture of the models' predictions, p(y | x) = sum_k w_k p_k(y | x): its
loss is at most the mean of their losses (Jensen's inequality), and it costs as many forward passes
as there are models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.models.model import Model
from lmc_core.symmetry.arithmetic import zeros
from lmc_core.tasks import Examples, losses
from lmc_core.tasks.calibration import BINS, Calibration, confidence_sums
from lmc_core.tasks.evaluator import Evaluator, State
from lmc_core.tasks.streamed_losses import StreamedLosses


@dataclass(frozen=True)
class Measured:
    """What a pass over the data found.

    Attributes:
        losses: of each example in nats, float32 `[examples]`.
        correct: share predicted correctly, same shape.
        calibration: of the confidences.
        groups: which examples belong together, int64 `[examples]`; None where each stands for
            itself.
    """

    losses: Tensor
    correct: Tensor
    calibration: Calibration
    groups: Tensor | None = None

    def numbers(self, score: str) -> dict[str, Any]:
        """Means with standard errors over examples, as plain values.

        Args:
            score: ``accuracy`` or ``perplexity``, that of the task.
        """
        found = describe_losses(self.losses, self.correct, score, self.groups)
        return found | {
            "ece": self.calibration.error,
            "ece_stderr": self.calibration.of_groups(self.groups).stderr,
            "reliability": self.calibration.curve(),
        }


def describe_losses(
    losses: Tensor, correct: Tensor, score: str, groups: Tensor | None = None
) -> dict[str, Any]:
    """Means with standard errors over examples, as plain values.

    Args:
        losses: of each example in nats, `[examples]`.
        correct: share predicted correctly, same shape.
        score: ``accuracy`` or ``perplexity``, that of the task.
        groups: which examples belong together, `[examples]`; None for none.
    """
    loss, error = mean_and_error(losses, groups)
    found: dict[str, Any] = {"loss": loss, "loss_stderr": error}
    if score == "accuracy":
        found["accuracy"], found["accuracy_stderr"] = mean_and_error(correct, groups)
    else:  # the error of exp(x) to first order
        found["perplexity"] = math.exp(min(loss, 700.0))
        found["perplexity_stderr"] = error * found["perplexity"]
    return found


def measure_unheld(
    model: Model,
    examples: Examples,
    score: str,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Loss and score of a lazily read model with their standard errors over examples, as plain
    values; the model is measured part by part and never held (`tasks.streamed_losses`).

    Args:
        model: with lazy parameters.
        examples: what to measure on.
        score: ``accuracy`` or ``perplexity``, that of the task.
        progress: called with the share done; may raise to stop.
    """
    losses, correct = StreamedLosses([model], examples).losses([(1.0,)], progress)
    return describe_losses(losses[0], correct[0], score, examples.groups)


def mean_and_error(values: Tensor, groups: Tensor | None = None) -> tuple[float, float]:
    """The mean of `[n]` values and its standard error; `groups` says which of them belong
    together.
    """
    return float(values.double().mean()), float(stderr(values, groups))


def measure(
    model: Model,
    states: Sequence[State],
    examples: Examples,
    weights: Sequence[float] = (1.0,),
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
    bins: int = BINS,
) -> Measured:
    """Measure a set of parameters, or the ensemble of several.

    Args:
        model: whose class and configuration the parameters belong to.
        states: one set of parameters, or those of all that vote.
        examples: what to measure on.
        weights: of the votes, summing to 1.
        device: where to run.
        progress: called after every batch with the share done; may raise to stop.
        bins: of the calibration.
    """
    evaluator = Evaluator(model, examples, device)
    values = torch.empty(2, len(examples), device=device)
    sums = zeros(len(examples), bins, 3, device=device)
    done = 0
    for block in evaluator.blocks():
        for batch in block:
            with torch.inference_mode():
                logits = _votes([evaluator.run(batch, state) for state in states], weights)
                values[:, batch.rows] = torch.stack(losses(logits, batch.targets))
                sums[batch.rows] = confidence_sums(logits, batch.targets, bins)
            done += len(batch)
            progress(done / len(examples))
    values = values.cpu()
    return Measured(values[0], values[1], Calibration(sums.cpu().double()), examples.groups)


def _votes(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Of one model its logits, of several the logarithm of the mixture of their probabilities."""
    if len(logits) == 1:
        return logits[0]
    terms = [
        each.float().log_softmax(-1) + math.log(weight)
        for each, weight in zip(logits, weights, strict=True)
        if weight
    ]
    return torch.logsumexp(torch.stack(terms), 0)
