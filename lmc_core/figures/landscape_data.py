"""A plane's result as what is drawn of it: a grid of losses, finished or not, with points and
paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

DRAWN = 61  # points of a curve as it is drawn
NODE = 1e-5  # of the sides: what is nearer to a point of the grid is that point
FLOOR = 1e-3  # of the clipping loss, below which nothing is told apart


Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Route:
    """A path as it is drawn in the plane.

    Attributes:
        label: for people.
        method: whose meaning it has, a key of `style.MEANINGS` or a method.
        classes: of that method.
        u: of its points `[points]`.
        v: of its points `[points]`.
        away: how far from the plane its bend lies; 0 for a path in the plane, others are seen from
            above.
    """

    label: str
    method: str
    u: np.ndarray
    v: np.ndarray
    classes: Mapping[str, str] = field(default_factory=dict)
    away: float = 0.0


@dataclass(frozen=True)
class Landscape:
    """Losses on a grid of a plane.

    Attributes:
        facts: of the result, or of one that is not finished.
        u: of the columns `[n]`.
        v: of the rows `[n]`.
        loss: in nats `[n, n]`, rows along v; NaN where nothing was measured.
        stderr: its standard error, same shape.
        correct: share predicted correctly, same shape.
    """

    facts: Facts
    u: np.ndarray
    v: np.ndarray
    loss: np.ndarray
    stderr: np.ndarray
    correct: np.ndarray

    @classmethod
    def of(cls, facts: Facts, arrays: Mapping[str, np.ndarray]) -> Landscape:
        """From what a computation gives."""
        return cls(
            facts,
            *(
                np.asarray(arrays[name], dtype=float)
                for name in ("u", "v", "loss", "stderr", "correct")
            ),
        )

    @property
    def score_name(self) -> str:
        """``accuracy`` or ``perplexity``."""
        return str(self.facts.get("score", "accuracy"))

    @cached_property
    def score(self) -> np.ndarray:
        """The score at every point `[n, n]`."""
        return (
            self.correct if self.score_name == "accuracy" else np.exp(np.minimum(self.loss, 700.0))
        )

    @property
    def measured(self) -> np.ndarray:
        """Which points were measured, bool `[n, n]`."""
        return ~np.isnan(self.correct)

    @property
    def share(self) -> float:
        """How much of the grid was measured, in [0, 1]."""
        return float(self.measured.mean())

    @property
    def readable(self) -> bool:
        """Whether a loss that was measured is finite, or nothing was measured yet; else there is no
        map to read.
        """
        return bool(np.isfinite(self.loss[self.measured]).any()) or not self.measured.any()

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The losses where the scale of colours begins and ends: the lowest there is, and the loss
        of guessing or less.
        """
        values = self.loss[np.isfinite(self.loss)]
        # None becomes NaN
        own = np.array([point["loss"] for point in self.facts.get("points", [])], dtype=float)
        values = np.concatenate([values, own[np.isfinite(own)]])
        clip = float(self.facts.get("clip") or 1.0)
        if not len(values):
            return clip / 10, clip
        low, high = max(float(values.min()), FLOOR * clip), float(values.max())
        high = clip if low < 0.8 * clip < high else high
        return low, max(min(high, max(clip, 1.25 * low)), 1.05 * low)

    @cached_property
    def height(self) -> np.ndarray:
        """log10 of the loss, clipped to `limits`; of a grid that is not finished interpolated
        between what is known.
        """
        low, high = self.limits
        values = np.log10(np.clip(np.where(np.isnan(self.loss), high, self.loss), low, high))
        if self.share == 1.0:
            return values
        models = [(p["v"], p["u"], self.level(p["loss"])) for p in self.facts.get("points", [])]
        return _filled(values, self.measured, self.v, self.u, np.array(models).reshape(-1, 3))

    def level(self, loss: float | None) -> float:
        """log10 of a loss, clipped to `limits`; of one that is no number that of the highest."""
        low, high = self.limits
        return float(np.log10(np.clip(high if loss is None or np.isnan(loss) else loss, low, high)))

    def between(self, u: float, v: float) -> dict[str, float]:
        """Loss and score at any place of the grid, linear between its four points there; NaN where
        one is not measured.
        """
        row, column = (
            (x - axis[0]) / (axis[-1] - axis[0]) * (len(axis) - 1)
            for x, axis in ((v, self.v), (u, self.u))
        )
        top, left = (int(np.clip(np.floor(x + NODE), 0, len(self.u) - 2)) for x in (row, column))
        down, right = row - top, column - left
        weights = np.outer([1 - down, down], [1 - right, right])
        # on a point or a line of the grid the others do not count
        weights[np.abs(weights) < NODE] = 0.0
        cells = slice(top, top + 2), slice(left, left + 2)
        held = weights > 0
        return {
            name: float((weights[held] * values[cells][held]).sum())
            for name, values in (("loss", self.loss), ("score", self.score))
        }

    def node(self, u: float, v: float) -> tuple[int, int] | None:
        """Row and column of the point of the grid at a place; None between points."""
        row, column = self.nearest(u, v)
        near = NODE * np.ptp(self.u), NODE * np.ptp(self.v)
        return (
            (row, column)
            if abs(self.u[column] - u) <= near[0] and abs(self.v[row] - v) <= near[1]
            else None
        )

    def nearest(self, u: float, v: float) -> tuple[int, int]:
        """Row and column of the nearest point of the grid."""
        return int(np.abs(self.v - v).argmin()), int(np.abs(self.u - u).argmin())

    def at(self, u: float, v: float) -> float:
        """log10 of the clipped loss at any place of the grid, between its points interpolated."""
        columns = np.array([np.interp(u, self.u, row) for row in self.height])
        return float(np.interp(v, self.v, columns))


def _filled(
    values: np.ndarray, measured: np.ndarray, v: np.ndarray, u: np.ndarray, more: np.ndarray
) -> np.ndarray:
    """Linear interpolation between measured points and `more` (v, u, value), the nearest one
    outside of them.
    """
    from scipy.interpolate import griddata

    rows, columns = np.nonzero(measured)
    at = np.concatenate([np.stack([v[rows], u[columns]], 1), more[:, :2]])
    known = np.concatenate([values[measured], more[:, 2]])
    if not len(at):
        return np.full_like(values, np.nan)
    places = np.stack(np.meshgrid(v, u, indexing="ij"), -1).reshape(-1, 2)
    near = griddata(at, known, places, "nearest").reshape(values.shape)
    spread = np.linalg.matrix_rank(at - at[0]) if len(at) > 3 else 0
    if spread < 2:  # on a line there is no triangle to interpolate in
        return near
    linear = griddata(at, known, places, "linear").reshape(values.shape)
    return np.where(measured, values, np.where(np.isnan(linear), near, linear))


def routes(facts: Facts, bend: Facts | None = None) -> list[Route]:
    """The paths that are drawn in a plane: straight lines between its models, and curves.

    Args:
        facts: of the plane.
        bend: result of the curves between the same models, for the plane of A, B and aligned B.
    """
    points = {point["role"]: point for point in facts.get("points", [])}
    listed = list(facts.get("points", []))
    method, classes = str(facts.get("method", "none")), dict(facts.get("classes") or {})
    kind = facts.get("kind")
    found: list[Route] = []
    if kind == "pair":
        found.append(_line("straight", "none", points["a"], points["b"], {}))
        found.append(
            _line("straight to aligned B", method, points["a"], points["aligned"], classes)
        )
        for path in (bend or {}).get("paths", []):
            control = path.get("control")
            if control:
                aligned = path["name"].endswith("-aligned")
                label = "curve to aligned B" if aligned else "curve"
                end = points["aligned" if aligned else "b"]
                found.append(_curve(label, points["a"], control, end, float(control["away"])))
    elif kind == "bend":
        end = listed[1]
        aligned = end["role"] == "aligned"
        found.append(
            _line(
                "straight to aligned B" if aligned else "straight", method, listed[0], end, classes
            )
        )
        found.append(
            _curve(
                "curve to aligned B" if aligned else "curve", listed[0], points["bend"], end, 0.0
            )
        )
    elif kind == "three":
        for i, j in ((0, 1), (0, 2), (1, 2)):
            found.append(
                _line(
                    f"{listed[i]['label'][0]} to {listed[j]['label'][0]}",
                    method,
                    listed[i],
                    listed[j],
                    classes,
                )
            )
    return found


def _line(label: str, method: str, start: Facts, end: Facts, classes: Mapping[str, str]) -> Route:
    t = np.linspace(0, 1, DRAWN)
    u, v = ((1 - t) * start[axis] + t * end[axis] for axis in ("u", "v"))
    return Route(label, method, u, v, classes)


def _curve(label: str, start: Facts, control: Facts, end: Facts, away: float) -> Route:
    t = np.linspace(0, 1, DRAWN)
    u, v = (
        (1 - t) ** 2 * start[axis] + 2 * t * (1 - t) * control[axis] + t**2 * end[axis]
        for axis in ("u", "v")
    )
    return Route(label, "bend", u, v, away=away)
