"""What the end models predict on training examples: asked for when these are drawn, and kept.

A short run draws few of its examples, and the first step should not wait for all of them. Examples
that are drawn together for the first time are asked for together, also by a run that goes on where
another stopped: what a model says of an example is then the same to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from lmc_core.models.model import Model

# numbers of the ends' predictions that are held: 512 MB; with more the labels are the targets
SOFT = 2**27


def few_enough(model: Model, inputs: Tensor, ends: int = 2) -> bool:
    """Whether there is room for what all ends predict on some examples."""
    sizes = model.family.sizes(model.config)
    each = inputs.shape[1] * sizes["tokens"] if "tokens" in sizes else sizes.get("classes", 1)
    return ends * each * len(inputs) <= SOFT


class Predictions:
    """Probabilities of all ends on some examples.

    Args:
        ask: from inputs to the probabilities of each end, `[n, ..., classes]`.
        inputs: of all examples, on the device that `ask` runs on.

    Attributes:
        asked: examples that the ends were asked for.
        seconds: that this took.
    """

    def __init__(self, ask: Callable[[Tensor], list[Tensor]], inputs: Tensor):
        self.ask, self.inputs = ask, inputs
        self.asked, self.seconds = 0, 0.0
        self.held: list[Tensor] = []
        self._group = torch.full((len(inputs),), -1)  # number of the draw that an example came by
        self._groups: list[Tensor] = []
        self._known: list[bool] = []

    def draw(self, rows: Tensor) -> None:
        """Note the numbers of examples that are drawn together; nothing is asked for yet."""
        new = rows[self._group[rows] < 0].unique()
        if len(new):
            self._group[new] = len(self._groups)
            self._groups.append(new)
            self._known.append(False)

    def read(self, rows: Tensor) -> list[Tensor]:
        """Draw examples, and return what every end predicts on them, `[len(rows), ...]`."""
        self.draw(rows)
        for number in self._group[rows].unique().tolist():
            if not self._known[number]:
                self._ask(number)
        wanted = rows.to(self.inputs.device)
        return [held[wanted] for held in self.held]

    def count_missing(self, draws: float) -> float:
        """How many of the examples that have not been asked for will be drawn, by expectation.

        N (1 - (1 - 1 / N)^n) of N examples are drawn at least once in n draws.

        Args:
            draws: n, single examples, uniformly and with replacement.
        """
        count = len(self.inputs)
        return (count - self.asked) * (1 - (1 - 1 / count) ** draws)

    def _ask(self, number: int) -> None:
        begun = time.perf_counter()
        rows = self._groups[number].to(self.inputs.device)
        found = self.ask(self.inputs[rows])
        if not self.held:  # only what is written takes memory
            self.held = [each.new_empty(len(self.inputs), *each.shape[1:]) for each in found]
        for held, each in zip(self.held, found, strict=True):
            held[rows] = each
        self._known[number] = True
        self.asked += len(rows)
        self.seconds += time.perf_counter() - begun
