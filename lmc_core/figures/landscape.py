"""The loss on a plane as a map with contours, and as a surface; models as points, paths between
them as lines.

Low loss is saturated, high loss fades into the ground. The scale of colours is logarithmic and ends
at the loss of guessing, which everything worse shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.landscape_data import Facts, Landscape, Route, routes
from lmc_core.figures.layout import bar_title, write
from lmc_core.figures.panel import Picture, Stored
from lmc_core.figures.style import (
    BODY,
    GROUNDS,
    SMALL,
    Stroke,
    Theme,
    faint,
    loss_scale,
    low_words,
    strokes,
)
from lmc_core.figures.tables import Table
from lmc_core.figures.text import (
    classes_sentence,
    imported_sentence,
    method_title,
    notes,
    version_sentence,
)
from lmc_core.numbers import number, percent

HEIGHT, WIDTH = 510, 616  # pixels; the map is square, and above it is the scale of colours
SIDES = {"l": 62, "r": 20, "t": 58, "b": 48}  # pixels around the map
LEVELS = 12  # contours
TICKS = [m * 10.0**p for p in range(-6, 4) for m in (1, 1.5, 2, 3, 4, 5, 7)]
GRID = "grid"  # name of the trace whose points can be clicked
KINDS = {  # the first is what a page begins with
    "pair": "A, B and aligned B",
    "bend": "A, B and the bend of a curve",
    "three": "Three models",
    "random": "Random directions around A",
}
HARD = (
    "Soft matching is drawn at its hard end: every soft match has become an assignment there, so "
    "that B aligned computes what "
    "B does. The line to the soft end, which is another function, is on the page Barrier."
)
UNREADABLE = (
    "None of the losses measured here is a finite number, so the colours say nothing: what the "
    "networks compute overflows. Choose a smaller span, or other models."
)


def contour_figure(
    scene: Landscape | None,
    theme: Theme = "light",
    paths: Sequence[Route] = (),
    chosen: tuple[float, float] | None = None,
    height: int = HEIGHT,
) -> go.Figure:
    """Draw a plane as a map.

    Args:
        scene: what was measured, finished or not; None for empty axes that keep the place.
        theme: ``light``, ``dark`` or ``paper``.
        paths: drawn on it.
        chosen: (u, v) of a point that is marked.
        height: in pixels.
    """
    figure = blank(theme, height)
    figure.update_layout(margin=SIDES, showlegend=False, dragmode=False, hovermode="closest")
    _axes(figure, scene, theme)
    if scene is None:
        return figure
    low, high = (float(np.log10(x)) for x in scene.limits)
    size = (high - low) / LEVELS
    figure.add_contour(
        x=scene.u,
        y=scene.v,
        z=scene.height,
        colorscale=loss_scale(theme),
        zmin=low,
        zmax=high,
        hoverinfo="skip",
        name="loss",
        contours={"start": low + size, "end": high - size / 2, "size": size, "coloring": "fill"},
        autocontour=False,
        line={"width": 0.7, "color": faint(GROUNDS[theme].ink, 0.35), "smoothing": 1.3},
        connectgaps=False,
        colorbar=_bar(scene, theme),
    )
    _clickable(figure, scene)
    drawn = list(zip(paths, route_strokes(paths, theme), strict=True))
    # bands below, lines above
    for route, stroke in sorted(drawn, key=lambda each: not each[0].away):
        _route(figure, route, stroke, theme)
    _models(figure, scene, theme)
    _labels(figure, scene, paths, theme)
    if chosen is not None:
        _mark(figure, chosen, theme)
    return figure


def route_strokes(paths: Sequence[Route], theme: Theme) -> list[Stroke]:
    """How paths are drawn; sides of a triangle share one stroke."""
    drawn = strokes([{"method": route.method, "classes": route.classes} for route in paths], theme)
    triangle = len(paths) == 3 and len({route.method for route in paths}) == 1
    return [drawn[0]] * 3 if triangle else drawn


def _axes(figure: go.Figure, scene: Landscape | None, theme: Theme) -> None:
    ground = GROUNDS[theme]
    kind = scene.facts.get("kind") if scene else "pair"
    names = (
        ("first direction", "second direction")
        if kind == "random"
        else ("along the first two models", "across")
    )
    unit = "share of the filters' norms" if kind == "random" else "distance of parameters"
    limits = (
        [(float(a[0]), float(a[-1])) for a in (scene.u, scene.v)] if scene else [(-1.0, 1.0)] * 2
    )
    common = {"fixedrange": True, "showgrid": False, "nticks": 6, "constrain": "domain"}
    figure.update_xaxes(
        range=limits[0], title={"text": f"{names[0]} ({unit})", "standoff": 10}, **common
    )
    figure.update_yaxes(range=limits[1], title={"text": names[1], "standoff": 6}, **common)
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(title={"font": {"size": SMALL, "color": ground.muted}})
    if kind != "bend":
        figure.update_yaxes(scaleanchor="x", scaleratio=1, constraintoward="top")


def tick_values(scene: Landscape, apart: float = 0.1) -> list[float]:
    """Losses that are written at the scale of colours: its ends and round values between them.

    Args:
        scene: that is drawn.
        apart: least distance of two, as a share of the scale; a tenth fits a phone.
    """
    low, high = scene.limits
    room = (high / low) ** apart
    inside: list[float] = []
    for tick in TICKS:
        if max([low, *inside[-1:]]) * room < tick < high / room:
            inside.append(tick)
    return [low, *inside, high]


def _bar(scene: Landscape, theme: Theme) -> dict[str, object]:
    """The scale of colours with losses in nats at its ticks; its top says what is shared."""
    values, high = tick_values(scene), scene.limits[1]
    top = ("\u2265 " if float(np.nanmax(scene.loss, initial=0.0)) > high else "") + number(high)
    return {
        "tickvals": [float(np.log10(v)) for v in values],
        "ticktext": [number(values[0]), *(number(v, digits=2) for v in values[1:-1]), top],
        "title": bar_title(f"loss ({scene.facts.get('unit', 'nats')}), {low_words(theme)}"),
        "tickfont": {"size": SMALL, "color": GROUNDS[theme].muted},
        "tickangle": 0,
        "orientation": "h",
        "thickness": 12,
        "len": 1.0,
        "lenmode": "fraction",
        "x": 0.5,
        "xpad": 0,
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "ypad": 2,
        "outlinewidth": 0,
    }


def _clickable(figure: go.Figure, scene: Landscape) -> None:
    """Every measured point, unseen, for hovering and clicking."""
    rows, columns = np.nonzero(scene.measured)
    figure.add_scatter(
        x=scene.u[columns],
        y=scene.v[rows],
        mode="markers",
        name=GRID,
        meta="grid",
        marker={"size": max(6, 400 / len(scene.u)), "opacity": 0},
        customdata=np.stack([rows, columns], 1),
        text=[
            point_words(scene, int(r), int(c), "<br>") for r, c in zip(rows, columns, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
    )


def point_words(scene: Landscape, row: int, column: int, between: str = ", ") -> str:
    """Loss and score at a point of the grid: "loss 0.412 nats, accuracy 87.5%"."""
    unit = str(scene.facts.get("unit", "nats"))
    score = scene.score[row, column]
    shown = percent(score) if scene.score_name == "accuracy" else number(score)
    return f"loss {number(scene.loss[row, column], unit)}{between}{scene.score_name} {shown}"


def _route(figure: go.Figure, route: Route, stroke: Stroke, theme: Theme) -> None:
    """A path with a rim in the colour of the ground; the projection of one that lies elsewhere as a
    faint band.
    """
    drawn = [
        ("halo", GROUNDS[theme].paper, 6.0, "solid"),
        ("path", stroke.colour, 2.6, stroke.dash),
    ]
    if route.away:
        drawn = [
            ("halo", GROUNDS[theme].paper, 15.0, "solid"),
            ("path", faint(stroke.colour, 0.55), 12.0, "solid"),
        ]
    for meta, colour, width, dash in drawn:
        figure.add_scatter(
            x=route.u,
            y=route.v,
            mode="lines",
            hoverinfo="skip",
            name=route.label,
            meta=meta,
            line={"color": colour, "width": width, "dash": dash},
        )


def _models(figure: go.Figure, scene: Landscape, theme: Theme) -> None:
    points = scene.facts.get("points", [])
    ground = GROUNDS[theme]
    figure.add_scatter(
        x=[p["u"] for p in points],
        y=[p["v"] for p in points],
        mode="markers",
        name="models",
        meta="models",
        marker={
            "size": 13,
            "color": ground.paper,
            "line": {"color": ground.ink, "width": 2.5},
            "symbol": ["diamond" if p["role"] == "bend" else "circle" for p in points],
        },
        hovertemplate=[
            f"<b>{p['label']}</b> {p['name']}<br>loss {number(p['loss'])}<br>{scene.score_name} "
            f"{(percent if scene.score_name == 'accuracy' else number)(p['score'])}<extra></extra>"
            for p in points
        ],
    )


def _labels(figure: go.Figure, scene: Landscape, paths: Sequence[Route], theme: Theme) -> None:
    """Names at the points, on the side away from their centre; names at the middle of the paths."""
    ground, points = GROUNDS[theme], scene.facts.get("points", [])
    middle = np.mean([p["v"] for p in points]) if points else 0.0
    for point in points:
        below = len(points) > 1 and point["v"] < middle
        write(
            figure,
            f"<b>{point['label']}</b>",
            (point["u"], point["v"]),
            (BODY, ground.ink),
            name="model",
            shift=(None, -20 if below else 20),
            bgcolor=faint(ground.paper, 0.85),
            borderpad=2,
        )
    if scene.facts.get("kind") == "three":
        return
    for route, stroke in zip(paths, route_strokes(paths, theme), strict=True):
        at = len(route.u) // 2
        curved = route.method == "bend"
        text = route.label.replace(" to aligned B", ", aligned")
        write(
            figure,
            text,
            (float(route.u[at]), float(route.v[at])),
            (SMALL, stroke.colour),
            name="path",
            shift=(None, -24 if curved and route.away else 24),
            bgcolor=faint(ground.paper, 0.85),
            borderpad=1,
        )


def _mark(figure: go.Figure, chosen: tuple[float, float], theme: Theme) -> None:
    """The chosen point: a cross with a ring."""
    ground = GROUNDS[theme]
    for colour, width in ((ground.paper, 6), (ground.ink, 2)):
        figure.add_scatter(
            x=[chosen[0]],
            y=[chosen[1]],
            mode="markers",
            hoverinfo="skip",
            name="chosen point",
            meta="chosen",
            marker={
                "symbol": "circle-open-dot",
                "size": 22,
                "color": colour,
                "line": {"width": width, "color": colour},
            },
        )


def landscape_finding(scene: Landscape, paths: Sequence[Route] = ()) -> str:
    """Return how high the paths in the plane climb, or where its lowest point lies; "" of one that
    cannot be read.
    """
    if not scene.readable or scene.share == 0:
        return ""
    unit, high = str(scene.facts.get("unit", "nats")).split(" per ")[0], scene.limits[1]
    tops = []
    for route in (route for route in paths if not route.away):
        top = 10 ** max(scene.at(u, v) for u, v in zip(route.u, route.v, strict=True))
        most = f"at least {number(high, unit)}" if top > 0.999 * high else f"≈ {number(top, unit)}"
        tops.append(f"{route.label.replace(' to aligned B', ', aligned')} {most}")
    if tops:
        return f"Highest loss on the way: {'; '.join(tops)}."
    lowest = (scene.facts.get("lowest") or {}).get("loss")
    return "" if lowest is None else f"Lowest loss of the grid: {number(lowest, unit)}."


def landscape_caption(scene: Landscape, paths: Sequence[Route] = ()) -> str:
    """Return a caption for a plane that would stand in a paper, in plain text.

    Args:
        scene: what was measured.
        paths: that are drawn on it.
    """
    facts = scene.facts
    n = len(scene.u)
    sentences = [_what(facts)]
    data = f"{facts['split']} split of {facts['task']} ({int(facts['examples']):,} examples)"
    sentences.append(f"Mean loss on the {data} at {n} × {n} points.")
    if scene.share < 1:
        sentences.append(
            f"{int(scene.measured.sum()):,} of {n * n:,} are measured; between them it is "
            "interpolated."
        )
    if not scene.readable:
        sentences.append(UNREADABLE)
    low, high = scene.limits
    if float(np.nanmax(scene.loss, initial=0.0)) > high:
        guess = (
            " (the loss of guessing)" if abs(high - float(facts.get("clip") or 0)) < 1e-9 else ""
        )
        sentences.append(
            f"Colours are logarithmic in the loss and end at {number(high, facts['unit'])}{guess}."
        )
    else:
        sentences.append("Colours are logarithmic in the loss.")
    sentences += [*_places(facts), *notes([facts])]
    if facts.get("method") == "soft":
        sentences.append(HARD)
    sentences += [
        f"The {route.label} lies outside of this plane, its bend {number(route.away)} from it; "
        "drawn is its projection."
        for route in paths
        if route.away
    ]
    if facts.get("function_error") is not None:
        sentences.append(
            "Aligned models give the same outputs as the originals: largest relative difference "
            f"{number(facts['function_error'], digits=2)}."
        )
    written = version_sentence(facts, with_torch=False)
    return " ".join(filter(None, [*sentences, imported_sentence([facts]), written]))


def _how(facts: Facts) -> str:
    method = str(facts.get("method", "none"))
    if method == "none":
        return "nothing aligned"
    return f"{method_title(method)}; {classes_sentence(facts.get('classes'))}"


def _what(facts: Facts) -> str:
    names = list(facts["models"])
    size = f" ({facts['parameters']:,} parameters each)" if facts.get("parameters") else ""
    kind = facts.get("kind")
    if kind == "random":
        span = number(facts.get("span") or 1.0)
        return (
            f"Two random directions around {names[0]}{size.replace(' each', '')}, each filter as "
            "long as the model's own "
            f"(Li et al. 2018), up to {span} times that length; biases and gains of norms stay."
        )
    if kind == "three":
        three = f"{names[0]} (A), {names[1]} (B) and {names[2]} (C){size}"
        return f"The plane through {three} in the space of parameters ({_how(facts)})."
    if kind == "bend":
        return (
            f"The plane of the quadratic Bezier curve from {names[0]} (A) to {names[1]} (B){size} "
            f"with trained bend (Garipov et al. 2018; {_how(facts)}). Its height is stretched."
        )
    return (
        f"The plane through {names[0]} (A), {names[1]} (B) as it is and aligned{size} in the space "
        f"of parameters ({_how(facts)}), all in the canonical form of these classes."
    )


def _places(facts: Facts) -> list[str]:
    points = facts.get("points", [])
    if len(points) < 2:
        return []
    first, others = points[0], points[1:]
    away = ", ".join(
        f"{p['label']} {number(((p['u'] - first['u']) ** 2 + (p['v'] - first['v']) ** 2) ** 0.5)}"
        for p in others
    )
    return [f"Distances from {first['label']}: {away}."]


def landscape_alt(scene: Landscape | None, picture: str = "Map") -> str:
    """Return what the picture of a plane shows, in a sentence for those who do not see it."""
    if scene is None:
        return "Empty axes of a plane between models."
    points = "; ".join(f"{p['label']} {number(p['loss'])}" for p in scene.facts.get("points", []))
    if not scene.readable:
        return f"{picture} of the loss on a plane. {UNREADABLE}"
    low, high = scene.limits
    return (
        f"{picture} of the loss on a plane, from {number(low)} to {number(high)} nats. Losses "
        f"of the models: {points}."
    )


def points_table(scene: Landscape) -> Table:
    """Return the labelled points, and the lowest of the grid, with their losses."""
    facts, unit = scene.facts, str(scene.facts.get("unit", "nats"))
    rows = [
        (p["label"], p["name"], p["u"], p["v"], p["loss"], p["stderr"], p["score"])
        for p in facts.get("points", [])
    ]
    if lowest := facts.get("lowest"):
        rows.append(
            ("lowest of the grid", "", *(lowest[k] for k in ("u", "v", "loss", "stderr", "score")))
        )
    return Table.of(
        ("point", "model", "u", "v", f"loss ({unit})", "standard error", scene.score_name), rows
    )


def grid_table(scene: Landscape) -> Table:
    """Return every measured point, row by row."""
    header = (
        "u",
        "v",
        f"loss ({scene.facts.get('unit', 'nats')})",
        "standard error",
        scene.score_name,
    )
    rows = (
        (
            float(scene.u[j]),
            float(scene.v[i]),
            float(scene.loss[i, j]),
            float(scene.stderr[i, j]),
            float(scene.score[i, j]),
        )
        for i, j in np.argwhere(scene.measured)
    )
    return Table.of(header, rows)


def landscape_headline(result: Facts) -> tuple[str, float | None]:
    """Return the lowest loss on the grid."""
    lowest = (result.get("lowest") or {}).get("loss")
    if lowest is None or not isfinite(lowest):
        return "\u2013", None
    return f"lowest {number(lowest)} nats", float(lowest)


def _scene(found: Sequence[Stored]) -> Landscape:
    return Landscape.of(found[0].result, found[0].arrays())


def _draw(
    found: Sequence[Stored], labels: Sequence[str], theme: Theme, height: int | None
) -> go.Figure:
    """Draw the loss on a plane as a map with the paths in it."""
    scene = _scene(found)
    return contour_figure(scene, theme, routes(scene.facts))


def _caption(found: Sequence[Stored], labels: Sequence[str]) -> str:
    scene = _scene(found)
    return landscape_caption(scene, routes(scene.facts))


PICTURE = Picture(
    name="Landscape",
    draw=_draw,
    caption=_caption,
    summary=lambda found, labels: points_table(_scene(found)),
    numbers=lambda found, labels: grid_table(_scene(found)),
    headline=landscape_headline,
)
