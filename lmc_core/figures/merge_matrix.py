"""The barriers between every two models as a matrix, on one scale before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.heatmap import sequential
from lmc_core.figures.merge_rows import Result
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, template
from lmc_core.numbers import estimate, number


def largest_barrier(results: Sequence[Result]) -> float:
    """The end of the scale that all matrices share, in nats; above 0."""
    values = [
        v
        for r in results
        for row in r["lines"]["barrier"]
        for v in row
        if v is not None and math.isfinite(v)
    ]
    return max([*values, 1e-3])


def matrix_figure(
    result: Result, most: float | None = None, theme: Theme = "light", height: int = 320
) -> go.Figure:
    """Draw the barriers between every two models of one frame.

    Args:
        result: of merging in one frame.
        most: where the scale ends, in nats; by default the largest of these.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground, count = GROUNDS[theme], len(result["models"])
    most = most or largest_barrier([result])
    values, errors = result["lines"]["barrier"], result["lines"]["stderr"]
    figure = go.Figure(layout={"template": template(theme), "height": height})
    said = [
        [estimate(v, e, "nats") if v is not None else "" for v, e in zip(*rows, strict=True)]
        for rows in zip(values, errors, strict=True)
    ]
    numbers = list(range(1, count + 1))
    figure.add_heatmap(
        z=values,
        x=numbers,
        y=numbers,
        zmin=0,
        zmax=most,
        colorscale=sequential(theme),
        showscale=False,
        xgap=2,
        ygap=2,
        customdata=said,
        hoverongaps=False,
        hovertemplate="%{y} and %{x}: %{customdata}<extra></extra>",
        name="barrier",
    )
    for i in range(count):
        for j in range(count):
            value = values[i][j]
            if value is None:
                continue
            figure.add_annotation(
                x=numbers[j],
                y=numbers[i],
                text=number(value, digits=2),
                showarrow=False,
                name="value",
                font={"size": BODY if count <= 5 else SMALL, "color": _ink(value / most, theme)},
            )
    figure.update_xaxes(
        showgrid=False,
        tickvals=numbers,
        fixedrange=True,
        constrain="domain",
        range=[0.5, count + 0.5],
    )
    figure.update_yaxes(
        showgrid=False,
        range=[count + 0.5, 0.5],
        fixedrange=True,
        scaleanchor="x",
        constrain="domain",
        tickvals=numbers,
        ticktext=[f"{name}  {k}" for k, name in zip(numbers, result["models"], strict=True)],
    )
    figure.update_layout(margin={"l": 132, "r": 8, "t": 8, "b": 28}, font={"color": ground.ink})
    return figure


def _ink(share: float, theme: Theme) -> str:
    """Black or white, whichever is read better on that share of the scale."""
    dark = GROUNDS["light"].ink
    if theme == "dark":
        return dark if share > 0.45 else GROUNDS["dark"].ink
    return "#ffffff" if share > 0.55 else dark


def matrix_alt(result: Result) -> str:
    """What the matrix shows, for those who do not see it."""
    names, values = result["models"], result["lines"]["barrier"]
    pairs = [
        f"{names[i]} and {names[j]} {number(values[i][j])}"
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    return (
        f"Barriers between every two models in nats, {result['frame_title']}: {'; '.join(pairs)}."
    )
