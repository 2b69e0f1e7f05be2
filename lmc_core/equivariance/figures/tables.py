"""The tables behind the figures on equivariance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lmc_core.equivariance.figures.copies import LOOKS, MERGES, merges_of
from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.figures.paths import lines_of
from lmc_core.equivariance.figures.price import levels_of, places_of
from lmc_core.equivariance.figures.strip import classes_of
from lmc_core.figures.tables import Table

CONSTRAINT = ("run", "layer", "step", "\u03b3", "\u03bb (nats)", "u")
PATH = ("run", "after steps", "share", "loss (nats)", "standard error", "accuracy")


def constraint_table(run: Run) -> Table:
    """Return every number of `constraint_figure`."""
    return Table.of(
        CONSTRAINT, (row for layer in range(len(run.layers)) for row in _constraint(run, layer))
    )


def gammas_table(runs: Sequence[Run], layer: int) -> Table:
    """Return every number of `gammas_figure`."""
    return Table.of(CONSTRAINT[:4], (row[:4] for run in runs for row in _constraint(run, layer)))


def phase_table(runs: Sequence[Run], layer: int) -> Table:
    """Return every number of `phase_figure`."""
    known = [run for run in runs if run.form in ("equality", "resilient")]
    return Table.of(CONSTRAINT[:5], (row[:5] for run in known for row in _constraint(run, layer)))


def _constraint(run: Run, layer: int) -> Iterator[tuple[Any, ...]]:
    if layer >= len(run.layers):
        return
    columns = [run.trace(name)[:, layer].tolist() for name in ("gamma", "multiplier", "slack")]
    for step, *values in zip(run.steps.tolist(), *columns, strict=False):
        yield (run.label, run.layers[layer], step, *values)


def losses_table(run: Run) -> Table:
    """Return every number of `losses_figure`."""
    header = [
        f"{what} {where}, {branch}"
        for what, where in (
            ("loss (nats)", "training"),
            ("loss (nats)", "held out"),
            ("accuracy", "training"),
            ("accuracy", "held out"),
        )
        for branch in ("branch on", "projected")
    ]
    errors = [f"error of equivariance, {branch}" for branch in ("branch on", "projected")]
    columns = [
        column for name in ("loss", "accuracy", "error") for column in run.trace(name).T.tolist()
    ]
    return Table.of(("step", *header, *errors), zip(run.steps.tolist(), *columns, strict=False))


def paths_table(runs: Sequence[Run]) -> Table:
    """Return every number of `paths_figure`."""
    return Table.of(PATH, (row for run in runs for row in list(_path(run, slice(-1, None)))))


def checkpoints_table(run: Run) -> Table:
    """Return every number of `checkpoints_figure`."""
    return Table.of(PATH, _path(run, slice(None)))


def _path(run: Run, which: slice) -> Iterator[tuple[Any, ...]]:
    for step, line in lines_of(run)[which]:
        columns = (line.share, line.loss, line.stderr, line.accuracy)
        for values in zip(*(column.tolist() for column in columns), strict=True):
            yield (run.label, step, *values)


def plane_table(run: Run) -> Table:
    """Return every number of the map of `plane_figure`."""
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return Table.of(("\u03b3", "loss (nats)"), ())
    names = [f"\u03b3, {run.layers[int(k)]}" for k in run.facts["plane_layers"]]
    values, loss = run.arrays["plane.value"].tolist(), run.arrays["plane.loss"].tolist()
    if names[0] == names[1]:
        return Table.of(
            (names[0], "loss (nats)"), ((value, loss[k][k]) for k, value in enumerate(values))
        )
    return Table.of(
        (*names, "loss (nats)"),
        (
            (one, other, loss[i][j])
            for i, one in enumerate(values)
            for j, other in enumerate(values)
        ),
    )


def price_table(runs: Sequence[Run]) -> Table:
    """Return every number of `price_figure`."""
    rows = [(p.name, p.price, p.error, p.accuracy, p.stderr) for p in places_of(runs)]
    return Table.of(
        ("setting", "\u03c1", "error of equivariance", "accuracy", "standard error"), rows
    )


def price_loss_table(runs: Sequence[Run]) -> Table:
    """Return every number of `price_loss_figure`."""
    rows = [
        (level.name, level.price, level.loss, level.stderr, level.runs) for level in levels_of(runs)
    ]
    return Table.of(("setting", "\u03c1", "loss (nats)", "standard error", "runs"), rows)


def gauge_table(runs: Sequence[Run]) -> Table:
    """Return every number of `gauge_figure`, with the dimensions of every layer and the share of it
    that is not equivariant.
    """
    header = (
        "run",
        "layer",
        "\u2212dJ/d\u03b3 at \u03b3 = 0 (nats)",
        "\u03bb (nats)",
        "\u03b3",
        "share of the norm that is not equivariant",
        "equivariant dimensions",
        "dimensions",
    )
    rows: list[tuple[Any, ...]] = []
    for run in runs:
        if not len(run.trace("gauge")):
            continue
        shares = run.facts.get("asymmetry") or [None] * len(run.layers)
        sizes = run.facts.get("dimensions") or [[None, None]] * len(run.layers)
        for k, layer in enumerate(run.layers):
            values = (float(run.trace(name)[-1, k]) for name in ("gauge", "multiplier", "gamma"))
            rows.append((run.label, layer, *values, shares[k], *sizes[k]))
    return Table.of(header, rows)


def strip_table(run: Run, example: int = 0) -> Table:
    """Return every number of `strip_figure`, of all positions."""
    if "strip.on" not in run.arrays:
        return Table.of(("position", "class"), ())
    classes, rows = classes_of(run), []
    for branch, name in (("strip.on", "branch on"), ("strip.off", "projected")):
        for place, shares in zip(
            run.facts["group_labels"], run.arrays[branch][example].tolist(), strict=True
        ):
            rows.append((name, place, *shares))
    return Table.of(("branch", "position", *(f"probability of {each}" for each in classes)), rows)


def copies_table(run: Run) -> Table:
    """Return every number of `copies_figure`: the lines, then the merges."""
    header = ("what", "share of the copy", "loss (nats)", "standard error", "accuracy")
    if run.copies is None:
        return Table.of(header, ())
    rows: list[tuple[Any, ...]] = []
    for key, look in LOOKS.items():
        curve = run.copies["curves"].get(key)
        if curve:
            errors = curve.get("stderr") or [None] * len(curve["loss"])
            points = zip(run.copies["lam"], curve["loss"], errors, strict=True)
            rows += [
                (f"line to the copy, {look.name}", share, loss, error, None)
                for share, loss, error in points
            ]
    rows += [
        (MERGES[merge.key], None, merge.loss, merge.stderr, merge.accuracy)
        for merge in merges_of(run)
    ]
    return Table.of(header, rows)
