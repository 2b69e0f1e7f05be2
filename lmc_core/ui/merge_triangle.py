"""The triangle of three models on a page: weights that are moved by sliders or by a click, and what
was measured there.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lmc_core.figures.export import CONFIG
from lmc_core.figures.merge_rows import Result
from lmc_core.figures.merge_triangle import (
    MEASURED,
    find_limits,
    interpolated,
    nearest,
    triangle_alt,
    triangle_caption,
    triangle_figure,
)
from lmc_core.numbers import number, percent
from lmc_core.ui.curves import theme

PLACES = 2  # decimals of a weight


def shared_out(weights: Sequence[float], changed: int, value: float) -> list[float]:
    """Weights after one of three was changed: the other two keep their proportion, and all sum to
    1.

    Args:
        weights: of the three models before.
        changed: which one.
        value: its new value, in [0, 1].
    """
    others = [k for k in range(3) if k != changed]
    rest, total = 1 - value, sum(weights[k] for k in others)
    share = weights[others[0]] / total if total > 0 else 0.5
    found = [0.0] * 3
    found[changed] = round(value, PLACES)
    found[others[0]] = round(rest * share, PLACES)
    found[others[1]] = round(1 - found[changed] - found[others[0]], PLACES)
    return found


@st.fragment
def show_triangles(results: Sequence[Result], key: str) -> None:
    """The triangles of all frames on one scale, three linked sliders, and what is there."""
    names, state = results[0]["models"], f"{key}_at"
    sliders = [f"{key}_at_{k}" for k in range(3)]
    if state not in st.session_state or st.session_state.get(f"{key}_of") != names:
        st.session_state[state] = [0.34, 0.33, 0.33]
        st.session_state[f"{key}_of"] = names
    at: list[float] = st.session_state[state]
    for name, value in zip(sliders, at, strict=True):
        st.session_state[name] = value

    def moved(k: int) -> None:
        st.session_state[state] = shared_out(
            st.session_state[state], k, st.session_state[sliders[k]]
        )

    def clicked(chart: str, result: Result) -> None:
        points = st.session_state[chart].selection.points
        chosen = [p["point_index"] for p in points if p.get("curve_number") == MEASURED]
        if chosen:
            row = [round(w, PLACES) for w in result["simplex"]["weights"][chosen[0]]]
            st.session_state[state] = [row[0], row[1], round(1 - row[0] - row[1], PLACES)]

    limits = find_limits(results)
    places = [
        column
        for _ in range((len(results) + 1) // 2)
        for column in st.columns(2, vertical_alignment="center")
    ]
    for column, result in zip(places, results, strict=False):
        with column:
            st.markdown(f"**{result['frame_title'][0].upper()}{result['frame_title'][1:]}**")
            chart = f"{key}_chart_{result['frame']}"
            st.plotly_chart(
                triangle_figure(result, limits, at, theme()),
                theme=None,
                config={**CONFIG, "displayModeBar": False},
                key=chart,
                alt=triangle_alt(result),
                selection_mode="points",
                on_select=lambda chart=chart, result=result: clicked(chart, result),
            )
    # beside the last triangle, or below them all
    free = [places[-1]] * 3 if len(results) % 2 else st.columns(3)
    for k, column in enumerate(free):
        column.slider(
            f"Weight of {k + 1}, {names[k]}",
            0.0,
            1.0,
            step=0.01,
            key=sliders[k],
            on_change=moved,
            args=(k,),
            help="The other two keep their proportion. A click on a point of a triangle sets all "
            "three.",
        )
    st.table(readout(results, at), border="horizontal")
    st.caption(triangle_caption(results))


def readout(results: Sequence[Result], weights: Sequence[float]) -> pd.DataFrame:
    """What is known at some weights: between the points, and at the nearest point that was
    measured.
    """
    rows = []
    unit = str(results[0]["unit"]).split(" per ")[0]
    for result in results:
        simplex = result["simplex"]
        score = "accuracy" if "accuracy" in simplex else "perplexity"
        near = nearest(simplex, weights)
        there = interpolated(simplex, score, weights)
        measured = simplex[score][near]
        say = percent if score == "accuracy" else number
        rows.append(
            {
                "Frame": result["frame_title"][0].upper() + result["frame_title"][1:],
                f"Loss between the points ({unit})": number(interpolated(simplex, "loss", weights)),
                f"{score.capitalize()} between the points": say(there),
                "Nearest measured weights": ", ".join(f"{w:.2f}" for w in simplex["weights"][near]),
                f"Loss there ({unit})": number(simplex["loss"][near]),
                f"{score.capitalize()} there": say(measured),
            }
        )
    return pd.DataFrame(rows).set_index("Frame")
