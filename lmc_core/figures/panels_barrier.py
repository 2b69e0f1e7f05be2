"""Barriers as panels: any number of curves over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import plotly.graph_objects as go

from lmc_core.figures.barrier import HEIGHT, barrier_figure, legend_height
from lmc_core.figures.export import CURVES, curve_rows
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import barrier_caption, barrier_words, version_sentence
from lmc_core.numbers import number, percent, seconds

NAMED = 10  # curves at the most that a caption names one by one
PAPER = 500  # pixels of height on paper


class Drawn(Protocol):
    """What has the numbers of a result."""

    @property
    def result(self) -> dict[str, Any]:
        """The numbers."""
        ...


def draw(
    found: Sequence[Drawn], labels: Sequence[str], theme: Theme, height: int | None
) -> go.Figure:
    """Draw loss and score over one axis of lambda; a legend for many curves makes it taller."""
    results = [each.result for each in found]
    tall = height or (PAPER if theme == "paper" else HEIGHT)
    return barrier_figure(results, theme, labels, tall + legend_height(labels))


def caption(found: Sequence[Drawn], labels: Sequence[str]) -> str:
    """Say what the curves are, as in a paper; of many it names the lowest and the highest, the
    table has all.
    """
    results = [each.result for each in found]
    if len(results) <= NAMED:
        return barrier_caption(results, labels)
    order = sorted(range(len(results)), key=lambda i: results[i]["barrier"])
    low, high = order[0], order[-1]
    pairs = {tuple(result["models"]) for result in results}
    data = sorted({f"{result['split']} split of {result['task']}" for result in results})
    between = (
        " to ".join(next(iter(pairs)))
        if len(pairs) == 1
        else f"each of {len(pairs)} models to another"
    )
    errors = [
        result["function_error"] for result in results if result.get("function_error") is not None
    ]
    checked = (
        f" Aligned models give the same outputs up to {number(max(errors), digits=2)} (relative)."
        if errors
        else ""
    )
    return (
        f"Loss and {results[0].get('score', 'score')} along {len(results)} straight lines from "
        f"{between}, on the "
        f"{', '.join(data)}. The barrier is the largest excess of the loss over the chord between "
        "the end losses (dashed), "
        f"\u00b1 one standard error over examples. Lowest: {labels[low]}, "
        f"{barrier_words(results[low])}; highest: "
        f"{labels[high]}, {barrier_words(results[high])}; the table has all.{checked} "
        f"{version_sentence(results[0])}"
    )


def summary(found: Sequence[Drawn], labels: Sequence[str]) -> Table:
    """One row for every curve: its barrier with error, and what was checked."""
    rows = []
    for label, each in zip(labels, found, strict=True):
        result = each.result
        score = str(result.get("score", "score"))
        values = result.get(score) or [None]
        middle = values[len(values) // 2]
        rows.append(
            (
                label,
                barrier_words(result, short=True),
                number(result.get("barrier_lam")),
                number(result.get("midpoint_loss")),
                f"{percent(middle) if score == 'accuracy' else number(middle)} {score}",
                "\u2013"
                if result.get("function_error") is None
                else number(result["function_error"], digits=2),
                seconds((result.get("seconds") or {}).get("align"))
                if result.get("method", "none") != "none"
                else "\u2013",
            )
        )
    names = (
        "Setting",
        "Barrier",
        "at \u03bb",
        "Midpoint loss",
        "Midpoint score",
        "Function check",
        "Time to align",
    )
    return Table.of(names, rows)


def numbers(found: Sequence[Drawn], labels: Sequence[str]) -> Table:
    """One row for every point of every curve."""
    results = [each.result for each in found]
    scores = list(dict.fromkeys(str(result["score"]) for result in results))
    return Table.of((*CURVES, *scores), curve_rows(results, labels, scores))
