"""The angles of a map on a circle, and what a map does to rotary pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, faint, template
from lmc_core.numbers import MINUS, number

BIN = 15  # degrees
HEIGHT = 400  # pixels
INNER, RIM = 0.25, 1.0  # radii between which counts are drawn, and of the circle


def circle_figure(
    angles: Sequence[float] | np.ndarray, colour: str, theme: Theme = "light", height: int = HEIGHT
) -> go.Figure:
    """Draw the eigenvalues of an orthogonal map on the unit circle, and inside how many there are
    for every 15 degrees.

    Args:
        angles: arguments of the eigenvalues, in degrees.
        colour: of what found the map.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    values = np.asarray(angles, dtype=np.float64)
    counts, centres = histogram(values)
    figure = _polar(theme, height, [-180 + 45 * k for k in range(8)], (0, 1.12))
    heights = INNER + (0.9 * RIM - INNER) * counts / max(counts.max(), 1)
    figure.add_barpolar(
        theta=centres,
        r=heights - INNER,
        base=INNER,
        width=BIN * 0.92,
        customdata=counts,
        marker={"color": faint(colour, 0.45), "line": {"width": 0}},
        name="count",
        hovertemplate="%{customdata} near %{theta}<extra></extra>",
    )
    turn = np.linspace(-180, 180, 121)
    figure.add_scatterpolar(
        theta=turn,
        r=np.full(turn.shape, RIM),
        mode="lines",
        name="circle",
        line={"color": GROUNDS[theme].muted, "width": 1},
        hoverinfo="skip",
    )
    figure.add_scatterpolar(
        theta=values,
        r=np.full(values.shape, RIM),
        mode="markers",
        name="eigenvalues",
        marker={"size": 7, "color": colour, "line": {"color": GROUNDS[theme].paper, "width": 1}},
        hovertemplate="%{theta:.1f}<extra></extra>",
    )
    mean = float(np.abs(values).mean()) if values.size else float("nan")
    figure.add_annotation(
        text=f"<b>{number(mean)}\u00b0</b><br>mean",
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        showarrow=False,
        font={"size": BODY, "color": GROUNDS[theme].ink},
        name="mean",
    )
    return figure


def histogram(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many angles are nearest to every multiple of 15 degrees, and these multiples; 180 and
    -180 are one.
    """
    nearest = np.round(np.asarray(angles, dtype=np.float64) / BIN).astype(int)
    nearest[nearest == -180 // BIN] = 180 // BIN
    centres = np.arange(-180 // BIN + 1, 180 // BIN + 1)
    return np.array([(nearest == centre).sum() for centre in centres]), centres * BIN


def pairs_figure(
    phases: np.ndarray,
    stretches: np.ndarray,
    colour: str,
    theme: Theme = "light",
    height: int = HEIGHT,
) -> go.Figure:
    """Draw the complex number of every rotary pair: its angle, and its length as the distance from
    the centre.

    Args:
        phases: in degrees, `[pairs]`, the fastest pair first.
        stretches: `[pairs]`.
        colour: of what found the map.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground = GROUNDS[theme]
    top = max(1.2, 1.15 * float(np.max(stretches, initial=1.0)))
    figure = _polar(theme, height, [-180 + 45 * k for k in range(8)], (0, top))
    turn = np.linspace(-180, 180, 121)
    figure.add_scatterpolar(
        theta=turn,
        r=np.ones(turn.shape),
        mode="lines",
        line={"color": ground.muted, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="length 1",
    )
    order, few = np.arange(len(phases)), len(phases) <= 16
    for k in order:
        figure.add_scatterpolar(
            theta=[phases[k]] * 2,
            r=[0, stretches[k]],
            mode="lines",
            hoverinfo="skip",
            name="pair",
            line={"color": faint(colour, 0.35), "width": 1.5},
        )
    figure.add_scatterpolar(
        theta=phases,
        r=stretches,
        mode="markers+text",
        customdata=order,
        text=[str(k) for k in order] if few else None,
        textposition="top center",
        textfont={"size": SMALL, "color": ground.ink},
        name="pairs",
        marker={"size": 8, "color": colour, "line": {"color": ground.paper, "width": 1}},
        hovertemplate="pair %{customdata}: turned by %{theta:.1f}, times %{r:.3f}<extra></extra>",
    )
    return figure


def stretch_figure(
    singular: np.ndarray, colour: str, theme: Theme = "light", height: int = 260
) -> go.Figure:
    """Draw the singular values of a map, largest first, on a logarithmic axis around 1.

    Args:
        singular: decreasing, `[n]`.
        colour: of what found the map.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    values = np.asarray(singular, dtype=np.float64)
    figure = go.Figure(layout={"template": template(theme), "height": height})
    figure.add_scatter(
        x=np.arange(1, len(values) + 1),
        y=values,
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": 5},
        hovertemplate="number %{x}: %{y:.4f}<extra></extra>",
        name="singular values",
    )
    figure.add_hline(y=1, line={"color": GROUNDS[theme].muted, "width": 1, "dash": "dot"})
    figure.update_layout(
        margin={"l": 52, "r": 12, "t": 12, "b": 44},
        showlegend=False,
        xaxis={
            "title": {
                "text": "singular value, largest first",
                "standoff": 6,
                "font": {"size": SMALL},
            },
            "fixedrange": True,
        },
        yaxis={"type": "log", "fixedrange": True, "nticks": 5, "minor": {"showgrid": False}},
    )
    return figure


def _degrees(value: int) -> str:
    """A tick, such as -90\u00b0 with a proper minus; 180\u00b0 has no sign."""
    return f"{MINUS if -180 < value < 0 else ''}{abs(value)}\u00b0"


def _polar(theme: Theme, height: int, ticks: list[int], reach: tuple[float, float]) -> go.Figure:
    ground = GROUNDS[theme]
    words: dict[str, Any] = {
        "tickfont": {"size": SMALL, "color": ground.muted},
        "gridcolor": ground.grid,
        "showline": False,
    }
    figure = go.Figure(layout={"template": template(theme), "height": height})
    figure.update_layout(
        margin={"l": 40, "r": 40, "t": 28, "b": 28},
        showlegend=False,
        dragmode=False,
        polar={
            "bgcolor": ground.paper,
            "radialaxis": {"visible": False, "range": list(reach)},
            "angularaxis": {
                **words,
                "tickvals": ticks,
                "ticktext": [_degrees(t) for t in ticks],
                "direction": "counterclockwise",
                "rotation": 0,
                "ticks": "",
            },
        },
    )
    return figure
