"""Experts of all layers: the rank of each of their orders, and the costs of all pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import frame_cell, heading, legend_row, padded, write
from lmc_core.figures.orders import STRONGEST, WAYS, layer_name, order_words, way_stroke
from lmc_core.figures.style import (
    GROUNDS,
    MEANINGS,
    SMALL,
    Theme,
    faint,
    ink_on_loss,
    loss_scale,
    low_words,
)
from lmc_core.figures.text import Result
from lmc_core.numbers import number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.orders import FanNumbers, MixtureNumbers

ROW = 44  # pixels for a row of ranks
SIZES = {
    "exact": 10,
    "gram": 16,
    "router": 22,
    "found": 13,
    "naive": 10,
    "best": 9,
    "worst": 9,
}  # pixels; ways that agree lie in each other
KINDS = {"router": "Router rows", "gram": "Gram", "exact": "Exact"}
MOST = 8  # layers that are drawn at once, and experts whose costs are written into their cells
GAP = 0.05  # between matrices, as a share of the width


def ranks_figure(result: Result, theme: Theme = "light") -> go.Figure:
    """Draw the barrier of every order as a mark, one row for each layer and one for all.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        theme: ``light``, ``dark`` or ``paper``.
    """
    ground, fans = GROUNDS[theme], result["fans"]
    rows = [layer_name(fan, result).capitalize() for fan in fans]
    figure = blank(theme, 112 + ROW * len(rows))
    _rank_marks(figure, fans, rows, theme)
    plain, top = result["plain"]["barrier"], MEANINGS["plain"].colour(theme)
    figure.add_vline(x=plain, line={"color": top, "width": 1.5, "dash": "dash"})
    write(
        figure,
        f"plain average {number(plain)}",
        (plain, 1),
        (SMALL, ground.muted),
        name="plain",
        paper="y",
        anchor="right bottom",
    )
    values = [plain, *(value for fan in fans for value in fan["barrier"])]
    figure.update_xaxes(
        title={"text": "Barrier (nats)", "standoff": 6},
        range=padded(min(values), max(values), 0.04, 0.04),
        fixedrange=True,
        showgrid=True,
    )
    figure.update_yaxes(
        autorange="reversed",
        fixedrange=True,
        tickfont={"size": SMALL, "color": ground.ink},
        showgrid=False,
    )
    figure.update_layout(
        # the name of the dashed line stands below the legend
        margin={"l": 84, "r": 24, "t": 68, "b": 44},
        hovermode="closest",
        legend=legend_row(1 + 18 / (ROW * len(rows)), "bottom"),
    )
    return figure


def _rank_marks(
    figure: go.Figure, fans: Sequence[FanNumbers], rows: list[str], theme: Theme
) -> None:
    """Marks of all orders, and of those with a name."""
    ground = GROUNDS[theme]
    figure.add_scatter(
        x=[value for fan in fans for value in fan["barrier"]],
        y=[row for row, fan in zip(rows, fans, strict=True) for _ in fan["barrier"]],
        customdata=[
            " | ".join(order_words(each) for each in order)
            for fan in fans
            for order in fan["orders"]
        ],
        mode="markers",
        marker={
            "symbol": "line-ns",
            "size": 14,
            "line": {"width": 1.2, "color": faint(ground.muted, 0.6)},
        },
        name="every order",
        hovertemplate="%{y}: %{customdata}<br>barrier %{x:.3f} nats<extra></extra>",
    )
    for way in (way for way in reversed(STRONGEST[:5]) if way in fans[0]["named"]):
        stroke = way_stroke(way, theme)
        figure.add_scatter(
            x=[fan["barrier"][fan["named"][way]] for fan in fans],
            y=rows,
            mode="markers",
            name=WAYS[way],
            marker={
                "symbol": stroke.marker,
                "size": SIZES[way],
                "color": stroke.colour,
                "line": {"width": 1.5, "color": stroke.colour},
            },
            hovertemplate=f"%{{y}}, {WAYS[way]}: %{{x:.3f}} nats<extra></extra>",
        )


def ranks_caption(result: Result) -> str:
    """Return a caption for the barriers of all orders, in plain text."""
    return (
        "Barrier of every order that was measured, by the layer whose experts change places; in "
        "the last row all layers at "
        "once. Marks that lie in each other are ways that choose the same order."
    )


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
    figure = blank(theme, 80 + (270 if single else 150) * len(chosen))
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
        heading(figure, f"<b>{KINDS[kind]}</b>", theme, x=left, up=8)
    write(
        figure,
        f"cost, {low_words(theme)}",
        (1, 1),
        (SMALL, GROUNDS[theme].muted),
        name="scale",
        paper="xy",
        anchor="right bottom",
        shift=(None, 28),
    )
    figure.update_layout(margin={"l": 52, "r": 8, "t": 56, "b": 48 if single else 12})
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
        colorscale=loss_scale(theme),
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
        share = (costs[at][expert] - low) / max(high - low, 1e-12)
        line = {"color": ink_on_loss(share, theme), "width": 2 if small else 1}
        frame_cell(figure, (x, y), expert, at, line, f"{kind} {layer}")


def _axes(
    figure: go.Figure,
    mixture: MixtureNumbers,
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
    ticks: dict[str, object] = {
        "showgrid": False,
        "fixedrange": True,
        "nticks": 9,
        "tickformat": "d",
    }
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


def costs_caption(result: Result) -> str:
    """Return a caption for the matrices of costs, in plain text."""
    a, b = result["models"]
    return (
        f"What each expert of {b} (columns, as its file numbers them) costs at each place of {a} "
        "(rows), everything else aligned: squared distance of the rows of the routers; of products "
        "of the weights that no order of units changes (Gram); of all weights after the best order "
        "of units, plus that of the rows (exact). 0 means equal, 1 nothing in common. Each kind "
        "has one scale for all layers. Frames: the assignment of least cost."
    )
