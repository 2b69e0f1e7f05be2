"""Trainings towards equivariance as panels: one as its constraint over the steps, several as their
paths to the projection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures.data import Run, make_runs
from lmc_core.equivariance.figures.paths import find_lines, paths_caption, paths_figure, paths_table
from lmc_core.equivariance.figures.trace import (
    constraint_caption,
    constraint_figure,
    constraint_table,
)
from lmc_core.figures.panel import Stored
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.numbers import estimate, number, percent


def runs_in(found: Sequence[Stored], labels: Sequence[str]) -> list[Run]:
    """Return stored results as runs."""
    return make_runs([each.result for each in found], [each.arrays() for each in found], labels)


def draw(
    found: Sequence[Stored], labels: Sequence[str], theme: Theme, height: int | None
) -> go.Figure:
    """Draw the constraint of one run, or the paths of several."""
    runs = runs_in(found, labels)
    return (
        constraint_figure(runs[0], theme, height)
        if alone(runs)
        else paths_figure(runs, theme, height)
    )


def alone(runs: list[Run]) -> bool:
    """Whether one run is shown by itself: there is no other, or none has a path."""
    return len(runs) == 1 or not any(find_lines(run) for run in runs)


def caption(found: Sequence[Stored], labels: Sequence[str]) -> str:
    """Say what was trained."""
    runs = runs_in(found, labels)
    return constraint_caption(runs[0]) if alone(runs) else paths_caption(runs)


def summary(found: Sequence[Stored], labels: Sequence[str]) -> Table:
    """Return one row for each run: losses and accuracy with the branch on and projected, error of
    equivariance, gamma.
    """
    header = (
        "Setting",
        "Data",
        "Loss (nats)",
        "Accuracy",
        "Loss, projected (nats)",
        "Accuracy, projected",
        "Error of equivariance",
        "Largest |\u03b3|",
    )
    return Table.of(header, (_row(run) for run in runs_in(found, labels)))


def _row(run: Run) -> tuple[object, ...]:
    losses = [estimate(run.score(name), run.score(name, "stderr")) for name in ("on", "off")]
    shares = [percent(run.score(name, "accuracy")) for name in ("on", "off")]
    gamma = np.abs(np.asarray(run.facts.get("gamma") or [np.nan], dtype=float)).max()
    data = ", ".join(
        str(run.facts.get(name, "")) for name in ("source", "kind", "group", "network")
    )
    error = number(run.facts.get("error_on"), digits=2)
    return (
        run.label,
        data,
        losses[0],
        shares[0],
        losses[1],
        shares[1],
        error,
        number(float(gamma)),
    )


def numbers(found: Sequence[Stored], labels: Sequence[str]) -> Table:
    """Return every number of the figure."""
    runs = runs_in(found, labels)
    return constraint_table(runs[0]) if alone(runs) else paths_table(runs)
