"""Results of merging, one for each frame, as rows: what was merged how, where, and what came out on
one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.figures.style import MEANINGS, Stroke, Theme
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result
from lmc_core.numbers import estimate, seconds, size

if TYPE_CHECKING:  # it loads torch
    from lmc_core.merging.numbers import MergeReport, Score

ANYWHERE = "any"  # the frame of what does not depend on it
MARK = "*"  # behind the name of what assumes a common ancestor
# by meaning, as for pairs: what is moved by weights is blue, what is learned has the colour of
# learning
FRAME_STROKES = {
    "none": ("plain", "circle"),
    "reference": ("orthogonal", "diamond-open"),
    "universe": ("orthogonal", "diamond"),
    "learned": ("learned", "cross"),
}
BINS = 15


@dataclass(frozen=True)
class Row:
    """One way to merge in one frame, or one model by itself.

    Attributes:
        frame: name of the frame; `ANYWHERE` for single models and the ensemble.
        frame_title: of the frame, for people.
        merge: name of the way to merge; "" for a single model.
        title: of it, or of the model.
        ancestor: whether it assumes a common ancestor.
        checkpoint: whether it is one model that can be saved.
        numbers: loss, score and calibration on the task, with standard errors.
        parameters: of all that is kept.
        bytes: the same in float32.
        passes: forward passes an example takes.
        seconds: to merge, without bringing models into the frame; None for single models.
        about: plain values, such as which models a soup kept.
    """

    frame: str
    frame_title: str
    merge: str
    title: str
    ancestor: bool
    checkpoint: bool
    numbers: Score
    parameters: int
    bytes: int
    passes: int
    seconds: float | None
    about: MergeReport

    @property
    def marked(self) -> str:
        """Its title, marked if it assumes a common ancestor."""
        return f"{self.title} {MARK}" if self.ancestor else self.title


def single_models(results: Sequence[Result], task: str) -> list[Row]:
    """The models by themselves, as the first result measured them, the ancestor last."""
    return [
        Row(
            ANYWHERE,
            "",
            "",
            row["name"] + (" (ancestor)" if row["ancestor"] else ""),
            False,
            False,
            row["measured"][task],
            row["parameters"],
            row["bytes"],
            row["passes"],
            None,
            {},
        )
        for row in (results[0]["models_rows"] if results else ())
    ]


def merged_rows(results: Sequence[Result], task: str) -> list[Row]:
    """Every way to merge in every frame, frame by frame; the ensemble once."""
    return [
        Row(
            result["frame"] if row["checkpoint"] else ANYWHERE,
            result["frame_title"] if row["checkpoint"] else "",
            row["merge"],
            row["title"],
            row["ancestor"],
            row["checkpoint"],
            row["measured"][task],
            row["parameters"],
            row["bytes"],
            row["passes"],
            row["seconds"],
            row["about"],
        )
        for result in results
        for row in result["rows"]
    ]


def best_row(results: Sequence[Result], task: str) -> Row | None:
    """The one merged model with the smallest loss, the first of equal ones; None where nothing was
    merged, as a soup that kept a single model is that model.
    """
    rows = [
        row
        for row in merged_rows(results, task)
        if row.checkpoint and row.numbers["loss"] == row.numbers["loss"]
    ]
    rows = [row for row in rows if len(row.about.get("kept", (1, 2))) > 1]
    return min(rows, key=lambda row: round(row.numbers["loss"], 6), default=None)


def frame_stroke(frame: str, theme: Theme) -> Stroke:
    """How a frame is drawn."""
    meaning, marker = FRAME_STROKES.get(frame, FRAME_STROKES["none"])
    return Stroke(MEANINGS[meaning].colour(theme), MEANINGS[meaning].dash, marker)


def find_score(results: Sequence[Result], task: str) -> str:
    """What is shown beside the loss on a task: ``accuracy`` or ``perplexity``."""
    return next(
        (t["score"] for result in results for t in result["tasks"] if t["name"] == task), "accuracy"
    )


def find_unit(results: Sequence[Result], task: str) -> str:
    """What the loss on a task counts."""
    return next(
        (t["unit"] for result in results for t in result["tasks"] if t["name"] == task), "nats"
    )


def short_unit(results: Sequence[Result], task: str) -> str:
    """The unit without what it is counted per."""
    return find_unit(results, task).split(" per ")[0]


def shown(numbers: Score, quantity: str) -> str:
    """A number with its standard error for people; shares in per cent."""
    value, error = numbers[quantity], numbers[f"{quantity}_stderr"]
    if quantity in ("accuracy", "ece"):
        return estimate(100 * value, 100 * error, "%").replace(" %", "%")
    return estimate(value, error)


def people_table(results: Sequence[Result], task: str) -> Table:
    """Everything in words: one row for each model, then for each way to merge in each frame."""
    score = find_score(results, task)
    header = (
        "Model",
        "Frame",
        f"Loss ({short_unit(results, task)})",
        score.capitalize(),
        "Calibration error",
        "Size",
        "Passes",
        "To merge",
    )
    return Table.of(
        header,
        [
            (
                row.marked,
                row.frame_title or "\u2013",
                shown(row.numbers, "loss"),
                shown(row.numbers, score),
                shown(row.numbers, "ece"),
                size(row.bytes),
                str(row.passes),
                "\u2013" if row.seconds is None else seconds(row.seconds),
            )
            for row in [*single_models(results, task), *merged_rows(results, task)]
        ],
    )


def numbers_table(results: Sequence[Result]) -> Table:
    """Everything as numbers, on every task, for a file."""
    tasks = results[0]["tasks"] if results else []
    quantities = ("loss", "accuracy", "perplexity", "ece")
    header = ["model", "frame", "task", "split", "examples"]
    header += [name for quantity in quantities for name in (quantity, f"{quantity}_stderr")]
    rows = []
    for task in tasks:
        for row in [*single_models(results, task["name"]), *merged_rows(results, task["name"])]:
            first = (
                row.title,
                row.frame_title or None,
                task["name"],
                results[0]["split"],
                task["examples"],
            )
            values = [
                row.numbers.get(name)
                for quantity in quantities
                for name in (quantity, f"{quantity}_stderr")
            ]
            rows.append((*first, *values, row.parameters, row.bytes, row.passes, row.seconds))
    return Table.of((*header, "parameters", "bytes", "passes", "seconds"), rows)


def kept_words(rows: Sequence[Row]) -> list[str]:
    """Which models the greedy soups kept, one sentence for all frames that kept the same."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if kept := row.about.get("kept"):
            by, split = row.about.get("by"), row.about.get("split")
            chosen = (", ".join(kept), f"chosen by {by} on the {split} split")
            found.setdefault(chosen, []).append(row.frame_title)
    return [
        f"The greedy soup kept {kept} ({'; '.join(frames)}), {how}."
        for (kept, how), frames in found.items()
    ]


def height_words(result: Result) -> str:
    """How far the centre lies above the models, in words."""
    unit = str(result["unit"]).split(" per ")[0]
    return estimate(result["centre_excess"], result["centre_stderr"], unit)


def models_sentence(results: Sequence[Result]) -> str:
    """The models of some results, and their size."""
    first = results[0]
    names = first["models"]
    return f"{', '.join(names[:-1])} and {names[-1]} ({first['parameters']:,} parameters each)"
