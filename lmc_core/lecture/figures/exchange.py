"""Pictures of exchanges: two units with their matrices, heads with their attention, a hundred
permutations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.lecture.figures.canvas import (
    POWERS,
    Look,
    axes,
    bars,
    canvas,
    frame,
    heading,
    matrix,
    unknown,
)

if TYPE_CHECKING:
    from lmc_core.lecture.measured import Heads, Units, Wander

INPUTS = 24  # coordinates of the stream that are drawn of each matrix
DASHES = ("solid", "4px,3px")  # of the frames around the two that change places


def units_figure(
    data: Units,
    look: Look,
    shown: Sequence[int],
    pair: tuple[int, int],
    moved: tuple[bool, bool],
    classes: Sequence[str],
) -> go.Figure:
    """Draw both matrices of a feed-forward block around its units, and the outputs.

    Args:
        data: what was measured.
        look: how to draw it.
        shown: numbers of the units that are drawn.
        pair: which two of those shown are marked, as places in `shown`.
        moved: whether rows, and whether columns changed places.
        classes: names of the outputs.
    """
    count = len(shown)
    figure = canvas(look, left=30)
    incoming, outgoing = data.incoming[list(shown), :INPUTS], data.outgoing[list(shown), :INPUTS].T
    axes(figure, look, 1, (0, 0.40))
    axes(figure, look, 2, (0.44, 0.64))
    axes(figure, look, 3, (0.80, 1), (0.06, 0.94))
    matrix(figure, look, 1, incoming, float(np.abs(incoming).max()) * 0.8)
    matrix(figure, look, 2, outgoing, float(np.abs(outgoing).max()) * 0.8)
    colour = look.colour("permutation")
    for which, place in enumerate(pair):
        row = pair[1 - which] if moved[0] else place
        column = pair[1 - which] if moved[1] else place
        frame(figure, look, 1, (-0.5, row - 0.5, INPUTS - 0.5, row + 0.5), colour, DASHES[which])
        frame(
            figure, look, 2, (column - 0.5, -0.5, column + 0.5, INPUTS - 0.5), colour, DASHES[which]
        )
        label = {
            "text": f"<b>{'AB'[which]}</b>",
            "showarrow": False,
            "font": {"size": look.large, "color": colour},
        }
        figure.add_annotation(
            x=-0.5, y=row, xref="x", yref="y", xanchor="right", xshift=-3 * look.scale, **label
        )
        figure.add_annotation(x=column, y=-0.5, xref="x2", yref="y2", yanchor="bottom", **label)
    figure.update_layout(yaxis2={"domain": [0, 0.94]})
    heading(figure, look, "listens: rows of W<sub>in</sub>", 0.20)
    heading(figure, look, "speaks: columns of W<sub>out</sub>", 0.54)
    heading(figure, look, "outputs", 0.90)
    formula = "y = \u03a3 <sub>units</sub> speaks \u00b7 \u03c3 (listens \u00b7 x)"
    heading(
        figure, look, formula, 0.20, 0, font={"size": 1.1 * look.large, "color": look.ground.ink}
    )
    if count and look.revealed:
        bars(figure, look, 3, data.before, data.after, classes, colour)
    else:
        figure.update_layout(xaxis3={"visible": False}, yaxis3={"visible": False})
        unknown(figure, look, 0.90)
    return figure


def wander_figure(data: Wander, look: Look) -> go.Figure:
    """Draw how far each move led from the trained network against what it did to the outputs."""
    figure = canvas(look, left=78, bottom=66, right=24)
    axes(figure, look, 1, (0, 1))
    ochre, grey = look.colour("permutation"), look.colour("plain")
    size = 11 * look.scale
    figure.update_layout(
        xaxis={
            "range": [-0.03, 1.5],
            "tickvals": [0, 0.5, 1, 1.5],
            "title": {
                "text": "distance of the weights, as a share of their length",
                "font": {"size": look.large},
            },
        },
        yaxis={"type": "log", "range": [-17, 2.2], **POWERS},
    )
    figure.add_scatter(
        x=data.distances,
        y=data.random,
        mode="markers",
        name="random",
        marker={
            "color": grey,
            "size": size,
            "symbol": "circle-open",
            "line": {"width": 2 * look.scale},
        },
        hovertemplate="random move, distance %{x:.2f}<br>outputs change by %{y:.2g}<extra></extra>",
    )
    heading(figure, look, "change of the outputs", 0, xanchor="left", xshift=-70 * look.scale)
    heading(
        figure, look, "\u25cb moved at random: another function", 0.98, 0.66, grey, xanchor="right"
    )
    if look.revealed:
        figure.add_scatter(
            x=data.distances,
            y=np.maximum(data.permuted, 1e-16),
            mode="markers",
            name="permuted",
            marker={"color": ochre, "size": size, "symbol": "square"},
            hovertemplate="permutation, distance %{x:.2f}<br>outputs change by "
            "%{y:.2g}<extra></extra>",
        )
        heading(
            figure,
            look,
            "\u25a0 permuted: the same function, up to rounding",
            0.98,
            0.17,
            ochre,
            xanchor="right",
        )
    else:
        unknown(figure, look, 0.5, 0.3)
    return figure


def heads_figure(data: Heads, look: Look, pair: tuple[int, int], exchanged: bool) -> go.Figure:
    """Draw what each head looks at as the network was trained, and what the head at each place
    looks at now.
    """
    figure = canvas(look, left=112, top=46)
    count = len(data.attention)
    colour = look.colour("permutation")
    order = list(range(count))
    if exchanged:
        order[pair[0]], order[pair[1]] = order[pair[1]], order[pair[0]]
    for row, maps in enumerate((data.before, data.attention)):
        for place in range(count):
            number = row * count + place + 1
            x = (place / count + 0.01, (place + 1) / count - 0.01)
            axes(figure, look, number, x, (0.53, 1) if row == 0 else (0, 0.47))
            matrix(figure, look, number, maps[place] ** 0.5, 0.8, look.sequential)
            size = maps.shape[1]
            marked = (
                pair.index(order[place])
                if row and order[place] in pair
                else pair.index(place)
                if place in pair
                else None
            )
            if marked is not None:
                frame(
                    figure,
                    look,
                    number,
                    (-0.5, -0.5, size - 0.5, size - 0.5),
                    colour,
                    DASHES[marked],
                )
    for place in range(count):
        heading(figure, look, f"place {place + 1}", (place + 0.5) / count)
    for y, text in ((0.765, "as trained"), (0.235, "now")):
        heading(
            figure,
            look,
            text,
            0,
            y,
            xanchor="right",
            yanchor="middle",
            xshift=-12 * look.scale,
            yshift=0,
        )
    return figure


def numbers_of_wander(data: Wander) -> Mapping[str, Sequence[float]]:
    """The table behind the picture of a hundred permutations."""
    return {"distance": data.distances, "permuted": data.permuted, "moved at random": data.random}
