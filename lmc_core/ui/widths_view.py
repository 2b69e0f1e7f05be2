"""Results on the page Widths: curves, facts, barrier against width, places, numbers, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from lmc_core.figures.export import results_csv, results_json, standalone_html, svg
from lmc_core.figures.findings import barrier_finding
from lmc_core.figures.tables import Table
from lmc_core.figures.text import barrier_words
from lmc_core.figures.widths import (
    PADDED,
    against_caption,
    against_figure,
    curves_caption,
    curves_figure,
    pair_name,
    setting_name,
)
from lmc_core.figures.widths_places import (
    CLOSER,
    closer_figure,
    map_figure,
    places_caption,
    shares_figure,
    strips,
)
from lmc_core.numbers import estimate, number, percent
from lmc_core.ui.barrier_view import HELP
from lmc_core.ui.catalogue import Pair
from lmc_core.ui.options import Option
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
from lmc_core.ui.status import Line

if TYPE_CHECKING:
    from lmc_core.runs.requests.barrier import BarrierNumbers

Widths = tuple[int, int]
Known = list[tuple[Widths, "BarrierNumbers"]]
VIEWS = {"all": "All units", "closer": "A few, closer"}
VIEW = Option("view", "Show", list(VIEWS), "closer", shape="buttons", shown=VIEWS.__getitem__)


def show_curves(results: Sequence[BarrierNumbers], pair: Pair, key: str) -> None:
    """Show the curves of the chosen pair; without results the axes keep the place."""
    said = "; ".join(f"{setting_name(result)}: {barrier_words(result)}" for result in results)
    alt = (
        f"Loss and score between a widened and a wide model. Barriers: {said}."
        if results
        else "Empty axes of loss and score."
    )
    show_figure(curves_figure(results, theme()), f"{key}_figure", alt, width=WIDEST)
    if not results:
        st.caption(
            "Nothing is computed yet for these models. **Run** widens the narrow one and measures "
            "the loss along the straight "
            "line to the wide one."
        )
        return
    labels = [setting_name(result) for result in results]
    show_caption(barrier_finding(results, labels, PADDED.lower()), curves_caption(results, pair))


def show_facts(results: Sequence[BarrierNumbers], pair: Pair) -> None:
    """Show what is left of the barrier, that the widened model is the same function, and how large
    both models are.
    """
    lowest = min(results, key=lambda result: result["barrier"])
    plain = next((r["barrier"] for r in results if r["method"] == "none"), None)
    left, middle, right = st.columns(3)
    words = estimate(lowest["barrier"], lowest["barrier_stderr"])
    left.metric("Lowest barrier (nats)", words, border=True)
    share = (
        f", {percent(lowest['barrier'] / plain, 0)} of that of padding with zeros"
        if plain and lowest["method"] != "none"
        else ""
    )
    left.caption(f"{setting_name(lowest)}{share}.")
    show_check(
        middle,
        max(
            (r["function_error"] for r in results if r["function_error"] is not None), default=None
        ),
        "rounding level, so it is the same function",
        "more than rounding explains",
        "Largest relative difference of the outputs, narrow model against its widened form: {}.",
        "Nothing was matched yet, so there is nothing to check.",
    )
    narrow, wide = pair
    right.metric("Width in width", f"{narrow['width']} in {wide['width']}", border=True)
    sizes = f"{narrow['parameters']:,} parameters of the narrow model in {wide['parameters']:,}"
    right.caption(f"{sizes}: so many has the widened one as well.")


def show_against(lines: Sequence[tuple[Widths, Line[BarrierNumbers]]], key: str) -> Known:
    """Show the barrier against width for all pairs; returns what there is."""
    pairs = list(dict.fromkeys(widths for widths, _ in lines))
    found: dict[Widths, list[BarrierNumbers]] = {widths: [] for widths in pairs}
    for widths, line in lines:
        if line.result is not None:
            found[widths].append(line.result)
    reference = next(
        (r for w in reversed(pairs) if w[0] == w[1] for r in found[w] if r["method"] == "none"),
        None,
    )
    said = "; ".join(
        f"{pair_name(widths)}, {setting_name(r, widths[0] == widths[1])}: {number(r['barrier'])}"
        for widths, results in found.items()
        for r in results
    )
    show_figure(
        against_figure(found, pairs, reference, theme()),
        f"{key}_against",
        f"Barrier against width, in nats. {said}."
        if said
        else "Empty axes of the barrier against width.",
    )
    known = [(widths, r) for widths, results in found.items() for r in results]
    show_caption("", against_caption([r for _, r in known], reference))
    return known


def show_places(result: BarrierNumbers, key: str) -> None:
    """Show the shares of all spaces, and the places of one of them."""
    found = strips(result)
    if not found:
        st.write(
            "These models have as many units and heads; only directions of streams and planes "
            "were added."
        )
        return
    names = [strip.name for strip in found]
    models = result["models"]
    many = max(len(each) for strip in found for each in strip.copies())
    show_figure(
        shares_figure(found, theme()),
        f"{key}_shares",
        f"Shares of the copies of every narrow unit, at most {many} copies, in {len(found)} "
        "spaces.",
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    chosen = Option(
        "space", "Space", names, names[0], "Spaces of which the wide model has more.", "list"
    ).show(key, left)
    view = VIEW.show(key, right, "content")
    strip = found[names.index(chosen)]
    if view == "all":
        figure = map_figure(strip, models, theme())
        alt = (
            f"Places of {strip.units} narrow units among {len(strip.owner)}, {strip.name}; "
            f"{strip.empty} are read by no one."
        )
    else:
        first = 0
        if strip.units > CLOSER:
            first = int(
                st.slider(
                    "First narrow unit",
                    0,
                    strip.units - CLOSER,
                    0,
                    key=f"{key}_first",
                    help=f"{CLOSER} units are drawn from here on.",
                )
            )
        figure = closer_figure(strip, models, first, theme())
        alt = (
            f"Narrow units {first} to {first + CLOSER - 1} of {strip.name} with their places in "
            f"{models[1]}."
        )
    show_figure(figure, f"{key}_places_{view}", alt)
    show_caption("", places_caption(result, strip))


def show_downloads(
    results: Sequence[BarrierNumbers],
    known: Sequence[tuple[Widths, BarrierNumbers]],
    pair: Pair,
    places: Table | None,
    key: str,
) -> None:
    """Offer the curves as CSV, JSON, a page and SVG, and the places of all units as CSV."""
    current = theme()
    every = [result for _, result in known] or list(results)

    def page() -> str:
        caption = curves_caption(results, pair)
        return standalone_html(
            curves_figure(results, current), caption, every, current, title="Widths"
        )

    names = [f"{pair_name(widths)}, {setting_name(result)}" for widths, result in known]
    names = names or [setting_name(result) for result in results]
    files = [
        File("CSV", "csv", lambda: results_csv(every, names), HELP["csv"]),
        File("JSON", "json", lambda: results_json(every), HELP["json"]),
        File("HTML", "html", page, HELP["html"]),
    ]
    if places is not None:
        about = "One row for every place: its narrow unit and its share."
        files.append(File("Places", "places.csv", places.csv, about))
    files += svg_files(
        File("SVG", "svg", lambda: svg(curves_figure(results, "paper")), HELP["svg"])
    )
    show_files(files, f"widths-{'-'.join(row['name'] for row in pair)}", key)
