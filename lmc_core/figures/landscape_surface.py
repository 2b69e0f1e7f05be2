"""The loss on a plane as a surface over it; the same numbers and colours as the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.landscape import HEIGHT, _bar, ramp, route_strokes
from lmc_core.figures.landscape_data import Landscape, Route
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, faint, template
from lmc_core.numbers import number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.plane import LabelledSpot

RAISED = 0.012  # of the height: lines lie a little above the surface, or it would hide them


def surface_figure(
    scene: Landscape | None,
    theme: Theme = "light",
    paths: Sequence[Route] = (),
    chosen: tuple[float, float] | None = None,
    height: int = HEIGHT,
) -> go.Figure:
    """Draw a plane as a surface; for the arguments see `landscape.contour_figure`.

    Paths outside of the plane are left out: their loss is not that of the surface below them.
    """
    paths = [route for route in paths if not route.away]
    ground = GROUNDS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height})
    figure.update_layout(margin={"l": 24, "r": 24, "t": 58, "b": 8}, showlegend=False)
    if scene is None:
        figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})
        return figure
    low, high = (float(np.log10(x)) for x in scene.limits)
    lift = RAISED * (high - low)
    _ground(figure, scene, high, low, theme)
    for route, stroke in zip(paths, route_strokes(paths, theme), strict=True):
        heights = [scene.at(u, v) + lift for u, v in zip(route.u, route.v, strict=True)]
        figure.add_scatter3d(
            x=route.u,
            y=route.v,
            z=heights,
            mode="lines",
            name=route.label,
            hoverinfo="skip",
            meta="path",
            line={"color": stroke.colour, "width": 7},
        )
    points = scene.facts.get("points", [])
    figure.add_scatter3d(
        x=[p["u"] for p in points],
        y=[p["v"] for p in points],
        z=[scene.level(p["loss"]) + 3 * lift for p in points],
        mode="markers",
        name="models",
        meta="models",
        marker={"size": 5, "color": ground.paper, "line": {"color": ground.ink, "width": 2}},
        hovertemplate=[
            f"<b>{p['label']}</b> {p['name']}<br>loss {number(p['loss'])}<extra></extra>"
            for p in points
        ],
    )
    if chosen is not None:
        figure.add_scatter3d(
            x=[chosen[0]],
            y=[chosen[1]],
            z=[scene.at(*chosen) + 3 * lift],
            mode="markers",
            marker={"size": 6, "symbol": "cross", "color": ground.ink},
            name="chosen point",
            hoverinfo="skip",
            meta="chosen",
        )
    _scene(figure, scene, theme)
    return figure


def _ground(figure: go.Figure, scene: Landscape, high: float, low: float, theme: Theme) -> None:
    """The surface of the loss with its contours."""
    ground = GROUNDS[theme]
    figure.add_surface(
        x=scene.u,
        y=scene.v,
        z=scene.height,
        colorscale=ramp(theme),
        cmin=low,
        cmax=high,
        colorbar=_bar(scene, theme),
        customdata=scene.loss,
        hovertemplate="loss %{customdata:.3g}<extra></extra>",
        name="loss",
        contours={
            "z": {
                "show": True,
                "start": low,
                "end": high - (high - low) / 24,
                "size": (high - low) / 12,
                "color": faint(ground.ink, 0.3),
                "width": 1,
            }
        },
        lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
    )


def _scene(figure: go.Figure, scene: Landscape, theme: Theme) -> None:
    ground = GROUNDS[theme]
    axis = {
        "showbackground": False,
        "gridcolor": ground.grid,
        "zeroline": False,
        "nticks": 5,
        "tickfont": {"size": SMALL - 1, "color": ground.muted},
        "title": {"text": ""},
    }
    heights = {
        "showticklabels": False,
        "title": {"text": "loss", "font": {"size": SMALL, "color": ground.muted}},
    }
    figure.update_scenes(
        xaxis=axis,
        yaxis=axis,
        zaxis=axis | heights,
        aspectmode="manual",
        aspectratio={"x": 1, "y": 1, "z": 0.6},
        camera={"eye": {"x": -0.42, "y": -1.3, "z": 1.5}, "center": {"x": 0, "y": 0, "z": -0.12}},
        dragmode="turntable",
        annotations=[_label(p, scene, theme) for p in scene.facts.get("points", [])],
    )


def _label(point: LabelledSpot, scene: Landscape, theme: Theme) -> dict[str, object]:
    """The name of a model above its point."""
    ground = GROUNDS[theme]
    height = scene.level(point["loss"])
    return {
        "x": point["u"],
        "y": point["v"],
        "z": height,
        "text": f"<b>{point['label']}</b>",
        "showarrow": False,
        "yshift": 20,
        "font": {"size": BODY, "color": ground.ink},
        "bgcolor": faint(ground.paper, 0.85),
        "borderpad": 2,
    }
