"""The straight line between two models: what the models on it say of a few examples."""

from __future__ import annotations

import numpy as np
import torch

from lmc_core.lecture.measured import Averages
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.tasks import Examples, losses


@torch.no_grad()
def averages(a: Model, b: Model, examples: Examples, points: int = 11, shown: int = 9) -> Averages:
    """Run the models at evenly spaced points of the straight line between two models.

    Args:
        a: at 0.
        b: at 1.
        examples: images; all are measured, one of each of the first classes is shown.
        points: both ends included.
        shown: how many examples are shown.
    """
    from torch.func import functional_call

    line = Line(
        *(
            model.with_state({name: tensor.float() for name, tensor in model.state.items()})
            for model in (a, b)
        )
    )
    module = line.a.module()
    lam = torch.linspace(0, 1, points, dtype=torch.float64).tolist()
    first = [
        int((examples.targets == each).nonzero()[0, 0])
        for each in examples.targets.unique()[:shown]
    ]
    found = Averages(lam, [], [], np.zeros((points, len(first)), int), *_shown(examples, first))
    for row, x in enumerate(lam):
        state = dict(line.state(x))
        logits = functional_call(module, state, (examples.inputs.float(),))
        loss, right = losses(logits, examples.targets)
        found.loss.append(float(loss.mean()))
        found.accuracy.append(float(right.mean()))
        found.answers[row] = logits[first].argmax(-1).numpy()
    return found


def _shown(examples: Examples, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return examples.targets[rows].numpy(), examples.inputs[rows, 0].numpy()
