"""Calibration at points of a path: how sure the predictions are, how often right, and the softmax
temperature at which they would be as sure as they should.

Whether what is left of a barrier is lost knowledge or a confidence that no longer fits shows here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.analysis.temperature import HELD, fit_temperature, temperature_stderr
from lmc_core.paths.line import ModelPath
from lmc_core.tasks.calibration import BINS, equal_mass_sums
from lmc_core.tasks.evaluator import Evaluator
from lmc_core.tasks.task import IGNORED, Examples


@dataclass(frozen=True)
class Calibrated:
    """Calibration at some points.

    Attributes:
        sums: by equal-mass bins, as of `tasks.calibration.Calibration`, float32
            `[points, examples, bins, 3]`.
        temperatures: that fit the same examples, float64 `[points]`.
        errors: standard errors of these, float64 `[points]`.
    """

    sums: Tensor
    temperatures: Tensor
    errors: Tensor


@torch.no_grad()
def calibrate(
    path: ModelPath,
    at: Sequence[float],
    examples: Examples,
    device: str = "cpu",
    tell: Callable[[float], None] = lambda share: None,
    bins: int = BINS,
) -> Calibrated:
    """Measure calibration at some points of a path.

    Args:
        path: between two models.
        at: the points.
        examples: what to measure on, and what temperatures fit.
        device: where to run.
        tell: called with the share done; may raise to stop.
        bins: of confidence.
    """
    path = path.on(device)
    evaluator = Evaluator(path.a, examples, device)
    targets = examples.targets.reshape(len(examples), -1)
    counted = targets != IGNORED
    weights = (counted / counted.sum(1, keepdim=True)).flatten()
    owners = torch.arange(len(examples)).repeat_interleave(targets.shape[1])
    sums, fitted, errors = [], [], []
    for number, point in enumerate(at):
        evaluator.write(path.state(point))
        sure, right, kept, step, done = [], [], [], 1, 0
        for block in evaluator.blocks():
            for batch in block:
                logits = evaluator.run(batch).flatten(0, -2).float()
                top, named = logits.log_softmax(-1).max(-1)
                sure.append(top.exp().cpu())
                right.append((named == batch.targets.flatten()).cpu())
                step = -(-targets.numel() * logits.shape[-1] // HELD)
                kept.append(logits[-done % step :: step].cpu())
                done += len(logits)
                tell((number + done / targets.numel()) / len(at))
        shape = targets.shape
        bag = torch.cat(sure).view(shape), torch.cat(right).view(shape), counted
        sums.append(equal_mass_sums(*bag, bins).float())
        live = weights[::step] > 0
        chosen = torch.cat(kept)[live], targets.flatten()[::step][live], weights[::step][live]
        fitted.append(fit_temperature(*chosen))
        error = temperature_stderr(*chosen, owners[::step][live], fitted[-1], examples.groups)
        errors.append(error)
    return Calibrated(
        torch.stack(sums),
        torch.tensor(fitted, dtype=torch.float64),
        torch.tensor(errors, dtype=torch.float64),
    )
