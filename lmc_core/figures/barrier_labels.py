"""What is written at the lines of a barrier, and where: brackets, labels, losses at the ends.

A label is never wider than a phone has room for beside the peak. A figure does not know how wide it
will be drawn. So names are broken where they are longer than the half of a phone, and where that
makes too many lines a legend says the names and the labels keep the value alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.layout import fresh, padded, spread, stacked, write
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Stroke, Theme, faint
from lmc_core.figures.text import Result, barrier_words
from lmc_core.numbers import number, percent

DIRECT = 5  # up to so many lines are labelled at the line, more get a legend
# more than so many get one entry of the legend for each meaning, and neither brackets nor bands
MANY = 12
# characters that fit between the middle of a phone's axis and its edge
WIDE = {BODY: 19, SMALL: 22}
LEGEND = 42  # characters of a line of the legend that fit a phone
HIGH = {BODY: 18, SMALL: 16}  # pixels of a line of type
# lines that a name may take at the line, by the number of curves
MOST = {1: 3, 2: 3, 3: 3, 4: 1, 5: 1}
TICK = 0.009  # half the width of a bracket's ends, in units of lam


@dataclass(frozen=True)
class Labelling:
    """How the lines of a figure are labelled.

    Attributes:
        names: what is written before the values, with line breaks; empty where a legend says it.
        entries: names for the legend, with line breaks.
        size: of the type, in pixels.
        lines: of a label at the most.
        legend: whether there is one.
    """

    names: tuple[str, ...]
    entries: tuple[str, ...]
    size: int
    lines: int
    legend: bool

    @property
    def gap(self) -> int:
        """Pixels between the centres of two labels."""
        return self.lines * HIGH[self.size] + (4 if self.size == BODY else 2)

    @property
    def clear(self) -> int:
        """Pixels between the centre of a label and its line."""
        return self.gap // 2 + 3

    @property
    def legend_height(self) -> int:
        """Pixels that the legend takes below the axis."""
        if not self.legend:
            return 0
        if len(self.entries) > DIRECT:
            return 24 * (1 + len(self.entries) // 3) if len(self.entries) <= MANY else 48
        return 8 + sum(22 + 16 * entry.count("<br>") for entry in self.entries)


def labelling(names: Sequence[str]) -> Labelling:
    """Decide how curves of these names are labelled."""
    entries = (
        tuple(broken(name, LEGEND) for name in names) if len(names) <= DIRECT else tuple(names)
    )
    if len(names) > DIRECT:
        return Labelling(("",) * len(names), entries, SMALL, 1, True)
    for size, most in ((BODY, min(2, MOST.get(len(names), 2))), (SMALL, MOST.get(len(names), 1))):
        if size == BODY and len(names) > 3:
            continue
        written = tuple(broken(name, WIDE[size]) for name in names)
        lines = max((name.count("<br>") + 1 for name in written), default=1)
        if lines <= most:
            return Labelling(written, entries, size, lines + 1, False)
    return Labelling(("",) * len(names), entries, BODY, 1, True)


def broken(name: str, width: int) -> str:
    """Return a name in lines of about so many characters, with HTML line breaks; a long word is
    left whole.
    """
    return (
        "<br>".join(textwrap.wrap(name, width, break_long_words=False, break_on_hyphens=False))
        or name
    )


def label_text(name: str, value: str) -> str:
    """Return a label: the name in bold, the value below it."""
    return f"<b>{name}</b><br>{value}" if name else f"<b>{value}</b>"


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _score(result: Result) -> list[float] | None:
    return result.get(str(result.get("score")))


def _edges(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper edge of the band of a whole curve, as losses."""
    chord = _array(result["chord"])
    return chord + _array(result["excess_low"]), chord + _array(result["excess_high"])


def _loss_range(
    results: Sequence[Result], labelled: Labelling, pixels: float
) -> tuple[float, float]:
    """Range of the loss axis that leaves room for the labels above the highest line, and below the
    lowest.
    """
    drawn = [_array(r[name]) for r in results for name in ("loss", "chord")]
    if len(results) <= MANY:
        drawn += [edge for r in results if r.get("excess_low") for edge in _edges(r)]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    bottom, top = float(values.min()), float(values.max())
    limits = padded(bottom, top, 28 / pixels, 28 / pixels)
    if len(results) > DIRECT:
        return limits
    # less room for the lines makes larger groups of labels, which need more room
    for _ in range(3):
        _, _, levels, scale = _levels(results, labelled, limits, pixels)
        half = labelled.gap / 2 + 2
        above = max([28, *(level - scale * (top - limits[0]) + half for level in levels)])
        below = max([28, *(scale * (bottom - limits[0]) - level + half for level in levels)])
        room = max(pixels - above - below, 0.3 * pixels)
        limits = padded(bottom, top, below / room, above / room)
    return limits


def _levels(
    results: Sequence[Result], labelled: Labelling, limits: tuple[float, float], pixels: float
) -> tuple[list[int], list[tuple[float, float, float]], list[float], float]:
    """Which results have a barrier to show, where each is, the wanted heights of their labels, and
    pixels per nat.
    """
    places = {i: place for i, result in enumerate(results) if (place := _top(result)) is not None}
    scale = pixels / (limits[1] - limits[0])
    levels = dict.fromkeys(places, 0.0)
    for sign in (1, -1):
        side = [i for i, (_, chord, loss) in places.items() if (loss >= chord) == (sign > 0)]
        heights = [sign * scale * (places[i][2] - limits[0]) for i in side]
        levels |= {
            i: sign * level
            for i, level in zip(side, stacked(heights, labelled.gap, labelled.clear), strict=True)
        }
    return list(places), list(places.values()), list(levels.values()), scale


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
                bgcolor=faint(ground.paper, 0.75),
                borderpad=1,
            )


def _barriers(
    figure: go.Figure,
    results: Sequence[Result],
    drawn: Sequence[Stroke],
    labelled: Labelling,
    theme: Theme,
    limits: tuple[float, float],
    pixels: float,
) -> None:
    """Brackets from the chord to the curve, the highest at its own place and lower ones beside it;
    labels at the lines.
    """
    known, places, wanted, scale = _levels(results, labelled, limits, pixels)
    if not known:
        return
    gap, clear = labelled.gap, labelled.clear
    levels = spread(wanted, gap, gap / 2, pixels - gap / 2)
    order = sorted(range(len(known)), key=lambda k: -abs(places[k][2] - places[k][1]))
    # brackets go to one side, labels to the other
    leftward = -1.0 if places[order[0]][0] <= 0.55 else 1.0
    taken: list[float] = []
    for k in order:
        i, (lam, chord, loss), level = known[k], places[k], levels[k]
        spot = fresh(lam, taken, 2.6 * TICK, leftward)
        taken.append(spot)
        colour = drawn[i].colour
        figure.add_scatter(
            x=[spot - TICK, spot + TICK, None, spot, spot, None, spot - TICK, spot + TICK],
            y=[chord, chord, None, chord, loss, None, loss, loss],
            mode="lines",
            line={"color": colour, "width": 2},
            hoverinfo="skip",
            showlegend=False,
            name="barrier",
            xaxis="x",
            yaxis="y",
            meta={"key": results[i].get("key"), "panel": "bracket"},
        )
        if len(results) > DIRECT:
            continue
        at = scale * (loss - limits[0])
        moved = abs(abs(level - at) - clear) > 8
        figure.add_annotation(
            x=lam,
            y=loss,
            xref="x",
            yref="y",
            text=label_text(labelled.names[i], barrier_words(results[i], short=True)),
            ax=-leftward * (30 if moved else 12),
            ay=at - level,
            xanchor="left" if leftward < 0 else "right",
            align="left",
            showarrow=True,
            arrowhead=0,
            arrowwidth=1.2,
            arrowcolor=colour if moved else "rgba(0,0,0,0)",
            font={"size": labelled.size, "color": colour},
            bgcolor=faint(GROUNDS[theme].paper, 0.85),
            borderpad=0,
            name="label",
        )
