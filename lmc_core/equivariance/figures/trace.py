"""Figures of a training towards equivariance: the constraint of every layer, gamma of several runs,
losses and error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import BRANCHES, Run, layer_strokes, strokes_of
from lmc_core.equivariance.figures.phase import phase_figure
from lmc_core.figures.style import GROUNDS, SMALL, Theme, faint
from lmc_core.numbers import estimate, number

__all__ = ["constraint_figure", "gammas_figure", "losses_figure", "phase_figure"]

SIDE, FOOT = 56, 48  # pixels
ROW = 132  # pixels of a panel
ROUNDING = 1e-8  # errors of equivariance are drawn down to here; exact zeros too
HEADINGS = {
    "gamma": "<b>\u03b3</b>, share of the free part",
    "multiplier": "<b>\u03bb</b>, multiplier: what symmetry costs (nats)",
    "slack": "<b>u</b>, how far \u03b3 may stay from 0",
}


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
    for run, stroke, text in zip(known, strokes_of(known, theme), written, strict=True):
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


def losses_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw held-out and training loss with the free branch on and off, and the error of
    equivariance on a logarithmic axis.

    Args:
        run: finished or not.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    figure = axes.new(theme, height or axes.HEAD + FOOT + 3 * ROW + 2 * axes.BETWEEN)
    labels = [axes.broken(look.name, 12) for look in BRANCHES.values()]
    split = str(run.facts.get("split", "held-out"))
    headings = [
        f"<b>Loss, held out</b> ({split}, nats)",
        "<b>Loss, training</b> (nats)",
        "<b>Error of equivariance</b>",
    ]
    panels = axes.rows(
        figure,
        headings,
        theme,
        {"l": SIDE, "r": axes.label_room([*labels, "0.372 \u00b1 0.065"]), "b": FOOT},
    )
    _steps(figure, run, panels)
    loss, error = run.trace("loss"), np.maximum(run.trace("error"), ROUNDING)
    for panel, values, score in zip(
        panels, (loss[:, 2:], loss[:, :2], error), ("", "train_", None), strict=True
    ):
        shown = np.log10(values) if score is None else values
        reach = axes.limits(figure, panel, [shown], (-1.0, 0.0) if score is None else (0.0,))
        if score is None:
            axes.powers(figure, panel, reach)
        ended = []
        for column, (branch, look) in enumerate(BRANCHES.items()):
            colour = look.colour(theme)
            what = "error" if score is None else "nats"
            figure.add_scatter(
                x=run.steps,
                y=values[:, column],
                mode=axes.mode(values),
                name=look.name,
                **panel.axes,
                line={"color": colour, "width": 2.5, "dash": look.dash},
                meta={"branch": branch},
                hovertemplate=f"<b>{look.name}</b><br>step %{{x}}: %{{y:.3g}} "
                f"{what}<extra></extra>",
            )
            if len(values):
                end = (
                    number(float(run.trace("error")[-1, column]), digits=2)
                    if score is None
                    else number(float(values[-1, column]))
                )
                if score == "" and run.finished:
                    end = estimate(run.score(branch), run.score(branch, "stderr"))
                text = f"<b>{axes.broken(look.name, 12)}</b><br>{end}"
                ended.append(axes.Ended(text, colour, float(shown[-1, column])))
        axes.end_labels(figure, panel, ended, reach)
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
    figure.add_annotation(
        x=run.period / 2,
        y=at,
        xref=panel.x,
        yref=panel.y,
        yanchor="bottom",
        yshift=2,
        showarrow=False,
        name="period",
        text=f"predicted period, {number(run.period)} steps",
        font={"size": SMALL, "color": ink},
        bgcolor=faint(GROUNDS[theme].paper, 0.8),
    )
