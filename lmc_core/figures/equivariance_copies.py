"""The network and its moved copy: the loss between them, and what averaging all copies gives."""

from __future__ import annotations

import plotly.graph_objects as go

from lmc_core.figures.equivariance_data import Run
from lmc_core.figures.style import Theme, template


def copies_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the loss between the network and its moved copy, and the merges against the projection."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})
