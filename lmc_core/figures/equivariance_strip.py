"""One input in all positions of the group, with what the network says of each."""

from __future__ import annotations

import plotly.graph_objects as go

from lmc_core.figures.equivariance_data import Run
from lmc_core.figures.style import Theme, template


def strip_figure(run: Run, example: int = 0, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw one input in every position with the probabilities below."""
    return go.Figure(layout={"template": template(theme), "height": height or 360})
