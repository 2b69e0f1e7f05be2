"""Pictures of continuous maps: the turned stream, the direction that LayerNorm throws away, a
stretched query/key plane.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.style import faint
from lmc_core.lecture.figures.canvas import POWERS, Look, axes, canvas, heading, matrix, unknown

if TYPE_CHECKING:
    from lmc_core.lecture.measured import Stretched, Tilted, Turned

ROUNDING = 1e-17  # where a difference of exactly zero is drawn on a logarithmic axis


def mosaic(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Put `[n, height, width]` side by side, row by row, with gaps that hold no number."""
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    result = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for k in range(count):
        top, left = (k // columns) * (height + gap), (k % columns) * (width + gap)
        result[top : top + height, left : left + width] = tiles[k]
    return result


def turned_figure(data: Turned, look: Look) -> go.Figure:
    """Draw the patch filters of a turned stream, and every weight against what it was."""
    figure = canvas(look, left=8, bottom=40, right=20)
    axes(figure, look, 1, (0, 0.52), (0, 1))
    axes(figure, look, 2, (0.63, 1), (0, 1))
    tiles = mosaic(data.filters, 8)
    matrix(figure, look, 1, tiles, float(np.nanmax(np.abs(data.filters))) * 0.7)
    blue, limit = look.colour("orthogonal"), float(np.quantile(np.abs(data.before), 0.995))
    figure.add_scatter(
        x=[-limit, limit],
        y=[-limit, limit],
        mode="lines",
        xaxis="x2",
        yaxis="y2",
        hoverinfo="skip",
        name="unchanged",
        line={"color": look.ground.muted, "width": 1.5 * look.scale, "dash": "dash"},
    )
    figure.add_scatter(
        x=data.before,
        y=data.after,
        mode="markers",
        xaxis="x2",
        yaxis="y2",
        hoverinfo="skip",
        name="weights",
        marker={"color": faint(blue, 0.6), "size": 4.5 * look.scale},
    )
    blank = {"range": [-limit, limit], "showticklabels": False, "showgrid": False, "zeroline": True}
    colour = {"zerolinecolor": look.ground.grid}
    figure.update_layout(
        xaxis2={**blank, **colour, "constrain": "domain"},
        yaxis2={
            **blank,
            **colour,
            "scaleanchor": "x2",
            "constrain": "domain",
            "constraintoward": "top",
        },
    )
    figure.add_annotation(
        x=0,
        y=-limit,
        text="each weight as trained",
        xref="x2",
        yref="y2",
        yanchor="top",
        showarrow=False,
        yshift=-6 * look.scale,
        font={"size": look.large},
        name="axis",
    )
    heading(figure, look, "what each coordinate sees of a patch", 0.26)
    heading(figure, look, "and now", 0.815, colour=blue)
    return figure


def tilted_figure(data: Tilted, look: Look, tilting: bool, at: int) -> go.Figure:
    """Draw the stream from the side with what LayerNorm keeps of it, and the outputs' error against
    the angle.

    Args:
        data: what was measured.
        look: how to draw it.
        tilting: whether the turn leads out of the plane that LayerNorm keeps.
        at: number of the angle.
    """
    figure = canvas(look, left=10, bottom=66, right=16)
    axes(figure, look, 1, (0, 0.50), (0.02, 0.94))
    axes(figure, look, 2, (0.60, 1), (0, 0.94))
    _side(figure, data, look, tilting, math.radians(data.degrees[at]))
    _errors(figure, at, data, look, tilting)
    figure.update_layout(
        xaxis2={
            "range": [-2, 92],
            "tickvals": [0, 30, 60, 90],
            "ticksuffix": "\u00b0",
            "title": {"text": "angle", "font": {"size": look.large}},
        },
        yaxis2={"type": "log", "range": [-17.4, 1.2], **POWERS},
    )
    heading(
        figure, look, "change of the outputs", 0.60, 0.94, xanchor="left", xshift=-60 * look.scale
    )
    return figure


def _errors(figure: go.Figure, at: int, data: Tilted, look: Look, tilting: bool) -> None:
    """The error of the outputs against the angle, of both turns."""
    lines = (
        ("keeps it", data.keeping, look.colour("orthogonal"), "solid", "diamond"),
        ("tilts it", data.tilting, look.colour("plain"), "5px,3px", "circle"),
    )
    for number, (name, values, colour, dash, marker) in enumerate(lines):
        drawn = np.maximum(values, ROUNDING)
        chosen = number == int(tilting)
        count = len(drawn) if look.revealed else (at + 1 if chosen else 0)
        figure.add_scatter(
            x=data.degrees[:count],
            y=drawn[:count],
            mode="lines",
            xaxis="x2",
            yaxis="y2",
            name=name,
            line={"color": colour, "width": 3.5 * look.scale, "dash": dash},
            hovertemplate="%{x}\u00b0: %{y:.2g}<extra>" + name + "</extra>",
        )
        if chosen:
            figure.add_scatter(
                x=[data.degrees[at]],
                y=[drawn[at]],
                mode="markers",
                xaxis="x2",
                yaxis="y2",
                hoverinfo="skip",
                name="now",
                marker={"color": colour, "size": 16 * look.scale, "symbol": marker},
            )
        if look.revealed:
            label = {
                "showarrow": False,
                "xref": "x2",
                "yref": "y2",
                "font": {"size": look.large, "color": colour},
            }
            figure.add_annotation(
                x=88, y=-2.2 if number else -12.6, text=name, xanchor="right", **label
            )


def _side(figure: go.Figure, data: Tilted, look: Look, tilting: bool, angle: float) -> None:
    """The states of the stream seen along the floor that LayerNorm projects on, before and after
    that projection.
    """
    colour = look.colour("plain" if tilting else "orthogonal")
    along, other = data.points[:, 0], data.points[:, 1]
    across = math.cos(angle) * along - (0 if tilting else math.sin(angle)) * other
    up = (math.sin(angle) if tilting else 0) * along
    extent = float(np.abs(data.points[:, :2]).max()) * 1.15
    common = {"xaxis": "x", "yaxis": "y", "hoverinfo": "skip"}
    floor = {"color": look.ground.ink, "width": 2 * look.scale}
    figure.add_scatter(
        x=[-extent, extent], y=[0, 0], mode="lines", line=floor, name="floor", **common
    )
    drops = [
        value for x, y in zip(across, up, strict=True) for value in ((x, y), (x, 0), (None, None))
    ]
    figure.add_scatter(
        x=[x for x, _ in drops],
        y=[y for _, y in drops],
        mode="lines",
        name="lost",
        line={"color": faint(colour, 0.35), "width": 1.2 * look.scale},
        **common,
    )
    figure.add_scatter(
        x=across,
        y=up,
        mode="markers",
        name="states",
        marker={"color": colour, "size": 8 * look.scale},
        **common,
    )
    figure.add_annotation(
        x=0,
        y=extent * 0.98,
        ax=0,
        ay=0,
        xref="x",
        yref="y",
        axref="x",
        ayref="y",
        text="",
        showarrow=True,
        arrowhead=2,
        arrowwidth=2 * look.scale,
        arrowcolor=look.ground.muted,
    )
    words = {
        "showarrow": False,
        "xref": "x",
        "yref": "y",
        "font": {"size": look.text, "color": look.ground.muted},
    }
    figure.add_annotation(x=0.1, y=extent * 0.9, text="(1, 1, \u2026, 1)", xanchor="left", **words)
    figure.add_annotation(
        x=extent, y=0, text="what LayerNorm keeps", xanchor="right", yanchor="top", **words
    )
    _floor(figure, extent)
    heading(figure, look, "the stream, seen from the side", 0.25, 0.94)


def _floor(figure: go.Figure, extent: float) -> None:
    """Axes on which the floor lies, without numbers."""
    blank = {"showticklabels": False, "showgrid": False, "range": [-extent, extent]}
    figure.update_layout(
        xaxis={**blank, "constrain": "domain"},
        yaxis={
            **blank,
            "range": [-0.75 * extent, extent],
            "scaleanchor": "x",
            "constrain": "domain",
            "constraintoward": "top",
        },
    )


def plane_figure(data: Stretched, look: Look, follow: bool) -> go.Figure:
    """Draw queries and keys of one head with the grid that their maps bend, and the scores of all
    pairs of tokens.
    """
    figure = canvas(look, top=44)
    blue, grey = look.colour("orthogonal"), look.colour("plain")
    parts = (
        (data.queries, data.map, blue, "queries"),
        (data.keys, data.key_map, blue if follow else grey, "keys"),
    )
    for number, (points, bent, colour, name) in enumerate(parts, 1):
        left = (number - 1) * 0.34
        axes(figure, look, number, (left, left + 0.32))
        _grid(figure, points, bent, look, number, colour, name)
        heading(figure, look, name, left + 0.16, colour=colour)
        _formula(
            figure,
            look,
            ("q \u2192 M q", "k \u2192 M<sup>\u2212\u22a4</sup> k" if follow else "k \u2192 k")[
                number - 1
            ],
            left + 0.16,
            colour,
        )
    axes(figure, look, 3, (0.70, 1))
    if look.revealed:
        matrix(figure, look, 3, data.scores)
    else:
        figure.update_layout(xaxis3={"visible": False}, yaxis3={"visible": False})
        unknown(figure, look, 0.85)
    heading(figure, look, "scores of all pairs", 0.85)
    _formula(figure, look, "q<sup>\u22a4</sup>k / \u221ad", 0.85, look.ground.ink)
    return figure


def _formula(figure: go.Figure, look: Look, text: str, x: float, colour: str) -> None:
    heading(
        figure,
        look,
        text,
        x,
        0,
        colour,
        yanchor="bottom",
        font={"size": 1.25 * look.large, "color": colour},
    )


def _grid(
    figure: go.Figure,
    points: np.ndarray,
    bent: np.ndarray,
    look: Look,
    number: int,
    colour: str,
    name: str,
) -> None:
    tag = "" if number == 1 else str(number)
    origin = points @ np.linalg.inv(bent).T  # the points before the map: what the grid is made for
    extent = float(np.abs(origin).max()) * 1.15
    ticks, ends = np.linspace(-extent, extent, 9), np.array([-extent, extent])
    x: list[float | None] = []
    y: list[float | None] = []
    for tick in ticks:
        for line in (np.stack([np.full(2, tick), ends]), np.stack([ends, np.full(2, tick)])):
            moved = bent @ line
            x += [*moved[0], None]
            y += [*moved[1], None]
    common = {"xaxis": f"x{tag}", "yaxis": f"y{tag}", "hoverinfo": "skip"}
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": faint(colour, 0.35), "width": 1.3 * look.scale},
        name=f"grid of {name}",
        **common,
    )
    figure.add_scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="markers",
        name=name,
        marker={"color": colour, "size": 10 * look.scale},
        **common,
    )
    limit = extent * 1.3
    blank = {
        "showticklabels": False,
        "showgrid": False,
        "range": [-limit, limit],
        "constrain": "domain",
    }
    figure.update_layout(
        {
            f"xaxis{tag}": blank,
            f"yaxis{tag}": {**blank, "scaleanchor": f"x{tag}", "constraintoward": "top"},
        }
    )
