"""What the page Landscape shows: the picture that grows, the point that moves, the paths, the
numbers, the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.bend import path_labels, path_results, paths_caption, paths_table
from lmc_core.figures.export import results_json, standalone_html, svg
from lmc_core.figures.findings import barrier_finding
from lmc_core.figures.landscape import (
    HARD,
    HEIGHT,
    WIDTH,
    contour_figure,
    grid_table,
    landscape_alt,
    landscape_caption,
    landscape_finding,
    points_table,
)
from lmc_core.figures.landscape_data import Landscape, Route, routes
from lmc_core.figures.landscape_surface import surface_figure
from lmc_core.figures.text import barrier_words
from lmc_core.runs.requests.plane import PlaneRequest
from lmc_core.ui import address, landscape_controls, landscape_point
from lmc_core.ui.options import Option
from lmc_core.ui.panels import (
    File,
    phone,
    show_caption,
    show_figure,
    show_files,
    show_table,
    svg_files,
    theme,
)

if TYPE_CHECKING:
    from lmc_core.runs.requests.bend import BendNumbers

SIDE = 280  # pixels of what stands beside the picture where there is room
EVERY = 1.5  # seconds between two pictures while one grows
VIEWS = {"map": "Map", "surface": "Surface"}
VIEW = Option(
    "view", "Picture", list(VIEWS), "map", None, "buttons", VIEWS.__getitem__, hidden=True
)
NARROW = 400  # pixels of height of the map on a phone
CURVES = 480  # pixels of the comparison of paths


def show_picture(
    plane: PlaneRequest, bend: BendNumbers | None, running: bool, key: str
) -> Landscape | None:
    """Show the plane as map or surface with the point beside it; while it is computed, what there
    is so far.

    Args:
        plane: the request.
        bend: result of the curves, if there is one.
        running: whether it is being computed now.
        key: prefix of the widgets' keys.
    """
    VIEW.show(key, width="content")
    scene, finished = landscape_controls.read_scene(plane)

    @st.fragment(run_every=EVERY if running and not finished else None)
    def draw() -> None:
        now, _ = landscape_controls.read_scene(plane) if running else (scene, finished)
        _draw(now, plane, bend, key)

    draw()
    return scene


def _draw(scene: Landscape | None, plane: PlaneRequest, bend: BendNumbers | None, key: str) -> None:
    paths = find_paths(scene, bend)
    chosen = None if scene is None else landscape_point.prepare(scene, key)
    at = landscape_point.text(key)
    if at is not None and st.query_params.get("at") != at:
        st.query_params["at"] = at  # here, because a moved point runs this fragment alone
        address.leave(key)
    view = st.session_state[f"{key}_view"]
    with st.container(horizontal=True):
        with st.container(width=WIDTH):
            _chart(scene, paths, chosen, view, key)
        if scene is not None and chosen is not None:
            with st.container(width=SIDE):
                landscape_point.move(scene, key)
            with st.container(width=SIDE):
                landscape_point.show(scene, plane, chosen, key)
    if scene is not None:
        show_caption(landscape_finding(scene, paths), landscape_caption(scene, paths))


def find_paths(scene: Landscape | None, bend: BendNumbers | None) -> list[Route]:
    """The paths that are drawn on a plane."""
    return [] if scene is None else routes(scene.facts, bend)


def _chart(
    scene: Landscape | None,
    paths: list[Route],
    chosen: tuple[float, float] | None,
    view: str,
    key: str,
) -> None:
    alt = landscape_alt(scene, VIEWS[view])
    height = NARROW if phone() else HEIGHT
    if view == "surface":
        figure = surface_figure(scene, theme(), paths, chosen, height)
        show_figure(figure, f"{key}_surface", alt, height=height)
        return

    def clicked() -> None:
        points = st.session_state[f"{key}_map"]["selection"]["points"]
        if points and scene is not None:
            landscape_point.choose(scene, float(points[0]["x"]), float(points[0]["y"]), key)

    figure = contour_figure(scene, theme(), paths, chosen, height)
    show_figure(figure, f"{key}_map", alt, height=height, on_click=clicked)


def show_paths(bend: BendNumbers, key: str) -> None:
    """Show the loss along straight and curved paths, with a table."""
    results, labels = path_results(bend), path_labels(bend)
    spoken = "; ".join(
        f"{label}: {barrier_words(result)}" for label, result in zip(labels, results, strict=True)
    )
    show_figure(
        barrier_figure(results, theme(), path_labels(bend, short=True), CURVES),
        f"{key}_paths",
        f"Loss and score along straight and curved paths. Barriers: {spoken}.",
    )
    show_caption(barrier_finding(results, labels), paths_caption(bend))
    show_table(paths_table(bend))


def show_numbers(scene: Landscape) -> None:
    """Show the models and the lowest point of the grid as a table."""
    show_table(points_table(scene))
    st.caption("The CSV below has every measured point.")


def show_downloads(scene: Landscape, bend: BendNumbers | None, key: str) -> None:
    """Offer the picture and its numbers as files."""
    current, view = theme(), st.session_state[f"{key}_view"]
    make = surface_figure if view == "surface" else contour_figure
    paths = find_paths(scene, bend)
    numbers = {
        name: getattr(scene, name).tolist() for name in ("u", "v", "loss", "stderr", "correct")
    }
    data = [{**scene.facts, "grid": numbers}, *([dict(bend)] if bend else [])]

    def page() -> str:
        figure = make(scene, current, paths)
        return standalone_html(
            figure, landscape_caption(scene, paths), data, current, "Loss landscape"
        )

    files = [
        File("CSV", "csv", lambda: grid_table(scene).csv(), HELP["csv"]),
        File("JSON", "json", lambda: results_json(data), HELP["json"]),
        File("HTML", "html", page, HELP["html"]),
        *svg_files(
            File("SVG", "svg", lambda: svg(make(scene, "paper", paths), WIDTH), HELP["svg"])
        ),
    ]
    show_files(files, f"landscape-{'-'.join(scene.facts['models'])}", key)


def show_empty(method: str) -> None:
    """Say what to do where nothing is computed, and what a method will be drawn as."""
    st.caption(
        "Nothing is computed yet for these models. **Run** measures the loss on the plane, coarse "
        "to fine and from the centre "
        "outwards; the map grows while it does, and what is there stays when you cancel."
        + (f" {HARD}" if method == "soft" else "")
    )


HELP = {
    "csv": "One row for every measured point.",
    "json": "Everything that is known about this plane and its paths.",
    "html": "One file with the picture, its caption and its numbers that opens in any browser, "
    "offline.",
    "svg": "The picture for a paper.",
}
