"""Barriers between every two of some models as a matrix, for a figure that holds one or many; of
merged models on one scale before and after.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.merge_rows import Result, height_words
from lmc_core.figures.panel import Picture, one
from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, loss_scale, low_words
from lmc_core.figures.tables import Table
from lmc_core.figures.text import checked_sentence, notes, setting_label, version_sentence
from lmc_core.numbers import estimate, number

WRITTEN = 8  # models up to which values are written into the cells
BAR = 52  # pixels above the matrices for the scale of colours


@dataclass(frozen=True)
class PairMatrix:
    """Barriers between every two of some models.

    Attributes:
        names: of the models.
        values: in nats `[models, models]`; None where nothing was measured.
        stderr: their standard errors, where known.
    """

    names: Sequence[str]
    values: Sequence[Sequence[float | None]]
    stderr: Sequence[Sequence[float | None]] | None = None

    def words(self, row: int, column: int) -> str:
        """A barrier with its error; "" where there is none."""
        value = self.values[row][column]
        if value is None:
            return ""
        error = self.stderr[row][column] if self.stderr else None
        return estimate(value, error, "nats")


def draw_matrix(
    figure: go.Figure,
    matrix: PairMatrix,
    most: float,
    theme: Theme,
    index: int = 0,
    domain: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 1.0), (0.0, 1.0)),
    named: bool = True,
) -> None:
    """Draw a matrix into a figure, low barriers strong, on axes of its own.

    Args:
        figure: that it is drawn into.
        matrix: what to draw.
        most: where the scale ends, in nats, above 0.
        theme: ``light``, ``dark`` or ``paper``.
        index: of the matrix in the figure, from 0; the first brings the scale of colours.
        domain: its place, as shares of the width and of the height.
        named: whether names of models stand at the rows; else their numbers.
    """
    count, ending = len(matrix.names), str(index + 1) if index else ""
    numbers, edge = list(range(1, count + 1)), count + 0.5
    figure.add_heatmap(
        z=matrix.values,
        x=numbers,
        y=numbers,
        zmin=0,
        zmax=most,
        colorscale=loss_scale(theme),
        showscale=index == 0,
        colorbar=_bar(most, theme),
        xgap=2,
        ygap=2,
        text=[["" if v is None else number(v, digits=2) for v in row] for row in matrix.values],
        texttemplate="%{text}" if count <= WRITTEN else "",
        textfont={"size": BODY if count <= 5 else SMALL},
        customdata=[
            [f"{a} and {b}: {matrix.words(i, j)}" for j, b in enumerate(matrix.names)]
            for i, a in enumerate(matrix.names)
        ],
        hoverongaps=False,
        hovertemplate="%{customdata}<extra></extra>",
        xaxis=f"x{ending}",
        yaxis=f"y{ending}",
        name="barrier",
    )
    axis = {"showgrid": False, "fixedrange": True, "tickvals": numbers, "constrain": "domain"}
    labels = [f"{name}  {k}" if named else str(k) for k, name in enumerate(matrix.names, 1)]
    across, up = (list(each) for each in domain)
    below = {"domain": across, "anchor": f"y{ending}", "range": [0.5, edge]}
    left = {"domain": up, "anchor": f"x{ending}", "range": [edge, 0.5], "ticktext": labels}
    figure.update_layout({f"xaxis{ending}": {**axis, **below}, f"yaxis{ending}": {**axis, **left}})


def _bar(most: float, theme: Theme) -> dict[str, object]:
    """The scale of colours with its ends, which says which one is low."""
    return {
        "orientation": "h",
        "thickness": 8,
        "len": 180,
        "lenmode": "pixels",
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "xpad": 12,
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "ypad": 2,
        "outlinewidth": 0,
        "tickvals": [0, most],
        "ticktext": ["0", number(most, digits=2)],
        "tickfont": {"size": SMALL, "color": GROUNDS[theme].muted},
        "tickangle": 0,
        "title": {
            "text": f"barrier (nats), {low_words(theme)}",
            "side": "bottom",
            "font": {"size": SMALL},
        },
    }


def largest_barrier(results: Sequence[Result]) -> float:
    """The end of the scale that all matrices share, in nats; above 0."""
    values = [
        v
        for r in results
        for row in r["lines"]["barrier"]
        for v in row
        if v is not None and math.isfinite(v)
    ]
    return max([*values, 1e-3])


def matrix_figure(
    result: Result, most: float | None = None, theme: Theme = "light", height: int = 320
) -> go.Figure:
    """Draw the barriers between every two models of one frame.

    Args:
        result: of merging in one frame.
        most: where the scale ends, in nats; by default the largest of these.
        theme: ``light``, ``dark`` or ``paper``.
        height: of the figure, in pixels.
    """
    lines = result["lines"]
    matrix = PairMatrix(result["models"], lines["barrier"], lines["stderr"])
    figure = blank(theme, height)
    draw_matrix(figure, matrix, most or largest_barrier([result]), theme)
    figure.update_yaxes(scaleanchor="x")
    figure.update_layout(margin={"l": 132, "r": 8, "t": BAR + 12, "b": 28})
    return figure


def matrix_alt(result: Result) -> str:
    """What the matrix shows, for those who do not see it."""
    names, values = result["models"], result["lines"]["barrier"]
    pairs = [
        f"{names[i]} and {names[j]} {number(values[i][j])}"
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    return (
        f"Barriers between every two models in nats, {result['frame_title']}: {'; '.join(pairs)}."
    )


def matrix_caption(results: Sequence[Result]) -> str:
    """The caption of the matrices."""
    first = results[0]
    inside = first["lines"]["points"] - 2
    heights = "; ".join(f"{r['frame_title']} {height_words(r)}" for r in results)
    return (
        "Barrier between every two models in nats: the largest excess of the loss over the chord "
        f"at {inside} point{'s' if inside > 1 else ''} inside of each line, on the "
        f"{first['split']} split of {first['task']}, all on one scale. The centre of all lies "
        f"above the mean of the models by: {heights}."
    )


def centre_caption(result: Result) -> str:
    """Say what the centre of several models is worth."""
    how = setting_label(
        str(result.get("method", "none")), result.get("classes"), result.get("largest")
    )
    return (
        f"The mean of {', '.join(result['models'])} ({how}) on the {result['split']} split of "
        f"{result['task']} ({result['examples']:,} examples): {centre_headline(result)[0]} above "
        "the mean loss of the models, \u00b1 one standard error over examples. Matrix: the same "
        f"for the middle of every pair.{checked_sentence(result.get('function_errors') or [])} "
        f"{' '.join([*notes([result]), version_sentence(result)])}"
    )


def centre_summary(result: Result) -> Table:
    """Return one row for each model, and one for the centre."""
    score = str(result["score"])
    rows = list(zip(result["models"], result["losses"], result[score], strict=True))
    centre = ("their mean", result["centre_loss"], result.get(f"centre_{score}"))
    return Table.of(("Model", "Loss", score), [*rows, centre])


def centre_table(result: Result) -> Table:
    """Return how far the middle of every two models lies above them."""
    names = dict(enumerate(result["models"]))
    middle, error = result["midpoint_excess"], result["midpoint_stderr"]
    rows = [(names[i], names[j], middle[i][j], error[i][j]) for i in names for j in names if i < j]
    return Table.of(("model", "other model", "excess of their middle", "standard error"), rows)


def centre_headline(result: Result) -> tuple[str, float]:
    """Return how far the centre lies above the models."""
    value, unit = float(result["centre_excess"]), str(result.get("unit", "nats")).split(" per ")[0]
    return f"centre {estimate(value, result.get('centre_stderr'), unit)}", value


def centre_figure(result: Result, theme: Theme = "light") -> go.Figure:
    """Draw how far the middle of every two models lies above them."""
    lines = {"barrier": result["midpoint_excess"], "stderr": result["midpoint_stderr"]}
    return matrix_figure({**result, "lines": lines}, None, theme)


PICTURE = Picture(  # of several models and their centre
    name="Several models",
    draw=lambda found, labels, theme, height: centre_figure(found[0].result, theme),
    caption=one(centre_caption),
    summary=one(centre_summary),
    numbers=one(centre_table),
    headline=centre_headline,
)
