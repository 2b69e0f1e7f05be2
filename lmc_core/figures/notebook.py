"""Figures of values that are no stored results, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.barrier import HEIGHT, barrier_figure
from lmc_core.figures.style import Theme
from lmc_core.paths.curve import Curve
from lmc_core.runs.kinds.curve_facts import curve_facts


def draw_curve(
    curve: Curve,
    theme: Theme = "light",
    height: int | None = None,
    names: Sequence[str] = ("A", "B"),
) -> go.Figure:
    """Draw loss and accuracy along a path, with the chord and the barrier, as the app does.

    Args:
        curve: that was measured.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default the app's.
        names: of the models at both ends.
    """
    numbers = curve_facts(curve, "accuracy")
    result = {**numbers, "models": list(names), "unit": "nats", "score": "accuracy"}
    label = " → ".join(names)
    return barrier_figure([result], theme, [label], HEIGHT if height is None else height)
