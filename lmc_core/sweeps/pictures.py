"""The pictures of a sweep: barriers between every two models as matrices on one scale, and how they
are spread over the pairs, method beside method.
"""

from __future__ import annotations

import math
from pathlib import Path

import plotly.graph_objects as go

from lmc_core.errors import BadInput
from lmc_core.figures.chart import blank
from lmc_core.figures.drawing import draw
from lmc_core.figures.export import standalone_html
from lmc_core.figures.layout import heading
from lmc_core.figures.matrix import BAR, PairMatrix, draw_matrix
from lmc_core.figures.style import GROUNDS, Stroke, Theme, strokes
from lmc_core.numbers import estimate
from lmc_core.sweeps.result import Row, SweepResult
from lmc_core.sweeps.tables import describe_errors

ACROSS = 3  # matrices side by side
TALL, CELL, LINE = 92, 34, 26  # pixels around a matrix, of a cell, of a row of the spread
WIDTH = 1000  # pixels of an image
GAP, MARGIN = 0.05, 0.13  # between matrices, and left of the first, as shares of the width
ENDINGS = (".svg", ".pdf", ".png", ".html")


def matrices_figure(found: SweepResult, theme: Theme = "light") -> go.Figure:
    """Draw the barriers between every two models, one matrix for each row of the table.

    Args:
        found: a sweep over pairs.
        theme: ``light``, ``dark`` or ``paper``.

    Raises:
        BadInput: no pair has a result, or the sweep is over groups.
    """
    panels = [(row, *found.matrix(row)) for row in found.rows]
    if not panels or found.grouped:
        raise BadInput("A matrix of barriers needs a sweep over pairs with at least one result.")
    most = max([1e-3, *(v for *_, values in panels for line in values for v in line if v)])
    size = max(len(names) for _, names, _ in panels)
    lines = math.ceil(len(panels) / ACROSS)
    each = TALL + CELL * min(max(size, 4), 12)
    figure = blank(theme)
    across = min(ACROSS, len(panels))
    width = (1 - MARGIN - GAP * (across - 1)) / across
    for index, (row, names, values) in enumerate(panels):
        line, place = divmod(index, ACROSS)
        left = MARGIN + place * (width + GAP)
        top = 1 - line / lines
        span = (top - (each - 36) / (lines * each), top - 34 / (lines * each))
        named = index % ACROSS == 0
        domain = (left, left + width), span
        draw_matrix(figure, PairMatrix(names, values), most, theme, index, domain, named)
        words = f"{row.set}: {row.label}" if row.set else row.label
        heading(figure, f"<b>{words}</b>", theme, x=left, y=span[1], up=16)
    figure.update_layout(height=lines * each + BAR, margin={"l": 8, "r": 8, "t": 8 + BAR, "b": 8})
    return figure


def spread_figure(found: SweepResult, theme: Theme = "light") -> go.Figure:
    """Draw the barrier of every pair, row by row, with the mean and its standard error.

    Args:
        found: a sweep with at least one result.
        theme: ``light``, ``dark`` or ``paper``.
    """
    ground = GROUNDS[theme]
    figure = blank(theme, 90 + LINE * max(3, len(found.rows)))
    labels = [f"{row.set}: {row.label}" if row.set else row.label for row in found.rows]
    for row, label, stroke in zip(found.rows, labels, _find_strokes(found, theme), strict=True):
        cells = [cell for cell in found.list_cells(row) if cell.height is not None]
        figure.add_scatter(
            x=[cell.height for cell in cells],
            y=[label] * len(cells),
            mode="markers",
            marker={"size": 7, "color": stroke.colour, "opacity": 0.45, "symbol": stroke.marker},
            customdata=[" and ".join(cell.models) for cell in cells],
            hovertemplate="%{customdata}: %{x:.3g} nats<extra></extra>",
            name=label,
            showlegend=False,
        )
        mean = row.height
        figure.add_scatter(
            x=[mean.value],
            y=[label],
            error_x={"array": [mean.stderr or 0.0], "color": stroke.colour, "thickness": 2},
            mode="markers",
            marker={"size": 12, "color": stroke.colour, "symbol": stroke.marker,
                    "line": {"color": ground.paper, "width": 1.5}},
            hovertemplate=f"{estimate(mean.value, mean.stderr, 'nats')}<extra>mean</extra>",
            name=f"{label}, mean",
            showlegend=False,
        )  # fmt: skip
    what = "Height of the centre" if found.grouped else "Barrier"
    figure.update_xaxes(title=f"{what}, nats", rangemode="tozero", fixedrange=True)
    figure.update_yaxes(
        categoryorder="array", categoryarray=labels[::-1], fixedrange=True, automargin=True
    )
    figure.update_layout(margin={"l": 8, "r": 16, "t": 12, "b": 44})
    return figure


def _find_strokes(found: SweepResult, theme: Theme) -> list[Stroke]:
    """How each row is drawn: by its method, and for weight matching its classes."""
    results = []
    for row in found.rows:
        cell = found.list_cells(row)[0]
        results.append({"method": cell.matcher, "classes": cell.chosen})
    return strokes(results, theme)


def finding(found: SweepResult) -> str:
    """Return which row of the table is lowest, and which highest."""
    if not found.rows:
        return ""
    low, high = (pick(found.rows, key=lambda row: row.height.value) for pick in (min, max))
    what = "height of the centre" if found.grouped else "barrier"
    if low is high:
        return f"Mean {what}: {_tell(low)}."
    return f"Lowest mean {what}: {_tell(low)}; highest: {_tell(high)}."


def caption(found: SweepResult) -> str:
    """What the pictures show, for a paper."""
    what = "Height of the centre above the mean of its models" if found.grouped else "Barrier"
    states = f"{found.count('stored')} of {len(found.cells)} cells are stored."
    return (
        f"{what} in nats for {found.title}; all matrices on one scale, models numbered as named. "
        f"Large markers: means. {describe_errors(found)} {states}"
    )


def alternative_text(found: SweepResult) -> str:
    """What the pictures show, for those who do not see them."""
    said = [_tell(row) for row in found.rows]
    return f"{found.title}, means over {found.noun}: {'; '.join(said)}."


def _tell(row: Row) -> str:
    name = f"{row.set} {row.label}".strip()
    return f"{name} {estimate(row.height.value, row.height.stderr, 'nats')}"


def write_figure(found: SweepResult, path: Path) -> None:
    """Write the matrices (of groups the spread) as an image or a page.

    Raises:
        BadInput: the ending is none of those known.
        LmcError: images cannot be drawn here.
    """
    if path.suffix not in ENDINGS:
        raise BadInput(f"A figure ends in {', '.join(ENDINGS)}; {path.name!r} came.")
    make = spread_figure if found.grouped else matrices_figure
    if path.suffix == ".html":
        page = standalone_html(make(found), caption(found), [found.to_json()], title=found.title)
        path.write_text(page, encoding="utf-8")
        return
    ending = path.suffix[1:]
    (files,) = draw([make(found, "paper")], [ending], WIDTH, 300)  # type: ignore[list-item]
    path.write_bytes(files[ending])
