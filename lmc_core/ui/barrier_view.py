"""What the page Barrier shows: the curves, their numbers and files, what each part of the network
costs, and what the matching maximised.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import streamlit as st

from lmc_core import elsewhere
from lmc_core.errors import LmcError
from lmc_core.figures.barrier import Axes, barrier_caption, barrier_figure
from lmc_core.figures.convergence import learning_figure, objective_figure
from lmc_core.figures.export import results_csv, results_json, standalone_html, svg
from lmc_core.figures.layers import layers_caption, layers_figure
from lmc_core.figures.text import barrier_words, classes_sentence, is_above_plain
from lmc_core.numbers import estimate, number, percent, seconds
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.ui import backend
from lmc_core.ui.drawn import draw_once
from lmc_core.ui.panels import (
    WIDEST,
    File,
    show_caption,
    show_check,
    show_figure,
    show_files,
    svg_files,
    theme,
)
from lmc_core.ui.still import show_at_once

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from lmc_core.runs.request import Request
    from lmc_core.runs.requests.barrier import BarrierNumbers
    from lmc_core.runs.requests.layers import LayersNumbers
    from lmc_core.ui.status import Line

BARRIER = (
    "The largest excess of the loss over the chord between the end losses, with one "
    "standard error over examples."
)
AT_ZERO = (
    "At zero: the band that holds the whole curve with 95 % confidence contains zero everywhere."
)
CHECK = (
    "The largest difference of an output before and after the alignment, as a share of the "
    "largest output. No unit."
)
HELP = {
    "csv": "One row for every point of every curve.",
    "json": "Everything that is known about these results.",
    "html": "One file with figure, caption and data that opens in any browser, offline.",
    "svg": "The figure for a paper.",
}
EVERY = 1.5  # seconds between two pictures while one grows
ROOM = 1.15  # share of the loss of a model that knows nothing, which axes hold at first
MOST_NATS = 6.0  # the same at the most: models with a large vocabulary lose less
FIELDS = {"cost": "Averaged", "swap": "Replaced"}


def show_curves(
    results: Sequence[BarrierNumbers],
    labels: Sequence[str],
    key: str,
    height: int = 500,
    axes: Axes | None = None,
    at_once: bool = False,
) -> go.Figure:
    """Draw the curves with an accessible name; without results the axes keep the place.

    Args:
        results: of the curves.
        labels: of the results.
        key: of the figure.
        height: of the figure, in pixels.
        axes: of curves that grow; see `barrier_figure`.
        at_once: whether a picture stands at the place until the browser can draw the figure.
    """
    spoken = "; ".join(
        f"{label}: {barrier_words(result)}" for label, result in zip(labels, results, strict=True)
    )
    alt = f"Loss and score between two models. Barriers: {spoken}."
    look = theme()
    about = "barrier", list(results), list(labels), height, look, axes and asdict(axes)
    figure = draw_once(lambda: barrier_figure(results, look, labels, height, axes), *about)
    said = alt if results else "Empty axes of loss and score."
    if at_once:
        show_at_once(figure, key, said, WIDEST, *about)
    else:
        show_figure(figure, key, said, width=WIDEST)
    return figure


def show_growing(
    lines: Sequence[Line[BarrierNumbers]],
    results: Sequence[BarrierNumbers],
    labels: Sequence[str],
    key: str,
    height: int,
) -> bool:
    """Draw the curves and, where others are not whole yet, what these are on the examples so far.

    Args:
        lines: all that the page should hold.
        results: those of them that are there.
        labels: of the results.
        key: of the figure.
        height: of the figure, in pixels.

    Returns:
        Whether there is a curve.
    """
    waiting = [line for line in lines if line.result is None]
    jobs = backend.jobs([line.key for line in waiting]) if waiting else {}
    running = any(job.active for job in jobs.values())
    name = f"{key}_axes"
    if not waiting:
        st.session_state.pop(name, None)
    drawn = [bool(results)]

    @st.fragment(run_every=EVERY if running else None)
    def draw() -> None:
        early = [
            (line.label, cast("BarrierNumbers", found))
            for line in waiting
            if (found := backend.begun(line.request)) is not None
        ]
        names = [*labels, *(f"{label}, so far" for label, _ in early)]
        grows = waiting and (running or not results)
        axes = _keep_axes(waiting[0].request, name) if grows else None
        figure = show_curves([*results, *(result for _, result in early)], names, key, height, axes)
        drawn[0] = bool(results or early)
        if axes is not None:
            loss, scores = (tuple(cast("Any", axis).range) for axis in figure.select_yaxes())
            wide = replace(axes, loss=loss, scores=scores)
            st.session_state[name] = st.session_state[name][0], wide
        if early:
            words = "; ".join(
                f"{label} on {result['examples']:,} of {result.get('there', 0):,} examples"
                + f" at {len(result['lam'])} points"
                for label, result in early
            )
            st.caption(f"So far: {words}. The band is that of these examples.")

    draw()
    return drawn[0]


def _keep_axes(request: Request, name: str) -> Axes | None:
    """The axes of curves that grow: at first those of a guess, then never narrower than they were;
    None where the data cannot be read.

    Args:
        request: of one of the curves.
        name: of the axes in the session.
    """
    if not isinstance(request, BarrierRequest):
        return None
    about = (*request.digests, request.task, request.split)
    kept = st.session_state.get(name)
    if kept is None or kept[0] != about:
        kept = about, _guess_axes(request)
        st.session_state[name] = kept
    return kept[1]


def _guess_axes(request: BarrierRequest) -> Axes | None:
    """Axes from what a model loses that knows nothing."""
    try:
        unit, score, uniform = _read_axes(json.dumps(request.to_json()))
    except LmcError:
        return None
    scores = (0.0, 1.0) if score == "accuracy" else (1.0, math.exp(min(uniform, MOST_NATS)))
    top = ROOM * min(uniform, MOST_NATS)
    a, b = request.names
    return Axes((a, b), unit, score, request.split, (0.0, top), scores)


@st.cache_data(max_entries=64, show_spinner=False)
def _read_axes(request: str) -> tuple[str, str, float]:
    found = elsewhere.call(
        "lmc_core.runs.inputs:describe_axes", BarrierRequest.from_json(json.loads(request))
    )
    return cast("tuple[str, str, float]", found)


def _unit(result: BarrierNumbers) -> str:
    return str(result["unit"]).split(" per ")[0]


def show_table(results: Sequence[BarrierNumbers], labels: Sequence[str]) -> None:
    """Show the numbers of every curve."""
    plain = next((r["barrier"] for r in results if r["method"] == "none"), None)
    rows = []
    for label, result in zip(labels, results, strict=True):
        unit = _unit(result)
        middle = min(range(len(result["lam"])), key=lambda k: abs(result["lam"][k] - 0.5))
        score = result[result["score"]][middle]
        half = percent(score) if result["score"] == "accuracy" else number(score)
        left = (
            result["barrier"] / plain
            if plain and plain > 0 and result["method"] != "none"
            else None
        )
        rows.append(
            {
                "Setting": label,
                f"Barrier ({unit})": _barrier(result),
                "Of plain": percent(left, 0),
                f"Area ({unit})": estimate(result.get("area"), result.get("area_stderr")),
                f"Midpoint (loss, {result['score']})": f"{number(result['midpoint_loss'])}, {half}",
                "Function check": "\u2013"
                if result["function_error"] is None
                else number(result["function_error"], digits=2),
                "Time": _time(result),
            }
        )
    _show_rows(rows)
    st.caption(
        "Barrier: the largest excess of the loss over the chord between the end losses. "
        f"{AT_ZERO} Area: between curve and "
        "chord, the mean excess over the line. Both with one standard error over examples, of a "
        "text over its works or blocks "
        "of it. Of plain: the barrier as a share of that of the plain average. Function check: "
        "the largest relative difference "
        "of the outputs before and after the alignment. Time: to align, then to evaluate."
    )
    pairs = zip(labels, results, strict=True)
    if certain := [_certain(label, result) for label, result in pairs if result.get("excess_low")]:
        _show_rows(certain)
        st.caption(
            "How certain that is. Midpoint: the excess at λ = 0.5, a place that was not chosen by "
            "its value. Cross-fitted: read "
            "where the other half of the examples has its largest excess, so that noise does not "
            "raise it. Band: where the "
            "whole curve lies with 95 % confidence, at its largest excess; the figure shades it."
        )


def _show_rows(rows: Sequence[dict[str, str]]) -> None:
    """Show rows as a table whose numbers are not broken over lines."""
    whole = [
        {
            name: text if name == "Setting" else text.replace(" ", "\u00a0")
            for name, text in row.items()
        }
        for row in rows
    ]
    st.table(pd.DataFrame(whole).set_index("Setting"), border="horizontal")


def _certain(label: str, result: BarrierNumbers) -> dict[str, str]:
    unit, top = _unit(result), result["lam"].index(result["barrier_lam"])
    band = result.get("excess_low", []), result.get("excess_high", [])
    low, high = (number(values[top], digits=2) for values in band)
    return {
        "Setting": label,
        f"Midpoint ({unit})": estimate(
            result.get("midpoint_excess"), result.get("midpoint_excess_stderr")
        ),
        f"Cross-fitted ({unit})": estimate(
            result.get("barrier_crossfit"), result.get("barrier_crossfit_stderr")
        ),
        f"Band ({unit})": f"{low} to {high}",
        "At zero": "yes" if result.get("at_zero") else "no",
    }


def _barrier(result: BarrierNumbers) -> str:
    zero = ", at zero" if result.get("at_zero") else ""
    return estimate(result["barrier"], result["barrier_stderr"]) + zero


def _time(result: BarrierNumbers) -> str:
    spent = result["seconds"]
    aligned = f"{seconds(spent.get('align'))} + " if result["method"] != "none" else ""
    return aligned + seconds(spent.get("evaluate"))


def show_facts(results: Sequence[BarrierNumbers], labels: Sequence[str]) -> None:
    """Show what matters most as numbers with a sentence: what is left of the barrier, and that no
    function changed.
    """
    left, check = st.columns(2)
    plain = next((r for r in results if r["method"] == "none"), None)
    aligned = [
        (r["barrier"], label, r)
        for r, label in zip(results, labels, strict=True)
        if r["method"] != "none"
    ]
    if plain is not None and aligned:
        lowest, label, result = min(aligned, key=lambda entry: entry[0])
        left.metric(
            f"Lowest barrier ({_unit(result)})",
            _barrier(result),
            border=True,
            help=f"{BARRIER} {AT_ZERO}",
        )
        share = (
            f", {percent(lowest / plain['barrier'], 0)} of that of the plain average"
            if plain["barrier"] > 0
            else ""
        )
        left.caption(f"{label}{share}.")
        if above := [
            name for name, r in zip(labels, results, strict=True) if is_above_plain(r, results)
        ]:
            left.caption(f"Above the plain average: {'; '.join(above)}.")
    else:
        first = results[0]
        left.metric(
            f"Barrier ({_unit(first)})", _barrier(first), border=True, help=f"{BARRIER} {AT_ZERO}"
        )
        left.caption(f"{labels[0]}.")
    errors = [r["function_error"] for r in results if r["function_error"] is not None]
    show_check(
        check,
        max(errors, default=None),
        "rounding level, so these are the same functions",
        "more than rounding explains",
        "Largest relative difference of the models' outputs before and after alignment: {}.",
        "Nothing was aligned, so there is nothing to check.",
        CHECK,
    )


def show_objectives(results: Sequence[BarrierNumbers], labels: Sequence[str], key: str) -> None:
    """Show what the matcher maximised, one trace for every aligned curve."""
    traced = [
        (result, label)
        for result, label in zip(results, labels, strict=True)
        if result["objective"]
    ]
    if not traced:
        st.write("There is no objective without an alignment.")
    for result, label in traced:
        st.markdown(f"**{label}** \u00b7 {classes_sentence(result['classes'])}")
        alt = (
            f"Objective of {label}, from {number(result['objective'][0])} to "
            f"{number(result['objective'][-1])}."
        )
        name = f"{key}_{result['key'][:12]}"
        show_figure(objective_figure(result, theme()), name, alt)
        found = result.get("found") or {}
        if history := found.get("history"):
            first, last = history[0][2], min(row[2] for row in history)
            alt = (
                f"Loss at the midpoint while learning, from {number(first)} to {number(last)} nats."
            )
            show_figure(learning_figure(result, theme()), f"{name}_learned", alt)
            moved = (
                f"; {found.get('rows_moved', 0):,} of {rows:,} permuted rows moved"
                if (rows := found.get("rows"))
                else ""
            )
            st.caption(
                f"{found.get('steps', 0):,} steps of {found.get('batch', 0)} examples out of "
                f"{found.get('examples', 0):,} of the training split in "
                f"{seconds(found.get('learn_seconds'))}{moved}. {found.get('held_out', 0):,} "
                "held-out examples of it chose what is kept."
            )


def show_downloads(results: Sequence[BarrierNumbers], labels: Sequence[str], key: str) -> None:
    """Offer the curves as CSV, JSON, a page that opens offline, and SVG where a browser can draw
    it.
    """
    current, caption = theme(), barrier_caption(results, labels)

    def page() -> str:
        figure = barrier_figure(results, current, labels)
        return standalone_html(figure, caption, list(results), current)

    files = [
        File("CSV", "csv", lambda: results_csv(results, labels), HELP["csv"]),
        File("JSON", "json", lambda: results_json(list(results)), HELP["json"]),
        File("HTML", "html", page, HELP["html"]),
        *svg_files(
            File("SVG", "svg", lambda: svg(barrier_figure(results, "paper", labels)), HELP["svg"])
        ),
    ]
    name = f"barrier-{'-'.join(results[0]['models'])}" if results else "barrier"
    show_files(files, name, key, disabled=not results)


def show_parts(results: Sequence[LayersNumbers], labels: Sequence[str], key: str) -> None:
    """Show bars for every part of the network, one for each setting of the figure.

    Args:
        results: those that are there.
        labels: of each.
        key: prefix of the widgets' keys.
    """
    name = f"{key}_parts"
    if not results:
        st.caption(
            "One part at a time is averaged with the other model while all others stay: the "
            "input, attention and feed-forward "
            "of each layer, the output."
        )
        return
    st.segmented_control(
        "Each part is",
        list(FIELDS),
        format_func=FIELDS.__getitem__,
        default="cost",
        required=True,
        key=f"{name}_field",
        help="Averaged with the other model's part, or replaced by it.",
    )
    field = st.session_state[f"{name}_field"]
    worst = [max(zip(r[field], r["parts"], strict=True)) for r in results]
    spoken = "; ".join(
        f"{label}: most for {part}, {number(value)} nats"
        for label, (value, part) in zip(labels, worst, strict=True)
    )
    show_figure(
        layers_figure(results, theme(), labels, field=field),
        f"{name}_figure",
        f"Rise of the loss part by part. {spoken}.",
    )
    low = min(results, key=lambda result: max(result[field]))
    lead = labels[results.index(low)]
    costs = zip(low[field], low[f"{field}_stderr"], low["parts"], strict=True)
    value, error, part = max(costs)
    finding = f"{lead}: the part that costs most is {part}, {estimate(value, error, 'nats')}."
    show_caption(finding, layers_caption(results, labels))
    with st.expander("Numbers"):
        parts = list(dict.fromkeys(part for result in results for part in result["parts"]))
        columns = {}
        for label, result in zip(labels, results, strict=True):
            values = zip(result["parts"], result[field], result[f"{field}_stderr"], strict=True)
            known = {part: estimate(value, error) for part, value, error in values}
            columns[f"{label} (nats)"] = [known.get(part, "the same in both") for part in parts]
        st.table(pd.DataFrame(columns, index=pd.Index(parts, name="Part")), border="horizontal")
