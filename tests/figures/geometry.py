"""Where the words of a figure stand, in pixels: rectangles of labels and points of curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.margin import text_width

LINE = 1.25  # height of a line, as a multiple of the type's size


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels from the lower left corner of the plot."""

    left: float
    right: float
    bottom: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether two rectangles share more than an edge."""
        return (
            min(self.right, other.right) > max(self.left, other.left) + 1e-6
            and min(self.top, other.top) > max(self.bottom, other.bottom) + 1e-6
        )

    def holds(self, x: np.ndarray, y: np.ndarray) -> bool:
        """Whether any point lies inside."""
        inside = (x > self.left) & (x < self.right) & (y > self.bottom) & (y < self.top)
        return bool(inside.any())


class Canvas:
    """A figure with axes ``x`` and ``y`` as it is drawn at one width."""

    def __init__(self, figure: go.Figure, width: float) -> None:
        layout, self.figure, self.full = figure.layout, figure, width
        self.margin = layout.margin
        self.width = width - self.margin.l - self.margin.r
        inner = layout.height - self.margin.t - self.margin.b
        low, high = layout.yaxis.domain or (0.0, 1.0)
        self.foot, self.tall = low * inner, (high - low) * inner

    def x(self, values: object) -> np.ndarray:
        """Pixels right of the plot's left edge."""
        low, high = self.figure.layout.xaxis.range
        return (np.asarray(values, dtype=float) - low) / (high - low) * self.width

    def y(self, values: object) -> np.ndarray:
        """Pixels above the plot's lower edge."""
        low, high = self.figure.layout.yaxis.range
        return self.foot + (np.asarray(values, dtype=float) - low) / (high - low) * self.tall

    def labels(self) -> list[Box]:
        """Rectangles of the labels in the margin."""
        found = []
        for note in self.figure.layout.annotations:
            if note.name != "label":
                continue
            size, lines = note.font.size, note.text.count("<br>") + 1
            left, middle = float(self.x(note.x)) + note.ax, float(self.y(note.y)) - note.ay
            half = lines * size * LINE / 2
            wide = text_width(note.text, size)
            found.append(Box(left, left + wide, middle - half, middle + half))
        return found

    def curves(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Points of all curves of the upper panel, closer together than a pixel."""
        found = []
        for trace in self.figure.data:
            if trace.yaxis not in (None, "y") or trace.name == "leader" or not len(trace.x):
                continue
            x, y = (np.array(v, dtype=float) for v in (trace.x, trace.y))
            steps = np.linspace(0, len(x) - 1, 4000)
            places = np.arange(len(x))
            found.append((self.x(np.interp(steps, places, x)), self.y(np.interp(steps, places, y))))
        return found
