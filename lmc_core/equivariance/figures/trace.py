"""Figures of a training towards equivariance: the constraint of every layer, gamma of several runs,
losses and error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import Run, layer_strokes, run_strokes
from lmc_core.equivariance.figures.setting import EMPTY, NONE, WEIGHTS, Drawing, ending, shorten
from lmc_core.figures.layout import write
from lmc_core.figures.style import GROUNDS, SMALL, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.numbers import number

SIDE, FOOT = 56, 48  # pixels
ROW = 132  # pixels of a panel
ROUNDING = 1e-8  # errors of equivariance are drawn down to here; exact zeros too
HEADINGS = {
    "gamma": "<b>\u03b3</b>, share of the free part",
    "multiplier": "<b>\u03bb</b>, multiplier: what symmetry costs (nats)",
    "slack": "<b>u</b>, how far \u03b3 may stay from 0",
}
COLUMNS = ("run", "layer", "step", "\u03b3", "\u03bb (nats)", "u")


def constraint_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw gamma, the multiplier and (resilient form) the slack of every layer against the step.

    Where gamma of the equality form rings, the period of the oscillator that it is without the loss
    is marked.

    Args:
        run: finished or not; the axis of steps has its full length from the start.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default what the rows need.
    """
    names = {
        "equality": ["gamma", "multiplier"],
        "resilient": ["gamma", "multiplier", "slack"],
    }.get(run.form, ["gamma"])
    labels = [axes.broken(layer, 18) for layer in run.layers]
    row = max(ROW, axes.LINE * (len(labels) + 1))
    tall = height or axes.HEAD + FOOT + row * len(names) + axes.BETWEEN * (len(names) - 1)
    figure = axes.new(theme, tall)
    panels = axes.rows(
        figure,
        [HEADINGS[name] for name in names],
        theme,
        {"l": SIDE, "r": axes.label_room(labels, 64), "b": FOOT},
    )
    _steps(figure, run, panels)
    for name, panel in zip(names, panels, strict=True):
        values = run.trace(name)
        always = (0.0, 1.0) if name == "gamma" else (0.0,)
        above = 0.3 if name == "gamma" and run.period else 0.06
        reach = axes.limits(figure, panel, [values], always, above)
        _level(figure, panel, 0.0, theme)
        _lines(figure, run, values, panel, name, theme)
        if len(values):
            ends = zip(labels, layer_strokes(len(labels), theme), values[-1], strict=True)
            axes.end_labels(
                figure,
                panel,
                [axes.Ended(text, each.colour, float(v)) for text, each, v in ends],
                reach,
            )
    if run.period:
        _period(figure, run, panels[0], theme)
    return figure


def gammas_figure(
    runs: Sequence[Run], layer: int, theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw gamma of one layer for several runs on one axis.

    Args:
        runs: those with fewer layers are left out.
        layer: which entry of gamma.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    known = [run for run in runs if layer < len(run.layers)]
    labels = [run.label for run in known]
    at_line = axes.direct(labels)
    written = [axes.broken(label) for label in labels]
    foot = FOOT if at_line else FOOT + axes.legend_height(labels)
    figure = axes.new(theme, (height or 320) + foot - FOOT)
    where = f", {known[0].layers[layer]}" if known else ""
    margin = {"l": SIDE, "r": axes.label_room(written, 64) if at_line else 16, "b": foot}
    (panel,) = axes.rows(figure, [f"{HEADINGS['gamma']}{where}"], theme, margin)
    _steps(figure, max(known, key=lambda run: run.total, default=None), [panel])
    reach = axes.limits(figure, panel, [run.trace("gamma")[:, layer] for run in known], (0.0, 1.0))
    _level(figure, panel, 0.0, theme)
    ended = []
    for run, stroke, text in zip(known, run_strokes(known, theme), written, strict=True):
        values = run.trace("gamma")[:, layer]
        figure.add_scatter(
            x=run.steps,
            y=values,
            mode=axes.mode(values),
            name=run.label,
            line={"color": stroke.colour, "dash": stroke.dash, "width": 2.5},
            hovertemplate=f"<b>{run.label}</b><br>step %{{x}}: \u03b3 = %{{y:.3f}}<extra></extra>",
            **panel.axes,
            meta={"key": run.facts.get("key")},
        )
        if len(values):
            ended.append(axes.Ended(text, stroke.colour, float(values[-1])))
    if at_line:
        axes.end_labels(figure, panel, ended, reach)
    else:
        axes.legend(figure, FOOT, panel.pixels)
    return figure


def _steps(figure: go.Figure, run: Run | None, panels: Sequence[axes.Panel]) -> None:
    """The axis of steps, as long as the whole training."""
    total = run.total if run is not None and run.total else 1
    for panel in panels:
        figure.update_layout({f"xaxis{panel.x[1:]}": {"range": [0, total], "nticks": 7}})
    figure.update_layout(
        {
            f"xaxis{panels[-1].x[1:]}": {
                "title": {"text": "step of training", "standoff": 8},
                "tickformat": ",d",
            }
        }
    )


def _level(figure: go.Figure, panel: axes.Panel, value: float, theme: Theme) -> None:
    figure.add_shape(
        type="line",
        xref="paper",
        x0=0,
        x1=1,
        yref=panel.y,
        y0=value,
        y1=value,
        layer="below",
        line={"color": GROUNDS[theme].muted, "width": 1},
        name="level",
    )


def _lines(
    figure: go.Figure, run: Run, values: np.ndarray, panel: axes.Panel, name: str, theme: Theme
) -> None:
    letter = {"gamma": "\u03b3", "multiplier": "\u03bb", "slack": "u"}[name]
    for column, (layer, stroke) in enumerate(
        zip(run.layers, layer_strokes(len(run.layers), theme), strict=True)
    ):
        figure.add_scatter(
            x=run.steps[: len(values)],
            y=values[:, column],
            mode=axes.mode(values),
            name=layer,
            **panel.axes,
            line={"color": stroke.colour, "dash": stroke.dash, "width": 2.5},
            meta={"layer": column, "what": name},
            hovertemplate=f"<b>{layer}</b><br>step %{{x}}: {letter} = %{{y:.3g}}<extra></extra>",
        )


def _period(figure: go.Figure, run: Run, panel: axes.Panel, theme: Theme) -> None:
    """A bracket as long as the predicted period, above the first swing."""
    assert run.period is not None
    ink, at = GROUNDS[theme].ink, 1.12
    for x0, x1, y0, y1 in (
        (0, run.period, at, at),
        (0, 0, at - 0.06, at + 0.06),
        (run.period, run.period, at - 0.06, at + 0.06),
    ):
        figure.add_shape(
            type="line",
            xref=panel.x,
            yref=panel.y,
            x0=x0,
            x1=x1,
            y0=y0,
            y1=y1,
            line={"color": ink, "width": 1.5},
            name="period",
        )
    for k in range(1, int(run.total / run.period) + 1):
        figure.add_shape(
            type="line",
            xref=panel.x,
            yref=f"{panel.y} domain",
            x0=k * run.period,
            x1=k * run.period,
            y0=0,
            y1=1,
            line={"color": GROUNDS[theme].muted, "width": 1, "dash": "dot"},
            layer="below",
            name="period",
        )
    write(
        figure,
        f"predicted period, {number(run.period)} steps",
        (run.period / 2, at),
        (SMALL, ink),
        name="period",
        anchor="bottom",
        shift=(None, 2),
        xref=panel.x,
        yref=panel.y,
        bgcolor=faint(GROUNDS[theme].paper, 0.8),
    )


def constraint_caption(run: Run) -> str:
    """Return a caption of `constraint_figure` that would stand in a paper."""
    parts = {
        "equality": "its multiplier \u03bb, which sums up \u03b3 and so pushes it to 0",
        "resilient": "its multiplier \u03bb \u2265 0, and the slack u = \u03bb / \u03c1 within "
        "which |\u03b3| may stay",
    }
    rest = f", {parts[run.form]}," if run.form in parts else ""
    said = [
        f"The share \u03b3 of the free part of every layer{rest} during training, where the "
        f"weights are {WEIGHTS} (after Manolache, Chamon and Niepert 2025): \u03b3 = 0 is "
        "equivariant, \u03b3 = 1 the start."
    ]
    if run.form in ("free", "strict"):
        said.append(
            f"This form keeps \u03b3 at {'1' if run.form == 'free' else '0'}, so there is no "
            "multiplier."
        )
    if run.period is not None:
        said.append(
            "While the loss has no say, \u03b3 and \u03bb are an oscillator: marked is its period, "
            "2\u03c0 / \u221a(\u03b7\u03b7\u2032 \u2212 (\u03b7c / 2)\u00b2) = "
            f"{number(run.period)} steps for the primal rate \u03b7 and the dual rate \u03b7\u2032."
        )
    gamma, multiplier = run.trace("gamma"), run.trace("multiplier")
    if len(gamma) and run.form in parts:
        ends = zip(run.layers, gamma[-1], multiplier[-1], strict=True)
        said.append(
            "At the end: "
            + "; ".join(f"{n}, \u03b3 = {number(g)}, \u03bb = {number(m)}" for n, g, m in ends)
            + "."
        )
    return " ".join([*said, ending([run])])


def gammas_caption(runs: Sequence[Run], layer: int) -> str:
    """Return a caption of `gammas_figure` that would stand in a paper."""
    known = [run for run in runs if layer < len(run.layers)]
    if not known:
        return NONE
    ends = "; ".join(
        f"{run.label}: {number(float(run.trace('gamma')[-1, layer]))}"
        for run in known
        if len(run.steps)
    )
    return (
        f"The share \u03b3 of the free part, {known[0].layers[layer]}, during training; \u03b3 = 0 "
        f"is equivariant. At the end: {ends}. {ending(known)}"
    )


def constraint_alt(run: Run) -> str:
    """Return what `constraint_figure` shows in a sentence."""
    gamma, multiplier = run.trace("gamma"), run.trace("multiplier")
    if not len(gamma):
        return EMPTY
    ends = "; ".join(
        f"{name} at \u03b3 {number(float(g))}, \u03bb {number(float(m))}"
        for name, g, m in zip(run.layers, gamma[-1], multiplier[-1], strict=True)
    )
    rings = (
        f" \u03b3 swings with a period of about {number(run.period)} steps." if run.period else ""
    )
    steps = f"{int(run.steps[-1]):,} steps"
    return shorten(f"Lines of the constraint by layer over {steps}, {run.label}: {ends}.{rings}")


def gammas_alt(runs: Sequence[Run], layer: int) -> str:
    """Return what `gammas_figure` shows in a sentence."""
    known = [run for run in runs if layer < len(run.layers) and len(run.trace("gamma"))]
    if not known:
        return EMPTY
    ends = "; ".join(
        f"{run.label} ends at {number(float(run.trace('gamma')[-1, layer]))}" for run in known
    )
    return shorten(f"Lines of \u03b3 over the steps, {known[0].layers[layer]}: {ends}.")


def constraint_table(run: Run) -> Table:
    """Return every number of `constraint_figure`."""
    return Table.of(
        COLUMNS, (row for layer in range(len(run.layers)) for row in _constraint(run, layer))
    )


def gammas_table(runs: Sequence[Run], layer: int) -> Table:
    """Return every number of `gammas_figure`."""
    return Table.of(COLUMNS[:4], (row[:4] for run in runs for row in _constraint(run, layer)))


def _constraint(run: Run, layer: int) -> Iterator[tuple[object, ...]]:
    if layer >= len(run.layers):
        return
    columns = [run.trace(name)[:, layer].tolist() for name in ("gamma", "multiplier", "slack")]
    for step, *values in zip(run.steps.tolist(), *columns, strict=False):
        yield (run.label, run.layers[layer], step, *values)


GAMMAS = Drawing(
    "γ of one layer, run by run", gammas_figure, gammas_caption, gammas_alt, gammas_table
)

CONSTRAINT = Drawing(
    "The constraint, layer by layer",
    constraint_figure,
    constraint_caption,
    constraint_alt,
    constraint_table,
)
