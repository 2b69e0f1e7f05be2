"""Figures of the straight path from the projection to the trained network, and of the plane of two entries of gamma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures import equivariance_axes as axes
from lmc_core.figures.ends import name_ends
from lmc_core.figures.equivariance_data import Run, layer_strokes, strokes_of
from lmc_core.figures.landscape import LEVELS, TICKS, ramp
from lmc_core.figures.numbers import number
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Stroke, Theme, faint

RIGHT, FOOT = 52, 58  # pixels; the ticks of the vertical axes are on the right, so that labels stand where the lines differ
ENDS = ("projection", "trained network")
NARROW = 0.1  # powers of ten that the scale of the plane spans at the least, so that what is flat looks flat
WAY = "#d55e00"  # the way of gamma on the map: seen on all its blues


@dataclass(frozen=True)
class Line:
    """One path.

    Attributes:
        name: for its label.
        share: `[t]`, 0 at the projection and 1 at the network.
        loss: `[t]`, held out, in nats.
        stderr: `[t]`, one standard error.
        accuracy: `[t]`.
    """

    name: str
    share: np.ndarray
    loss: np.ndarray
    stderr: np.ndarray
    accuracy: np.ndarray


def lines_of(run: Run) -> list[tuple[int, Line]]:
    """Return the paths of a run with the steps at which they were measured; none where nothing is recorded yet."""
    names = [f"path.{name}" for name in ("step", "share", "loss", "stderr", "accuracy")]
    if any(name not in run.arrays for name in names):
        return []
    steps, share, *rest = (run.arrays[name] for name in names)
    return [(int(step), Line(_when(int(step), run), share, *(each[row] for each in rest))) for row, step in enumerate(steps)]


def _when(step: int, run: Run) -> str:
    return "start" if step == 0 else "end" if step == run.total else f"step {step:,}"


def paths_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw loss and accuracy from the projection to the network, one line a run, at the last step that was measured.

    Args:
        runs: those without a path are left out.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    known = [(run, found[-1][1]) for run in runs if (found := lines_of(run))]
    lines = [Line(run.label, line.share, line.loss, line.stderr, line.accuracy) for run, line in known]
    split = str(known[0][0].facts.get("split", "held out")) if known else "held out"
    return _paths(lines, strokes_of([run for run, _ in known], theme), split, theme, height)


def checkpoints_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the path of one run at the steps at which it was measured, from the start of the training to its end.

    Args:
        run: finished or not.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    lines = [line for _, line in lines_of(run)]
    return _paths(
        lines, layer_strokes(max(len(lines), 1), theme)[: len(lines)], str(run.facts.get("split", "held out")), theme, height
    )


def _paths(lines: Sequence[Line], strokes: Sequence[Stroke], split: str, theme: Theme, height: int | None) -> go.Figure:
    labels = [line.name for line in lines]
    at_line = axes.direct(labels)
    written = [axes.broken(label) for label in labels]
    foot = FOOT if at_line else FOOT + axes.legend_height(labels)
    figure = axes.new(theme, height or 470 + foot - FOOT)
    if not lines:
        return axes.nothing(figure, "No path has been measured yet.", theme)
    margin = {"l": axes.label_room(written, 64) if at_line else 24, "r": RIGHT, "b": foot}
    panels = axes.rows(figure, [f"<b>Loss</b> ({split}, nats)", "<b>Accuracy</b>"], theme, margin, (0.62, 0.38))
    for panel in panels:
        figure.update_layout({
            f"xaxis{panel.x[1:]}": {"range": [0, 1], "tickvals": [0, 0.25, 0.5, 0.75, 1]}, f"yaxis{panel.y[1:]}": {"side": "right"},
        })  # fmt: skip
    figure.update_layout({f"yaxis{panels[1].y[1:]}": {"tickformat": ".0%"}})
    for panel, field in zip(panels, ("loss", "accuracy"), strict=True):
        values = [getattr(line, field) for line in lines]
        reach = axes.limits(figure, panel, values, (0.0,) if field == "loss" else ())
        for line, stroke in zip(lines, strokes, strict=True):
            if field == "loss":
                _band(figure, line, stroke, panel)
            _line(figure, line, field, stroke, panel)
        if at_line:
            ends = [axes.Ended(t, s.colour, float(v[0])) for t, s, v in zip(written, strokes, values, strict=True)]
            axes.end_labels(figure, panel, ends, reach, "left")
    if not at_line:
        axes.legend(figure, labels, FOOT, panels[0].pixels + panels[1].pixels + axes.BETWEEN)
    name_ends(figure, ENDS, theme, 0 if not at_line else 40, RIGHT - 8)
    return figure


def _band(figure: go.Figure, line: Line, stroke: Stroke, panel: axes.Panel) -> None:
    figure.add_scatter(
        x=np.concatenate([line.share, line.share[::-1]]),
        y=np.concatenate([line.loss + line.stderr, (line.loss - line.stderr)[::-1]]), mode="lines", line={"width": 0},
        fill="toself", fillcolor=faint(stroke.colour, 0.14), hoverinfo="skip", showlegend=False, name="one standard error",
        **panel.axes,
    )  # fmt: skip


def _line(figure: go.Figure, line: Line, field: str, stroke: Stroke, panel: axes.Panel) -> None:
    shown = "%{y:.3f} nats" if field == "loss" else "%{y:.1%}"
    figure.add_scatter(
        x=line.share, y=getattr(line, field), mode="lines", name=line.name, showlegend=field == "loss", **panel.axes,
        line={"color": stroke.colour, "dash": stroke.dash, "width": 2.5}, meta={"panel": field},
        hovertemplate=f"<b>{line.name}</b><br>share %{{x:.2f}}: {shown}<extra></extra>",
    )  # fmt: skip


def plane_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the loss over two entries of gamma as a map, with the way that gamma went.

    The map belongs to the weights at the end; the way is that of the whole training.

    Args:
        run: a finished one; before that the axes are empty and keep their place.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    ground = GROUNDS[theme]
    figure = axes.new(theme, height or 520)
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return axes.nothing(figure, "The plane is measured at the end.", theme)
    across, up = (int(k) for k in run.facts["plane_layers"])
    values, loss = run.arrays["plane.value"], run.arrays["plane.loss"]
    gamma = run.trace("gamma")
    if across == up:
        return _one_layer(figure, run, across, theme)
    logs = np.log10(np.maximum(loss.T, 1e-9))
    low, high = float(logs.min()), float(max(logs.max(), logs.min() + NARROW))
    size = (high - low) / LEVELS
    figure.add_contour(
        x=values, y=values, z=logs, customdata=loss.T, colorscale=ramp(theme), zmin=low, zmax=high, name="loss", autocontour=False,
        contours={"start": low + size, "end": high - size / 2, "size": size, "coloring": "fill"},
        line={"width": 0.7, "color": faint(ground.ink, 0.35)}, colorbar=_bar(10**low, 10**high, theme),
        hovertemplate="\u03b3 = %{x:.2f}, %{y:.2f}<br>loss %{customdata:.3g} nats<extra></extra>",
    )  # fmt: skip
    for colour, width in ((ground.paper, 6), (WAY, 3)):
        figure.add_scatter(
            x=gamma[:, across], y=gamma[:, up], mode="lines", line={"color": colour, "width": width}, hoverinfo="skip", name="way",
            meta="halo" if width == 6 else "way",
        )  # fmt: skip
    _marks(figure, gamma[-1, [across, up]], theme)
    names = run.layers
    figure.update_layout(
        margin={"l": 62, "r": 20, "t": 58, "b": 52},
        xaxis={"constrain": "domain"},
        yaxis={"constrain": "domain", "scaleanchor": "x"},
    )
    ends = [float(values[0]), float(values[-1])]
    common = {"range": ends, "showgrid": False, "fixedrange": True, "tickvals": _ticks(*ends)}
    figure.update_xaxes(title={"text": f"<b>\u03b3</b>, {names[across]}", "standoff": 8}, **common)
    figure.update_yaxes(title={"text": f"<b>\u03b3</b>, {names[up]}", "standoff": 6}, constraintoward="top", **common)
    return figure


def _ticks(low: float, high: float) -> list[float]:
    step = 0.5 if high - low < 4 else 1.0
    return [float(v) for v in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]


def _marks(figure: go.Figure, end: np.ndarray, theme: Theme) -> None:
    """What is equivariant at 0, the start at 1, and the end of the way."""
    ground = GROUNDS[theme]
    marks = [((0.0, 0.0), "0 in both", "square"), ((1.0, 1.0), "start, 1 in both", "circle"), (tuple(end), "end", "circle")]
    if np.hypot(*end) < 0.15:
        marks = [((0.0, 0.0), "end, 0 in both", "square"), marks[1], (tuple(end), "", "circle")]
    elif np.hypot(*(end - 1)) < 0.15:
        marks = [marks[0], ((1.0, 1.0), "start and end", "circle"), (tuple(end), "", "circle")]
    for (x, y), text, symbol in marks:
        filled = text in ("", "end")
        figure.add_scatter(
            x=[x], y=[y], mode="markers", name=text or "end", hoverinfo="skip", meta="mark",
            marker={"size": 9 if filled else 13, "symbol": symbol, "color": WAY if filled else ground.paper, "line": {"width": 2, "color": ground.paper if filled else ground.ink}},
        )  # fmt: skip
        if text:
            figure.add_annotation(
                x=x, y=y, text=f"<b>{text}</b>", showarrow=False, yshift=20, font={"size": SMALL, "color": ground.ink},
                bgcolor=faint(ground.paper, 0.85), borderpad=2, name="mark",
            )  # fmt: skip


def _bar(low: float, high: float, theme: Theme) -> dict[str, object]:
    """The scale of colours with losses in nats at its ticks."""
    room, inside = (high / low) ** 0.11, []
    for tick in TICKS:
        if max([low, *inside[-1:]]) * room < tick < high / room:
            inside.append(tick)
    shown = [low, *inside, high]
    return {
        "tickvals": [float(np.log10(v)) for v in shown], "ticktext": [number(v, digits=2) for v in shown], "tickangle": 0,
        "title": {"text": "loss (nats)", "side": "top", "font": {"size": SMALL}}, "orientation": "h", "thickness": 12, "len": 1.0,
        "tickfont": {"size": SMALL, "color": GROUNDS[theme].muted}, "x": 0.5, "xpad": 0, "yref": "container", "y": 1,
        "yanchor": "top", "ypad": 2, "outlinewidth": 0,
    }  # fmt: skip


def _one_layer(figure: go.Figure, run: Run, layer: int, theme: Theme) -> go.Figure:
    """The same of a network with one entry of gamma: the loss over it as a line."""
    (panel,) = axes.rows(figure, ["<b>Loss</b> (nats)"], theme, {"l": 56, "r": 24, "b": 48})
    values, loss = run.arrays["plane.value"], np.diagonal(run.arrays["plane.loss"])
    axes.limits(figure, panel, [loss], (0.0,))
    figure.add_scatter(x=values, y=loss, mode="lines", name="loss", line={"color": GROUNDS[theme].ink, "width": 2.5})
    figure.update_xaxes(title={"text": f"<b>\u03b3</b>, {run.layers[layer]}", "standoff": 8}, range=[values[0], values[-1]])
    end = float(run.trace("gamma")[-1, layer])
    for at, text in ((0.0, "equivariant"), (1.0, "start"), (end, "end")):
        figure.add_vline(x=at, line={"color": GROUNDS[theme].muted, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=at, y=0 if text == "end" else 1, yref="paper", yanchor="bottom" if text == "end" else "top", text=text, xanchor="left",
            showarrow=False, font={"size": BODY, "color": GROUNDS[theme].ink},
        )  # fmt: skip
    return figure
