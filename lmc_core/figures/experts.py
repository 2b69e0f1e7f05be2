"""The fan: the loss along the line for all orders of the experts, those with a name highlighted;
and the rank of each order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from lmc_core.figures.ends import name_ends
from lmc_core.figures.experts_words import (
    ALL,
    STRONGEST,
    WAYS,
    group_name,
    groups_of,
    layer_name,
    order_words,
)
from lmc_core.figures.layout import padded, spread
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, Stroke, Theme, faint, template
from lmc_core.figures.text import Result
from lmc_core.numbers import estimate, number

SIDE, RIGHT, TOP, FOOT = 56, 148, 36, 56  # pixels; labels stand in the right margin
LABEL = 36  # pixels between the centres of two labels of two lines
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


def way_stroke(way: str, theme: Theme) -> Stroke:
    """How the line of a way to order is drawn; orders by weights share the colour of weight
    matching.
    """
    blue, ground = MEANINGS["orthogonal"].colour(theme), GROUNDS[theme]
    return {
        "exact": Stroke(blue, "solid", "diamond"),
        "gram": Stroke(blue, "11px,4px", "circle-open"),
        "router": Stroke(blue, "3px,3px", "square-open"),
        "found": Stroke(MEANINGS["activation"].colour(theme), "7px,3px,2px,3px", "cross"),
        "naive": Stroke(ground.ink, "8px,4px", "square"),
        "best": Stroke(ground.muted, "solid", "triangle-down"),
        "worst": Stroke(ground.muted, "solid", "triangle-up"),
    }[way]


def fan_figure(
    result: Result, fan: Mapping[str, Any], theme: Theme = "light", height: int = 480
) -> go.Figure:
    """Draw the curves of a fan, all faint but those with a name.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        fan: one of its ``fans``.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; labels are placed for it.
    """
    figure = empty_fan(result["models"], str(result["split"]), theme, height)
    _others(figure, result, fan, theme)
    figure.add_scatter(
        x=[0, 1],
        y=[result["chord"][0], result["chord"][-1]],
        mode="lines",
        name="chord",
        hoverinfo="skip",
        line={"color": GROUNDS[theme].muted, "width": 1.5, "dash": "dash"},
    )
    every = fan["mixture"] == ALL
    plain = MEANINGS["plain"]
    drawn: list[tuple[str, Mapping[str, Any], int | None, Stroke]] = [
        (
            "Plain average",
            result["plain"],
            None,
            Stroke(plain.colour(theme), plain.dash, plain.marker),
        )
    ]
    if every and result.get("matched"):
        own = MEANINGS["activation"]
        drawn.append(
            (
                "Activation matching",
                result["matched"],
                None,
                Stroke(own.colour(theme), own.dash, own.marker),
            )
        )
    drawn += [
        (group_name(ways, every), fan, i, way_stroke(ways[0], theme))
        for i, ways in reversed(groups_of(fan))
    ]
    for name, holder, index, stroke in drawn:
        loss = holder["loss"] if index is None else holder["loss"][index]
        strong = stroke.colour == MEANINGS["orthogonal"].colour(theme)
        figure.add_scatter(
            x=result["lam"],
            y=loss,
            mode="lines+markers",
            name=name,
            hovertemplate=_hover(name, holder, index),
            line={"color": stroke.colour, "width": 3 if strong else 2, "dash": stroke.dash},
            marker={"color": stroke.colour, "symbol": stroke.marker, "size": 8 if strong else 6},
            meta={"panel": "named"},
        )
    _labels(figure, result, [(*each[:3], each[3].colour) for each in drawn], theme, height)
    return figure


def empty_fan(
    models: Sequence[str], split: str, theme: Theme = "light", height: int = 480
) -> go.Figure:
    """The axes of a fan, which keep the place while there is nothing to draw."""
    ground = GROUNDS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height})
    ends = ["0", "0.5<br>\u03bb", "1"]
    figure.update_xaxes(
        range=[-0.02, 1.0],
        fixedrange=True,
        tickvals=[0, 0.5, 1],
        ticktext=ends,
        tickangle=0,
        tickfont={"size": BODY, "color": ground.ink},
    )
    figure.update_yaxes(fixedrange=True, nticks=6)
    figure.update_layout(
        margin={"l": SIDE, "r": RIGHT, "t": TOP, "b": FOOT},
        showlegend=False,
        hovermode="closest",
        hoverdistance=12,
    )
    name_ends(figure, models, theme, SIDE - 8, 64)
    figure.add_annotation(
        text=f"<b>Loss</b> ({split}, nats)",
        x=0,
        xref="paper",
        xanchor="left",
        xshift=-SIDE,
        y=1,
        yref="paper",
        yanchor="bottom",
        yshift=10,
        showarrow=False,
        font={"size": BODY, "color": ground.ink},
        name="heading",
    )
    return figure


def _others(figure: go.Figure, result: Result, fan: Mapping[str, Any], theme: Theme) -> None:
    """The orders without a name as one trace with gaps."""
    known = {index for index, _ in groups_of(fan)}
    x: list[float | None] = []
    y: list[float | None] = []
    said: list[str] = []
    for index, order in enumerate(fan["orders"]):
        if index in known:
            continue
        barrier = estimate(fan["barrier"][index], fan["barrier_stderr"][index], "nats")
        words = " | ".join(order_words(each) for each in order)
        x += [*result["lam"], None]
        y += [*fan["loss"][index], None]
        said += [f"{words}<br>barrier {barrier}"] * (len(result["lam"]) + 1)
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": faint(GROUNDS[theme].muted, 0.38), "width": 1.2},
        name="other orders",
        customdata=said,
        hovertemplate="Experts of B: %{customdata}<extra></extra>",
        meta={"panel": "others"},
    )


def _hover(name: str, holder: Mapping[str, Any], index: int | None) -> str:
    value, error = (
        holder[key] if index is None else holder[key][index]
        for key in ("barrier", "barrier_stderr")
    )
    return (
        f"<b>{name}</b><br>barrier {estimate(value, error, 'nats')}<br>\u03bb = %{{x:.2f}}: "
        f"%{{y:.3f}} nats<extra></extra>"
    )


def _labels(
    figure: go.Figure,
    result: Result,
    drawn: Sequence[tuple[str, Mapping[str, Any], int | None, str]],
    theme: Theme,
    height: int,
) -> None:
    """Names and barriers in the right margin, each at the height of its line's top, with a thin
    line that leads there.
    """
    losses = [*result["plain"]["loss"], *result["chord"]]
    losses += [value for fan in result["fans"] for curve in fan["loss"] for value in curve]
    low, high = padded(min(losses), max(losses), 0.06, 0.06)  # one scale for all fans of a result
    figure.update_yaxes(range=[low, high])
    inner = height - TOP - FOOT
    scale = inner / (high - low)
    places = []
    for _, holder, index, _ in drawn:
        loss, lam = (
            holder[key] if index is None else holder[key][index] for key in ("loss", "barrier_lam")
        )
        at = min(range(len(loss)), key=lambda k: abs(result["lam"][k] - lam))
        places.append((result["lam"][at], loss[at]))
    levels = spread([(y - low) * scale for _, y in places], LABEL, LABEL / 2, inner - LABEL / 2)
    for (name, holder, index, colour), (lam, loss), level in zip(
        drawn, places, levels, strict=True
    ):
        value, error = (
            holder[key] if index is None else holder[key][index]
            for key in ("barrier", "barrier_stderr")
        )
        figure.add_scatter(
            x=[lam, 1.0],
            y=[loss, loss],
            mode="lines",
            line={"color": faint(colour, 0.45), "width": 1, "dash": "dot"},
            hoverinfo="skip",
            name="leader",
            meta={"panel": "leader"},
        )
        figure.add_annotation(
            x=1,
            xref="x",
            y=loss,
            yref="y",
            text=f"<b>{name}</b><br>{estimate(value, error)}",
            ax=14,
            ay=(loss - low) * scale - level,
            xanchor="left",
            align="left",
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=faint(colour, 0.6),
            font={"size": SMALL, "color": colour},
            borderpad=0,
            name="label",
        )


def ranks_figure(result: Result, theme: Theme = "light") -> go.Figure:
    """Draw the barrier of every order as a mark, one row for each layer and one for all.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        theme: ``light``, ``dark`` or ``paper``.
    """
    ground, fans = GROUNDS[theme], result["fans"]
    rows = [layer_name(fan, result).capitalize() for fan in fans]
    figure = go.Figure(layout={"template": template(theme), "height": 112 + ROW * len(rows)})
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
    plain, top = result["plain"]["barrier"], MEANINGS["plain"].colour(theme)
    figure.add_vline(x=plain, line={"color": top, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=plain,
        y=1,
        yref="paper",
        yanchor="bottom",
        xanchor="right",
        text=f"plain average {number(plain)}",
        showarrow=False,
        font={"size": SMALL, "color": ground.muted},
        name="plain",
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
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1 + 18 / (ROW * len(rows)),
            "yanchor": "bottom",
        },
    )
    return figure
