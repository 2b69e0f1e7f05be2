"""Captions of what was merged, in plain text that would stand in a paper."""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.figures.merge_rows import (
    MARK,
    Result,
    best_row,
    height_words,
    kept_words,
    merged_rows,
    short_unit,
    shown,
)
from lmc_core.figures.shared_weights import same_weights
from lmc_core.figures.text import classes_sentence, notes, version_sentence
from lmc_core.numbers import estimate, number

BINS = 15


def models_sentence(results: Sequence[Result]) -> str:
    """The models of some results, and their size."""
    first = results[0]
    names = first["models"]
    return f"{', '.join(names[:-1])} and {names[-1]} ({first['parameters']:,} parameters each)"


def merge_caption(results: Sequence[Result], task: str) -> str:
    """The caption of the dots: what was merged, how, on what, and what the marks are."""
    if not results:
        return "No result yet."
    first = results[0]
    examples = next(t["examples"] for t in first["tasks"] if t["name"] == task)
    frames = ", ".join(result["frame_title"] for result in results)
    sentences = [
        f"One model made of {models_sentence(results)}, on the {first['split']} split of {task} "
        f"({examples:,} examples), "
        f"in the frames: {frames}.",
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
        "for it, from which "
        "task arithmetic with equal weights gives the average."
    )


def _ending(results: Sequence[Result]) -> list[str]:
    """The calibration's bins, the function checks, the version."""
    first = results[0]
    found = [f"Calibration error: {BINS} bins of equal width."]
    errors = [max(r["function_errors"]) for r in results if r["function_errors"]]
    if errors:
        classes = next(classes_sentence(r["classes"]) for r in results if r["classes"])
        found.append(
            f"Moved by {classes}; the moved models give the same outputs as the originals: "
            "largest relative difference "
            f"{number(max(errors), digits=2)}."
        )
    return [*found, *notes(results), version_sentence(first)]


def triangle_caption(results: Sequence[Result]) -> str:
    """The caption of the triangles."""
    first = results[0]
    points = len(first["simplex"]["weights"])
    unit = str(first["unit"]).split(" per ")[0]
    tops = "; ".join(
        f"{r['frame_title']} "
        f"{estimate(r['simplex']['maximum'], r['simplex']['maximum_stderr'], unit)}"
        for r in results
    )
    return (
        f"Loss of the weighted averages of {models_sentence(results)}, on the {first['split']} "
        f"split of {first['task']}; "
        f"{points} mixtures were measured (dots), contours between them are linear, all on one "
        "scale. Corners are the models. "
        f"Largest excess over the plane through the corners: {tops}."
    )


def matrix_caption(results: Sequence[Result]) -> str:
    """The caption of the matrices."""
    first = results[0]
    inside = first["lines"]["points"] - 2
    heights = "; ".join(f"{r['frame_title']} {height_words(r)}" for r in results)
    return (
        "Barrier between every two models in nats: the largest excess of the loss over the chord "
        f"at {inside} "
        f"point{'s' if inside > 1 else ''} inside of each line, on the {first['split']} split of "
        f"{first['task']}, all on one "
        f"scale. The centre of all lies above the mean of the models by: {heights}."
    )
