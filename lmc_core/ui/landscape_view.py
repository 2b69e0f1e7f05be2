"""What the page Landscape shows: the picture that grows, the point that moves, the paths, the numbers, the files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmc_core.figures import landscape_words as words
from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.export import CONFIG, can_draw_svg, results_json, standalone_html, svg
from lmc_core.figures.landscape import HEIGHT, WIDTH, contour_figure
from lmc_core.figures.landscape_data import Landscape, Route, routes
from lmc_core.figures.landscape_surface import surface_figure
from lmc_core.figures.numbers import estimate, number, percent
from lmc_core.figures.tables import words as cell
from lmc_core.figures.words import Result, barrier_words
from lmc_core.ui import address, landscape_controls
from lmc_core.ui.curves import theme

SIDE = 280  # pixels of what stands beside the picture where there is room
EVERY = 1.5  # seconds between two pictures while one grows
VIEWS = {"map": "Map", "surface": "Surface"}
CURVES = 440  # pixels of the comparison of paths


def show_picture(key_of_plane: str, bend: Result | None, running: bool, key: str) -> Landscape | None:
    """Show the plane as map or surface with the point beside it; while it is computed, what there is so far.

    Args:
        key_of_plane: of the request.
        bend: result of the curves, if there is one.
        running: whether it is being computed now.
        key: prefix of the widgets' keys.
    """
    address.prepare(f"{key}_view", "view", list(VIEWS), "map")
    st.segmented_control(
        "Picture", list(VIEWS), key=f"{key}_view", format_func=VIEWS.__getitem__, required=True, label_visibility="collapsed"
    )
    scene, finished = landscape_controls.scene_of(key_of_plane)

    @st.fragment(run_every=EVERY if running and not finished else None)
    def draw() -> None:
        now, _ = landscape_controls.scene_of(key_of_plane) if running else (scene, finished)
        _draw(now, bend, key)

    draw()
    return scene


def _draw(scene: Landscape | None, bend: Result | None, key: str) -> None:
    paths = paths_of(scene, bend)
    chosen = None if scene is None else _prepare_point(scene, key)
    at = point_text(key)
    if at is not None and st.query_params.get("at") != at:
        st.query_params["at"] = at  # here, because a moved point runs this fragment alone
    view = st.session_state[f"{key}_view"]
    with st.container(horizontal=True):
        with st.container(width=WIDTH):
            _chart(scene, paths, chosen, view, key)
        if scene is not None and chosen is not None:
            with st.container(width=SIDE):
                _move_point(scene, key)
            with st.container(width=SIDE):
                _show_point(scene, chosen)
    if scene is not None:
        st.caption(words.landscape_caption(scene, paths))


def paths_of(scene: Landscape | None, bend: Result | None) -> list[Route]:
    """The paths that are drawn on a plane."""
    return [] if scene is None else routes(scene.facts, bend)


def _chart(scene: Landscape | None, paths: list[Route], chosen: tuple[int, int] | None, view: str, key: str) -> None:
    alt = words.landscape_alt(scene, VIEWS[view])
    common: dict[str, Any] = {"theme": None, "config": CONFIG, "alt": alt, "height": HEIGHT}
    if view == "surface":
        st.plotly_chart(surface_figure(scene, theme(), paths, chosen), key=f"{key}_surface", **common)
        return

    def clicked() -> None:
        points = st.session_state[f"{key}_map"]["selection"]["points"]
        if points and scene is not None:
            _choose(scene, *scene.nearest(float(points[0]["x"]), float(points[0]["y"])), key)

    st.plotly_chart(
        contour_figure(scene, theme(), paths, chosen), key=f"{key}_map", on_select=clicked, selection_mode="points", **common
    )


def _prepare_point(scene: Landscape, key: str) -> tuple[int, int]:
    """The chosen point as row and column; at first the middle between the first two models."""
    name, n = f"{key}_at", len(scene.u)
    if name not in st.session_state:
        st.session_state[name] = _from_address() or _middle(scene)
    row, column = (round(share * (n - 1)) for share in st.session_state[name])
    for axis, index in (("v", row), ("u", column)):
        st.session_state.setdefault(f"{key}_{axis}_{n}", index)
    return row, column


def _from_address() -> tuple[float, float] | None:
    """The point that the address names, as shares of the rows and the columns."""
    try:
        column, row = (float(part) for part in st.query_params.get("at", "").split(","))
    except ValueError:
        return None
    return (row, column) if 0 <= row <= 1 and 0 <= column <= 1 else None


def _middle(scene: Landscape) -> tuple[float, float]:
    ends = (list(scene.facts.get("points", [])) + [{"u": 0.0, "v": 0.0}])[:2]
    row, column = scene.nearest(*(float(np.mean([p[axis] for p in ends])) for axis in ("u", "v")))
    return row / (len(scene.v) - 1), column / (len(scene.u) - 1)


def _choose(scene: Landscape, row: int, column: int, key: str) -> None:
    """Move the point; as a callback, before the sliders are drawn."""
    n = len(scene.u)
    st.session_state[f"{key}_at"] = (row / (n - 1), column / (n - 1))
    st.session_state[f"{key}_v_{n}"], st.session_state[f"{key}_u_{n}"] = row, column


def point_text(key: str) -> str | None:
    """The chosen point as the address has it."""
    at = st.session_state.get(f"{key}_at")
    return None if at is None else f"{at[1]:.4g},{at[0]:.4g}"


def _move_point(scene: Landscape, key: str) -> None:
    """Sliders that move the chosen point, for those who cannot click."""
    n = len(scene.u)
    st.markdown("**The ring.** Click on the map, or move it here.")

    def moved() -> None:
        _choose(scene, int(st.session_state[f"{key}_v_{n}"]), int(st.session_state[f"{key}_u_{n}"]), key)

    names = ("First direction", "Second direction") if scene.facts.get("kind") == "random" else ("Along", "Across")
    for axis, name, values in (("u", names[0], scene.u), ("v", names[1], scene.v)):
        shown = np.where(np.abs(values) < 1e-9 * np.ptp(values), 0.0, values)
        st.select_slider(
            name, range(n), key=f"{key}_{axis}_{n}", on_change=moved, format_func=lambda i, at=shown: number(float(at[i]))
        )


def _show_point(scene: Landscape, chosen: tuple[int, int]) -> None:
    """Loss and score at the chosen point."""
    row, column = chosen
    facts = scene.facts
    if not scene.measured[row, column]:
        st.metric(f"Loss ({_unit(facts)})", "\u2013", border=True)
        st.metric(scene.score_name.capitalize(), "\u2013", border=True)
        st.caption("This point is not measured yet.")
        return
    error = float(scene.stderr[row, column])
    st.metric(f"Loss ({_unit(facts)})", estimate(float(scene.loss[row, column]), error), border=True)
    score = float(scene.score[row, column])
    shown = percent(score) if scene.score_name == "accuracy" else number(score)
    st.metric(scene.score_name.capitalize(), shown, border=True)
    if facts.get("kind") != "random":
        here = scene.u[column], scene.v[row]
        away = [(p["label"], float(np.hypot(p["u"] - here[0], p["v"] - here[1]))) for p in facts["points"]]
        st.caption("Distances: " + ", ".join(f"{label} {number(value)}" for label, value in away) + ".")


def _unit(facts: Result) -> str:
    return str(facts.get("unit", "nats")).split(" per ")[0]


def show_paths(bend: Result, key: str) -> None:
    """Show the loss along straight and curved paths, with a table."""
    results, labels = words.path_results(bend), words.path_labels(bend)
    spoken = "; ".join(f"{label}: {barrier_words(result)}" for label, result in zip(labels, results, strict=True))
    st.plotly_chart(
        barrier_figure(results, theme(), labels, CURVES), theme=None, config=CONFIG, key=f"{key}_paths",
        alt=f"Loss and score along straight and curved paths. Barriers: {spoken}.",
    )  # fmt: skip
    st.caption(words.paths_caption(bend))
    table = words.paths_table(bend)
    st.table(pd.DataFrame([list(row) for row in table.rows], columns=list(table.header)).set_index("Path"), border="horizontal")


def show_numbers(scene: Landscape) -> None:
    """Show the models and the lowest point of the grid as a table."""
    table = words.points_table(scene)
    rows = [[cell(value) for value in row] for row in table.rows]
    st.table(pd.DataFrame(rows, columns=list(table.header)).set_index("point"), border="horizontal")
    st.caption("The CSV below has every measured point.")


def show_downloads(scene: Landscape, bend: Result | None, key: str) -> None:
    """Offer the picture and its numbers as files."""
    current, view = theme(), st.session_state[f"{key}_view"]
    make = surface_figure if view == "surface" else contour_figure
    paths = paths_of(scene, bend)
    numbers = {name: getattr(scene, name).tolist() for name in ("u", "v", "loss", "stderr", "correct")}
    data = [{**scene.facts, "grid": numbers}, *([dict(bend)] if bend else [])]

    def page() -> str:
        figure = make(scene, current, paths)
        return standalone_html(figure, words.landscape_caption(scene, paths), data, current, "Loss landscape")

    files: list[tuple[str, str, str, Any]] = [
        ("CSV", "csv", "text/csv", lambda: words.grid_table(scene).csv()),
        ("JSON", "json", "application/json", lambda: results_json(data)),
        ("HTML", "html", "text/html", page),
    ]
    if can_draw_svg():
        files.append(("SVG", "svg", "image/svg+xml", lambda: svg(make(scene, "paper", paths), WIDTH)))
    name = f"landscape-{'-'.join(scene.facts['models'])}"
    with st.container(horizontal=True):
        for label, ending, mime, content in files:
            st.download_button(
                label, content, f"{name}.{ending}", mime, on_click="ignore", key=f"{key}_{ending}",
                icon=":material/download:", help=HELP[ending],
            )  # fmt: skip


def show_empty(key: str) -> None:
    """Say what to do where nothing is computed."""
    st.caption(
        "Nothing is computed yet for these models. **Run** measures the loss on the plane, coarse to fine and from the centre "
        "outwards; the map grows while it does, and what is there stays when you cancel."
    )


HELP = {
    "csv": "One row for every measured point.",
    "json": "Everything that is known about this plane and its paths.",
    "html": "One file with the picture, its caption and its numbers that opens in any browser, offline.",
    "svg": "The picture for a paper.",
}
