"""The loss over the triangle of three models, as contours, with the points that were measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.merge_rows import Result, models_sentence
from lmc_core.figures.style import FAMILY, GROUNDS, SMALL, Theme, loss_scale, low_words
from lmc_core.numbers import estimate, number, percent

if TYPE_CHECKING:  # it loads torch
    from lmc_core.merging.numbers import SimplexNumbers

HIGH = math.sqrt(3) / 2
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, HIGH))  # of models 1, 2, 3
FINE = 72  # cells across the drawing
EDGE = 0.04  # of the triangle's side, around it
LEVELS = 16  # contours between the smallest and the largest value
# which trace holds the points that can be clicked, after the surface, its frame and the edge
MEASURED = 5


def place(weights: Sequence[float]) -> tuple[float, float]:
    """Where some weights are in the plane."""
    x = sum(w * corner[0] for w, corner in zip(weights, CORNERS, strict=True))
    y = sum(w * corner[1] for w, corner in zip(weights, CORNERS, strict=True))
    return x, y


def interpolated(simplex: SimplexNumbers, quantity: str, weights: Sequence[float]) -> float:
    """A quantity between the measured points, linear within each small triangle.

    Args:
        simplex: of a result.
        quantity: a name in it, such as ``loss``.
        weights: of the three models, at least 0 and summing to 1.
    """
    return _between(_grid(simplex, quantity), int(simplex["resolution"]), weights)


def _between(table: Mapping[tuple[int, ...], float], n: int, weights: Sequence[float]) -> float:
    """See `interpolated`; of a table by multiples of 1/n, which is made once for many places."""
    scaled = [n * w for w in weights]
    low = [min(math.floor(x + 1e-9), n) for x in scaled]
    rest = [x - k for x, k in zip(scaled, low, strict=True)]
    missing = n - sum(low)
    if missing == 0:
        return table[tuple(low)]
    if missing == 1:  # a triangle that points up: one corner for each coordinate that is one larger
        corners = [tuple(k + (i == j) for j, k in enumerate(low)) for i in range(3)]
        shares = rest
    else:  # one that points down: one corner for each coordinate that is not
        corners = [tuple(k + (i != j) for j, k in enumerate(low)) for i in range(3)]
        shares = [1 - x for x in rest]
    return sum(
        share * table[corner] for share, corner in zip(shares, corners, strict=True) if share > 0
    )


def _grid(simplex: SimplexNumbers, quantity: str) -> dict[tuple[int, ...], float]:
    """The values on the regular grid, by the numbers of its steps; the centre is one of its points
    or was measured besides.
    """
    n = int(simplex["resolution"])
    return {
        tuple(round(n * w) for w in row): value
        for row, value in zip(simplex["weights"], simplex[quantity], strict=True)
        if all(abs(n * w - round(n * w)) < 1e-6 for w in row)
    }


def nearest(simplex: SimplexNumbers, weights: Sequence[float]) -> int:
    """Which measured point is nearest to some weights."""
    distances = [
        sum((a - b) ** 2 for a, b in zip(row, weights, strict=True)) for row in simplex["weights"]
    ]
    return distances.index(min(distances))


def find_limits(results: Sequence[Result], quantity: str = "loss") -> tuple[float, float]:
    """The smallest and largest value of all triangles, so that they share a scale."""
    values = [
        v
        for r in results
        if r.get("simplex")
        for v in r["simplex"][quantity]
        if v is not None and math.isfinite(v)
    ]
    return (min(values), max(values)) if values else (0.0, 1.0)


def triangle_figure(
    result: Result,
    limits: tuple[float, float] | None = None,
    chosen: Sequence[float] | None = None,
    theme: Theme = "light",
    height: int = 420,
) -> go.Figure:
    """Draw the loss over the triangle.

    Args:
        result: of merging three models in one frame.
        limits: of the scale; by default those of this triangle.
        chosen: weights that are marked.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    simplex, ground = result["simplex"], GROUNDS[theme]
    low, high = limits or find_limits([result])
    figure = blank(theme, height)
    _contours(figure, result, high, low, simplex, theme)
    _outside(figure, theme)
    _points(figure, result, theme)
    if chosen is not None:
        at = place(chosen)
        figure.add_scatter(
            x=[at[0]],
            y=[at[1]],
            mode="markers",
            name="chosen",
            hoverinfo="skip",
            marker={
                "symbol": "circle-open",
                "size": 18,
                "color": ground.ink,
                "line": {"width": 3, "color": ground.ink},
            },
        )
    _corners(figure, result, theme)
    figure.update_xaxes(visible=False, range=[-0.03, 1.03], fixedrange=True)
    figure.update_yaxes(
        visible=False, range=[-0.03, HIGH + 0.03], scaleanchor="x", scaleratio=1, fixedrange=True
    )
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 40, "b": 112},
        showlegend=False,
        clickmode="event+select",
        dragmode=False,
    )
    return figure


def _contours(
    figure: go.Figure,
    result: Result,
    high: float,
    low: float,
    simplex: SimplexNumbers,
    theme: Theme,
) -> None:
    """The loss as filled contours with its scale."""
    ground = GROUNDS[theme]
    x, y, values = _surface(simplex)
    figure.add_contour(
        x=x,
        y=y,
        z=values,
        zmin=low,
        zmax=high,
        colorscale=loss_scale(theme),
        hoverinfo="skip",
        contours={"start": low, "end": high, "size": max(high - low, 1e-6) / LEVELS},
        line={"width": 0.8, "color": ground.muted},
        name="loss",
        colorbar={
            "orientation": "h",
            "thickness": 8,
            "len": 0.8,
            "x": 0.5,
            "y": 0,
            "yref": "paper",
            "yanchor": "top",
            "ypad": 46,
            "nticks": 4,
            "tickfont": {"size": SMALL},
            "outlinewidth": 0,
            "title": {
                "text": f"loss ({_unit(result)}), {low_words(theme)}",
                "side": "bottom",
                "font": {"size": SMALL},
            },
        },
    )


def _unit(result: Result) -> str:
    return str(result["unit"]).split(" per ")[0]


def _surface(simplex: SimplexNumbers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The loss on a fine rectangular grid; outside of the triangle the value at the nearest
    weights, which is covered later.
    """
    x = np.linspace(-EDGE, 1 + EDGE, FINE)
    y = np.linspace(-EDGE, HIGH + EDGE, FINE)
    values = np.empty((len(y), len(x)))
    table, n = _grid(simplex, "loss"), int(simplex["resolution"])
    for row, up in enumerate(y):
        for column, right in enumerate(x):
            third = up / HIGH
            second = right - third / 2
            weights = [max(0.0, w) for w in (1 - second - third, second, third)]
            total = sum(weights)
            values[row, column] = _between(table, n, [w / total for w in weights])
    return x, y, values


def _outside(figure: go.Figure, theme: Theme) -> None:
    """Cover what lies outside of the triangle, and draw its edge; traces, so that the points lie
    above.
    """
    far = 3 * EDGE
    left = [(0.5, HIGH), (0.0, 0.0), (-far, 0.0), (-far, HIGH + far), (0.5, HIGH + far)]
    below = [(-far, -far), (1 + far, -far), (1 + far, 0.0), (-far, 0.0)]
    for outline in (left, [(1 - x, y) for x, y in left], below):
        _polygon(
            figure,
            outline,
            "outside",
            fill="toself",
            fillcolor=GROUNDS[theme].paper,
            line={"width": 0},
        )
    _polygon(figure, CORNERS, "edge", line={"width": 1.5, "color": GROUNDS[theme].ink})


def _polygon(
    figure: go.Figure, outline: Sequence[tuple[float, float]], name: str, **style: object
) -> None:
    closed = [*outline, outline[0]]
    figure.add_scatter(
        x=[x for x, _ in closed],
        y=[y for _, y in closed],
        mode="lines",
        name=name,
        hoverinfo="skip",
        **style,
    )


def _points(figure: go.Figure, result: Result, theme: Theme) -> None:
    simplex, ground = result["simplex"], GROUNDS[theme]
    score = "accuracy" if "accuracy" in simplex else "perplexity"
    where = [place(row) for row in simplex["weights"]]
    said = [
        [
            ", ".join(f"{w:.2f}" for w in row),
            number(loss),
            percent(value) if score == "accuracy" else number(value),
        ]
        for row, loss, value in zip(
            simplex["weights"], simplex["loss"], simplex[score], strict=True
        )
    ]
    figure.add_scatter(
        x=[at[0] for at in where],
        y=[at[1] for at in where],
        mode="markers",
        name="measured",
        customdata=said,
        marker={"size": 7, "color": ground.ink, "line": {"width": 1.5, "color": ground.paper}},
        hovertemplate="weights %{customdata[0]}<br>loss %{customdata[1]}, "
        + score
        + " %{customdata[2]}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def _corners(figure: go.Figure, result: Result, theme: Theme) -> None:
    """The models at their corners, with their losses."""
    simplex = result["simplex"]
    for k, name in enumerate(result["models"]):
        loss = next(
            v for row, v in zip(simplex["weights"], simplex["loss"], strict=True) if row[k] == 1
        )
        x, y = CORNERS[k]
        figure.add_annotation(
            x=x,
            y=y,
            text=f"<b>{k + 1}</b>  {name}<br>{number(loss)}",
            showarrow=False,
            align="center",
            xanchor=("left", "right", "center")[k],
            xshift=(-6, 6, 0)[k],
            yanchor="bottom" if k == 2 else "top",
            yshift=6 if k == 2 else -6,
            font={"size": SMALL, "family": FAMILY, "color": GROUNDS[theme].ink},
            name="corner",
        )


def triangle_alt(result: Result) -> str:
    """What the triangle shows, for those who do not see it."""
    simplex, unit = result["simplex"], _unit(result)
    top = ", ".join(f"{w:.2f}" for w in simplex["maximum_at"])
    return (
        f"Loss over the triangle of {', '.join(result['models'])}, {result['frame_title']}: from "
        f"{number(min(simplex['loss']))} to {number(max(simplex['loss']), unit)}; largest excess "
        f"{number(simplex['maximum'], unit)} at weights {top}."
    )


def triangle_caption(results: Sequence[Result]) -> str:
    """The caption of the triangles."""
    first = results[0]
    points = len(first["simplex"]["weights"])
    unit = str(first["unit"]).split(" per ")[0]
    tops = "; ".join(
        f"{r['frame_title']} "
        f"{estimate(r['simplex']['maximum'], r['simplex']['maximum_stderr'], unit)}"
        for r in results
    )
    return (
        f"Loss of the weighted averages of {models_sentence(results)}, on the {first['split']} "
        f"split of {first['task']}; {points} mixtures were measured (dots), contours between them "
        "are linear, all on one scale. Corners are the models. Largest excess over the plane "
        f"through the corners: {tops}."
    )
