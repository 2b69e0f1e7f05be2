"""Barriers as panels: any number of curves over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import plotly.graph_objects as go

from lmc_core.figures.barrier import HEIGHT, barrier_figure
from lmc_core.figures.export import CURVES, curve_rows
from lmc_core.figures.numbers import estimate, number, percent, seconds
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.words import barrier_caption

PAPER = 500  # pixels of height on paper


class Drawn(Protocol):
    """What has the numbers of a result."""

    @property
    def result(self) -> dict[str, Any]:
        """The numbers."""
        ...


def draw(found: Sequence[Drawn], labels: Sequence[str], theme: Theme, height: int | None) -> go.Figure:
    """Draw loss and score over one axis of lambda."""
    return barrier_figure([each.result for each in found], theme, labels, height or (PAPER if theme == "paper" else HEIGHT))


def caption(found: Sequence[Drawn], labels: Sequence[str]) -> str:
    """Say what the curves are, as in a paper."""
    return barrier_caption([each.result for each in found], labels)


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
                estimate(result["barrier"], result.get("barrier_stderr"), str(result.get("unit", "nats"))),
                number(result.get("barrier_lam")),
                number(result.get("midpoint_loss")),
                f"{percent(middle) if score == 'accuracy' else number(middle)} {score}",
                "\u2013" if result.get("function_error") is None else number(result["function_error"], digits=2),
                seconds((result.get("seconds") or {}).get("align")) if result.get("method", "none") != "none" else "\u2013",
            )
        )
    names = ("Setting", "Barrier", "at \u03bb", "Midpoint loss", "Midpoint score", "Function check", "Time to align")
    return Table.of(names, rows)


def numbers(found: Sequence[Drawn], labels: Sequence[str]) -> Table:
    """One row for every point of every curve."""
    results = [each.result for each in found]
    scores = list(dict.fromkeys(str(result["score"]) for result in results))
    return Table.of((*CURVES, *scores), curve_rows(results, labels, scores))
