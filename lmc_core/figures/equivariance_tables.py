"""The tables behind the figures on equivariance."""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.figures.equivariance_data import Run
from lmc_core.figures.tables import Table


def constraint_table(run: Run) -> Table:
    """Return every number of `constraint_figure`."""
    return Table.of((), ())


def gammas_table(runs: Sequence[Run], layer: int) -> Table:
    """Return every number of `gammas_figure`."""
    return Table.of((), ())


def phase_table(runs: Sequence[Run], layer: int) -> Table:
    """Return every number of `phase_figure`."""
    return Table.of((), ())


def losses_table(run: Run) -> Table:
    """Return every number of `losses_figure`."""
    return Table.of((), ())


def paths_table(runs: Sequence[Run]) -> Table:
    """Return every number of `paths_figure`."""
    return Table.of((), ())


def checkpoints_table(run: Run) -> Table:
    """Return every number of `checkpoints_figure`."""
    return Table.of((), ())


def plane_table(run: Run) -> Table:
    """Return every number of `plane_figure`."""
    return Table.of((), ())


def price_table(runs: Sequence[Run]) -> Table:
    """Return every number of `price_figure`."""
    return Table.of((), ())


def price_loss_table(runs: Sequence[Run]) -> Table:
    """Return every number of `price_loss_figure`."""
    return Table.of((), ())


def gauge_table(runs: Sequence[Run]) -> Table:
    """Return every number of `gauge_figure`."""
    return Table.of((), ())


def strip_table(run: Run, example: int = 0) -> Table:
    """Return every number of `strip_figure`."""
    return Table.of((), ())


def copies_table(run: Run) -> Table:
    """Return every number of `copies_figure`."""
    return Table.of((), ())
