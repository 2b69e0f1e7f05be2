"""The curve of the loss between two models, with its barrier; the score below.

Conventions: `lam` is the weight of model B, so the left end is model A and the right end model B.
The bracket of a barrier runs from the chord to the curve where the excess is largest; below the
chord it points down and its number is negative. The shaded band is the chord plus the band that
holds the whole excess with 95 % confidence; of older results, one standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.barrier_lines import (
    EDGE,
    END,
    MANY,
    _array,
    _brackets,
    _edges,
    _ends,
    _loss_range,
    _score,
    bent_sentences,
    labelling,
    margin_labels,
    with_straight_lines,
)
from lmc_core.figures.chart import blank
from lmc_core.figures.export import CURVES, curve_rows
from lmc_core.figures.findings import barrier_finding
from lmc_core.figures.layout import heading, legend_row, name_ends, padded
from lmc_core.figures.margin import REACH, ROOM, MarginLabel, margin_width, write_margin_labels
from lmc_core.figures.panel import Picture, Stored, every
from lmc_core.figures.style import (
    BODY,
    GROUNDS,
    MEANINGS,
    Stroke,
    Theme,
    faint,
    find_meaning,
    strokes,
)
from lmc_core.figures.tables import Table
from lmc_core.figures.text import (
    Result,
    above_plain_words,
    barrier_words,
    certainty_words,
    checked_sentence,
    classes_sentence,
    imported_sentence,
    is_above_plain,
    label_results,
    method_title,
    notes,
    same_weights,
    version_sentence,
)
from lmc_core.numbers import number, percent, seconds

HEIGHT = 640  # pixels
# pixels: room for the panels' headings and for the models' names
TOP, BOTTOM, GAP, SIDE = 36, 64, 52, 56
SHARE = 0.66  # of the panels' height that the loss gets
NAMED = 10  # curves at the most that a caption names one by one
PAPER = 500  # pixels of height on paper


@dataclass(frozen=True)
class Axes:
    """What the axes say where there is no curve yet, and what they hold at least.

    Attributes:
        models: names of both.
        unit: of the loss.
        score: below the loss.
        split: of the data.
        loss: the smallest and the largest loss.
        scores: likewise.
    """

    models: tuple[str, str]
    unit: str
    score: str
    split: str
    loss: tuple[float, float]
    scores: tuple[float, float]

    @property
    def words(self) -> Result:
        """The entries of a result that axes are named by."""
        return {"unit": self.unit, "score": self.score, "split": self.split}


def barrier_figure(
    results: Sequence[Result],
    theme: Theme = "light",
    labels: Sequence[str] | None = None,
    height: int = HEIGHT,
    axes: Axes | None = None,
) -> go.Figure:
    """Draw loss and score of any number of results over one axis of lambda.

    Args:
        results: result dictionaries as `lmc_core.runs.kinds.barrier.compute` returns them.
        theme: ``light``, ``dark`` or ``paper``.
        labels: of the lines, in the order of the results.
        height: of the figure, in pixels; labels are placed for it.
        axes: of a picture that grows, so that they stay what they are.
    """
    figure = blank(theme, height)
    results, names = with_straight_lines(results, labels or label_results(results))
    labelled = labelling(names)
    foot = BOTTOM + labelled.legend_height
    inner = height - TOP - foot
    upper, lower = SHARE * (inner - GAP), (1 - SHARE) * (inner - GAP)
    domains = (1 - upper / inner, 1.0), (0.0, lower / inner)
    drawn = strokes(list(results), theme)
    beside = [] if labelled.legend else margin_labels(results, names, drawn)
    _axes(figure, results, theme, domains, foot, labelled.legend, axes)
    figure.update_layout(margin_r=margin_width(beside, EDGE))
    if not results:
        if axes is not None:
            _place_axes(figure)
        return figure
    limits = _loss_range(results, upper)
    if axes is not None:
        limits = min(limits[0], axes.loss[0]), max(limits[1], axes.loss[1])
    figure.update_yaxes(range=limits, selector={"anchor": "x"})
    figure.update_layout(legend_y=-(BOTTOM + 8) / inner)
    _chords(figure, results, theme)
    if len(results) > MANY:
        _thin(figure, results, names, theme)
        _ends(figure, results, theme)
        return figure
    for result, stroke in zip(results, drawn, strict=True):
        _band(figure, result, stroke)
    _lines(figure, results, drawn, labelled.entries, {each.name: each for each in beside})
    _ends(figure, results, theme)
    _brackets(figure, results, drawn)
    write_margin_labels(figure, beside, limits, upper, GAP + lower, END)
    return figure


def _place_axes(figure: go.Figure) -> None:
    """Draw both panels where there is nothing in them yet, as wide as with labels beside them."""
    figure.update_layout(margin_r=REACH + ROOM)
    for panel in ("", "2"):
        figure.add_scatter(
            x=[0.0],
            y=[None],
            xaxis=f"x{panel}",
            yaxis=f"y{panel}",
            hoverinfo="skip",
            showlegend=False,
        )


def _lines(
    figure: go.Figure,
    results: Sequence[Result],
    drawn: Sequence[Stroke],
    names: Sequence[str],
    beside: Mapping[str, MarginLabel],
) -> None:
    """Loss and score of every curve; a legend says their names where nothing is beside them."""
    for result, stroke, name in zip(results, drawn, names, strict=True):
        unit, score = str(result.get("unit", "nats")), str(result.get("score"))
        label = beside.get(name.replace("<br>", " "))
        entry = label.entry if label else ""
        _line(figure, result, result["loss"], stroke, name, "y", unit, not beside, entry)
        if (values := _score(result)) is not None:
            _line(figure, result, values, stroke, name, "y2", score, False)


def legend_height(names: Sequence[str]) -> int:
    """Return the pixels below the axis that the legend of curves of these names takes."""
    return labelling(names).legend_height


def _thin(figure: go.Figure, results: Sequence[Result], names: Sequence[str], theme: Theme) -> None:
    """Draw many curves as thin lines told apart by meaning alone; the one under the pointer says
    its name.
    """
    lines: list[dict[str, object]] = []
    named: set[str] = set()
    for result, name in zip(results, names, strict=True):
        meaning = find_meaning(result)
        look = MEANINGS[meaning]
        for axis, values in (("y", result["loss"]), ("y2", _score(result))):
            if values is None:
                continue
            share = axis == "y2" and result.get("score") == "accuracy"
            lines.append(
                {
                    "type": "scatter",
                    "x": list(result["lam"]),
                    "y": _array(values),
                    "mode": "lines",
                    "name": look.name,
                    "xaxis": "x" if axis == "y" else "x2",
                    "yaxis": axis,
                    "legendgroup": meaning,
                    "showlegend": axis == "y" and meaning not in named,
                    "line": {
                        "color": faint(look.colour(theme), 0.75),
                        "width": 1.5,
                        "dash": look.dash,
                    },
                    "hovertemplate": f"%{{y:{'.1%' if share else '.3f'}}}<extra>{name}</extra>",
                    "meta": {"key": result.get("key"), "panel": "loss" if axis == "y" else "score"},
                }
            )
        named.add(meaning)
    figure.add_traces(lines)
    figure.update_layout(hovermode="closest")


def _axes(
    figure: go.Figure,
    results: Sequence[Result],
    theme: Theme,
    domains: tuple[tuple[float, float], tuple[float, float]],
    foot: int,
    legend: bool,
    known: Axes | None,
) -> None:
    ground, (upper, lower) = GROUNDS[theme], domains
    first = results[0] if results else known.words if known else {}
    unit, score, split = (
        first.get("unit", "nats"),
        str(first.get("score", "accuracy")),
        first.get("split", "test"),
    )
    pairs = {tuple(r["models"]) for r in results} or ({known.models} if known else set())
    ends = next(iter(pairs)) if len(pairs) == 1 else ("model A", "model B")
    ticks = ["0", "0.25", "0.5<br>\u03bb", "0.75", "1"]
    common = {"range": [1 - END, END], "fixedrange": True}
    upright = {"fixedrange": True, "nticks": 6, "exponentformat": "power"}
    figure.update_layout(
        margin={"l": SIDE, "r": SIDE, "t": TOP, "b": foot},
        hovermode="x unified",
        xaxis={
            **common,
            "anchor": "y",
            "showticklabels": False,
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
        },
        xaxis2={
            **common,
            "anchor": "y2",
            "matches": "x",
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "ticktext": ticks,
            "tickangle": 0,
            "tickfont": {"size": BODY, "color": ground.ink},
            "hoverformat": ".3f",
        },
        yaxis={**upright, "domain": list(upper), "anchor": "x"},
        yaxis2={
            **upright,
            "domain": list(lower),
            "anchor": "x2",
            "tickformat": ".0%" if score == "accuracy" else None,
        },
        legend=legend_row(-0.14, "top"),
        showlegend=legend,
    )
    name_ends(figure, ends, theme, SIDE - 8, SIDE - 8, drop=22)
    for title, top in (
        (f"<b>Loss</b> ({split}, {unit})", upper[1]),
        (f"<b>{score.capitalize()}</b>", lower[1]),
    ):
        heading(figure, title, theme, y=top, left=-SIDE, up=10, align="left")
    _score_range(figure, results, known)


def _score_range(figure: go.Figure, results: Sequence[Result], known: Axes | None) -> None:
    """The range of the axis of scores, with room around what was measured; where nothing is, also
    that of losses.
    """
    if known is not None:
        figure.update_yaxes(range=known.loss, selector={"anchor": "x"})
        figure.update_yaxes(range=known.scores, selector={"anchor": "x2"})
    scores = [values for r in results if (values := _score(r)) is not None]
    if scores:
        flat = np.concatenate([_array(values) for values in scores])
        flat = flat[np.isfinite(flat)]
        if len(flat):
            low, high = padded(float(flat.min()), float(flat.max()), 0.2, 0.2)
            if known is not None:
                low, high = min(low, known.scores[0]), max(high, known.scores[1])
            figure.update_yaxes(range=[low, high], selector={"anchor": "x2"})


def _chords(figure: go.Figure, results: Sequence[Result], theme: Theme) -> None:
    """The chords, each once: alignment does not change the end models, so they nearly always
    coincide.
    """
    seen: list[tuple[float, float]] = []
    for result in results:
        ends = (float(_array(result["chord"])[0]), float(_array(result["chord"])[-1]))
        if any(np.allclose(ends, other, rtol=1e-3, atol=1e-6, equal_nan=True) for other in seen):
            continue
        seen.append(ends)
        figure.add_scatter(
            x=[0, 1],
            y=list(ends),
            mode="lines",
            name="chord",
            hoverinfo="skip",
            showlegend=False,
            xaxis="x",
            yaxis="y",
            line={"color": GROUNDS[theme].muted, "width": 1.5, "dash": "dash"},
        )


def _band(figure: go.Figure, result: Result, stroke: Stroke) -> None:
    if not result.get("loss_stderr"):
        return
    lam, loss, error = _array(result["lam"]), _array(result["loss"]), _array(result["loss_stderr"])
    low, high, name = loss - error, loss + error, "one standard error"
    if result.get("excess_low"):
        low, high = _edges(result)
        name = "95 % band of the whole curve"
    good = np.isfinite(low) & np.isfinite(high)
    lam, low, high = lam[good], low[good], high[good]
    figure.add_scatter(
        x=np.concatenate([lam, lam[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=faint(stroke.colour, 0.16),
        hoverinfo="skip",
        showlegend=False,
        name=name,
        xaxis="x",
        yaxis="y",
    )


def _line(
    figure: go.Figure,
    result: Result,
    values: Sequence[float],
    stroke: Stroke,
    name: str,
    axis: str,
    unit: str,
    legend: bool,
    entry: str = "",
) -> None:
    lam = list(result["lam"])
    is_share = unit == "accuracy"
    shown = [
        percent(v) if is_share else number(v, "" if axis == "y2" else unit) for v in _array(values)
    ]
    # markers tell lines apart in print; one at each point would hide the line
    every = max(1, len(lam) // 8)
    sizes = [7 if i % every == 0 or i == len(lam) - 1 else 0 for i in range(len(lam))]
    figure.add_scatter(
        x=lam,
        y=_array(values),
        mode="lines+markers",
        name=name,
        customdata=shown,
        xaxis="x" if axis == "y" else "x2",
        yaxis=axis,
        legendgroup=name,
        showlegend=legend,
        hovertemplate="%{customdata}<extra>" + name + "</extra>",
        line={"color": stroke.colour, "width": 2.5, "dash": stroke.dash},
        marker={"color": stroke.colour, "symbol": stroke.marker, "size": sizes},
        meta={"key": result.get("key"), "panel": "loss" if axis == "y" else "score"}
        | ({"entry": entry} if entry else {}),
    )


def barrier_caption(results: Sequence[Result], labels: Sequence[str] | None = None) -> str:
    """Return a caption for the curves that would stand in a paper, in plain text.

    Args:
        results: in the order of the figure.
        labels: of the lines; by default those of `label_results`.
    """
    if not results:
        return "No result yet."
    names = list(labels or label_results(results))
    first = results[0]
    pairs = list(dict.fromkeys(tuple(r["models"]) for r in results))
    between = " and ".join(f"from {a} to {b}" for a, b in pairs)
    points = sorted({len(r["lam"]) for r in results})
    counts = sorted({int(r["examples"]) for r in results})
    data = sorted({f"{r['split']} split of {r['task']}" for r in results})
    size = f" ({first['parameters']:,} parameters each)" if first.get("parameters") else ""
    bent = any(result.get("bent") for result in results)
    path = "straight lines and curves" if bent else "the straight line"
    sentences = [
        f"Loss and {first.get('score', 'score')} along {path} {between}{size}, on the "
        f"{', '.join(data)} ({' or '.join(f'{count:,}' for count in counts)} examples; "
        f"{' or '.join(str(count) for count in points)} values of \u03bb, the weight of the second "
        "model).",
        "The barrier is the largest excess of the loss over the chord between the end losses "
        f"(dashed), \u00b1 one standard error over examples; {_bands(results)}.",
    ]
    sentences += bent_sentences(results, names)
    sentences += dict.fromkeys(said for result in results for said in same_weights(result))
    for name, result in zip(names, results, strict=True):
        sentences += _describe_curve(name, result, results)
    errors = [
        r["function_error"]
        for r in results
        if r.get("function_error") is not None and not r.get("soft")
    ]
    if errors:
        sentences.append(
            "Before interpolation the aligned models give the same outputs as the originals: "
            f"largest relative difference {number(max(errors), digits=2)}."
        )
    about = [*sentences, *notes(results), version_sentence(first), imported_sentence(results)]
    return " ".join(filter(None, about))


def _describe_curve(name: str, result: Result, results: Sequence[Result]) -> list[str]:
    """What a caption says of one of its curves: how its ends were aligned, and its barrier."""
    how = "no alignment"
    if result.get("method", "none") != "none":
        how = f"{method_title(str(result['method']))}; {classes_sentence(result.get('classes'))}"
    where = number(result.get("barrier_lam"), digits=3)
    largest = (
        f", the largest value {number(result.get('barrier'))}" if result.get("at_zero") else ""
    )
    certain = f"; {words}" if (words := certainty_words(result)) else ""
    said = [f"{name} ({how}): {barrier_words(result)}{largest} at \u03bb = {where}{certain}."]
    if is_above_plain(result, results):
        said.append(f"This is {above_plain_words(result)}.")
    if soft := result.get("soft"):
        said.append(
            f"It leads to an average of rows, which is another function (relative difference "
            f"{number(soft['function_error'], digits=2)}): its loss is {number(soft['loss'])}, "
            f"that of {result['models'][1]} {number(soft['loss_of_b'])}, to which the chord runs."
        )
    return said


def _bands(results: Sequence[Result]) -> str:
    """What the shaded bands are, and what an error of text is taken over."""
    if not all(result.get("excess_low") for result in results):
        return "bands show one standard error"
    works = (
        " (of a text, over its works or blocks of neighbouring windows)"
        if results[0].get("score") == "perplexity"
        else ""
    )
    fitted = (
        "cross-fitted values are read on the half of the examples that did not choose their place"
    )
    band = (
        "shaded bands hold a whole curve with 95 % confidence, and at zero means that a band "
        "holds the chord everywhere"
    )
    return f"{band}{works}; {fitted}"


def _draw(
    found: Sequence[Stored], labels: Sequence[str], theme: Theme, height: int | None
) -> go.Figure:
    """Draw loss and score over one axis of lambda; a legend for many curves makes it taller."""
    tall = height or (PAPER if theme == "paper" else HEIGHT)
    results = [each.result for each in found]
    return barrier_figure(results, theme, labels, tall + legend_height(labels))


def curves_caption(results: Sequence[Result], labels: Sequence[str]) -> str:
    """Say what the curves are, as in a paper; of many it names the lowest and the highest, the
    table has all.
    """
    if len(results) <= NAMED:
        return barrier_caption(results, labels)
    order = sorted(range(len(results)), key=lambda i: results[i]["barrier"])
    low, high = order[0], order[-1]
    pairs = {tuple(result["models"]) for result in results}
    data = sorted({f"{result['split']} split of {result['task']}" for result in results})
    between = (
        " to ".join(next(iter(pairs)))
        if len(pairs) == 1
        else f"each of {len(pairs)} models to another"
    )
    return (
        f"Loss and {results[0].get('score', 'score')} along {len(results)} straight lines from "
        f"{between}, on the {', '.join(data)}. The barrier is the largest excess of the loss over "
        "the chord between the end losses (dashed), \u00b1 one standard error over examples. "
        f"Lowest: {labels[low]}, {barrier_words(results[low])}; highest: {labels[high]}, "
        f"{barrier_words(results[high])}; the table has all."
        f"{checked_sentence([result.get('function_error') for result in results])} "
        f"{version_sentence(results[0])}"
    )


def curves_summary(results: Sequence[Result], labels: Sequence[str]) -> Table:
    """Return one row for every curve: its barrier with error, and what was checked."""
    rows = []
    for label, result in zip(labels, results, strict=True):
        score = str(result.get("score", "score"))
        values = result.get(score) or [None]
        middle = values[len(values) // 2]
        shown = f"{percent(middle) if score == 'accuracy' else number(middle)} {score}"
        aligned = result.get("method", "none") != "none"
        row = (
            label,
            barrier_words(result, short=True),
            number(result.get("barrier_lam")),
            number(result.get("midpoint_loss")),
            shown,
            number(result.get("function_error"), digits=2),
            seconds((result.get("seconds") or {}).get("align") if aligned else None),
        )
        rows.append(row)
    middles = ("Midpoint loss", "Midpoint score")
    names = ("Setting", "Barrier", "at \u03bb", *middles, "Function check", "Time to align")
    return Table.of(names, rows)


def curves_table(results: Sequence[Result], labels: Sequence[str]) -> Table:
    """Return one row for every point of every curve."""
    scores = list(dict.fromkeys(str(result["score"]) for result in results))
    return Table.of((*CURVES, *scores), curve_rows(results, labels, scores))


PICTURE = Picture(
    name="Barrier",
    draw=_draw,
    caption=every(curves_caption),
    summary=every(curves_summary),
    numbers=every(curves_table),
    together=True,
    finding=barrier_finding,
)
