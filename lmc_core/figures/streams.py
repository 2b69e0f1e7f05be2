"""How alike the residual streams of two models are: cosine before and after by layer, and CKA of
all pairs of layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.alignment import layer_tick, layer_title
from lmc_core.figures.chart import blank
from lmc_core.figures.heatmap import sequential
from lmc_core.figures.layout import heading, spread, write
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result
from lmc_core.numbers import number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.alignment import StreamNumbers

HEIGHT = 340  # pixels
WRITTEN = 10  # layers up to which the values are written into the cells
LABEL = 18  # pixels between two labels
STREAM_HEADER = ("read by", "tokens", "cosine before", "cosine after", "CKA", "CKA, unbiased")


def streams_figure(
    stream: StreamNumbers, colour: str, theme: Theme = "light", height: int = HEIGHT
) -> go.Figure:
    """Draw cosine before, cosine after and CKA over the layers that read the stream.

    Args:
        stream: its ``layers``, ``before``, ``after`` and ``cka``.
        colour: of what found the alignment.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground = GROUNDS[theme]
    figure = blank(theme, height)
    layers, spots = list(stream["layers"]), list(range(len(stream["layers"])))
    drawn = {
        "CKA": ("cka", ground.ink, "2px,4px", "triangle-up"),
        "cosine after": ("after", colour, "solid", "circle"),
        "cosine before": (
            "before",
            MEANINGS["plain"].colour(theme),
            MEANINGS["plain"].dash,
            "circle-open",
        ),
    }
    ends: list[tuple[str, str, float]] = []
    for name, (field, ink, dash, marker) in drawn.items():
        values = [np.nan if value is None else value for value in stream[field]]
        figure.add_scatter(
            x=spots,
            y=values,
            mode="lines+markers",
            name=name,
            line={"color": ink, "width": 2.5, "dash": dash},
            marker={"symbol": marker, "size": 8, "color": ink},
            customdata=[number(v) for v in values],
            hovertemplate="%{customdata}<extra>" + name + "</extra>",
        )
        if values and np.isfinite(values[-1]):
            ends.append((name, ink, float(values[-1])))
    known = [v for field in ("cka", "before", "after") for v in stream[field] if v is not None]
    low = min(-0.1, min(known, default=0) - 0.05)
    _labels(figure, ends, height, low)
    figure.update_layout(
        margin={"l": 44, "r": 108, "t": 32, "b": 40},
        showlegend=False,
        hovermode="x unified",
        xaxis={
            **_ticks(layers),
            "range": [-0.3, len(layers) - 0.7],
            "title": _title("read by block", theme),
        },
        yaxis={"range": [low, 1.05], "fixedrange": True, "nticks": 6},
    )
    heading(figure, "<b>Same layer of both models</b>", theme, up=6)
    return figure


def _labels(figure: go.Figure, ends: list[tuple[str, str, float]], height: int, low: float) -> None:
    """Names of the lines beside their ends."""
    scale = (height - 72) / (1.05 - low)
    wanted = [scale * (value - low) for _, _, value in ends]
    for (name, ink, value), level in zip(ends, spread(wanted, LABEL, 0, height - 72), strict=True):
        write(
            figure,
            f"<b>{name}</b>",
            (1, value),
            (SMALL, ink),
            name="label",
            paper="x",
            anchor="left",
            shift=(6, level - scale * (value - low)),
        )


def cka_figure(
    matrix: np.ndarray,
    layers: Sequence[str],
    models: Sequence[str],
    theme: Theme = "light",
    height: int = HEIGHT,
) -> go.Figure:
    """Draw the CKA of every layer of A with every layer of B.

    Args:
        matrix: `[layers, layers]`, rows are A's; NaN where two layers see different tokens.
        layers: that read the stream.
        models: names of A and B.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    figure = blank(theme, height)
    count = len(layers)
    values = np.asarray(matrix, dtype=np.float64)
    text = [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in values]
    _cells(figure, count, layers, text, values, theme)
    figure.update_layout(
        margin={"l": 56, "r": 8, "t": 32, "b": 40},
        xaxis={
            **_ticks(layers),
            "constrain": "domain",
            "constraintoward": "left",
            "title": _title(models[1], theme),
        },
        yaxis={
            **_ticks(layers),
            "showgrid": False,
            "autorange": "reversed",
            "scaleanchor": "x",
            "constrain": "domain",
            "constraintoward": "top",
            "title": _title(models[0], theme),
        },
    )
    heading(figure, "<b>Linear CKA, every layer with every layer</b>", theme, up=6)
    return figure


def _cells(
    figure: go.Figure,
    count: int,
    layers: Sequence[str],
    text: list[list[str]],
    values: np.ndarray,
    theme: Theme,
) -> None:
    """The cells, with their values where these can be read."""
    figure.add_heatmap(
        z=values,
        zmin=0,
        zmax=1,
        colorscale=sequential(theme),
        xgap=2,
        ygap=2,
        text=text if count <= WRITTEN else None,
        texttemplate="%{text}" if count <= WRITTEN else None,
        hoverongaps=False,
        name="CKA",
        showscale=count > WRITTEN,
        customdata=[
            [f"{layer_title(a)}, {layer_title(b).lower()}" for b in layers] for a in layers
        ],
        hovertemplate="%{customdata}: %{z:.3f}<extra></extra>",
        colorbar={
            "thickness": 10,
            "len": 1,
            "outlinewidth": 0,
            "nticks": 5,
            "tickfont": {"size": SMALL},
        },
    )


def _ticks(layers: Sequence[str]) -> dict[str, object]:
    every = -(-len(layers) // 16)
    shown = [k for k in range(len(layers)) if k % every == 0 or k == len(layers) - 1]
    return {
        "tickvals": shown,
        "ticktext": [layer_tick(layers[k]).replace("out", "head") for k in shown],
        "fixedrange": True,
        "showgrid": False,
        "tickangle": 0,
    }


def _title(words: str, theme: Theme) -> dict[str, object]:
    return {"text": words, "standoff": 4, "font": {"size": SMALL, "color": GROUNDS[theme].ink}}


def streams_caption(result: Result, stream: StreamNumbers) -> str:
    """A caption for the streams' figures."""
    a, b = result["models"]
    few = (
        " (one token of each example where a model reads no more)"
        if len(set(stream["tokens"])) > 1
        else ""
    )
    return (
        f"Residual streams of {a} and {b} as each layer reads them, on {max(stream['tokens']):,} "
        f"tokens{few} of {result['examples']:,} examples of the {result['split']} split of "
        f"{result['task']}. Linear CKA (Kornblith et al. 2019) does not depend on the coordinates, "
        "so no rotation changes it: it is what could be found. The cosine of both streams does, "
        "and is what was found."
    )


def streams_table(result: Result) -> Table:
    """The streams layer by layer."""
    rows = []
    for stream in result["streams"].values():
        columns = (
            stream[name] for name in ("layers", "tokens", "before", "after", "cka", "unbiased")
        )
        rows += [(layer_title(layer), *rest) for layer, *rest in zip(*columns, strict=True)]
    return Table.of(STREAM_HEADER, rows)
