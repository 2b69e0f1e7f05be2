"""Which experts tokens visit along the line: agreement of the routers, and load of the experts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, spread, write
from lmc_core.figures.orders import WAYS, way_stroke
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, Theme
from lmc_core.figures.text import Result
from lmc_core.numbers import number

HEIGHT, TOP, FOOT, SIDE = 340, 36, 56, 56  # pixels


def agreement_figure(
    result: Result,
    ways: Sequence[str] = ("naive", "exact"),
    layers: Sequence[int] | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Draw the agreement of the routers' choices with those at either end, mean over some layers.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        ways: to order the experts, a pair of lines for each.
        layers: which mixtures; all by default.
        theme: ``light``, ``dark`` or ``paper``.
    """
    ground, routing = GROUNDS[theme], result["routing"]
    figure = blank(theme, HEIGHT)
    labels: list[tuple[str, str, float]] = []
    for way in ways:
        stroke, followed = way_stroke(way, theme), routing[way]
        for side, end in (("with_a", result["models"][0]), ("with_b", result["models"][1])):
            values = np.array(followed[side])[
                :, slice(None) if layers is None else list(layers)
            ].mean(1)
            dash, symbol = ("solid", "circle") if side == "with_a" else ("6px,4px", "circle-open")
            figure.add_scatter(
                x=followed["lam"],
                y=values,
                mode="lines+markers",
                name=f"{WAYS[way]}, with {end}",
                line={"color": stroke.colour, "width": 2.5, "dash": dash},
                marker={"symbol": symbol, "size": 6, "color": stroke.colour},
                hovertemplate=f"{WAYS[way]}, agreement with {end}<br>\u03bb = %{{x:.2f}}: "
                f"%{{y:.3f}}<extra></extra>",
                meta={"way": way, "side": side},
            )
            if side == "with_a":
                labels.append(
                    (
                        f"<b>{WAYS[way]}</b><br>{number(float(values[-1]), digits=2)}",
                        stroke.colour,
                        float(values[-1]),
                    )
                )
    chance = routing[ways[0]]["chance"]
    figure.add_hline(y=chance, line={"color": ground.muted, "width": 1.2, "dash": "dot"})
    labels.append((f"chance<br>{number(chance, digits=2)}", ground.muted, chance))
    _labels(figure, labels)
    _frame(figure, result, theme, "<b>Agreement</b> with A (solid), with B (dashed)", 92)
    figure.update_yaxes(range=[0, 1.04], nticks=6)
    return figure


def _labels(figure: go.Figure, labels: list[tuple[str, str, float]]) -> None:
    """Names of the lines beside their ends."""
    inner = HEIGHT - TOP - FOOT
    levels = spread([value * inner / 1.04 for _, _, value in labels], 34, 17, inner - 17)
    for (text, colour, value), level in zip(labels, levels, strict=True):
        write(
            figure,
            text,
            (1, value),
            (SMALL, colour),
            name="label",
            anchor="left",
            shift=(8, level - value * inner / 1.04),
            xref="x",
            yref="y",
            align="left",
        )


def load_figure(
    result: Result, way: str = "exact", layers: Sequence[int] | None = None, theme: Theme = "light"
) -> go.Figure:
    """Draw the share of all visits that each expert has along the line, a row for each expert.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        way: how the experts are ordered.
        layers: which mixtures; all by default.
        theme: ``light``, ``dark`` or ``paper``.
    """
    ground, followed = GROUNDS[theme], result["routing"][way]
    load = np.array(followed["load"])  # [points, mixtures, experts]
    chosen = list(range(load.shape[1]) if layers is None else layers)
    experts = load.shape[2]
    rows = np.concatenate([load[:, layer].T for layer in chosen])
    names = [
        f"layer {result['mixtures'][layer]['layer']}, expert {expert}"
        for layer in chosen
        for expert in range(experts)
    ]
    blue = MEANINGS["orthogonal"].colour(theme)
    figure = blank(theme, HEIGHT)
    figure.add_heatmap(
        z=rows,
        x=followed["lam"],
        y=list(range(len(rows))),
        customdata=[[name] * load.shape[0] for name in names],
        zmin=0.0,
        zmax=float(load.max()),
        colorscale=[[0, ground.paper], [1, blue]],
        hovertemplate="%{customdata}<br>\u03bb = %{x:.2f}: %{z:.1%} of all visits<extra></extra>",
        colorbar={
            "thickness": 10,
            "tickformat": ".0%",
            "outlinewidth": 0,
            "tickfont": {"size": SMALL},
            "nticks": 5,
        },
    )
    for border in range(1, len(chosen)):
        figure.add_hline(y=border * experts - 0.5, line={"color": ground.paper, "width": 4})
    _frame(figure, result, theme, "<b>Load</b> of each expert (share of visits)", 60)
    if len(chosen) > 1:
        middle = [place * experts + (experts - 1) / 2 for place in range(len(chosen))]
        ticks = {
            "tickvals": middle,
            "ticktext": [f"layer {result['mixtures'][layer]['layer']}" for layer in chosen],
        }
    else:
        every = max(1, experts // 8)
        ticks = {
            "tickvals": list(range(0, experts, every)),
            "ticktext": [str(k) for k in range(0, experts, every)],
        }
    figure.update_yaxes(autorange="reversed", showgrid=False, **ticks)
    return figure


def _frame(figure: go.Figure, result: Result, theme: Theme, title: str, right: int) -> None:
    ground = GROUNDS[theme]
    ends = ["0<br><b>A</b>", "0.5<br>\u03bb", "1<br><b>B</b>"]
    figure.update_xaxes(
        fixedrange=True,
        tickvals=[0, 0.5, 1],
        ticktext=ends,
        tickangle=0,
        tickfont={"size": BODY, "color": ground.ink},
    )
    figure.update_yaxes(fixedrange=True)
    figure.update_layout(
        margin={"l": SIDE, "r": right, "t": TOP, "b": FOOT}, showlegend=False, hovermode="closest"
    )
    heading(figure, title, theme, left=-SIDE, up=10)


def routing_caption(result: Result, way: str) -> str:
    """Return a caption for agreement and load, in plain text."""
    followed = result["routing"][way]
    a, b = result["models"]
    experts = len(followed["load"][0][0])
    return (
        f"Agreement of the routers' choices along the line with those at either end ({a}, {b}): "
        f"the Jaccard index of the {followed['active']} of {experts} experts that each token "
        "visits, mean over tokens and layers; two routers that do not know of each other reach "
        f"{number(followed['chance'], digits=2)}. Load: share of all visits that each expert has "
        f"(even: {number(1 / experts, digits=2)}), experts in the order {WAYS[way]}. "
        f"{result['routing']['examples']} examples, {len(followed['lam'])} values of \u03bb."
    )
