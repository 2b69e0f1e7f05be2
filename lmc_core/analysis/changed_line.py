"""A line whose networks are changed between its ends, by what is measured on training examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.tasks.task import Examples


@dataclass(frozen=True)
class ChangedLine:
    """What such lines have in common.

    Attributes:
        line: between two models.
        examples: of the training split, on which is measured.
        device: where models run.
    """

    line: Line
    examples: Examples
    device: str = "cpu"

    @property
    def a(self) -> Model:
        """The model at 0."""
        return self.line.a

    @property
    def b(self) -> Model:
        """The model at 1."""
        return self.line.b

    def on(self, device: str) -> Self:
        """The line itself: what was measured of it lies on the CPU."""
        return self
