"""The ring on the page Landscape: a place that one moves, with loss and score there, interpolated
or when asked for exact.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from lmc_core.figures.landscape_data import Landscape
from lmc_core.figures.text import Result
from lmc_core.numbers import estimate, number, percent
from lmc_core.runs.requests.plane import PlaneRequest
from lmc_core.runs.requests.point import choose_point
from lmc_core.ui import backend, status

if TYPE_CHECKING:
    from lmc_core.runs.requests.point import PointNumbers

STEPS = 128  # of a slider along a side; every point of the grids of 9, 17, 33 and 65 is one of them
DIGITS = 7  # of a share of a side, which the steps of the sliders have exactly


def prepare(scene: Landscape, key: str) -> tuple[float, float]:
    """Return the chosen place as (u, v); at first the one of the address, or the middle between the
    first two models.
    """
    name = f"{key}_at"
    if name not in st.session_state:
        st.session_state[name] = _from_address() or _middle(scene)
    row, column = st.session_state[name]
    for axis, share in (("v", row), ("u", column)):
        st.session_state[f"{key}_{axis}"] = round(share * STEPS)
    return _place(scene.u, column), _place(scene.v, row)


def _place(axis: np.ndarray, share: float) -> float:
    return float(axis[0] + share * (axis[-1] - axis[0]))


def _share(axis: np.ndarray, place: float) -> float:
    return round(min(max((place - axis[0]) / (axis[-1] - axis[0]), 0.0), 1.0), DIGITS)


def _from_address() -> tuple[float, float] | None:
    """The place that the address names, as shares of the sides along v and u."""
    try:
        column, row = (
            round(float(part), DIGITS) for part in st.query_params.get("at", "").split(",")
        )
    except ValueError:
        return None
    return (row, column) if 0 <= row <= 1 and 0 <= column <= 1 else None


def _middle(scene: Landscape) -> tuple[float, float]:
    ends = (list(scene.facts.get("points", [])) + [{"u": 0.0, "v": 0.0}])[:2]
    row, column = scene.nearest(*(float(np.mean([p[axis] for p in ends])) for axis in ("u", "v")))
    return _share(scene.v, float(scene.v[row])), _share(scene.u, float(scene.u[column]))


def choose(scene: Landscape, u: float, v: float, key: str) -> None:
    """Move the ring to a place, such as a point of the grid or a model that was clicked on."""
    st.session_state[f"{key}_at"] = (_share(scene.v, v), _share(scene.u, u))


def text(key: str) -> str | None:
    """Return the chosen place as the address has it."""
    at = st.session_state.get(f"{key}_at")
    return None if at is None else f"{at[1]:.{DIGITS}g},{at[0]:.{DIGITS}g}"


def move(scene: Landscape, key: str) -> None:
    """Sliders that move the ring, also between the points of the grid."""
    st.markdown("**The ring.** Click on the map, or move it here.")

    def moved(axis: int, name: str) -> None:
        at = list(st.session_state[f"{key}_at"])
        at[axis] = st.session_state[name] / STEPS
        st.session_state[f"{key}_at"] = tuple(at)

    names = (
        ("First direction", "Second direction")
        if scene.facts.get("kind") == "random"
        else ("Along", "Across")
    )
    for index, axis, name, values in ((1, "u", names[0], scene.u), (0, "v", names[1], scene.v)):
        shown = np.linspace(values[0], values[-1], STEPS + 1)
        shown[np.abs(shown) < 1e-9 * np.ptp(values)] = 0.0
        st.select_slider(
            name,
            range(STEPS + 1),
            key=f"{key}_{axis}",
            on_change=moved,
            args=(index, f"{key}_{axis}"),
            format_func=lambda i, at=shown: number(float(at[i])),
        )


def show(scene: Landscape, plane: PlaneRequest, chosen: tuple[float, float], key: str) -> None:
    """Loss and score at the ring: measured there when that was asked for, else what the grid says
    of it.

    Args:
        scene: what was measured of the plane.
        plane: its request.
        chosen: (u, v) of the ring.
        key: prefix of the widgets' keys.
    """
    facts, node, grid = scene.facts, scene.node(*chosen), scene.between(*chosen)
    line: status.Line[PointNumbers] = status.Line.read("This point", choose_point(plane, *chosen))
    exact = line.result
    if exact is not None:
        _metrics(scene, estimate(exact["loss"], exact["stderr"]), exact[scene.score_name])
        by_grid = (
            ""
            if node or math.isnan(grid["loss"])
            else f" Between grid points it looks like {number(grid['loss'])}."
        )
        st.caption(f"Evaluated exactly here, on {exact['examples']:,} examples.{by_grid}")
    elif node and scene.measured[node]:
        _metrics(
            scene,
            estimate(float(scene.loss[node]), float(scene.stderr[node])),
            float(scene.score[node]),
        )
        st.caption("A point of the grid, which was measured.")
    elif not math.isnan(grid["loss"]):
        _metrics(scene, f"\u2248 {number(grid['loss'])}", grid["score"])
        st.caption("Interpolated between measured points of the grid.")
    else:
        _metrics(scene, "\u2013", None)
        st.caption("This point is not measured yet.")
    _distances(facts, chosen)
    if exact is None and not (node and scene.measured[node]) and not backend.read_only():
        status.show_status(
            [line],
            f"{key}_point",
            noun="point",
            verbs=("Evaluate exactly here", "Cancel this point"),
            narrow=True,
        )


def _metrics(scene: Landscape, loss: str, score: float | None) -> None:
    st.metric(f"Loss ({str(scene.facts.get('unit', 'nats')).split(' per ')[0]})", loss, border=True)
    shown = (
        "\u2013"
        if score is None
        else percent(score)
        if scene.score_name == "accuracy"
        else number(score)
    )
    st.metric(scene.score_name.capitalize(), shown, border=True)


def _distances(facts: Result, chosen: tuple[float, float]) -> None:
    if facts.get("kind") == "random":
        return
    away = [
        (p["label"], float(np.hypot(p["u"] - chosen[0], p["v"] - chosen[1])))
        for p in facts["points"]
    ]
    st.caption("Distances: " + ", ".join(f"{label} {number(value)}" for label, value in away) + ".")
