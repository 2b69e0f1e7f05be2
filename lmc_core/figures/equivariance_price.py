"""Figures of what symmetry costs: accuracy against the error of equivariance, loss against the price, the gauge."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.equivariance_data import Run
from lmc_core.figures.style import Theme, template


def price_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw accuracy against the error of equivariance, one point a run."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def price_loss_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw held-out loss against the price rho, with what has no price as lines."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def gauge_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the gauge of asymmetry of every layer beside its multiplier."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})
