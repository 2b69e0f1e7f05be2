"""Results of merging on a page: the dots with their caption, what matters most, matrices, table and
files; and the triangle of three models, whose weights are moved by sliders or by a click.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lmc_core.figures.export import results_json, standalone_html, svg
from lmc_core.figures.matrix import largest_barrier, matrix_alt, matrix_caption, matrix_figure
from lmc_core.figures.merge import merge_alt, merge_caption, merge_figure
from lmc_core.figures.merge_rows import (
    ANYWHERE,
    Result,
    best_row,
    find_score,
    merged_rows,
    numbers_table,
    people_table,
    short_unit,
    shown,
    single_models,
)
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
from lmc_core.ui.options import capital
from lmc_core.ui.panels import (
    File,
    show_caption,
    show_check,
    show_figure,
    show_files,
    svg_files,
    theme,
)

PLACES = 2  # decimals of a weight
QUANTITIES = {"loss": "Loss", "score": "Accuracy", "ece": "Calibration"}
DEFINED = {
    "Model": "A single model, or a way to merge; * assumes a common ancestor.",
    "Frame": "The reference frame to which the models were aligned first.",
    "Loss": "Mean cross-entropy over the examples, \u00b1 one standard error.",
    "Accuracy": "Share of the examples predicted correctly.",
    "Perplexity": "exp of the mean loss.",
    "Calibration error": "Mean distance of confidence and accuracy over 15 bins of equal width "
    "(Guo et al. 2017).",
    "Size": "Of all weights that are kept, in float32.",
    "Passes": "Forward passes that one example takes.",
    "To merge": "Seconds to compute the weights, without the alignment.",
}


def show_dots(results: Sequence[Result], task: str, key: str) -> None:
    """The ways to merge side by side, in the quantity that is chosen."""
    score = find_score(results, task).capitalize()
    quantity = st.segmented_control(
        "Quantity",
        list(QUANTITIES),
        key=f"{key}_quantity",
        default="loss",
        required=True,
        label_visibility="collapsed",
        format_func=lambda each: score if each == "score" else QUANTITIES[each],
    )
    figure = merge_figure(results, task, str(quantity), theme())
    alt = merge_alt(results, task, str(quantity))
    show_figure(figure, f"{key}_dots", alt)


def show_facts(results: Sequence[Result], task: str) -> None:
    """What matters most as numbers: the best merged model, the best single one, the ensemble, the
    function check.
    """
    unit = short_unit(results, task)
    left, middle = st.columns(2)
    right, check = st.columns(2)
    best = best_row(results, task)
    if best is not None:
        left.metric(f"Best merged ({unit})", shown(best.numbers, "loss"), border=True)
        left.caption(f"{capital(best.title)}, {best.frame_title}.")
    single = min(
        single_models(results, task)[: len(results[0]["models"])],
        key=lambda row: row.numbers["loss"],
    )
    middle.metric(f"Best single model ({unit})", shown(single.numbers, "loss"), border=True)
    middle.caption(f"{single.title}.")
    ensemble = next((row for row in merged_rows(results, task) if row.frame == ANYWHERE), None)
    right.metric(
        f"Ensemble ({unit})",
        "\u2013" if ensemble is None else shown(ensemble.numbers, "loss"),
        border=True,
    )
    right.caption(
        "Not chosen."
        if ensemble is None
        else f"All {ensemble.passes} models, {ensemble.passes} passes."
    )
    show_check(
        check,
        max((max(r["function_errors"]) for r in results if r["function_errors"]), default=None),
        "rounding",
        "more than rounding",
        "Largest relative change of the outputs of an aligned model: {}.",
        "No model was aligned, so there is nothing to check.",
    )


def show_matrices(results: Sequence[Result], key: str) -> None:
    """Barriers between every two models, frame by frame on one scale."""
    most = largest_barrier(results)
    count = len(results[0]["models"])
    for start in range(0, len(results), 2):
        for column, result in zip(st.columns(2), results[start : start + 2], strict=False):
            with column:
                st.markdown(f"**{capital(result['frame_title'])}**")
                figure = matrix_figure(result, most, theme(), 80 + 48 * max(3, count))
                show_figure(figure, f"{key}_matrix_{result['frame']}", matrix_alt(result))
    show_caption("", matrix_caption(results))


def show_table(results: Sequence[Result], task: str) -> None:
    """The numbers of everything."""
    found = people_table(results, task)
    frame = pd.DataFrame(found.rows, columns=list(found.header))
    frame.index = pd.Index([str(k + 1) for k in range(len(frame))])
    numbers = [name for name in frame if name not in ("Model", "Frame")]
    frame[numbers] = frame[numbers].map(lambda text: str(text).replace(" ", "\u00a0"))
    st.table(frame.set_index("Model"), border="horizontal")
    said = [
        f"**{name}**: {words}"
        for name, words in DEFINED.items()
        if any(head.startswith(name) for head in found.header)
    ]
    st.caption(" ".join(said))


def show_downloads(results: Sequence[Result], task: str, key: str) -> None:
    """Offer everything as CSV, JSON, a page that opens offline, and SVG where a browser can draw
    it.
    """
    current, caption = theme(), merge_caption(results, task)

    def page() -> str:
        return standalone_html(
            merge_figure(results, task, "loss", current),
            caption,
            list(results),
            current,
            "Merged models",
        )

    files = [
        File(
            "CSV", "csv", lambda: numbers_table(results).csv(), "One row for each, on every task."
        ),
        File("JSON", "json", lambda: results_json(list(results)), "Everything that is known."),
        File(
            "HTML",
            "html",
            page,
            "One file with figure, caption and data that opens in any browser, offline.",
        ),
        *svg_files(
            File(
                "SVG",
                "svg",
                lambda: svg(merge_figure(results, task, "loss", "paper")),
                "The figure for a paper.",
            )
        ),
    ]
    show_files(files, f"merge-{'-'.join(results[0]['models'])}", key)


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
            st.markdown(f"**{capital(result['frame_title'])}**")
            chart = f"{key}_chart_{result['frame']}"
            show_figure(
                triangle_figure(result, limits, at, theme()),
                chart,
                triangle_alt(result),
                bar=False,
                on_click=lambda chart=chart, result=result: clicked(chart, result),
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
    show_caption("", triangle_caption(results))


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
                "Frame": capital(result["frame_title"]),
                f"Loss between the points ({unit})": number(interpolated(simplex, "loss", weights)),
                f"{score.capitalize()} between the points": say(there),
                "Nearest measured weights": ", ".join(f"{w:.2f}" for w in simplex["weights"][near]),
                f"Loss there ({unit})": number(simplex["loss"][near]),
                f"{score.capitalize()} there": say(measured),
            }
        )
    return pd.DataFrame(rows).set_index("Frame")
