"""Curves of a narrow and a wide model, and the barrier against width: several such pairs, and two
of equal width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.layout import padded
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, SMALL, Theme, meaning_of, template
from lmc_core.figures.text import Result
from lmc_core.figures.widths_words import pair_name, setting_name
from lmc_core.numbers import estimate, number

HEIGHT = 500  # pixels of the curves
SIDE, TOP, FOOT = 56, 40, 56  # pixels
# pixels without the legend, and of one of its rows; on a phone every setting has one
TALL, ROW = 380, 22
STEP = 0.16  # between the marks of one pair, in units of the distance of two pairs


def curves_figure(
    results: Sequence[Result], theme: Theme = "light", height: int = HEIGHT
) -> go.Figure:
    """Draw loss and score along the line from the widened model to the wide one, for every way to
    match.

    Args:
        results: of one pair, as `lmc_core.runs.kinds.barrier.compute` returns them.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    return barrier_figure(results, theme, [setting_name(result) for result in results], height)


def against_figure(
    found: Mapping[tuple[int, int], Sequence[Result]],
    pairs: Sequence[tuple[int, int]],
    reference: Result | None = None,
    theme: Theme = "light",
    height: int | None = None,
) -> go.Figure:
    """Draw the barriers of several pairs, a column for each.

    Args:
        found: results by the widths of their pair.
        pairs: widths of all columns, in their order; those without results stay empty.
        reference: the plain average of two models of equal width, drawn as a line.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default so that there is room beside the legend.
    """
    ground = GROUNDS[theme]
    settings = list(
        dict.fromkeys(
            (str(r["method"]), setting_name(r)) for widths in pairs for r in found.get(widths, ())
        )
    )
    # as many as the page has ways to match, so that nothing moves when one comes
    rows = ROW * max(3, len(settings))
    figure = go.Figure(layout={"template": template(theme), "height": height or TALL + rows})
    for place, (method, name) in enumerate(settings):
        shift = (place - (len(settings) - 1) / 2) * STEP
        marks = [
            (index + shift, result, widths)
            for index, widths in enumerate(pairs)
            for result in found.get(widths, ())
            if setting_name(result) == name
        ]
        meaning = MEANINGS[meaning_of(marks[0][1])]
        colour = meaning.colour(theme)
        figure.add_scatter(
            x=[x for x, _, _ in marks],
            y=[result["barrier"] for _, result, _ in marks],
            mode="markers+text",
            name=name,
            error_y={
                "type": "data",
                "array": [r["barrier_stderr"] for _, r, _ in marks],
                "thickness": 1.5,
                "width": 4,
            },
            marker={"color": colour, "symbol": meaning.marker, "size": 11},
            meta={"method": method},
            text=["" if r is reference else number(r["barrier"], digits=2) for _, r, _ in marks],
            textposition="middle right",
            textfont={"size": SMALL, "color": colour},
            cliponaxis=False,
            customdata=[
                [
                    pair_name(widths),
                    " \u2192 ".join(r["models"]),
                    estimate(r["barrier"], r["barrier_stderr"], "nats"),
                ]
                for _, r, widths in marks
            ],
            hovertemplate="<b>%{customdata[0]}</b>, "
            + name
            + "<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        )
    values = [r["barrier"] for results in found.values() for r in results]
    if reference is not None:
        values.append(reference["barrier"])
        figure.add_hline(
            y=reference["barrier"], line={"color": ground.muted, "width": 1.5, "dash": "dash"}
        )
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="right",
            y=reference["barrier"],
            yanchor="bottom",
            showarrow=False,
            text=f"plain average at equal width {number(reference['barrier'])}",
            font={"size": SMALL, "color": ground.muted},
            name="reference",
        )
    _axes(figure, pairs, values, theme, rows)
    return figure


def _axes(
    figure: go.Figure,
    pairs: Sequence[tuple[int, int]],
    values: Sequence[float],
    theme: Theme,
    rows: int,
) -> None:
    ground = GROUNDS[theme]
    names = [
        f"<b>{pair_name(widths)}</b>{'<br>equal widths' if widths[0] == widths[1] else ''}"
        for widths in pairs
    ]
    figure.update_xaxes(
        tickvals=list(range(len(pairs))),
        ticktext=names,
        range=[-0.5, len(pairs) - 0.4],
        fixedrange=True,
        tickfont={"size": SMALL, "color": ground.ink},
        tickangle=0,
    )
    low, high = padded(min([0.0, *values]), max([0.1, *values]), 0.04, 0.12)
    figure.update_yaxes(
        range=[low, high], fixedrange=True, nticks=6, zeroline=True, zerolinecolor=ground.grid
    )
    figure.add_annotation(
        text="<b>Barrier</b> (nats)",
        x=0,
        xref="paper",
        xanchor="left",
        xshift=-SIDE,
        y=1,
        yref="paper",
        yanchor="bottom",
        yshift=10,
        showarrow=False,
        font={"size": BODY, "color": ground.ink},
        name="heading",
    )
    figure.update_layout(
        margin={"l": SIDE, "r": 40, "t": TOP, "b": FOOT + rows},
        hovermode="closest",
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "yanchor": "top",
            "y": -FOOT / (figure.layout.height - TOP - FOOT - rows),
        },
    )
