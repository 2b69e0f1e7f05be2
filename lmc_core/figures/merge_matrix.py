"""The barriers between every two models as a matrix, on one scale before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.matrix import BAR, PairMatrix, draw_matrix
from lmc_core.figures.merge_rows import Result, height_words
from lmc_core.figures.panel import Picture, one
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import checked_sentence, notes, setting_label, version_sentence
from lmc_core.numbers import estimate, number


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
