"""What a matcher did until it stopped: its objective by visits, its loss by steps."""

from __future__ import annotations

import plotly.graph_objects as go

from lmc_core.figures.barrier import SIDE
from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, padded, write
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Stroke, Theme, strokes
from lmc_core.figures.text import Result
from lmc_core.numbers import number


def learning_figure(result: Result, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Draw the loss at the midpoint of both models over the steps of learning.

    The solid line is measured on examples of the training split that nothing is learned from, which
    choose what is kept (the dot); the thin one is the loss of the steps themselves, against what
    the end models predict or against labels.

    Args:
        result: of a method that learns; its ``found`` has a ``history`` of (step, loss of the
            steps, held-out loss).
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground, stroke = GROUNDS[theme], strokes([result], theme)[0]
    figure = blank(theme, height)
    history = list((result.get("found") or {}).get("history") or [])
    steps, trained, held = ([row[i] for row in history] for i in range(3))
    figure.add_scatter(
        x=steps[1:],
        y=trained[1:],
        mode="lines",
        line={"color": ground.muted, "width": 1.5},
        name="steps",
        hovertemplate="step %{x}: %{y:.3f} nats in the steps<extra></extra>",
    )
    figure.add_scatter(
        x=steps,
        y=held,
        mode="lines",
        line={"color": stroke.colour, "width": 2.5},
        name="held out",
        hovertemplate="step %{x}: %{y:.3f} nats, held out<extra></extra>",
    )
    if history:
        _kept(figure, history, stroke)
        figure.update_yaxes(
            range=padded(min(held + trained[1:]), max(held + trained[1:]), 0.08, 0.2)
        )
        write(
            figure,
            "solid: held out; thin: the steps' own",
            (1, 1),
            (SMALL, ground.muted),
            paper="xy",
            anchor="right top",
        )
    figure.update_xaxes(
        title={"text": "steps of learning", "standoff": 8}, tickformat="d", fixedrange=True
    )
    figure.update_yaxes(fixedrange=True, nticks=5)
    heading(figure, "<b>Loss at the midpoint</b> (training split, nats)", None, left=-SIDE, up=6)
    figure.update_layout(margin={"l": SIDE, "r": 40, "t": 36, "b": 52}, showlegend=False)
    return figure


def _kept(figure: go.Figure, history: list[list[float]], stroke: Stroke) -> None:
    """The step that was kept, as a dot with its loss."""
    best = min(history, key=lambda row: row[2])
    figure.add_scatter(
        x=[best[0]],
        y=[best[2]],
        mode="markers",
        marker={"size": 9, "color": stroke.colour},
        name="kept",
        hovertemplate="kept: step %{x}, %{y:.3f} nats<extra></extra>",
    )
    write(
        figure,
        f"<b>{number(best[2])}</b>",
        (best[0], best[2]),
        (BODY, stroke.colour),
        anchor="right bottom",
        shift=(None, 8),
    )


def objective_figure(result: Result, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Draw the matcher's objective after every visit of a space, as a share of the largest
    possible.

    Args:
        result: of a method other than ``none``.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground, stroke = GROUNDS[theme], strokes([result], theme)[0]
    figure = blank(theme, height)
    trace = list(result.get("objective") or [])
    before: float | None = result.get("objective_before")
    figure.add_scatter(
        x=list(range(len(trace))),
        y=trace,
        mode="lines+markers",
        line={"color": stroke.colour, "width": 2.5},
        marker={"size": 5},
        name="objective",
        hovertemplate="after %{x} visits: %{y:.4f}<extra></extra>",
    )
    if before is not None and trace:
        figure.add_hline(y=before, line={"color": ground.muted, "width": 1.5, "dash": "dash"})
        write(
            figure,
            f"nothing moved: {number(before)}",
            (1, before),
            (SMALL, ground.muted),
            paper="x",
            anchor="right bottom",
        )
        write(
            figure,
            f"<b>{number(trace[-1])}</b>",
            (len(trace) - 1, trace[-1]),
            (BODY, stroke.colour),
            anchor="right bottom",
            shift=(None, 4),
        )
        figure.update_yaxes(range=padded(min([before, *trace]), max(trace), 0.08, 0.2))
    figure.update_xaxes(
        title={"text": "visits of a space", "standoff": 8}, tickformat="d", fixedrange=True
    )
    figure.update_yaxes(fixedrange=True, nticks=5)
    heading(figure, "<b>Objective</b> (share of the largest possible)", None, left=-SIDE, up=6)
    figure.update_layout(margin={"l": SIDE, "r": 40, "t": 36, "b": 52}, showlegend=False)
    return figure
