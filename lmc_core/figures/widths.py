"""The loss between models of unequal widths: its curves, and barriers by width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from lmc_core.figures.barrier import barrier_figure
from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, legend_row, padded, write
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Theme, find_meaning
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, barrier_words, version_sentence
from lmc_core.matching.methods import METHODS
from lmc_core.numbers import estimate, number

PADDED, EQUAL = "Padded with zeros", "Plain average"
HEIGHT = 430  # pixels of the curves
SIDE, TOP, FOOT = 56, 40, 56  # pixels
# pixels without the legend, and of one of its rows; on a phone every setting has one
TALL, ROW = 380, 22
STEP = 0.16  # between the marks of one pair, in units of the distance of two pairs


def label_method(method: str, equal: bool = False) -> str:
    """Return what a way to bring a narrow model into a wide one is called: "Padded with zeros".

    Args:
        method: ``none`` or a method.
        equal: whether both models are of one width.
    """
    if method == "none":
        return EQUAL if equal else PADDED
    return METHODS[method].label if method in METHODS else method


def setting_name(result: Result, equal: bool = False) -> str:
    """Return how a curve is called: "Padded with zeros", "Learned, 300 steps"."""
    name = label_method(str(result["method"]), equal)
    steps = (result.get("settings") or {}).get("steps")
    return f"{name}, {steps:,} steps" if steps else name


def pair_name(widths: Sequence[int]) -> str:
    """Return what a pair is by its widths: "48 in 96", or "96 and 96"."""
    narrow, wide = widths
    return f"{narrow} and {wide}" if narrow == wide else f"{narrow} in {wide}"


def curves_figure(
    results: Sequence[Result], theme: Theme = "light", height: int = HEIGHT
) -> go.Figure:
    """Draw loss and score along the line from the widened model to the wide one, for every way to
    match.

    Args:
        results: of one pair, as `lmc_core.runs.kinds.barrier.compute` returns them.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    return barrier_figure(results, theme, [setting_name(result) for result in results], height)


def against_figure(
    found: Mapping[tuple[int, int], Sequence[Result]],
    pairs: Sequence[tuple[int, int]],
    reference: Result | None = None,
    theme: Theme = "light",
    height: int | None = None,
) -> go.Figure:
    """Draw the barriers of several pairs, a column for each.

    Args:
        found: results by the widths of their pair.
        pairs: widths of all columns, in their order; those without results stay empty.
        reference: the plain average of two models of equal width, drawn as a line.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default so that there is room beside the legend.
    """
    ground = GROUNDS[theme]
    settings = list(
        dict.fromkeys(
            (str(r["method"]), setting_name(r)) for widths in pairs for r in found.get(widths, ())
        )
    )
    # as many as the page has ways to match, so that nothing moves when one comes
    rows = ROW * max(3, len(settings))
    figure = blank(theme, height or TALL + rows)
    for place, (method, name) in enumerate(settings):
        shift = (place - (len(settings) - 1) / 2) * STEP
        marks = [
            (index + shift, result, widths)
            for index, widths in enumerate(pairs)
            for result in found.get(widths, ())
            if setting_name(result) == name
        ]
        _marks(figure, marks, method, name, reference, theme)
    values = [r["barrier"] for results in found.values() for r in results]
    if reference is not None:
        values.append(reference["barrier"])
        figure.add_hline(
            y=reference["barrier"], line={"color": ground.muted, "width": 1.5, "dash": "dash"}
        )
        write(
            figure,
            f"plain average at equal width {number(reference['barrier'])}",
            (1, reference["barrier"]),
            (SMALL, ground.muted),
            name="reference",
            paper="x",
            anchor="right bottom",
        )
    _axes(figure, pairs, values, theme, rows)
    return figure


def _marks(
    figure: go.Figure,
    marks: list[tuple[float, Result, tuple[int, int]]],
    method: str,
    name: str,
    reference: Result | None,
    theme: Theme,
) -> None:
    """The barriers of one way to match, a mark for each."""
    meaning = MEANINGS[find_meaning(marks[0][1])]
    colour = meaning.colour(theme)
    figure.add_scatter(
        x=[x for x, _, _ in marks],
        y=[result["barrier"] for _, result, _ in marks],
        mode="markers+text",
        name=name,
        error_y={
            "type": "data",
            "array": [r["barrier_stderr"] for _, r, _ in marks],
            "thickness": 1.5,
            "width": 4,
        },
        marker={"color": colour, "symbol": meaning.marker, "size": 11},
        meta={"method": method},
        text=["" if r is reference else number(r["barrier"], digits=2) for _, r, _ in marks],
        textposition="middle right",
        textfont={"size": SMALL, "color": colour},
        cliponaxis=False,
        customdata=[
            [
                pair_name(widths),
                " \u2192 ".join(r["models"]),
                estimate(r["barrier"], r["barrier_stderr"], "nats"),
            ]
            for _, r, widths in marks
        ],
        hovertemplate="<b>%{customdata[0]}</b>, "
        + name
        + "<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    )


def _axes(
    figure: go.Figure,
    pairs: Sequence[tuple[int, int]],
    values: Sequence[float],
    theme: Theme,
    rows: int,
) -> None:
    ground = GROUNDS[theme]
    names = [
        f"<b>{pair_name(widths)}</b>{'<br>equal widths' if widths[0] == widths[1] else ''}"
        for widths in pairs
    ]
    figure.update_xaxes(
        tickvals=list(range(len(pairs))),
        ticktext=names,
        range=[-0.5, len(pairs) - 0.4],
        fixedrange=True,
        tickfont={"size": SMALL, "color": ground.ink},
        tickangle=0,
    )
    low, high = padded(min([0.0, *values]), max([0.1, *values]), 0.04, 0.12)
    figure.update_yaxes(
        range=[low, high], fixedrange=True, nticks=6, zeroline=True, zerolinecolor=ground.grid
    )
    heading(figure, "<b>Barrier</b> (nats)", theme, left=-SIDE, up=10)
    inner = float(str(figure.layout["height"])) - TOP - FOOT - rows
    figure.update_layout(
        margin={"l": SIDE, "r": 40, "t": TOP, "b": FOOT + rows},
        hovermode="closest",
        showlegend=True,
        legend=legend_row(-FOOT / inner, "top"),
    )


def curves_caption(results: Sequence[Result], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a caption for the curves that would stand in a paper, in plain text.

    Args:
        results: of the chosen pair.
        rows: of the catalogue, of the narrow and the wide model.
    """
    first = results[0]
    narrow, wide = rows
    said = "; ".join(
        f"{setting_name(r)}: {barrier_words(r)} at \u03bb = {number(r['barrier_lam'])}"
        for r in results
    )
    errors = [r["function_error"] for r in results if r["function_error"] is not None]
    check = (
        " Before interpolation the widened model gives the outputs of the narrow one, and the "
        f"moved one its own: largest relative difference {number(max(errors), digits=2)}."
        if errors
        else ""
    )
    return (
        f"Loss along the straight line from {narrow['name']} (width {narrow['width']}, "
        f"{narrow['parameters']:,} parameters), widened to the sizes of {wide['name']} (width "
        f"{wide['width']}, {wide['parameters']:,} parameters), to that model; {first['split']} "
        f"split of {first['task']}, {first['examples']:,} examples. Barriers, \u00b1 one standard "
        f"error: {said}.{check} {version_sentence(first, with_torch=False)}"
    )


def against_caption(results: Sequence[Result], reference: Result | None) -> str:
    """Return a caption for barriers of several pairs, in plain text."""
    if not results:
        return "No result yet."
    first = results[0]
    said = (
        " The dashed line is the barrier of the plain average of "
        f"{' and '.join(reference['models'])}, of equal width: {barrier_words(reference)}."
        if reference is not None
        else ""
    )
    return (
        "Barrier between a narrow model and a wide one by their widths, \u00b1 one standard error "
        "over "
        f"{first['examples']:,} examples of the {first['split']} split of {first['task']}.{said}"
    )


def curves_table(results: Sequence[tuple[tuple[int, int], Result]]) -> Table:
    """Return one row for each result; widths with each."""
    rows = [
        (
            pair_name(widths),
            " \u2192 ".join(result["models"]),
            setting_name(result, widths[0] == widths[1]),
            estimate(result["barrier"], result["barrier_stderr"]),
            number(result["barrier_lam"]),
            number(result["midpoint_loss"]),
            number(result["function_error"], digits=2),
        )
        for widths, result in results
    ]
    unit = str(results[0][1]["unit"]).split(" per ")[0] if results else "nats"
    header = (
        "Widths",
        "Models",
        "Matched",
        f"Barrier ({unit})",
        "at \u03bb",
        f"Midpoint loss ({unit})",
        "Function check",
    )
    return Table.of(header, rows)
