"""The lines of a barrier's figure: the straight line beside each curve with a bend, and what is
written at them: brackets, labels in the margin, losses at the ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.layout import fresh, padded, wrapped, write
from lmc_core.figures.margin import MarginLabel, total_height
from lmc_core.figures.style import GROUNDS, SMALL, Stroke, Theme
from lmc_core.figures.text import Result, barrier_words
from lmc_core.numbers import estimate, number, percent

DIRECT = 8  # up to so many lines are labelled in the margin, more get a legend
# more than so many get one entry of the legend for each meaning, and neither brackets nor bands
MANY = 12
ROOM = 320  # pixels below each other that every figure has for labels
LEGEND = 42  # characters of a line of the legend that fit a phone
TICK = 0.009  # half the width of a bracket's ends, in units of lam
END = 1.02  # of the axis of lam
EDGE = 56  # pixels right of the axis where there are no labels
AIR = 28  # pixels above the highest line and below the lowest
# of the curve with the bend alone
OWN = (
    *("excess_low", "excess_high", "excess_factor", "at_zero", "bent", "accuracy", "plain"),
    *("midpoint_excess", "midpoint_excess_stderr", "midpoint_loss", "above_plain", "tempered"),
    *("barrier_crossfit", "barrier_crossfit_stderr"),
)


@dataclass(frozen=True)
class Labelling:
    """How the lines of a figure are labelled.

    Attributes:
        entries: names for a legend, with line breaks.
        legend: whether there is one; else labels stand in the right margin.
    """

    entries: tuple[str, ...]
    legend: bool

    @property
    def legend_height(self) -> int:
        """Pixels that the legend takes below the axis."""
        if not self.legend:
            return 0
        if len(self.entries) > MANY:
            return 48
        return 24 * (1 + len(self.entries) // 3) + 16 * max(
            entry.count("<br>") for entry in self.entries
        )


def labelling(names: Sequence[str]) -> Labelling:
    """Decide how curves of these names are labelled."""
    labels = [MarginLabel(name, "", "", 0.0, 0.0) for name in names]
    legend = len(names) > DIRECT or (bool(labels) and total_height(labels) > ROOM)
    return Labelling(tuple(wrapped(name, LEGEND) for name in names), legend)


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _score(result: Result) -> list[float] | None:
    return result.get(str(result.get("score")))


def _edges(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper edge of the band of a whole curve, as losses."""
    chord = _array(result["chord"])
    return chord + _array(result["excess_low"]), chord + _array(result["excess_high"])


def _loss_range(results: Sequence[Result], pixels: float) -> tuple[float, float]:
    """Range of the loss axis, with room above the highest line and below the lowest."""
    drawn = [_array(r[name]) for r in results for name in ("loss", "chord")]
    if len(results) <= MANY:
        drawn += [edge for r in results if r.get("excess_low") for edge in _edges(r)]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    return padded(float(values.min()), float(values.max()), AIR / pixels, AIR / pixels)


def _top(result: Result) -> tuple[float, float, float] | None:
    """Where the barrier is: lambda, the chord there, the loss there; None where any is not a finite
    number.
    """
    lam = result.get("barrier_lam")
    if lam is None or result.get("barrier") is None:
        return None
    grid = _array(result["lam"])
    index = int(np.abs(grid - lam).argmin())
    values = (
        float(grid[index]),
        float(_array(result["chord"])[index]),
        float(_array(result["loss"])[index]),
    )
    return values if all(np.isfinite(values)) else None


def _ends(figure: go.Figure, results: Sequence[Result], theme: Theme) -> None:
    """The losses of the end models, as numbers beside them."""
    if len({tuple(r["models"]) for r in results}) > 1:
        return
    ground, result = GROUNDS[theme], results[0]
    for index, side in ((0, "left"), (-1, "right")):
        for axis, values in (("y", result["loss"]), ("y2", _score(result))):
            if values is None or not np.isfinite(_array(values)[index]):
                continue
            value = float(_array(values)[index])
            middle = [
                _array(r["loss"] if axis == "y" else _score(r) or [value])[len(r["lam"]) // 2]
                for r in results
            ]
            # the side that the lines leave free; never below in the lower panel, where the ticks of
            # lambda are
            above = axis == "y2" or float(np.nanmean(middle)) < value
            text = (
                percent(value)
                if axis == "y2" and result.get("score") == "accuracy"
                else number(value)
            )
            write(
                figure,
                text,
                (0 if side == "left" else 1, value),
                (SMALL, ground.ink),
                name="end",
                shift=(-4 if side == "left" else 4, 7 if above else -7),
                xref="x" if axis == "y" else "x2",
                yref=axis,
                xanchor="left" if side == "left" else "right",
                yanchor="bottom" if above else "top",
            )


def _brackets(figure: go.Figure, results: Sequence[Result], drawn: Sequence[Stroke]) -> None:
    """Brackets from the chord to the curve, the highest at its own place and lower ones beside
    it.
    """
    places = {i: place for i, result in enumerate(results) if (place := _top(result)) is not None}
    order = sorted(places, key=lambda i: -abs(places[i][2] - places[i][1]))
    taken: list[float] = []
    for i in order:
        lam, chord, loss = places[i]
        spot = fresh(lam, taken, 2.6 * TICK, -1.0 if places[order[0]][0] <= 0.55 else 1.0)
        taken.append(spot)
        figure.add_scatter(
            x=[spot - TICK, spot + TICK, None, spot, spot, None, spot - TICK, spot + TICK],
            y=[chord, chord, None, chord, loss, None, loss, loss],
            mode="lines",
            line={"color": drawn[i].colour, "width": 2},
            hoverinfo="skip",
            showlegend=False,
            name="barrier",
            xaxis="x",
            yaxis="y",
            meta={"key": results[i].get("key"), "panel": "bracket"},
        )


def margin_labels(
    results: Sequence[Result], names: Sequence[str], drawn: Sequence[Stroke]
) -> list[MarginLabel]:
    """Return what is written beside each curve: its name and barrier, at its barrier's height."""
    found = []
    for result, name, stroke in zip(results, names, drawn, strict=True):
        place = _top(result)
        if place is None:  # a curve without a barrier is named at its highest finite loss
            losses = _array(result["loss"])
            if not np.isfinite(losses).any():
                continue
            at = int(np.nanargmax(np.where(np.isfinite(losses), losses, np.nan)))
            place = (float(result["lam"][at]), 0.0, float(losses[at]))
        value = barrier_words(result, short=True)
        found.append(MarginLabel(name, value, stroke.colour, place[0], place[2]))
    return found


def with_straight_lines(
    results: Sequence[Result], names: Sequence[str]
) -> tuple[list[Result], list[str]]:
    """The results with, after each that has a bend, the straight line between its ends, unless
    that is among them.

    Args:
        results: of barriers.
        names: of their curves.
    """
    found: list[Result] = []
    called: list[str] = []
    for result, name in zip(results, names, strict=True):
        found.append(result)
        called.append(name)
        bent = result.get("bent")
        if bent and not any(_is_straight(other, result) for other in results):
            found.append(straight_line(result, bent["straight"]))
            called.append(f"{name.removesuffix(', bent')}, straight")
    return found, called


def _is_straight(other: Result, result: Result) -> bool:
    """Whether a result is the straight line between the ends of one with a bend."""
    about = ("models", "method", "classes", "settings", "task", "split", "examples", "seed")
    return not other.get("bent") and all(other.get(name) == result.get(name) for name in about)


def straight_line(result: Result, straight: Result) -> Result:
    """The straight line of a result with a bend, as a result of its own."""
    shared = {name: value for name, value in result.items() if name not in OWN}
    first, last = straight["loss"][0], straight["loss"][-1]
    chord = [(1 - lam) * first + lam * last for lam in straight["lam"]]
    score = {}
    if result.get("score") == "perplexity":
        score["perplexity"] = [math.exp(min(loss, 700.0)) for loss in straight["loss"]]
    return {**shared, **straight, **score, "chord": chord}


def bent_sentences(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """What a caption says of each curve with a bend."""
    said = []
    for result, name in zip(results, names, strict=True):
        if not (bent := result.get("bent")):
            continue
        how = "learned together with the alignment"
        if training := bent["training"]:
            how = (
                f"trained for {training['steps']:,} steps of {training['batch']} training examples "
                f"({number(training['learn_seconds'], digits=2)} s)"
            )
        straight, unit = bent["straight"], str(result.get("unit", "nats"))
        value = estimate(straight["barrier"], straight["barrier_stderr"], unit)
        longer = bent["length"] / bent["chord"] if bent["chord"] else 1.0
        said.append(
            f"{name} follows a quadratic Bezier curve whose bend was {how} (Garipov et al. 2018); "
            f"it is {longer:.3f} times as long as the straight line between its ends, whose "
            f"barrier is {value}."
        )
    return said
