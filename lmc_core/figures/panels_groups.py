"""Results on several models as panels: ways to merge them, and their centre."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from lmc_core.figures import merge_words
from lmc_core.figures.merge import merge_figure
from lmc_core.figures.merge_matrix import matrix_figure
from lmc_core.figures.merge_rows import best_row, people_table, unit_of
from lmc_core.figures.panels_kinds import Found, Headline, Labels
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, notes, setting_label, version_sentence
from lmc_core.numbers import estimate, number


def _task(result: Result) -> str:
    return str(result["tasks"][0]["name"])


def draw_merge(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw the loss of every way to merge as dots."""
    return merge_figure([found[0].result], _task(found[0].result), "loss", theme)


def caption_merge(found: Found, labels: Labels) -> str:
    """Say what was merged."""
    return merge_words.merge_caption([found[0].result], _task(found[0].result))


def summary_merge(result: Result) -> Table:
    """Return one row for every way to merge, for people."""
    return people_table([result], _task(result))


def headline_merge(result: Result) -> Headline:
    """Return the loss of the best merged model."""
    best = best_row([result], _task(result))
    if best is None:
        return "\u2013", None
    unit = unit_of([result], _task(result)).split(" per ")[0]
    return (
        f"{best.title} {estimate(best.numbers['loss'], best.numbers.get('loss_stderr'), unit)}",
        float(best.numbers["loss"]),
    )


def caption_group(found: Found, labels: Labels) -> str:
    """Say what the centre of several models is worth."""
    result = found[0].result
    how = setting_label(
        str(result.get("method", "none")), result.get("classes"), result.get("largest")
    )
    errors = result.get("function_errors") or []
    checked = (
        f" Aligned models give the same outputs up to {number(max(errors), digits=2)} (relative)."
        if errors
        else ""
    )
    return (
        f"The mean of {', '.join(result['models'])} ({how}) on the {result['split']} split of "
        f"{result['task']} "
        f"({result['examples']:,} examples): {headline_group(result)[0]} above the mean loss of "
        "the models, \u00b1 one "
        f"standard error over examples. Matrix: the same for the middle of every pair.{checked} "
        f"{' '.join([*notes([result]), version_sentence(result)])}"
    )


def draw_group(found: Found, labels: Labels, theme: Theme, height: int | None) -> go.Figure:
    """Draw how far the middle of every two models lies above them."""
    result = found[0].result
    return matrix_figure(
        {
            **result,
            "lines": {"barrier": result["midpoint_excess"], "stderr": result["midpoint_stderr"]},
        },
        None,
        theme,
    )


def summary_group(result: Result) -> Table:
    """Return one row for each model, and one for the centre."""
    score = str(result["score"])
    rows: list[tuple[Any, ...]] = [
        (name, loss, value)
        for name, loss, value in zip(result["models"], result["losses"], result[score], strict=True)
    ]
    return Table.of(
        ("Model", "Loss", score),
        [*rows, ("their mean", result["centre_loss"], result.get(f"centre_{score}"))],
    )


def numbers_group(result: Result) -> Table:
    """Return how far the middle of every two models lies above them."""
    names = dict(enumerate(result["models"]))
    middle, error = result["midpoint_excess"], result["midpoint_stderr"]
    rows = [(names[i], names[j], middle[i][j], error[i][j]) for i in names for j in names if i < j]
    return Table.of(("model", "other model", "excess of their middle", "standard error"), rows)


def headline_group(result: Result) -> Headline:
    """Return how far the centre lies above the models."""
    value, unit = float(result["centre_excess"]), str(result.get("unit", "nats")).split(" per ")[0]
    return f"centre {estimate(value, result.get('centre_stderr'), unit)}", value
