"""The loss on a plane as a surface over it; the same numbers and colours as the map.

Numbers at the axis of loss are annotations: Plotly draws the text of a 3D axis as triangles, which
takes a third of the browser's time for the whole surface and looks worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.landscape import HEIGHT, _bar, route_strokes, tick_values
from lmc_core.figures.landscape_data import Landscape, Route
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, faint, loss_scale
from lmc_core.numbers import number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.plane import LabelledSpot

TALL = 0.6  # height of the scene, its sides being 1
FAR = 2.05  # of the camera from the middle of the scene, in its sides
FRONT = -110  # degrees around the scene from where it is best seen
SIDEWAYS = 0.25  # degrees higher that one goes rather than one degree around
TURNS = range(-170, 180, 10)  # degrees around the scene that the camera may stand at
LIFTS = (35, 42, 50, 58, 66, 75, 85)  # degrees above it
# distance of two numbers of the axis of loss, in its lengths
APART = 0.14  # seen from the side
SPARSE = 0.3  # at most
SQUARES = 4  # of the grid below the surface, along each side
CLEAR = 0.02  # by which a line of sight passes above the surface
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
    figure = blank(theme, height)
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
        z=[_height(scene, p) + 3 * lift for p in points],
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
    _scene(figure, scene, paths, theme)
    return figure


def _ground(figure: go.Figure, scene: Landscape, high: float, low: float, theme: Theme) -> None:
    """The surface of the loss with its contours."""
    ground = GROUNDS[theme]
    figure.add_surface(
        x=scene.u,
        y=scene.v,
        z=scene.height,
        colorscale=loss_scale(theme),
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


def _scene(figure: go.Figure, scene: Landscape, paths: Sequence[Route], theme: Theme) -> None:
    ground = GROUNDS[theme]
    axis = {
        "showbackground": False,
        "gridcolor": ground.grid,
        "zeroline": False,
        "title": {"text": ""},
        "tickmode": "array",
    }
    eye = camera(scene, paths)
    # numbers stand closer together the higher the camera stands
    losses = tick_values(scene, min(APART * FAR / float(np.hypot(eye["x"], eye["y"])), SPARSE))
    figure.update_scenes(
        xaxis=axis | _lines(np.linspace(scene.u[0], scene.u[-1], SQUARES + 1)),
        yaxis=axis | _lines(np.linspace(scene.v[0], scene.v[-1], SQUARES + 1)),
        zaxis=axis | _lines(np.log10(losses)),
        aspectmode="manual",
        aspectratio={"x": 1, "y": 1, "z": TALL},
        camera={"eye": eye, "center": {"x": 0, "y": 0, "z": -0.1}},
        dragmode="turntable",
        annotations=[
            *_losses(scene, losses, eye, theme),
            *(_label(p, scene, theme) for p in scene.facts.get("points", [])),
        ],
    )


def _lines(values: np.ndarray) -> dict[str, list[float] | list[str]]:
    """Lines of the grid of an axis, without text."""
    return {"tickvals": [float(value) for value in values], "ticktext": [""] * len(values)}


def _losses(
    scene: Landscape, losses: Sequence[float], eye: dict[str, float], theme: Theme
) -> list[dict[str, object]]:
    """The numbers of the axis of loss and its name, beside the upright edge of the scene that the
    camera sees furthest to the left.
    """
    # the level direction that points to the right in the picture
    right = np.array([-eye["y"], eye["x"]])
    # by the first number of an axis or its last, whose places are opposite
    i, j = (0 if toward > 0 else -1 for toward in right)
    font = {"size": SMALL - 1, "color": GROUNDS[theme].muted}
    text = [number(value, digits=2) for value in losses]
    shared = {"x": float(scene.u[i]), "y": float(scene.v[j]), "showarrow": False, "font": font}
    beside = shared | {"xanchor": "right", "xshift": -4}
    return [
        *(
            beside | {"z": float(np.log10(value)), "text": word}
            for value, word in zip(losses, text, strict=True)
        ),
        shared | {"z": float(np.log10(losses[-1])), "text": "loss", "yshift": 16},
    ]


def camera(scene: Landscape, paths: Sequence[Route] = ()) -> dict[str, float]:
    """Return where to look from so that the surface hides neither models nor paths, as much from
    the front and as low as that allows.
    """
    angles = [(turn, lift) for lift in LIFTS for turn in TURNS]
    eyes = np.array([_eye(*each) for each in angles])
    clear = _clearance(scene, _watched(scene, paths), eyes)
    cost = [lift + SIDEWAYS * abs(turn - FRONT) for turn, lift in angles]
    # one that hides something is worse than any that does not
    best = np.argmin(np.where(clear > CLEAR, cost, 1e3 - clear))
    return dict(zip("xyz", (float(value) for value in eyes[best]), strict=True))


def _eye(turn: float, lift: float) -> np.ndarray:
    """The place of a camera by its angles in degrees."""
    around, up = np.radians(turn), np.radians(lift)
    level = np.cos(up)
    return FAR * np.array([level * np.cos(around), level * np.sin(around), np.sin(up)])


def _height(scene: Landscape, point: LabelledSpot) -> float:
    """Where a model is drawn: at its loss, but not below the surface, which is coarser."""
    return max(scene.level(point["loss"]), scene.at(point["u"], point["v"]))


def _watched(scene: Landscape, paths: Sequence[Route]) -> list[tuple[float, float, float]]:
    """What should be seen, each (u, v, level): models, and places along the paths."""
    found = [(p["u"], p["v"], _height(scene, p)) for p in scene.facts.get("points", [])]
    for route in paths:
        for share in (0.3, 0.5, 0.7):
            at = int(share * (len(route.u) - 1))
            u, v = float(route.u[at]), float(route.v[at])
            found.append((u, v, scene.at(u, v)))
    return found


def _clearance(
    scene: Landscape, places: Sequence[tuple[float, float, float]], eyes: np.ndarray
) -> np.ndarray:
    """Least height by which lines from places to each camera pass above the surface, in sides of
    the scene; below 0 where one is hidden.

    Args:
        scene: its surface.
        places: each (u, v, level).
        eyes: of cameras `[cameras, 3]`.
    """
    low, high = (float(np.log10(x)) for x in scene.limits)
    start = np.array([scene.u[0], scene.v[0], low])
    wide = np.array([scene.u[-1], scene.v[-1], high]) - start
    scale = np.array([1.0, 1.0, TALL])
    at = ((np.array(places).reshape(-1, 3) - start) / wide - 0.5) * scale
    shares = np.linspace(0.04, 0.6, 29)[:, None]  # of the way; by then it has left the scene
    rays = at[:, None, None] + shares * (eyes[None, :, None] - at[:, None, None])
    x, y, z = np.moveaxis(rays, -1, 0)
    inside = (np.abs(x) <= 0.5) & (np.abs(y) <= 0.5)
    surface = ((scene.height - low) / (high - low) - 0.5) * TALL
    last = np.array(surface.shape) - 1
    row, column = (y + 0.5) * last[0], (x + 0.5) * last[1]
    top, left = (
        np.clip(np.floor(each), 0, end - 1).astype(int)
        for each, end in ((row, last[0]), (column, last[1]))
    )
    down, right = row - top, column - left
    upper = surface[top, left] * (1 - right) + surface[top, left + 1] * right
    lower = surface[top + 1, left] * (1 - right) + surface[top + 1, left + 1] * right
    above = np.where(inside, z - upper * (1 - down) - lower * down, np.inf)
    return above.min(axis=(0, 2), initial=np.inf)


def _label(point: LabelledSpot, scene: Landscape, theme: Theme) -> dict[str, object]:
    """The name of a model above its point."""
    ground = GROUNDS[theme]
    height = _height(scene, point)
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
