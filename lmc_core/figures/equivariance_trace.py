"""Figures of a training towards equivariance: the constraint, gamma of several runs, the phase portrait, losses."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.equivariance_data import Run
from lmc_core.figures.style import Theme, template


def constraint_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw gamma, the multiplier and (resilient form) the slack u of every layer against the step."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def gammas_figure(runs: Sequence[Run], layer: int, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw gamma of one layer for several runs."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def phase_figure(runs: Sequence[Run], layer: int, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the multiplier of one layer over its gamma, from the start to the end."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def losses_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw training and held-out loss with the free branch on and off, and the error of equivariance."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})
