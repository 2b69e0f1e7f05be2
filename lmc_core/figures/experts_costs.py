"""Costs of all pairs of experts as matrices, the chosen assignment framed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, Theme, template
from lmc_core.figures.text import Result

KINDS = {"router": "Router rows", "gram": "Gram", "exact": "Exact"}
MOST = 8  # layers that are drawn at once, and experts whose costs are written into their cells
GAP = 0.05  # between matrices, as a share of the width


def scale_of(theme: Theme) -> list[list[float | str]]:
    """One hue from near (strong) to far (the ground), for costs."""
    blue, ground = MEANINGS["orthogonal"].colour(theme), GROUNDS[theme]
    return [[0.0, blue], [1.0, ground.paper if theme != "dark" else "#1c2630"]]


def costs_figure(
    result: Result, layers: Sequence[int] | None = None, theme: Theme = "light"
) -> go.Figure:
    """Draw the matrices of every layer, a row for each layer.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        layers: which mixtures; the first `MOST` by default.
        theme: ``light``, ``dark`` or ``paper``.
    """
    chosen = list(range(min(MOST, len(result["mixtures"]))) if layers is None else layers)
    kinds = [kind for kind in KINDS if kind in result["mixtures"][0]["costs"]]
    single = len(chosen) == 1
    figure = go.Figure(
        layout={"template": template(theme), "height": 64 + (270 if single else 150) * len(chosen)}
    )
    width, tall = (1 - GAP * (len(kinds) - 1)) / len(kinds), 1 / len(chosen)
    for column, kind in enumerate(kinds):
        left = column * (width + GAP)
        for place, layer in enumerate(chosen):
            number = place * len(kinds) + column + 1
            axes = f"x{number if number > 1 else ''}", f"y{number if number > 1 else ''}"
            _matrix(figure, result, layer, kind, axes, single, theme)
            top = 1 - place * tall
            down = (0.0, 1.0) if single else (top - 0.83 * tall, top)
            _axes(
                figure,
                result["mixtures"][layer],
                axes,
                (left, left + width),
                down,
                column == 0,
                single,
            )
        figure.add_annotation(
            text=f"<b>{KINDS[kind]}</b>",
            x=left,
            xref="paper",
            xanchor="left",
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=8,
            showarrow=False,
            font={"size": BODY, "color": GROUNDS[theme].ink},
            name="heading",
        )
    figure.update_layout(margin={"l": 52, "r": 8, "t": 40, "b": 48 if single else 12})
    return figure


def _matrix(
    figure: go.Figure,
    result: Result,
    layer: int,
    kind: str,
    axes: tuple[str, str],
    single: bool,
    theme: Theme,
) -> None:
    """One matrix with its assignment."""
    (x, y), mixture = axes, result["mixtures"][layer]
    costs, (low, high) = mixture["costs"][kind], _limits(result, kind)
    small = len(costs) <= MOST
    figure.add_heatmap(
        z=costs,
        xaxis=x,
        yaxis=y,
        zmin=low,
        zmax=high,
        colorscale=scale_of(theme),
        showscale=False,
        xgap=1 if small else 0,
        ygap=1 if small else 0,
        name=kind,
        meta={"layer": layer, "kind": kind},
        texttemplate="%{z:.2f}" if small and single else None,
        textfont={"size": SMALL},
        hovertemplate=f"layer {mixture['layer']}, {KINDS[kind]}<br>place %{{y}} of A, expert "
        f"%{{x}} of B: %{{z:.3f}}"
        "<extra></extra>",
    )
    for at, expert in enumerate(mixture["orders"][kind]):
        figure.add_shape(
            type="rect",
            xref=x,
            yref=y,
            x0=expert - 0.46,
            x1=expert + 0.46,
            y0=at - 0.46,
            y1=at + 0.46,
            line={"color": GROUNDS[theme].ink, "width": 2 if small else 1},
            name=f"{kind} {layer}",
        )


def _axes(
    figure: go.Figure,
    mixture: Mapping[str, Any],
    axes: tuple[str, str],
    across: tuple[float, float],
    down: tuple[float, float],
    first: bool,
    single: bool,
) -> None:
    """Numbers of experts along both sides of one matrix; the layer in front of the first of a
    row.
    """
    (x, y), experts = axes, len(mixture["orders"]["naive"])
    ticks: dict[str, Any] = {"showgrid": False, "fixedrange": True, "nticks": 9, "tickformat": "d"}
    if experts <= MOST:
        ticks |= {
            "tickmode": "array",
            "tickvals": list(range(experts)),
            "ticktext": [str(k) for k in range(experts)],
        }
    beside = f"place in A, layer {mixture['layer']}" if single else f"layer {mixture['layer']}"
    font = {"size": SMALL}
    below = {"text": "expert of B" if single else "", "standoff": 2, "font": font}
    left = {"text": beside if first else "", "standoff": 4, "font": font}
    figure.update_layout(
        {
            f"xaxis{x[1:]}": {**ticks, "domain": list(across), "anchor": y, "title": below},
            f"yaxis{y[1:]}": {
                **ticks,
                "domain": list(down),
                "anchor": x,
                "title": left,
                "autorange": "reversed",
            },
        }
    )


def _limits(result: Result, kind: str) -> tuple[float, float]:
    """The scale of one kind, the same for all layers."""
    values = [
        value for mixture in result["mixtures"] for row in mixture["costs"][kind] for value in row
    ]
    return min(values), max(values)
