"""The ways to merge side by side: a dot for each in each frame, with the single models and the
ensemble as references.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, legend_row, padded, write
from lmc_core.figures.margin import broken
from lmc_core.figures.merge_rows import (
    ANYWHERE,
    BINS,
    MARK,
    Result,
    Row,
    best_row,
    find_score,
    find_unit,
    frame_stroke,
    kept_words,
    merged_rows,
    models_sentence,
    numbers_table,
    people_table,
    short_unit,
    shown,
    single_models,
)
from lmc_core.figures.panel import Picture, one
from lmc_core.figures.style import GROUNDS, MEANINGS, SMALL, Theme, faint
from lmc_core.figures.text import classes_sentence, notes, same_weights, version_sentence
from lmc_core.numbers import estimate, number

STEP = 12  # pixels between two frames of one method
BETWEEN = 10  # pixels between two methods
TOP, BOTTOM, LEFT, RIGHT = 104, 36, 148, 40  # pixels; two rows of legend fit above on a phone
HEADING = 36  # pixels above the plot where the heading stands
SAME = 1e-6  # relative difference below which two ways to merge gave the same
WIDE = 5.0  # ratio of the largest to the smallest value above which the axis is logarithmic
QUANTITIES = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "perplexity": "Perplexity",
    "ece": "Expected calibration error",
}
TICKS = (1, 1.5, 2, 3, 5, 7)


def merge_figure(
    results: Sequence[Result], task: str, quantity: str = "loss", theme: Theme = "light"
) -> go.Figure:
    """Draw one quantity of every way to merge, in every frame, with one standard error.

    Args:
        results: of merging the same models, one for each frame.
        task: that it was measured on.
        quantity: ``loss``, ``score`` (that of the task) or ``ece``.
        theme: ``light``, ``dark`` or ``paper``.
    """
    quantity = find_score(results, task) if quantity == "score" else quantity
    rows = [row for row in merged_rows(results, task) if row.checkpoint]
    frames = list(dict.fromkeys((row.frame, row.frame_title) for row in rows))
    merges = collapsed(rows, quantity)
    band = STEP * max(1, len(frames)) + BETWEEN
    figure = blank(theme, TOP + BOTTOM + band * max(1, len(merges)))
    log = _axis(figure, results, task, quantity, theme)
    figure.update_layout(
        margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        legend=legend_row(1 + (HEADING + 22) / (band * max(1, len(merges))), "bottom"),
        showlegend=True,
        yaxis={
            "range": [len(merges) - 0.5, -0.5],
            "tickvals": list(range(len(merges))),
            "ticktext": ["<br>".join(broken(title, LEFT - 16)) for _, title in merges],
            "tickfont": {"size": SMALL, "color": GROUNDS[theme].ink},
            "fixedrange": True,
        },
    )
    if not rows:
        return figure
    _references(figure, results, task, quantity, theme, log)
    places = {merge: rank for rank, (names, _) in enumerate(merges) for merge in names}
    drawn = {names[0] for names, _ in merges}
    for rank, (frame, title) in enumerate(frames):
        offset = (rank - (len(frames) - 1) / 2) * STEP / band
        chosen = [row for row in rows if row.frame == frame and row.merge in drawn]
        heights = [places[row.merge] + offset for row in chosen]
        if chosen:
            _dots(figure, chosen, heights, capitalised(title), quantity, theme)
    return figure


def collapsed(rows: Sequence[Row], quantity: str) -> list[tuple[tuple[str, ...], str]]:
    """Return the ways to merge in their order, those together that gave the same in every frame;
    each with what it is called.
    """
    values: dict[str, dict[str, float]] = {}
    titles: dict[str, str] = {}
    for row in rows:
        values.setdefault(row.merge, {})[row.frame] = row.numbers[quantity]
        alone = len(row.about.get("kept", (1, 2))) == 1
        titles[row.merge] = f"{row.marked} (kept one model)" if alone else row.marked
    groups: list[list[str]] = []
    for merge, own in values.items():
        for group in groups:
            first = values[group[0]]
            if own.keys() == first.keys() and all(
                math.isclose(own[frame], first[frame], rel_tol=SAME) for frame in own
            ):
                group.append(merge)
                break
        else:
            groups.append([merge])
    return [(tuple(group), ", ".join(titles[merge] for merge in group)) for group in groups]


def capitalised(text: str) -> str:
    """Return a text that begins with a capital."""
    return text[:1].upper() + text[1:]


def _dots(
    figure: go.Figure,
    rows: list[Row],
    heights: list[float],
    title: str,
    quantity: str,
    theme: Theme,
) -> None:
    stroke = frame_stroke(rows[0].frame, theme)
    figure.add_scatter(
        x=[row.numbers[quantity] for row in rows],
        y=heights,
        error_x={
            "array": [row.numbers[f"{quantity}_stderr"] for row in rows],
            "color": stroke.colour,
            "thickness": 1.5,
            "width": 4,
        },
        mode="markers",
        name=title,
        marker={
            "symbol": stroke.marker,
            "size": 11,
            "color": stroke.colour,
            "line": {"width": 2, "color": stroke.colour},
        },
        customdata=[[row.marked, shown(row.numbers, quantity)] for row in rows],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<extra>" + title + "</extra>",
        meta={"frame": rows[0].frame},
    )


def _axis(
    figure: go.Figure, results: Sequence[Result], task: str, quantity: str, theme: Theme
) -> bool:
    """The axis of values; returns whether it is logarithmic."""
    both = [*single_models(results, task), *merged_rows(results, task)]
    pairs = [(row.numbers[quantity], row.numbers[f"{quantity}_stderr"]) for row in both]
    pairs = [
        (value, error) for value, error in pairs if math.isfinite(value) and math.isfinite(error)
    ]
    values = [
        value + sign * error
        for value, error in pairs
        for sign in (-1, 0, 1)
        if value + sign * error > 0
    ]
    unit = {"loss": f" ({short_unit(results, task)})", "perplexity": ""}.get(quantity, " (%)")
    log = logarithmic(values, quantity)
    axis: dict[str, object] = {
        "fixedrange": True,
        "side": "bottom",
        "showgrid": True,
        "gridcolor": GROUNDS[theme].grid,
    }
    if log:
        ticks = [base * 10.0**power for power in range(-4, 8) for base in TICKS]
        ticks = [tick for tick in ticks if 0.85 * min(values) <= tick <= 1.15 * max(values)]
        axis |= {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
        axis["range"] = list(padded(math.log10(min(values)), math.log10(max(values)), 0.06, 0.06))
    elif values:
        axis |= {"range": list(padded(min(values), max(values), 0.08, 0.08)), "nticks": 6}
        if quantity in ("accuracy", "ece"):
            axis["tickformat"] = ".0%"
    figure.update_xaxes(axis)
    heading(
        figure,
        f"<b>{QUANTITIES[quantity]}</b>{unit}{(', logarithmic axis' if log else '')}",
        None,
        left=-LEFT + 8,
        up=HEADING,
    )
    return log


def logarithmic(values: Sequence[float], quantity: str) -> bool:
    """Whether values are so far apart that an axis of equal steps would hide the small ones."""
    return (
        quantity in ("loss", "perplexity")
        and bool(values)
        and min(values) > 0
        and max(values) / min(values) > WIDE
    )


def _references(
    figure: go.Figure, results: Sequence[Result], task: str, quantity: str, theme: Theme, log: bool
) -> None:
    """A band from the best to the worst of the models, a line for the ensemble."""
    ground = GROUNDS[theme]
    own = [
        row.numbers[quantity]
        for row in single_models(results, task)
        if "(ancestor)" not in row.title
    ]
    low, high = min(own), max(own)
    figure.add_vrect(
        x0=low,
        x1=high,
        fillcolor=faint(ground.muted, 0.22),
        line_width=0,
        layer="below",
        name="models",
    )
    for value in {low, high}:
        figure.add_vline(x=value, line={"color": ground.muted, "width": 1}, layer="below")
    labels = [((low * high) ** 0.5 if log else (low + high) / 2, "the models", ground.muted)]
    ensemble = next((row for row in merged_rows(results, task) if row.frame == ANYWHERE), None)
    if ensemble is not None:
        colour = MEANINGS["dual"].colour(theme)
        value = ensemble.numbers[quantity]
        figure.add_vline(
            x=value,
            line={"color": colour, "width": 2, "dash": "dot"},
            layer="below",
            name="ensemble",
        )
        labels.append((value, "ensemble", colour))
    for level, (value, text, colour) in enumerate(labels):
        write(
            figure,
            text,
            (math.log10(value) if log else value, 1),
            (SMALL, colour),
            name="reference",
            paper="y",
            anchor="bottom",
            shift=(None, 2 + 16 * level),
        )


def merge_alt(results: Sequence[Result], task: str, quantity: str = "loss") -> str:
    """What the figure shows, for those who do not see it."""
    quantity = find_score(results, task) if quantity == "score" else quantity
    best = best_row(results, task)
    if best is None:
        return "Empty axes of the ways to merge."
    found = (
        f"Best merged model: {best.title}, {best.frame_title}, {shown(best.numbers, 'loss')} "
        f"{short_unit(results, task)}"
    )
    return f"{QUANTITIES[quantity]} of every way to merge, by frame. {found}."


def merge_finding(results: Sequence[Result], task: str) -> str:
    """Return which merged model is best, beside the best of the models and the ensemble."""
    best = best_row(results, task)
    if best is None:
        return ""
    unit = short_unit(results, task)
    count = len(results[0]["models"])
    single = min(single_models(results, task)[:count], key=lambda row: row.numbers["loss"])
    words = (
        f"Best merged model: {best.title}, {best.frame_title}, {shown(best.numbers, 'loss')} "
        f"{unit}; best single model {shown(single.numbers, 'loss')}"
    )
    ensemble = next((row for row in merged_rows(results, task) if row.frame == ANYWHERE), None)
    return words + (f"; ensemble {shown(ensemble.numbers, 'loss')}." if ensemble else ".")


def merge_caption(results: Sequence[Result], task: str) -> str:
    """The caption of the dots: what was merged, how, on what, and what the marks are."""
    if not results:
        return "No result yet."
    first = results[0]
    examples = next(t["examples"] for t in first["tasks"] if t["name"] == task)
    frames = ", ".join(result["frame_title"] for result in results)
    sentences = [
        f"One model made of {models_sentence(results)}, on the {first['split']} split of {task} "
        f"({examples:,} examples), in the frames: {frames}.",
        "Bars are one standard error over examples; the band spans the single models.",
        *same_weights(first),
    ]
    weights = first["weights"]
    if max(weights) - min(weights) > 1e-9:
        sentences.append(f"Weights of the models: {', '.join(f'{w:.2f}' for w in weights)}.")
    rows = merged_rows(results, task)
    if any(row.ancestor for row in rows):
        sentences.append(_ancestor(first))
    if any(not row.checkpoint for row in rows):
        count = len(first["models"])
        sentences.append(
            "The ensemble is the mean of the models' probabilities; it keeps and runs all "
            f"{count} models."
        )
    best = best_row(results, task)
    if best is not None:
        loss = f"{shown(best.numbers, 'loss')} {short_unit(results, task)}"
        sentences.append(f"Best merged model: {best.title}, {best.frame_title}, {loss}.")
    return " ".join([*sentences, *kept_words(rows), *_ending(results)])


def _ancestor(result: Result) -> str:
    """What the methods that assume a common ancestor were given."""
    if result["ancestor"]:
        return f"{MARK} assumes a common ancestor: {result['ancestor']['name']}."
    if result["stand_in"] == "first":
        return (
            f"{MARK} assumes a common ancestor; there is none, and {result['models'][0]} "
            "stands in for it."
        )
    return (
        f"{MARK} assumes a common ancestor; there is none, and the mean of the models stands in "
        "for it, from which task arithmetic with equal weights gives the average."
    )


def _ending(results: Sequence[Result]) -> list[str]:
    """The calibration's bins, the function checks, the version."""
    first = results[0]
    found = [f"Calibration error: {BINS} bins of equal width."]
    errors = [max(r["function_errors"]) for r in results if r["function_errors"]]
    if errors:
        classes = next(classes_sentence(r["classes"]) for r in results if r["classes"])
        found.append(
            f"Moved by {classes}; the moved models give the same outputs as the originals: largest "
            f"relative difference {number(max(errors), digits=2)}."
        )
    return [*found, *notes(results), version_sentence(first)]


def merge_headline(result: Result) -> tuple[str, float | None]:
    """Return the loss of the best merged model."""
    best = best_row([result], _task(result))
    if best is None:
        return "\u2013", None
    unit = find_unit([result], _task(result)).split(" per ")[0]
    words = estimate(best.numbers["loss"], best.numbers.get("loss_stderr"), unit)
    return f"{best.title} {words}", float(best.numbers["loss"])


def _task(result: Result) -> str:
    return str(result["tasks"][0]["name"])


PICTURE = Picture(
    name="Merge",
    draw=lambda found, labels, theme, height: merge_figure(
        [found[0].result], _task(found[0].result), "loss", theme
    ),
    caption=one(lambda result: merge_caption([result], _task(result))),
    summary=one(lambda result: people_table([result], _task(result))),
    numbers=one(lambda result: numbers_table([result])),
    headline=merge_headline,
    finding=lambda results, labels: merge_finding(results[:1], _task(results[0])),
)
