"""Captions of the figures on equivariance, and a sentence for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.figures.equivariance_data import Run


def constraint_caption(run: Run) -> str:
    """Return a caption of `constraint_figure` that would stand in a paper."""
    return ""


def constraint_alt(run: Run) -> str:
    """Return what `constraint_figure` shows in a sentence."""
    return ""


def gammas_caption(runs: Sequence[Run], layer: int) -> str:
    """Return a caption of `gammas_figure` that would stand in a paper."""
    return ""


def gammas_alt(runs: Sequence[Run], layer: int) -> str:
    """Return what `gammas_figure` shows in a sentence."""
    return ""


def phase_caption(runs: Sequence[Run], layer: int) -> str:
    """Return a caption of `phase_figure` that would stand in a paper."""
    return ""


def phase_alt(runs: Sequence[Run], layer: int) -> str:
    """Return what `phase_figure` shows in a sentence."""
    return ""


def losses_caption(run: Run) -> str:
    """Return a caption of `losses_figure` that would stand in a paper."""
    return ""


def losses_alt(run: Run) -> str:
    """Return what `losses_figure` shows in a sentence."""
    return ""


def paths_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `paths_figure` that would stand in a paper."""
    return ""


def paths_alt(runs: Sequence[Run]) -> str:
    """Return what `paths_figure` shows in a sentence."""
    return ""


def checkpoints_caption(run: Run) -> str:
    """Return a caption of `checkpoints_figure` that would stand in a paper."""
    return ""


def checkpoints_alt(run: Run) -> str:
    """Return what `checkpoints_figure` shows in a sentence."""
    return ""


def plane_caption(run: Run) -> str:
    """Return a caption of `plane_figure` that would stand in a paper."""
    return ""


def plane_alt(run: Run) -> str:
    """Return what `plane_figure` shows in a sentence."""
    return ""


def price_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `price_figure` that would stand in a paper."""
    return ""


def price_alt(runs: Sequence[Run]) -> str:
    """Return what `price_figure` shows in a sentence."""
    return ""


def price_loss_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `price_loss_figure` that would stand in a paper."""
    return ""


def price_loss_alt(runs: Sequence[Run]) -> str:
    """Return what `price_loss_figure` shows in a sentence."""
    return ""


def gauge_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `gauge_figure` that would stand in a paper."""
    return ""


def gauge_alt(runs: Sequence[Run]) -> str:
    """Return what `gauge_figure` shows in a sentence."""
    return ""


def strip_caption(run: Run, example: int = 0) -> str:
    """Return a caption of `strip_figure` that would stand in a paper."""
    return ""


def strip_alt(run: Run, example: int = 0) -> str:
    """Return what `strip_figure` shows in a sentence."""
    return ""


def copies_caption(run: Run) -> str:
    """Return a caption of `copies_figure` that would stand in a paper."""
    return ""


def copies_alt(run: Run) -> str:
    """Return what `copies_figure` shows in a sentence."""
    return ""
