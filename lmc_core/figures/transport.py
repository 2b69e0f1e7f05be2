"""A carried fine-tuning: its picture, caption and tables."""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.figures.panel import Picture, later, one
from lmc_core.figures.tables import Table
from lmc_core.figures.text import (
    Result,
    checked_sentence,
    classes_sentence,
    label_setting,
    method_title,
    notes,
    version_sentence,
)
from lmc_core.numbers import estimate, number

SOURCES = (
    "Task vectors: Ilharco et al. 2023; moved between models by permutations: Rinaldi et al. 2025."
)
FAVOURS = "these same examples, which favours it"


def find_shown(result: Result) -> int:
    """Return the place of the share that labels and sentences speak of: the best, or where that is
    0 the largest.
    """
    shares = result["shares"]
    return shares.index(result["best"]) if result["best"] else len(shares) - 1


def signed(value: float, error: float, unit: str = "") -> str:
    """Return a change with its standard error and its sign: "+0.02 ± 0.01 nats"."""
    text = estimate(value, error, unit)
    return f"+{text}" if value > 0 and text[:1].isdigit() else text


def change_at(task: Result, name: str, place: int, unit: str = "") -> str:
    """Return the change of the loss on a task at the share of that place, in words.

    Args:
        task: one of the ``tasks`` of a result.
        name: ``moved`` or ``unmoved``.
        place: of the share.
        unit: of the loss.
    """
    found = task[name]
    return signed(found["change"][place], found["change_stderr"][place], unit)


def tuned_words(task: Result, unit: str = "") -> str:
    """Return the change of the loss of the target fine-tuned itself; a dash where that is not
    known.
    """
    tuned = task["tuned"]
    return signed(tuned["change"], tuned["change_stderr"], unit) if tuned else "\u2013"


def recovered_words(result: Result) -> str:
    """Return the share of the gain that was recovered, "11 ± 1 %"; a dash where it is not known."""
    if result["recovered"] is None:
        return "\u2013"
    return estimate(100 * result["recovered"], 100 * result["recovered_stderr"], "%")


def transport_finding(result: Result) -> str:
    """Return what carrying the fine-tuning over gained and cost, in one sentence with numbers."""
    place, target, (first, *others) = find_shown(result), result["models"][2], result["tasks"]
    share, task = f"{result['shares'][place]:g}", first["name"]
    said = f"A share of {share} of the moved difference changes the loss of {target} on {task} by"
    if not result["best"]:
        said = (
            f"No share of the moved difference lowers the loss of {target} on {task}: {share} of "
            "it changes it by"
        )
    gain = ""
    if result["best"] and result["recovered"] is not None:
        gain = f" ({recovered_words(result)} of what fine-tuning {target} itself gains)"
    moved, unmoved = change_at(first, "moved", place, "nats"), change_at(first, "unmoved", place)
    own = "".join(
        f"; on {each['name']}, its own task, by {change_at(each, 'moved', place)}"
        for each in others
    )
    return f"{said} {moved}{gain}, unmoved by {unmoved}{own}."


def transport_headline(result: Result) -> tuple[str, float]:
    """Return the change at the best share, moved and unmoved."""
    place, first = find_shown(result), result["tasks"][0]
    moved, unmoved = (change_at(first, name, place) for name in ("moved", "unmoved"))
    words = (
        f"loss on {first['name']} {moved} nats with {result['shares'][place]:g} of the moved "
        f"difference, {unmoved} unmoved"
    )
    return words, float(first["moved"]["change"][place])


def choice_sentence(result: Result) -> str:
    """Return on which examples the best share was chosen."""
    choice, first = result["choice"], result["tasks"][0]
    where = f"{choice['examples']:,} examples of the {choice['split']} split"
    if choice["split"] == first["split"]:
        where = FAVOURS
    return f"The best share, {result['best']:g}, was chosen on {where}."


def transport_caption(result: Result) -> str:
    """Return a caption that would stand in a paper, in plain text."""
    base, tuned, target, *_ = result["models"]
    first, *others = result["tasks"]
    how = f"{method_title(result['method'])}: {classes_sentence(result['classes'])}"
    said = [
        f"Loss of {target} with shares of what the fine-tuning of {base} to {tuned} changed, moved "
        f"by the map that aligns {target} with {base} ({how}), and unmoved: the change from "
        f"{target} itself, example by example, on {first['examples']:,} examples of the "
        f"{first['split']} split of {first['name']}."
    ]
    said += [
        f"Below: the same on {each['examples']:,} examples of the {each['split']} split of "
        f"{each['name']}, the task of {target} itself, where a rise is what is forgotten."
        for each in others
    ]
    said.append("Bands: one standard error over examples.")
    if first["tuned"]:
        said.append(f"Dashed: {result['models'][3]}, which is {target} fine-tuned itself.")
    said.append(choice_sentence(result))
    if result["recovered"] is not None:
        said.append(
            f"It recovers {recovered_words(result)} of the gain of fine-tuning {target} itself."
        )
    cosine = result["cosine"]
    if cosine is not None:
        said.append(
            f"The difference has the Euclidean length {number(result['norm'])}, and moved the "
            f"cosine {cosine:.3f} with what it was."
        )
    said += [checked_sentence([result["function_error"]]).strip(), *notes([result]), SOURCES]
    return " ".join(filter(None, [*said, version_sentence(result)]))


def transport_table(result: Result) -> Table:
    """Return what came out at the best share, one row for each task."""
    place = find_shown(result)
    rows = [
        (
            task["name"],
            f"{result['shares'][place]:g}",
            change_at(task, "moved", place),
            change_at(task, "unmoved", place),
            tuned_words(task),
            recovered_words(result) if not row else "\u2013",
        )
        for row, task in enumerate(result["tasks"])
    ]
    header = ("Task", "Share", "Moved (nats)", "Unmoved (nats)", "Fine-tuned itself (nats)")
    return Table.of((*header, "Recovered"), rows)


def transport_numbers(result: Result) -> Table:
    """Return every point of the figure, one row each."""
    names = ("loss", "loss_stderr", "change", "change_stderr")
    rows: list[tuple[object, ...]] = []
    for task in result["tasks"]:
        head = task["name"], task["split"]
        for name in ("moved", "unmoved"):
            columns = zip(result["shares"], *(task[name][each] for each in names), strict=True)
            rows += [(*head, name, *point) for point in columns]
        if tuned := task["tuned"]:
            rows.append((*head, "fine-tuned itself", None, *(tuned[each] for each in names)))
    return Table.of(("task", "split", "difference", "share", *names), rows)


def _label(results: Sequence[Result]) -> list[str]:
    """What tells carried fine-tunings apart: what was carried where, and by which method."""
    return [
        f"{each['models'][1]} to {each['models'][2]}, {label_setting(each)}" for each in results
    ]


PICTURE = Picture(
    name="Carried fine-tuning",
    draw=later("lmc_core.figures.transport_drawing:draw"),
    caption=one(transport_caption),
    summary=one(transport_table),
    numbers=one(transport_numbers),
    headline=transport_headline,
    finding=lambda results, labels: transport_finding(results[0]),
    labels=_label,
)
