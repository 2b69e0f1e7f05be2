"""Labels of curves in the right margin: each beside its curve's height, apart from each other, with
a thin leader to the place that it names. Nothing is written over a curve.

A narrow screen has no room for a margin of names: `narrow_change` turns them into a legend below.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import plotly.graph_objects as go

from lmc_core.figures.layout import spread
from lmc_core.figures.style import SMALL, faint

LINE = 15  # pixels of a line of small type
APART = 5  # pixels between two labels
REACH = 14  # pixels from the axis to the labels
ROOM = 150  # pixels that a line of a label may take
NARROW = 640  # pixels of width below which a legend stands in place of the labels
EDGE = 20  # pixels right of the axis on a narrow screen
ROW = 29  # pixels of a line of that legend
NAME = 132  # pixels that the name of a model may take below an end of the axis there
ENTRY = 46  # characters of a line of the legend on a narrow screen
# widths of IBM Plex Sans SemiBold in hundredths of its size, rounded up; other signs have `WIDEST`
WIDTHS = {
    28: " 'ij",
    33: "l,.!:;[]",
    40: "()fr{}t|\u00b7\u00b2\u00b3\u00b9",
    45: '-I/\\\u2070\u2074\u2075\u2076\u2077\u2078\u2079"',
    53: "?szcLvy\u03bb\u207b",
    60: "xJg*e_akoFThnu\u2013Z$+0123456789<=>E^`bdpq~\u00b1\u00d7\u2212",
    68: "SYVPCX#BRAK",
    74: "DUGOQ&HN",
}
WIDEST = 0.96
EM = {sign: share / 100 for share, signs in WIDTHS.items() for sign in signs}


@dataclass(frozen=True)
class MarginLabel:
    """What is written beside a curve.

    Attributes:
        name: of the curve; broken into lines where it is long.
        value: below the name.
        colour: of the curve.
        x: of the place that the leader comes from.
        y: likewise.
        axis: whose value `y` is.
    """

    name: str
    value: str
    colour: str
    x: float
    y: float
    axis: str = "y"

    @property
    def text(self) -> str:
        """With marks: the name in bold, the value below it."""
        return "<br>".join([*(f"<b>{line}</b>" for line in broken(self.name)), self.value])

    @property
    def entry(self) -> str:
        """What a legend says in its place."""
        words = textwrap.wrap(f"{self.name}: {self.value}", ENTRY, break_long_words=False)
        return "<br>".join(words)

    @property
    def tall(self) -> int:
        """Pixels of its lines."""
        return LINE * (len(broken(self.name)) + 1)


def text_width(text: str, size: float = SMALL) -> float:
    """Return the pixels that the widest line of a text takes at most, in the project's bold type.

    Args:
        text: with HTML line breaks and marks.
        size: of the type, in pixels.
    """
    lines = (re.sub("<[^>]*>", "", line) for line in text.split("<br>"))
    return max(sum(EM.get(sign, WIDEST) for sign in line) for line in lines) * size


def broken(name: str, room: float = ROOM) -> list[str]:
    """Return a name in lines no wider than `room` pixels; a long word is left whole."""
    lines: list[str] = []
    for word in name.split():
        if lines and text_width(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [name]


def divided(name: str, room: float = NAME) -> list[str]:
    """Return a name of hyphens in lines no wider than `room` pixels where hyphens allow it."""
    lines: list[str] = []
    for word in re.findall("[^-]+-?|-", name):
        if lines and text_width(lines[-1] + word) <= room:
            lines[-1] += word
        else:
            lines.append(word)
    return lines or [name]


def margin_width(labels: Sequence[MarginLabel], least: float = 0) -> int:
    """Return the pixels of a right margin that holds labels."""
    widest = max((text_width(label.text) for label in labels), default=0)
    return max(round(least), REACH + round(widest) + 6)


def total_height(labels: Sequence[MarginLabel]) -> int:
    """Return the pixels that labels take below each other."""
    return sum(label.tall + APART for label in labels) - APART


def write_margin_labels(
    figure: go.Figure,
    labels: Sequence[MarginLabel],
    limits: tuple[float, float],
    pixels: float,
    below: float = 0.0,
    end: float = 1.0,
) -> None:
    """Write labels into the right margin with their leaders.

    Args:
        figure: whose panel has the range `limits`.
        labels: all of one panel.
        limits: range of its vertical axis.
        pixels: its height.
        below: pixels under the panel that labels may use where they do not fit beside it.
        end: of the horizontal axis, in its own units.
    """
    scale = pixels / (limits[1] - limits[0])
    heights = [(label.y - limits[0]) * scale for label in labels]
    low = -min(below, max(0.0, total_height(labels) - pixels))
    levels = spread(heights, [label.tall + APART for label in labels], low, pixels)
    for label, height, level in zip(labels, heights, levels, strict=True):
        figure.add_scatter(
            x=[label.x, end],
            y=[label.y, label.y],
            mode="lines",
            line={"color": faint(label.colour, 0.5), "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
            name="leader",
            xaxis=label.axis.replace("y", "x"),
            yaxis=label.axis,
            meta={"panel": "leader"},
        )
        figure.add_annotation(
            x=end,
            y=label.y,
            xref=label.axis.replace("y", "x"),
            yref=label.axis,
            text=label.text,
            ax=REACH,
            ay=height - level,
            xanchor="left",
            align="left",
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=faint(label.colour, 0.6),
            font={"size": SMALL, "color": label.colour},
            borderpad=0,
            name="label",
        )


@dataclass(frozen=True)
class Change:
    """What becomes of a figure on a narrow screen.

    Attributes:
        traces: by their place, what changes.
        layout: what changes.
    """

    traces: dict[int, dict[str, Any]] = field(default_factory=dict)
    layout: dict[str, Any] = field(default_factory=dict)


def narrow_change(figure: go.Figure) -> Change | None:
    """Return how a legend below takes the place of labels in the margin; None without such labels.

    Curves say what a legend would call them in ``meta["entry"]``.
    """
    drawn = cast("Any", figure.layout)  # whose attributes no type checker knows
    notes = list(drawn.annotations or ())
    if not any(note["name"] == "label" and note["showarrow"] for note in notes):
        return None
    traces: dict[int, dict[str, Any]] = {}
    rows = 0
    for place, trace in enumerate(figure.select_traces()):
        meta = trace["meta"] if isinstance(trace["meta"], dict) else {}
        if meta.get("panel") == "leader":
            traces[place] = {"visible": False}
        elif entry := meta.get("entry"):
            traces[place] = {"showlegend": True, "name": entry}
            rows += 1 + entry.count("<br>")
    kept, below = [], 0
    for note in (note.to_plotly_json() for note in notes):
        if note.get("name") == "model":
            lines = divided(re.sub("<[^>]*>", "", note["text"]))
            note |= {"text": f"<b>{'<br>'.join(lines)}</b>", "align": note.get("xanchor", "center")}
            below = max(below, LINE * (len(lines) - 1))
            if note.get("xanchor") == "right":
                note["xshift"] = EDGE - 4
        if note.get("name") != "label":
            kept.append(note)
    room = 12 + ROW * rows + below
    layout = {
        "annotations": kept,
        "height": (drawn.height or 0) + room,
        "showlegend": True,
        "margin.r": EDGE,
        "margin.b": (drawn.margin.b or 0) + room,
        "legend": {
            "orientation": "h",
            "entrywidth": 1,
            "entrywidthmode": "fraction",
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"size": SMALL},
            "itemclick": False,
            "itemdoubleclick": False,
        },
    }
    return Change(traces, layout)


def narrowed(figure: go.Figure) -> go.Figure:
    """Return a figure as a narrow screen shows it: with a legend below in place of labels in the
    margin.
    """
    change = narrow_change(figure)
    if change is None:
        return figure
    found = type(figure)(figure)
    for place, values in change.traces.items():
        found.data[place].update(values)  # type: ignore[attr-defined]  (data is a tuple of traces)
    layout = dict(change.layout)
    found.layout["annotations"] = layout.pop("annotations")
    found.update_layout({name.replace(".", "_"): value for name, value in layout.items()})
    return found
