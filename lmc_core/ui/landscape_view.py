"""What the page Landscape shows: the picture that grows, the point that moves, the paths, the
numbers, the files.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.bend import path_labels, path_results, paths_caption, paths_table
from lmc_core.figures.export import CONFIG, can_draw_svg, results_json, standalone_html, svg
from lmc_core.figures.landscape import (
    HARD,
    HEIGHT,
    WIDTH,
    contour_figure,
    grid_table,
    landscape_alt,
    landscape_caption,
    points_table,
)
from lmc_core.figures.landscape_data import Landscape, Route, routes
from lmc_core.figures.landscape_surface import surface_figure
from lmc_core.figures.tables import words as cell
from lmc_core.figures.text import Result, barrier_words
from lmc_core.runs.kinds.plane import PlaneRequest
from lmc_core.ui import address, landscape_controls, landscape_point
from lmc_core.ui.curves import phone, theme

SIDE = 280  # pixels of what stands beside the picture where there is room
EVERY = 1.5  # seconds between two pictures while one grows
VIEWS = {"map": "Map", "surface": "Surface"}
NARROW = 400  # pixels of height of the map on a phone
CURVES = 520  # pixels of the comparison of paths


def show_picture(
    plane: PlaneRequest, bend: Result | None, running: bool, key: str
) -> Landscape | None:
    """Show the plane as map or surface with the point beside it; while it is computed, what there
    is so far.

    Args:
        plane: the request.
        bend: result of the curves, if there is one.
        running: whether it is being computed now.
        key: prefix of the widgets' keys.
    """
    address.prepare(f"{key}_view", "view", list(VIEWS), "map")
    st.segmented_control(
        "Picture",
        list(VIEWS),
        key=f"{key}_view",
        format_func=VIEWS.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    scene, finished = landscape_controls.scene_of(plane)

    @st.fragment(run_every=EVERY if running and not finished else None)
    def draw() -> None:
        now, _ = landscape_controls.scene_of(plane) if running else (scene, finished)
        _draw(now, plane, bend, key)

    draw()
    return scene


def _draw(scene: Landscape | None, plane: PlaneRequest, bend: Result | None, key: str) -> None:
    paths = paths_of(scene, bend)
    chosen = None if scene is None else landscape_point.prepare(scene, key)
    at = landscape_point.text(key)
    if at is not None and st.query_params.get("at") != at:
        st.query_params["at"] = at  # here, because a moved point runs this fragment alone
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
        st.caption(landscape_caption(scene, paths))


def paths_of(scene: Landscape | None, bend: Result | None) -> list[Route]:
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
    common: dict[str, Any] = {"theme": None, "config": CONFIG, "alt": alt, "height": height}
    if view == "surface":
        st.plotly_chart(
            surface_figure(scene, theme(), paths, chosen, height), key=f"{key}_surface", **common
        )
        return

    def clicked() -> None:
        points = st.session_state[f"{key}_map"]["selection"]["points"]
        if points and scene is not None:
            landscape_point.choose(scene, float(points[0]["x"]), float(points[0]["y"]), key)

    st.plotly_chart(
        contour_figure(scene, theme(), paths, chosen, height),
        key=f"{key}_map",
        on_select=clicked,
        selection_mode="points",
        **common,
    )


def show_paths(bend: Result, key: str) -> None:
    """Show the loss along straight and curved paths, with a table."""
    results, labels = path_results(bend), path_labels(bend)
    spoken = "; ".join(
        f"{label}: {barrier_words(result)}" for label, result in zip(labels, results, strict=True)
    )
    st.plotly_chart(
        barrier_figure(results, theme(), path_labels(bend, short=True), CURVES),
        theme=None,
        config=CONFIG,
        key=f"{key}_paths",
        alt=f"Loss and score along straight and curved paths. Barriers: {spoken}.",
    )
    st.caption(paths_caption(bend))
    table = paths_table(bend)
    st.table(
        pd.DataFrame([list(row) for row in table.rows], columns=list(table.header)).set_index(
            "Path"
        ),
        border="horizontal",
    )


def show_numbers(scene: Landscape) -> None:
    """Show the models and the lowest point of the grid as a table."""
    table = points_table(scene)
    rows = [[cell(value) for value in row] for row in table.rows]
    st.table(pd.DataFrame(rows, columns=list(table.header)).set_index("point"), border="horizontal")
    st.caption("The CSV below has every measured point.")


def show_downloads(scene: Landscape, bend: Result | None, key: str) -> None:
    """Offer the picture and its numbers as files."""
    current, view = theme(), st.session_state[f"{key}_view"]
    make = surface_figure if view == "surface" else contour_figure
    paths = paths_of(scene, bend)
    numbers = {
        name: getattr(scene, name).tolist() for name in ("u", "v", "loss", "stderr", "correct")
    }
    data = [{**scene.facts, "grid": numbers}, *([dict(bend)] if bend else [])]

    def page() -> str:
        figure = make(scene, current, paths)
        return standalone_html(
            figure, landscape_caption(scene, paths), data, current, "Loss landscape"
        )

    files: list[tuple[str, str, str, Any]] = [
        ("CSV", "csv", "text/csv", lambda: grid_table(scene).csv()),
        ("JSON", "json", "application/json", lambda: results_json(data)),
        ("HTML", "html", "text/html", page),
    ]
    if can_draw_svg():
        files.append(
            ("SVG", "svg", "image/svg+xml", lambda: svg(make(scene, "paper", paths), WIDTH))
        )
    name = f"landscape-{'-'.join(scene.facts['models'])}"
    with st.container(horizontal=True):
        for label, ending, mime, content in files:
            st.download_button(
                label,
                content,
                f"{name}.{ending}",
                mime,
                on_click="ignore",
                key=f"{key}_{ending}",
                icon=":material/download:",
                help=HELP[ending],
            )


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
