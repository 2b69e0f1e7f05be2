"""The phase portrait: the multiplier of a layer over its gamma, from the start of a training to its
end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import Run, run_strokes
from lmc_core.equivariance.figures.setting import Drawing, ending, shorten
from lmc_core.equivariance.figures.trace import COLUMNS, _constraint
from lmc_core.figures.layout import padded, write
from lmc_core.figures.style import GROUNDS, SMALL, Stroke, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.numbers import number

SIDE, FOOT = 56, 48  # pixels
PIECES = 24  # of a line, each a little stronger than the one before


def phase_figure(
    runs: Sequence[Run], layer: int, theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw the multiplier of one layer over its gamma; lines grow stronger with time, from a ring
    to a dot.

    Where a run is led, a thin line says where it may rest: gamma = 0 for the equality form, lambda
    = rho |gamma| for the resilient one.

    Args:
        runs: those without a multiplier, or with fewer layers, are left out.
        layer: which entry of gamma.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    known = [
        run
        for run in runs
        if layer < len(run.layers) and run.form in ("equality", "resilient") and len(run.steps)
    ]
    labels = [run.label for run in known]
    ringing = any(run.period for run in known)
    tall = height or (440 if ringing else 360)
    figure = axes.new(theme, tall)
    if not known:
        return axes.nothing(
            figure,
            "No run with a multiplier: the constraint has the equality or the resilient form.",
            theme,
        )
    foot = FOOT + (0 if len(known) == 1 else axes.legend_height(labels))
    figure.update_layout(height=tall + foot - FOOT)
    heading = f"<b>\u03bb</b>, multiplier (nats), {known[0].layers[layer]}"
    (panel,) = axes.rows(figure, [heading], theme, {"l": SIDE, "r": 24, "b": foot})
    ways = [(run.trace("gamma")[:, layer], run.trace("multiplier")[:, layer]) for run in known]
    reach = axes.limits(figure, panel, [way[1] for way in ways], (0.0,), 0.1)
    spans = np.concatenate([way[0] for way in ways])
    low, high = padded(min(0.0, float(spans.min())), max(1.0, float(spans.max())), 0.06, 0.16)
    figure.update_layout(
        xaxis={
            "range": [low, high],
            "title": {"text": "<b>\u03b3</b>, share of the free part", "standoff": 8},
            "nticks": 7,
        }
    )
    _zeros(figure, theme)
    for run, way, stroke in zip(known, ways, run_strokes(known, theme), strict=True):
        _rest(figure, run, (low, high), reach, stroke.colour)
        _way(figure, run, way, stroke, theme)
    _point(figure, (1.0, 0.0), "start", "bottom", theme)
    if len(known) == 1:
        _point(
            figure,
            (float(ways[0][0][-1]), float(ways[0][1][-1])),
            "end" if known[0].finished else "now",
            "bottom",
            theme,
        )
    else:
        axes.legend(figure, FOOT, panel.pixels)
    return figure


def _zeros(figure: go.Figure, theme: Theme) -> None:
    """Lines at 0 of both axes."""
    for ends in (
        {"xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": 0, "y1": 0},
        {"yref": "paper", "y0": 0, "y1": 1, "xref": "x", "x0": 0, "x1": 0},
    ):
        figure.add_shape(
            type="line",
            layer="below",
            line={"color": GROUNDS[theme].muted, "width": 1},
            name="level",
            **ends,
        )


def _way(
    figure: go.Figure, run: Run, way: tuple[np.ndarray, np.ndarray], stroke: Stroke, theme: Theme
) -> None:
    """A line in pieces that grow stronger, with arrows on it; a ring at its start and a dot at its
    end.
    """
    gamma, multiplier = way
    last = len(gamma) - 1
    cuts = np.unique(np.linspace(0, last, min(PIECES, max(last, 1)) + 1).round().astype(int))
    for piece, (a, b) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        figure.add_scatter(
            x=gamma[a : b + 1],
            y=multiplier[a : b + 1],
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            name=run.label,
            line={"color": faint(stroke.colour, 0.3 + 0.7 * piece / PIECES), "width": 2.5},
            meta={"piece": piece},
        )
    for at in (last // 12, last // 4, last // 2, 3 * last // 4):
        _arrow(figure, gamma, multiplier, at, stroke.colour)
    figure.add_scatter(
        x=gamma,
        y=multiplier,
        mode="markers",
        marker={"size": 9, "opacity": 0},
        customdata=run.steps[: len(gamma)],
        showlegend=False,
        name=run.label,
        hovertemplate=f"<b>{run.label}</b><br>step %{{customdata}}: \u03b3 = %{{x:.3f}}, \u03bb = "
        f"%{{y:.3f}}<extra></extra>",
    )
    figure.add_scatter(
        x=gamma[-1:],
        y=multiplier[-1:],
        mode="markers",
        name=run.label,
        hoverinfo="skip",
        meta={"end": True},
        marker={
            "size": 11,
            "symbol": stroke.marker,
            "color": stroke.colour,
            "line": {"color": GROUNDS[theme].paper, "width": 1},
        },
    )


def _arrow(
    figure: go.Figure, gamma: np.ndarray, multiplier: np.ndarray, at: int, colour: str
) -> None:
    """A head that points along the way, where it moves at all."""
    if (
        at + 1 >= len(gamma)
        or np.hypot(gamma[at + 1] - gamma[at], multiplier[at + 1] - multiplier[at]) < 1e-3
    ):
        return
    tail = [each[at] + 0.8 * (each[at + 1] - each[at]) for each in (gamma, multiplier)]
    figure.add_annotation(
        x=gamma[at + 1],
        y=multiplier[at + 1],
        ax=tail[0],
        ay=tail[1],
        axref="x",
        ayref="y",
        text="",
        showarrow=True,
        arrowhead=2,
        arrowsize=1.1,
        arrowwidth=2,
        arrowcolor=colour,
        name="arrow",
    )


def _rest(
    figure: go.Figure, run: Run, span: tuple[float, float], reach: tuple[float, float], colour: str
) -> None:
    """Where the resilient form may rest, lambda = rho |gamma|, as far as the axes go."""
    price = float(run.facts.get("price") or 0)
    if run.form != "resilient" or not price:
        return
    for end in span:
        far = min(abs(end), reach[1] / price) * np.sign(end)
        figure.add_shape(
            type="line",
            xref="x",
            yref="y",
            x0=0,
            y0=0,
            x1=far,
            y1=price * abs(far),
            layer="below",
            name="rest",
            line={"color": faint(colour, 0.6), "width": 1, "dash": "dot"},
        )


def _point(
    figure: go.Figure, place: tuple[float, float], text: str, anchor: str, theme: Theme
) -> None:
    write(
        figure,
        f"<b>{text}</b>",
        (place[0], place[1]),
        (SMALL, GROUNDS[theme].ink),
        name="point",
        anchor="left",
        shift=(8, 8),
        yanchor=anchor,
    )


def phase_caption(runs: Sequence[Run], layer: int) -> str:
    """Return a caption of `phase_figure` that would stand in a paper."""
    known = [
        run for run in runs if layer < len(run.layers) and run.form in ("equality", "resilient")
    ]
    if not known:
        return "Neither an unconstrained nor a strictly equivariant run has a multiplier."
    rests = {
        "equality": "The equality form rests only at \u03b3 = 0, where \u03bb = \u2212dJ/d\u03b3; "
        "a closed orbit is a "
        "constraint that rings.",
        "resilient": "The resilient form rests on the dotted line \u03bb = \u03c1|\u03b3|.",
    }
    said = " ".join(text for form, text in rests.items() if any(run.form == form for run in known))
    return (
        f"Multiplier \u03bb over share \u03b3 of the free part, {known[0].layers[layer]}: each "
        "line starts at \u03b3 = 1, "
        f"\u03bb = 0 and grows stronger with time to the mark at its end. {said} {ending(known)}"
    )


def phase_alt(runs: Sequence[Run], layer: int) -> str:
    """Return what `phase_figure` shows in a sentence."""
    known = [
        r
        for r in runs
        if layer < len(r.layers) and r.form in ("equality", "resilient") and len(r.trace("gamma"))
    ]
    if not known:
        return "Empty: no run with a multiplier."
    ends = "; ".join(
        f"{run.label} ends at \u03b3 {number(float(run.trace('gamma')[-1, layer]))}, \u03bb "
        f"{number(float(run.trace('multiplier')[-1, layer]))}"
        f"{' after turning around the origin' if run.period else ''}"
        for run in known
    )
    return shorten(
        f"Paths of \u03bb over \u03b3 from \u03b3 1, \u03bb 0, {known[0].layers[layer]}: {ends}."
    )


def phase_table(runs: Sequence[Run], layer: int) -> Table:
    """Return every number of `phase_figure`."""
    known = [run for run in runs if run.form in ("equality", "resilient")]
    return Table.of(COLUMNS[:5], (row[:5] for run in known for row in _constraint(run, layer)))


PHASE = Drawing("Phase portrait", phase_figure, phase_caption, phase_alt, phase_table)
