"""What large models and what was merged of them lose on the tasks that are known: measured part by
part, so that none of them is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from lmc_core.analysis.streamed_memory import estimate_lazy_mixtures
from lmc_core.cli.output import table
from lmc_core.errors import BadInput, LmcError
from lmc_core.figures.merge_rows import shown
from lmc_core.merging.measure import measure_unheld
from lmc_core.merging.numbers import Score
from lmc_core.models.lazy import shapes
from lmc_core.models.model import Model
from lmc_core.progress import Progress, part
from lmc_core.runs.inputs import choose_data, require_two
from lmc_core.runs.request import WINDOW, Data
from lmc_core.tasks import Examples, Task
from lmc_core.tasks.class_order import in_one_order
from lmc_core.tasks.prediction import require_loss

Scores = dict[str, dict[str, object]]  # by name of task, what one model does there


@dataclass(frozen=True)
class KnownTasks:
    """What large models and their merge are measured on.

    Attributes:
        models: with their classes in the order of the first.
        split: of the data.
        tasks: with their examples; none where nothing is measured.
        notes: why not, in a sentence; () where no task is known.
    """

    models: tuple[Model, ...]
    split: str = ""
    tasks: tuple[tuple[Task, Examples], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """On what, in words; "" for nothing."""
        names = [f"{len(examples):,} examples of {task.name}" for task, examples in self.tasks]
        return f"{' and '.join(names)}, {self.split} split" if names else ""

    def estimate(self) -> int:
        """Bytes that measuring takes."""
        first = self.models[0]
        stored = max(tensor.element_size() for tensor in shapes(first.state).values())
        return max(
            (
                estimate_lazy_mixtures(
                    first.family,
                    first.config,
                    stored,
                    1,
                    False,
                    examples.inputs.shape[-1] if task.kind == "text" else WINDOW,
                    len(examples),
                )
                for task, examples in self.tasks
            ),
            default=0,
        )

    def measure(self, merged: Model, progress: Progress) -> list[Scores]:
        """Losses and scores of every model, and then of the merged one.

        Args:
            merged: as it was read again from its files.
            progress: told the share done and a few words; may raise to stop.
        """
        found: list[Scores] = []
        every = [*self.models, merged]
        share = 1 / (len(every) * len(self.tasks))
        for number, model in enumerate(every):
            scores: Scores = {}
            for row, (task, examples) in enumerate(self.tasks, number * len(self.tasks)):
                tell = part(progress, row * share, (row + 1) * share, f"measuring {model.name}")
                numbers = measure_unheld(model, examples, task.score, tell)
                scores[task.name] = {**numbers, "examples": len(examples)}
            found.append(scores)
        return found

    def tabulate(self, names: Sequence[str], found: Sequence[Scores]) -> str:
        """What was measured, one table for each task.

        Args:
            names: of the models and of the merged one.
            found: what `measure` returned.
        """
        parts = []
        for task, _ in self.tasks:
            rows = []
            for name, scores in zip(names, found, strict=True):
                numbers = cast(Score, scores[task.name])
                rows.append((name, shown(numbers, "loss"), shown(numbers, task.score)))
            header = "Model", "Loss", task.score.capitalize()
            parts.append(f"{task.name}\n{table(header, rows)}\nLoss in {task.unit}.")
        return "\n\n".join(parts)


def find_tasks(models: Sequence[Model], asked: Data) -> KnownTasks:
    """The task that was asked for, or those that all models say they were trained on; none where
    one says nothing or cannot be measured on its own task, or where models have no outputs that a
    loss is taken of, as they can be merged all the same.

    Args:
        models: that are merged, with lazy parameters.
        asked: what a person asked for.

    Raises:
        LmcError: the models cannot be measured on the task that was asked for.
    """
    every = tuple(in_one_order(models))
    own = [str(model.card.get("task") or "") for model in every]
    names = [asked.task] if asked.task else list(dict.fromkeys(own)) if all(own) else []
    if names:
        require_two(asked.examples)
    try:
        require_loss(every)
    except BadInput as error:
        return KnownTasks(every, notes=(str(error),) if names else ())
    tasks, split = [], asked.split
    try:
        for name in names:
            task, data = choose_data(every, replace(asked, task=name, split=split), True)
            split, length = str(data.split), data.length or WINDOW
            tasks.append((task, task.examples(split, data.examples, data.seed, length)))
    except LmcError as error:
        if asked.task:
            raise
        return KnownTasks(every, notes=(str(error),))
    return KnownTasks(every, split or "", tuple(tasks))
