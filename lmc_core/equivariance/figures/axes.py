"""Rows of panels over one axis, with headings, and labels beside the ends of lines: what the
figures on equivariance share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, padded, spread, wrapped, write
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme
from lmc_core.numbers import RAISED

LETTER = 6.6  # pixels of a letter of the small type, on average
LINE = 16  # pixels of a line of the small type
# pixels; labels of lines that end about so near each other stand in the order of the lines, from
# the top
TIE = 8
HEAD, BETWEEN = 30, 44  # pixels above the first panel, and between two, for their headings
DIRECT = 6  # up to so many lines are labelled at the line, more get a legend
LONG = 20  # characters of a line of a label beside a line
MOST = 2  # lines of such a label


@dataclass(frozen=True)
class Panel:
    """One of several panels that share an axis.

    Attributes:
        x: name of its horizontal axis, for traces.
        y: name of its vertical axis.
        pixels: its height.
    """

    x: str
    y: str
    pixels: float

    @property
    def axes(self) -> dict[str, str]:
        """Both axes, as a trace names them."""
        return {"xaxis": self.x, "yaxis": self.y}


@dataclass(frozen=True)
class Ended:
    """A line's label and the end that it stands at.

    Attributes:
        text: the label, with line breaks.
        colour: of the line.
        value: of the line at its end.
    """

    text: str
    colour: str
    value: float


def new(theme: Theme, height: int) -> go.Figure:
    """Return an empty figure that neither zooms nor has a legend."""
    figure = blank(theme, height)
    return figure.update_layout(showlegend=False, dragmode=False, hovermode="closest")


def rows(
    figure: go.Figure,
    headings: Sequence[str],
    theme: Theme,
    margin: dict[str, int],
    shares: Sequence[float] = (),
) -> list[Panel]:
    """Divide a figure into panels one below the other that share the horizontal axis, whose ticks
    are below the last.

    Args:
        figure: with its height.
        headings: of the panels, from the top; a heading stands above its panel from the figure's
            left edge.
        theme: of the figure.
        margin: pixels left, right and below: l, r, b.
        shares: of the height by panel; by default equal.
    """
    height = float(figure.layout.height)  # type: ignore[attr-defined]  (layouts have no types)
    inner = height - HEAD - margin["b"]
    weights = list(shares) or [1.0] * len(headings)
    free = inner - BETWEEN * (len(headings) - 1)
    figure.update_layout(margin={**margin, "t": HEAD, "autoexpand": False})
    found, top = [], inner
    for number, (title, weight) in enumerate(zip(headings, weights, strict=True)):
        tall = free * weight / sum(weights)
        ending = "" if number == 0 else str(number + 1)
        last = number == len(headings) - 1
        figure.update_layout(
            {
                f"xaxis{ending}": {
                    "anchor": f"y{ending}",
                    "fixedrange": True,
                    "showticklabels": last,
                    **({} if last else {"matches": _last(headings)}),
                },
                f"yaxis{ending}": {
                    "anchor": f"x{ending}",
                    "domain": [max(0.0, (top - tall) / inner), min(1.0, top / inner)],
                    "fixedrange": True,
                    "nticks": 5,
                    "exponentformat": "power",
                },
            }
        )
        heading(figure, title, theme, y=top / inner, left=-margin["l"] + 4, up=6, align="left")
        found.append(Panel(f"x{ending}", f"y{ending}", tall))
        top -= tall + BETWEEN
    return found


def _last(headings: Sequence[str]) -> str:
    return "x" if len(headings) == 1 else f"x{len(headings)}"


def limits(
    figure: go.Figure,
    panel: Panel,
    values: Iterable[ArrayLike],
    always: Sequence[float] = (),
    above: float = 0.06,
    below: float = 0.06,
) -> tuple[float, float]:
    """Set the range of a panel so that it holds all finite values, and return it.

    Args:
        figure: that has the panel.
        panel: whose axis is set.
        values: arrays of numbers.
        always: numbers that it holds in any case.
        above: share of the range that is left free above them.
        below: the same below.
    """
    flat = np.concatenate(
        [np.ravel(np.asarray(each, dtype=np.float64)) for each in values]
        + [np.asarray(always, dtype=float)]
    )
    flat = flat[np.isfinite(flat)]
    reach = padded(float(flat.min()), float(flat.max()), below, above) if flat.size else (0.0, 1.0)
    figure.update_layout({f"yaxis{panel.y[1:]}": {"range": list(reach)}})
    return reach


def end_labels(
    figure: go.Figure,
    panel: Panel,
    ended: Sequence[Ended],
    reach: tuple[float, float],
    side: str = "right",
    size: int = SMALL,
) -> None:
    """Write labels beside the ends of lines, apart from each other.

    Args:
        figure: that has the panel.
        panel: beside which they stand.
        ended: the labels; those without a finite value are left out.
        reach: range of the vertical axis, in its own units (for a logarithmic axis the exponents).
        side: of the panel, ``left`` or ``right``.
        size: of the type in pixels.
    """
    known = [each for each in ended if np.isfinite(each.value)]
    if not known:
        return
    scale = panel.pixels / (reach[1] - reach[0])
    lines = max(each.text.count("<br>") + 1 for each in known)
    low = (lines - 1) * LINE / 2 + 2  # clear of the ticks below
    heights = [scale * (each.value - reach[0]) for each in known]
    wanted = [TIE * round(at / TIE) - 0.01 * rank for rank, at in enumerate(heights)]
    for each, at, level in zip(
        known, heights, spread(wanted, lines * LINE, low, panel.pixels), strict=True
    ):
        write(
            figure,
            each.text,
            (1 if side == "right" else 0, each.value),
            (size, each.colour),
            name="label",
            paper="x",
            anchor="middle",
            shift=(8 if side == "right" else -8, level - at),
            xanchor="left" if side == "right" else "right",
            yref=panel.y,
            align="left" if side == "right" else "right",
        )


def mode(values: Sized) -> str:
    """Return how a line is drawn that may still be a single point."""
    return "lines" if len(values) > 1 else "markers"


def powers(figure: go.Figure, panel: Panel, reach: tuple[float, float]) -> None:
    """Give a panel a logarithmic axis whose ticks are about four powers of ten.

    Args:
        figure: that has the panel.
        panel: whose axis is set.
        reach: exponents at its ends.
    """
    step = max(1, round((reach[1] - reach[0]) / 3))
    ticks = [k for k in range(math.ceil(reach[0]), math.floor(reach[1]) + 1) if k % step == 0]
    shown = ["1" if k == 0 else f"10{str(k).translate(RAISED)}" for k in ticks]
    figure.update_layout(
        {
            f"yaxis{panel.y[1:]}": {
                "type": "log",
                "tickvals": [10.0**k for k in ticks],
                "ticktext": shown,
            }
        }
    )


def broken(text: str, width: int = LONG) -> str:
    """Return a label in lines of about so many characters, with HTML line breaks."""
    return wrapped(text, width)


def direct(labels: Sequence[str]) -> bool:
    """Whether lines of these names are labelled at the line; else a legend says them."""
    return len(labels) <= DIRECT and all(broken(label).count("<br>") < MOST for label in labels)


def label_room(labels: Sequence[str], least: int = 0) -> int:
    """Return the pixels that labels need beside a panel."""
    lines = [
        line
        for label in labels
        for line in label.replace("<b>", "").replace("</b>", "").split("<br>")
    ]
    return max(least, 16 + round(LETTER * max((len(line) for line in lines), default=0)))


def legend(figure: go.Figure, below: int, inner: float) -> None:
    """Show a legend below the axis; `legend_height` is the room that it needs.

    Args:
        figure: whose margin below has that room.
        below: pixels between the lowest panel and the legend.
        inner: pixels of all panels together.
    """
    figure.update_layout(
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": -below / inner,
            "yanchor": "top",
            "font": {"size": SMALL},
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )


def legend_height(labels: Sequence[str]) -> int:
    """Return the pixels of a legend, one row for each of up to 12 entries as on a phone."""
    return 8 + 22 * min(len(labels), 12)


def nothing(figure: go.Figure, words: str, theme: Theme) -> go.Figure:
    """Write a few words where there is nothing to draw yet, and return the figure; it keeps its
    place.
    """
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    write(
        figure,
        broken(words, 40),
        (0.5, 0.5),
        (BODY, GROUNDS[theme].muted),
        name="nothing",
        paper="xy",
    )
    return figure
