"""The loss over two entries of gamma as a map, with the way that both went during the training."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import Run
from lmc_core.equivariance.figures.setting import EMPTY, Drawing, ending
from lmc_core.figures.landscape import LEVELS, TICKS
from lmc_core.figures.layout import bar_title, write
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, faint, loss_scale
from lmc_core.figures.tables import Table
from lmc_core.numbers import number

# powers of ten that the scale of the plane spans at the least, so that what is flat looks flat
NARROW = 0.1
WAY = "#d55e00"  # the way of gamma on the map: seen on all its blues


def plane_figure(run: Run, theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw the loss over two entries of gamma as a map, with the way that gamma went.

    The map belongs to the weights at the end; the way is that of the whole training.

    Args:
        run: a finished one; before that the axes are empty and keep their place.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    figure = axes.new(theme, height or 520)
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return axes.nothing(figure, "The plane is measured at the end.", theme)
    across, up = (int(k) for k in run.facts["plane_layers"])
    values, loss = run.arrays["plane.value"], run.arrays["plane.loss"]
    gamma = run.trace("gamma")
    if across == up:
        return _one_layer(figure, run, across, theme)
    _map(figure, across, gamma, loss, up, values, theme)
    _marks(figure, gamma[-1, [across, up]], values, theme)
    names = run.layers
    figure.update_layout(
        margin={"l": 62, "r": 20, "t": 58, "b": 52},
        xaxis={"constrain": "domain"},
        yaxis={"constrain": "domain", "scaleanchor": "x"},
    )
    ends = [float(values[0]), float(values[-1])]
    common = {"range": ends, "showgrid": False, "fixedrange": True, "tickvals": _ticks(*ends)}
    figure.update_xaxes(title={"text": f"<b>\u03b3</b>, {names[across]}", "standoff": 8}, **common)
    figure.update_yaxes(
        title={"text": f"<b>\u03b3</b>, {names[up]}", "standoff": 6},
        constraintoward="top",
        **common,
    )
    return figure


def _map(
    figure: go.Figure,
    across: int,
    gamma: np.ndarray,
    loss: np.ndarray,
    up: int,
    values: np.ndarray,
    theme: Theme,
) -> None:
    """The map of the loss, and the way that gamma went on it."""
    ground = GROUNDS[theme]
    logs = np.log10(np.maximum(loss.T, 1e-9))
    low, high = float(logs.min()), float(max(logs.max(), logs.min() + NARROW))
    size = (high - low) / LEVELS
    figure.add_contour(
        x=values,
        y=values,
        z=logs,
        customdata=loss.T,
        colorscale=loss_scale(theme),
        zmin=low,
        zmax=high,
        name="loss",
        autocontour=False,
        contours={"start": low + size, "end": high - size / 2, "size": size, "coloring": "fill"},
        line={"width": 0.7, "color": faint(ground.ink, 0.35)},
        colorbar=_bar(10**low, 10**high, theme),
        hovertemplate="\u03b3 = %{x:.2f}, %{y:.2f}<br>loss %{customdata:.3g} nats<extra></extra>",
    )
    for colour, width in ((ground.paper, 6), (WAY, 3)):
        figure.add_scatter(
            x=gamma[:, across],
            y=gamma[:, up],
            mode="lines",
            line={"color": colour, "width": width},
            hoverinfo="skip",
            name="way",
            meta="halo" if width == 6 else "way",
        )


def _ticks(low: float, high: float) -> list[float]:
    step = 0.5 if high - low < 4 else 1.0
    return [float(v) for v in np.arange(np.ceil(low / step) * step, high + 1e-9, step)]


def _marks(figure: go.Figure, end: np.ndarray, values: np.ndarray, theme: Theme) -> None:
    """What is equivariant at 0, the start at 1, and the end of the way."""
    ground = GROUNDS[theme]
    zero, one, span = np.zeros(2), np.ones(2), float(values[-1] - values[0])
    marks = [
        (zero, "0 in both", "square"),
        (one, "start, 1 in both", "circle"),
        (end, "end", "circle"),
    ]
    if np.hypot(*(end - zero)) < 0.1 * span:
        marks = [(zero, "end, 0 in both", "square"), marks[1], (end, "", "circle")]
    elif np.hypot(*(end - one)) < 0.1 * span:
        marks = [marks[0], (one, "start and end", "circle"), (end, "", "circle")]
    for (x, y), text, symbol in marks:
        filled = text in ("", "end")
        figure.add_scatter(
            x=[x],
            y=[y],
            mode="markers",
            name=text or "end",
            hoverinfo="skip",
            meta="mark",
            marker={
                "size": 9 if filled else 13,
                "symbol": symbol,
                "color": WAY if filled else ground.paper,
                "line": {"width": 2, "color": ground.paper if filled else ground.ink},
            },
        )
        if text:
            anchor = "right" if x > 0.8 else "left" if x < values[0] + 0.2 * span else "center"
            write(
                figure,
                f"<b>{text}</b>",
                (x, y),
                (SMALL, ground.ink),
                name="mark",
                shift=({"right": 10, "left": -10}.get(anchor, 0), 20),
                xanchor=anchor,
                bgcolor=faint(ground.paper, 0.85),
                borderpad=2,
            )


def _bar(low: float, high: float, theme: Theme) -> dict[str, object]:
    """The scale of colours with losses in nats at its ticks."""
    room, inside = (high / low) ** 0.11, []
    for tick in TICKS:
        if max([low, *inside[-1:]]) * room < tick < high / room:
            inside.append(tick)
    shown = [low, *inside, high]
    return {
        "tickvals": [float(np.log10(v)) for v in shown],
        "ticktext": [number(v, digits=2) for v in shown],
        "tickangle": 0,
        "title": bar_title("loss (nats)"),
        "orientation": "h",
        "thickness": 12,
        "len": 1.0,
        "tickfont": {"size": SMALL, "color": GROUNDS[theme].muted},
        "x": 0.5,
        "xpad": 0,
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "ypad": 2,
        "outlinewidth": 0,
    }


def _one_layer(figure: go.Figure, run: Run, layer: int, theme: Theme) -> go.Figure:
    """The same of a network with one entry of gamma: the loss over it as a line."""
    (panel,) = axes.rows(figure, ["<b>Loss</b> (nats)"], theme, {"l": 56, "r": 24, "b": 48})
    values, loss = run.arrays["plane.value"], np.diagonal(run.arrays["plane.loss"])
    axes.limits(figure, panel, [loss], (0.0,))
    figure.add_scatter(
        x=values,
        y=loss,
        mode="lines",
        name="loss",
        line={"color": GROUNDS[theme].ink, "width": 2.5},
    )
    figure.update_xaxes(
        title={"text": f"<b>\u03b3</b>, {run.layers[layer]}", "standoff": 8},
        range=[values[0], values[-1]],
    )
    end = float(run.trace("gamma")[-1, layer])
    for at, text in ((0.0, "equivariant"), (1.0, "start"), (end, "end")):
        figure.add_vline(x=at, line={"color": GROUNDS[theme].muted, "width": 1, "dash": "dot"})
        write(
            figure,
            text,
            (at, 0 if text == "end" else 1),
            (BODY, GROUNDS[theme].ink),
            paper="y",
            anchor="left",
            yanchor="bottom" if text == "end" else "top",
        )
    return figure


def plane_caption(run: Run) -> str:
    """Return a caption of `plane_figure` that would stand in a paper."""
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return "The plane is measured at the end of the training."
    across, up = (run.layers[int(k)] for k in run.facts["plane_layers"])
    count, loss = len(run.arrays["plane.value"]), run.arrays["plane.loss"]
    examples = (
        f" on {run.facts['plane_examples']:,} held-out examples"
        if run.facts.get("plane_examples")
        else ", held out"
    )
    return (
        f"Loss{examples} over the shares \u03b3 of the {across} (across) and the {up} (up), "
        f"{count} by {count} points from {number(float(loss.min()))} to "
        f"{number(float(loss.max()))} nats, all other shares as they are at the end; the scale of "
        "colours is logarithmic. The map belongs to the weights at the end of the training, the "
        f"line shows where both shares went during it, from 1 in both to the dot. {ending([run])}"
    )


def plane_alt(run: Run) -> str:
    """Return what `plane_figure` shows in a sentence."""
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return EMPTY
    loss, values = run.arrays["plane.loss"], run.arrays["plane.value"]
    layers = [int(k) for k in run.facts["plane_layers"]]
    row, column = np.unravel_index(loss.argmin(), loss.shape)
    lowest = ", ".join(number(float(values[k]), digits=2) for k in (row, column))
    end = ", ".join(number(float(value), digits=2) for value in run.trace("gamma")[-1, layers])
    return (
        f"Map of the loss over \u03b3 of the {run.layers[layers[0]]} and the "
        f"{run.layers[layers[1]]}, from {number(float(loss.min()))} nats at ({lowest}) to "
        f"{number(float(loss.max()))}; \u03b3 went from (1, 1) to ({end})."
    )


def plane_table(run: Run) -> Table:
    """Return every number of the map of `plane_figure`."""
    if "plane.loss" not in run.arrays or "plane_layers" not in run.facts:
        return Table.of(("\u03b3", "loss (nats)"), ())
    names = [f"\u03b3, {run.layers[int(k)]}" for k in run.facts["plane_layers"]]
    values, loss = run.arrays["plane.value"].tolist(), run.arrays["plane.loss"].tolist()
    if names[0] == names[1]:
        return Table.of(
            (names[0], "loss (nats)"), ((value, loss[k][k]) for k, value in enumerate(values))
        )
    return Table.of(
        (*names, "loss (nats)"),
        (
            (one, other, loss[i][j])
            for i, one in enumerate(values)
            for j, other in enumerate(values)
        ),
    )


PLANE = Drawing("Two layers", plane_figure, plane_caption, plane_alt, plane_table)
