"""All spaces of an alignment by layer: how alike the matched coordinates are, before and after."""

from __future__ import annotations

import plotly.graph_objects as go

from lmc_core.figures.alignment_words import Point, layer_tick, layer_title, layers_in, points_of
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, Theme, faint, strokes, template
from lmc_core.figures.text import Result
from lmc_core.numbers import number
from lmc_core.symmetry.spaces import KINDS

ALONE, ROW = 300, 240  # pixels of a single row of panels, and of each of several
MOST = 5  # panels in a row
BETWEEN = 0.45  # height of the gap between rows, in units of a row
GAP = 0.02  # between panels, as a share of the width
LEAST = 1.0  # layers that the narrowest panel has room for beside its own


def overview_figure(
    result: Result, theme: Theme = "light", selected: str | None = None, height: int | None = None
) -> go.Figure:
    """Draw one panel for each kind of space, a point before and one after for every layer.

    The points carry (space, layer) as `customdata`, so that a click says what was meant.

    Args:
        result: of `lmc_core.runs.kinds.alignment.compute`.
        theme: ``light``, ``dark`` or ``paper``.
        selected: name of the space that is marked.
        height: of the figure, in pixels; by default what its rows need.
    """
    groups, layers = _groups(result), layers_in(result)
    shelves = _shelves(groups)
    figure = go.Figure(
        layout={
            "template": template(theme),
            "height": height or (ALONE if len(shelves) == 1 else ROW * len(shelves)),
        }
    )
    colour = strokes([result], theme)[0].colour
    values = [
        value
        for points in groups.values()
        for p in points
        for value in (p.before, p.after)
        if value is not None
    ]
    reach = [min(-0.05, min(values, default=0) - 0.03), min(1.05, max(values, default=1.0) + 0.12)]
    count = 0
    for row, shelf in enumerate(shelves):
        top = 1 - row * (1 + BETWEEN) / (len(shelves) + BETWEEN * (len(shelves) - 1))
        floor = top - 1 / (len(shelves) + BETWEEN * (len(shelves) - 1))
        y = "y" if row == 0 else f"y{row + 1}"
        title = {"text": "mean cosine", "standoff": 6, "font": {"size": SMALL}}
        first = "x" if count == 0 else f"x{count + 1}"
        axis = {
            "range": reach,
            "domain": [max(0.0, floor), top],
            "anchor": first,
            "fixedrange": True,
            "nticks": 6,
        }
        figure.update_layout({f"yaxis{y[1:]}": axis | {"title": title}})
        places = {
            name: [layer for layer in layers if any(p.layer == layer for p in groups[name])]
            for name in shelf
        }
        shares = [len(each) + LEAST for each in places.values()]
        left = 0.0
        for name, share in zip(shelf, shares, strict=True):
            width = (1 - GAP * (len(shelf) - 1)) * share / sum(shares)
            x = "x" if count == 0 else f"x{count + 1}"
            spots = {layer: k for k, layer in enumerate(places[name])}
            _panel(figure, groups[name], spots, (x, y), theme, colour)
            _mark(figure, groups[name], spots, (x, y), theme, selected)
            figure.update_layout(
                {f"xaxis{x[1:]}": _axis(places[name], (left, left + width), y, theme)}
            )
            _heading(figure, name, (left, top), theme)
            left, count = left + width + GAP, count + 1
    figure.update_layout(
        margin={"l": 56, "r": 8, "t": 48, "b": 30},
        showlegend=False,
        hovermode="closest",
        clickmode="event+select",
        dragmode=False,
    )
    return figure


def _shelves(groups: dict[str, list[Point]]) -> list[list[str]]:
    """The panels in rows of equal length, so that each stays wide enough for its heading on a
    phone.
    """
    names = list(groups)
    rows = max(1, -(-len(names) // MOST))
    each = -(-len(names) // rows)
    return [names[start : start + each] for start in range(0, len(names), each)]


def _groups(result: Result) -> dict[str, list[Point]]:
    """The points of every panel, panels in the order in which kinds are always named."""
    kinds = {entry["name"]: entry["kind"] for entry in result["spaces"]}
    order = list(KINDS)
    found: dict[str, list[Point]] = {}
    for point in sorted(
        points_of(result),
        key=lambda p: order.index(kinds[p.space]) if kinds[p.space] in order else 99,
    ):
        found.setdefault(point.group, []).append(point)
    return found


def _panel(
    figure: go.Figure,
    points: list[Point],
    spots: dict[str, int],
    axes: tuple[str, str],
    theme: Theme,
    colour: str,
) -> None:
    grey = MEANINGS["plain"].colour(theme)
    known = [p for p in points if p.before is not None and p.after is not None]
    for p in known:
        figure.add_scatter(
            x=[spots[p.layer]] * 2,
            y=[p.before, p.after],
            mode="lines",
            line={"color": faint(colour, 0.55), "width": 2},
            hoverinfo="skip",
            xaxis=axes[0],
            yaxis=axes[1],
            name="rise",
        )
    for name, marker in (
        ("before", {"size": 8, "color": GROUNDS[theme].paper, "line": {"color": grey, "width": 2}}),
        ("after", {"size": 10, "color": colour, "line": {"width": 0}}),
    ):
        figure.add_scatter(
            x=[spots[p.layer] for p in known],
            y=[getattr(p, name) for p in known],
            mode="markers",
            marker=marker,
            customdata=[[p.space, p.layer] for p in known],
            xaxis=axes[0],
            yaxis=axes[1],
            unselected={"marker": {"opacity": 1}},
            name=name,
            text=[f"{p.group}, {layer_title(p.layer).lower()}<br>{_rise(p)}" for p in known],
            hovertemplate="%{text}<extra></extra>",
        )


def _rise(point: Point) -> str:
    return f"{number(point.before)} before, {number(point.after)} after"


def _mark(
    figure: go.Figure,
    points: list[Point],
    spots: dict[str, int],
    axes: tuple[str, str],
    theme: Theme,
    selected: str | None,
) -> None:
    """A band behind what is shown in detail."""
    for p in points:
        if selected == p.space:
            at = spots[p.layer]
            figure.add_shape(
                type="rect",
                xref=axes[0],
                yref=f"{axes[1]} domain",
                x0=at - 0.42,
                x1=at + 0.42,
                y0=0,
                y1=1,
                layer="below",
                fillcolor=faint(MEANINGS["orthogonal"].colour(theme), 0.13),
                line={"width": 0},
                name="selected",
            )


def _axis(layers: list[str], domain: tuple[float, float], anchor: str, theme: Theme) -> dict:
    every = -(-len(layers) // 12)
    shown = [
        k for k in range(len(layers)) if k % every == 0 or not layers[k].split(".")[-1].isdigit()
    ]
    return {
        "domain": [domain[0], min(1.0, domain[1])],
        "anchor": anchor,
        "range": [-0.6, len(layers) - 0.4],
        "tickvals": shown,
        "tickangle": 0,
        "ticktext": [layer_tick(layers[k]) for k in shown],
        "fixedrange": True,
        "tickfont": {"color": GROUNDS[theme].ink},
    }


def _heading(figure: go.Figure, group: str, corner: tuple[float, float], theme: Theme) -> None:
    words = group.replace(" stream", "<br>stream").replace("-", "-<br>", 1).replace(", ", ",<br>")
    figure.add_annotation(
        text=f"<b>{words[0].upper()}{words[1:]}</b>",
        x=corner[0],
        xref="paper",
        xanchor="left",
        y=corner[1],
        yref="paper",
        yanchor="bottom",
        yshift=6,
        showarrow=False,
        align="left",
        name="heading",
        font={"size": BODY, "color": GROUNDS[theme].ink},
    )
