"""How alike every pair of coordinates is, before and after: two matrices on one scale, the
assignment drawn in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lmc_core.analysis.block_means import block_edge, block_means
from lmc_core.figures.alignment import copy_title, layer_title, space_title
from lmc_core.figures.chart import blank
from lmc_core.figures.layout import frame_cell, heading
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Theme
from lmc_core.figures.text import Result
from lmc_core.numbers import number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.requests.alignment import SpaceNumbers

MOST = 512  # rows and columns that are drawn; Plotly needs seconds for more
FRAMED = 64  # coordinates up to which each matched cell gets a frame; more get dots
WRITTEN = 8  # up to so many the values are written into the cells
GAP = 0.06  # between both matrices, as a share of the width
HEIGHT = 400  # pixels
BAR = 200  # pixels, of the scale
PANELS = ("before", "after")
COUNTED = ("units", "heads", "queries", "experts")  # kinds whose name is a plural
INVARIANT = ("heads", "experts")  # compared by the best that is within them: never negative


@dataclass(frozen=True)
class Matrices:
    """What is drawn of one space.

    Attributes:
        before: `[n, n]`, rows are coordinates of model A, columns those of model B.
        after: the same after the alignment, columns in the order of A.
        models: names of A and B.
        signed: whether values below 0 mean something: a diverging scale around 0, otherwise a
            sequential one from 0.
        assignment: which coordinate of B came to each place of A, `[n * edge]`. If given, `after`
            is drawn in B's own order with the matched cells marked.
        edge: coordinates that already share a row of the matrices.
    """

    before: np.ndarray
    after: np.ndarray
    models: Sequence[str]
    signed: bool = True
    assignment: np.ndarray | None = None
    edge: int = 1


def heatmap_figure(
    matrices: Matrices, panels: Sequence[str] = PANELS, theme: Theme = "light", height: int = HEIGHT
) -> go.Figure:
    """Draw both matrices side by side, or one of them with the scale of both.

    Args:
        matrices: what to draw.
        panels: ``before``, ``after`` or both.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    ground = GROUNDS[theme]
    figure = blank(theme, height)
    limit = find_limit(matrices.before, matrices.after)
    width = (1 - GAP * (len(panels) - 1)) / len(panels)
    for index, panel in enumerate(panels):
        own = panel == "after" and matrices.assignment is not None
        _matrix(figure, matrices, panel, index)
        if own:
            _assignment(figure, matrices, index, theme)
        left = index * (width + GAP)
        figure.update_layout(_axes(matrices, index, (left, left + width)))
        words = f"{panel.capitalize()}, B in its own order" if own else panel.capitalize()
        heading(figure, f"<b>{words}</b>", theme, x=left, up=6)
    figure.update_layout(
        margin={"l": 56, "r": 8, "t": 32, "b": 88},
        coloraxis={
            "colorscale": diverging(theme) if matrices.signed else sequential(theme),
            "cmin": -limit if matrices.signed else 0,
            "cmax": limit,
            "colorbar": {
                "orientation": "h",
                "thickness": 8,
                "len": BAR,
                "lenmode": "pixels",
                "outlinewidth": 0,
                "nticks": 5,
                "tickfont": {"size": SMALL, "color": ground.muted},
                "x": 0,
                "xanchor": "left",
                "xpad": 0,
                "y": 0,
                "yref": "container",
                "yanchor": "bottom",
                "ypad": 2,
            },
        },
    )
    return figure


def diverging(theme: Theme) -> list[list[float | str]]:
    """From orange over the ground to blue, for cosines around 0."""
    ground, low, high = (
        GROUNDS[theme].paper,
        MEANINGS["learned"].colour(theme),
        MEANINGS["orthogonal"].colour(theme),
    )
    return [[0.0, low], [0.5, ground], [1.0, high]]


def sequential(theme: Theme) -> list[list[float | str]]:
    """From the ground to blue, for magnitudes."""
    return [[0.0, GROUNDS[theme].paper], [1.0, MEANINGS["orthogonal"].colour(theme)]]


def find_limit(*matrices: np.ndarray) -> float:
    """The value at which the scale ends, the same for all: 1, or less where all values are far
    below.

    It is the 99.9th percentile of the magnitudes, or that of the diagonals where it is larger, so
    that single outliers do not make everything else pale.
    """
    sizes = [np.abs(np.asarray(m, dtype=np.float64)) for m in matrices]
    ends = [float(np.nanpercentile(m, 99.9)) for m in sizes if m.size]
    ends += [float(np.nanpercentile(np.diagonal(m), 90)) for m in sizes if m.size]
    return min(1.0, max(ends, default=1.0) or 1.0)


def _in_own_order(matrices: Matrices) -> np.ndarray:
    """Columns back where B had them; block means cannot be reordered and stay as they are."""
    if matrices.edge > 1 or matrices.assignment is None:
        return matrices.after
    own = np.empty_like(matrices.after)
    own[:, matrices.assignment] = matrices.after
    return own


def _axis(index: int, letter: str) -> str:
    return letter if index == 0 else f"{letter}{index + 1}"


def _matrix(figure: go.Figure, matrices: Matrices, panel: str, index: int) -> None:
    values = np.asarray(
        matrices.before if panel == "before" else _in_own_order(matrices), dtype=np.float32
    )
    step = matrices.edge * block_edge(len(values), MOST)
    small = len(values) <= WRITTEN
    a, b = matrices.models
    figure.add_heatmap(
        z=np.asarray(block_means(values, MOST), dtype=np.float32),
        x0=(step - 1) / 2,
        dx=step,
        y0=(step - 1) / 2,
        dy=step,
        xaxis=_axis(index, "x"),
        yaxis=_axis(index, "y"),
        coloraxis="coloraxis",
        zsmooth=False,
        name=panel,
        xgap=2 if small else 0,
        ygap=2 if small else 0,
        texttemplate="%{z:.2f}" if small else None,
        hovertemplate=f"{a}: %{{y}}<br>{b}: %{{x}}<br>%{{z:.3f}}<extra></extra>",
    )


def _assignment(figure: go.Figure, matrices: Matrices, index: int, theme: Theme) -> None:
    """A frame around every matched cell, or a dot where cells are too small for one."""
    assert matrices.assignment is not None
    ink, places = GROUNDS[theme].ink, [int(j) for j in matrices.assignment]
    x, y = _axis(index, "x"), _axis(index, "y")
    if len(places) <= FRAMED:
        for i, j in enumerate(places):
            frame_cell(figure, (x, y), j, i, {"color": ink, "width": 2}, "matched")
        return
    figure.add_scattergl(
        x=places,
        y=list(range(len(places))),
        mode="markers",
        marker={"size": 3, "color": ink, "opacity": 0.6},
        xaxis=x,
        yaxis=y,
        showlegend=False,
        name="matched",
        hovertemplate="%{y} of A and %{x} of B<extra></extra>",
    )


def _axes(matrices: Matrices, index: int, domain: tuple[float, float]) -> dict[str, object]:
    size = len(matrices.before) * matrices.edge
    ticks: dict[str, object] = {"tickvals": list(range(size))} if size <= 16 else {"nticks": 7}
    common = {"showgrid": False, "constrain": "domain", "tickformat": "d", **ticks}
    title = {"standoff": 4, "font": {"size": SMALL}}
    number = _axis(index, "")
    return {
        f"xaxis{number}": {
            **common,
            "domain": list(domain),
            "anchor": f"y{number}",
            "constraintoward": "left",
            "range": [-0.5, size - 0.5],
            "title": {"text": matrices.models[1], **title},
        },
        f"yaxis{number}": {
            **common,
            "anchor": f"x{number}",
            "range": [size - 0.5, -0.5],
            "scaleanchor": f"x{number}",
            "scaleratio": 1,
            "constraintoward": "top",
            "title": {"text": matrices.models[0] if index == 0 else "", **title},
            "showticklabels": index == 0,
        },
    }


def what_is_compared(entry: SpaceNumbers) -> str:
    """What a cell of a space's matrix is, in a sentence."""
    kind = entry["kind"]
    if kind == "heads":
        return (
            "Each cell compares a head of A with a head of B by the best that their planes can "
            "reach (and the order of the "
            "queries that share a key), so the planes do not matter; unrelated heads are above 0."
        )
    if kind == "experts":
        return (
            "Each cell compares an expert of A with an expert of B by the best order of their "
            "units and by their rows of the router; unrelated experts are above 0."
        )
    return (
        "Each cell is the cosine between a coordinate of A and one of B: of all parameters that "
        "write or read it, each layer weighted as in weight matching."
    )


def heatmap_caption(result: Result, entry: SpaceNumbers, copy: int, own: bool) -> str:
    """A caption for both matrices of a space.

    Args:
        result: of the alignment.
        entry: of the space.
        copy: which copy is drawn.
        own: whether the second matrix has B in its own order, with the assignment drawn in.
    """
    a, b = result["models"]
    where = layer_title(entry["layers"][0]) if len(entry["layers"]) == 1 else "all layers"
    place = f"{space_title(entry)}, {where.lower()}" + (
        f", {copy_title(entry, copy)}" if entry["within"] else ""
    )
    before, after = entry["before"][copy], entry["after"][copy]
    noun = entry["kind"] if entry["kind"] in COUNTED else "coordinates"
    order = f"After, {b} is in {a}'s coordinates."
    if own:
        order = f"After, columns are in {b}'s own order and the matched cells are marked."
    sentences = [
        f"{place[0].upper()}{place[1:]} ({entry['size']:,} {noun}): {a} in rows, {b} in columns, "
        "before and after the alignment, on one scale.",
        what_is_compared(entry),
        f"Before, both are as numbered in their own files, in canonical form. {order}",
        f"Mean of matched pairs: {number(before)} before, {number(after)} after.",
    ]
    if entry["edge"] > 1:
        sentences.append(
            f"Cells are means over blocks of {entry['edge']} x {entry['edge']} coordinates, so "
            "that a sharp diagonal looks faint."
        )
    if result.get("wider"):
        sentences.append(
            f"{result['wider']} is the wider; the other was widened to its size first, and what "
            "that leaves open has the wider model's values, which raises the cosines."
        )
    return " ".join(sentences)
