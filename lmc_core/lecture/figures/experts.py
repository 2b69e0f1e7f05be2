"""The picture of a mixture: experts with their rows of the router, who serves each character, what
is left between two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.style import contrast
from lmc_core.lecture.figures.canvas import Look, axes, canvas, heading, ladder, unknown
from lmc_core.lecture.figures.lines import SETTINGS, SHORT

if TYPE_CHECKING:
    from lmc_core.lecture.measured import Routed

# meanings whose colours tell four experts apart
EXPERTS = ("permutation", "orthogonal", "activation", "dual")
COORDINATES, LINE = 32, 16  # of a router's row that are drawn; characters in a line


def experts_figure(data: Routed, look: Look, text: str, barriers: Mapping[str, float]) -> go.Figure:
    """Draw experts at their places with the router's rows, the text they serve, and the barriers
    between two mixtures.

    Args:
        data: what was measured.
        look: how to draw it.
        text: the first example.
        barriers: by setting, in nats.
    """
    figure = canvas(look, top=40, left=8, bottom=8, right=64)
    count = len(data.expert)
    axes(figure, look, 1, (0.13, 0.57), (0.62, 1))
    axes(figure, look, 2, (0, 0.57), (0, 0.50))
    axes(figure, look, 3, (0.82, 1), (0.30, 0.90))
    rows = data.router[:, :COORDINATES]
    figure.add_heatmap(
        z=rows,
        xaxis="x",
        yaxis="y",
        showscale=False,
        hoverinfo="skip",
        colorscale=look.diverging,
        ygap=6 * look.scale,
        zmin=-np.abs(rows).max(),
        zmax=np.abs(rows).max(),
    )
    blank = {"showticklabels": False, "showgrid": False}
    figure.update_layout(xaxis=blank, yaxis={**blank, "range": [count - 0.5, -0.5]})
    for place, expert in enumerate(data.expert):
        colour = look.colour(EXPERTS[expert])
        figure.add_annotation(
            x=0,
            y=1 - 0.38 * (place + 0.5) / count,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="middle",
            showarrow=False,
            text=f" expert {'ABCD'[expert]} ",
            bgcolor=colour,
            font={"size": look.text, "color": _ink(colour)},
            name="expert",
        )
    heading(figure, look, "rows of the router", 0.35)
    heading(figure, look, "which expert serves each character", 0.285, 0.50)
    _text(figure, look, data, text)
    if look.revealed:
        _barriers(figure, look, barriers)
    else:
        figure.update_layout(xaxis3={"visible": False}, yaxis3={"visible": False})
        unknown(figure, look, 0.85, 0.6)
    return figure


def _ink(colour: str) -> str:
    return max(("#ffffff", "#0f161c"), key=lambda ink: contrast(ink, colour))


def _text(figure: go.Figure, look: Look, data: Routed, text: str) -> None:
    """The characters in lines, each on the colour of the expert that serves it."""
    served = data.expert[data.choice][: len(text)]
    lines = int(np.ceil(len(text) / LINE))
    padded = np.full(lines * LINE, np.nan)
    padded[: len(served)] = served
    colours = [look.colour(EXPERTS[k]) for k in range(len(data.expert))]
    share = len(colours)
    scale = [[edge / share, colours[k]] for k in range(share) for edge in (k, k + 1)]
    figure.add_heatmap(
        z=padded.reshape(lines, LINE),
        xaxis="x2",
        yaxis="y2",
        showscale=False,
        hoverinfo="skip",
        colorscale=scale,
        zmin=-0.5,
        zmax=share - 0.5,
        xgap=2,
        ygap=2,
    )
    figure.add_scatter(
        x=[k % LINE for k in range(len(text))],
        y=[k // LINE for k in range(len(text))],
        mode="text",
        hoverinfo="skip",
        text=[character if character.strip() else "\u00b7" for character in text],
        xaxis="x2",
        yaxis="y2",
        name="text",
        textfont={"size": look.text, "color": [_ink(colours[k]) for k in served]},
    )
    blank = {"showticklabels": False, "showgrid": False}
    figure.update_layout(
        xaxis2={**blank, "range": [-0.5, LINE - 0.5]},
        yaxis2={**blank, "range": [lines - 0.5, -0.5]},
    )


def _barriers(figure: go.Figure, look: Look, barriers: Mapping[str, float]) -> None:
    names = [name for name in SETTINGS if name in barriers]
    colours = [look.colour(SETTINGS[name]) for name in names]
    ladder(
        figure,
        look,
        3,
        [SHORT[name] for name in names],
        [barriers[name] for name in names],
        colours,
    )
    heading(
        figure,
        look,
        "barrier between two mixtures, nats",
        1,
        0.90,
        xanchor="right",
        xshift=40 * look.scale,
    )
