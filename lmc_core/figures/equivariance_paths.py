"""Figures of the straight path from the projection to the trained network, and of the plane of two entries of gamma."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.equivariance_data import Run
from lmc_core.figures.style import Theme, template


def paths_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw loss and accuracy from the projection to the trained network, one line a run."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def checkpoints_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the path of one run at the recorded steps."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})


def plane_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the loss over two entries of gamma with the way that gamma went."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})
