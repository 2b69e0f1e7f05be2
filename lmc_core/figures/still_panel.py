"""Where a value lies in a panel of a still picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One pair of axes and where it lies in the figure.

    Attributes:
        name: of both axes, e.g. ``2`` for ``x2`` and ``y2``.
        x: range of the horizontal axis.
        y: range of the vertical axis.
        top: pixels from the figure's upper edge.
        height: in pixels.
    """

    name: str
    x: tuple[float, float]
    y: tuple[float, float]
    top: float
    height: float

    def across(self, value: float) -> float:
        """Where a value lies, as a share of the width."""
        return (value - self.x[0]) / (self.x[1] - self.x[0])

    def down(self, value: float) -> float:
        """Where a value lies, in pixels below the panel's upper edge."""
        return self.height * (self.y[1] - value) / (self.y[1] - self.y[0])


def line_runs(
    x: Sequence[float], y: Sequence[float], panel: Panel
) -> Iterator[list[tuple[float, float]]]:
    """Stretches of a line without a gap, as shares of the width and pixels down."""
    run: list[tuple[float, float]] = []
    for one, other in zip(x, y, strict=True):
        if one is None or other is None or not math.isfinite(one) or not math.isfinite(other):
            if run:
                yield run
            run = []
        else:
            run.append((panel.across(float(one)), panel.down(float(other))))
    if run:
        yield run
