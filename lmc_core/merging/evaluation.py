"""Merge models that are in one frame, in several ways, and measure the outcomes on every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import cast

import torch
from torch import Tensor

from lmc_core.merging.ingredients import Ingredients, Judge, Merged
from lmc_core.merging.measure import Measured, measure
from lmc_core.merging.methods import MERGES
from lmc_core.merging.numbers import Evaluation, MergeReport, MergeRow, ModelRow, Score, Setting
from lmc_core.models.model import Model
from lmc_core.models.precision import rounded
from lmc_core.models.rows import extended
from lmc_core.models.written import Outputs
from lmc_core.paths.simplex import losses_at
from lmc_core.progress import Part
from lmc_core.tasks import Examples, Task

BYTES = 4  # of a number


@dataclass(frozen=True)
class MergeInputs:
    """What is merged, and how it is measured.

    Attributes:
        wholes: the models in one frame, each with all its rows, a common ancestor last.
        models: the same with those rows of their tables that all have.
        count: how many of them are merged.
        weights: of these, summing to 1.
        stand_in: what stands in for an ancestor where there is none, ``mean`` or ``first``.
        checked: examples that the function checks run on.
        tasks: what is measured on, the task that was asked for first; none where nothing is
            measured.
        split: that the examples are of.
        seed: of draws of further examples.
        length: of a window of text, in tokens.
        device: where to run.
    """

    wholes: Sequence[Model]
    models: Sequence[Model]
    count: int
    weights: tuple[float, ...]
    stand_in: str
    checked: Examples
    tasks: Sequence[tuple[Task, Examples]]
    split: str
    seed: int
    length: int
    device: str

    @property
    def merged(self) -> Sequence[Model]:
        """The models without their ancestor."""
        return self.models[: self.count]

    @property
    def held_out(self) -> str:
        """The split that choices are made on, never the one that is measured on and never the test
        split.
        """
        return "train" if self.split == "validation" else "validation"


@dataclass
class Evaluator:
    """Merges and measures, with one progress for all of it.

    Attributes:
        inputs: what is merged and measured.
        progress: of all that is measured.
        total: forward passes over the examples that are to come.
        done: of them.
        types: by parameter, those that the outcome is rounded to before it is measured; empty for
            not.
        unrounded: what the outcome computed of the first examples before that.
    """

    inputs: MergeInputs
    progress: Part
    total: float
    done: float = 0.0
    types: Mapping[str, torch.dtype] = field(default_factory=dict)
    unrounded: Outputs | None = None
    _ends: list[list[Measured]] = field(default_factory=list)

    def _part(self, passes: float, words: str) -> Part:
        """The progress of something that takes some passes over the examples."""
        total, start = max(self.total, 1e-9), self.done
        self.done += passes
        return self.progress.part(min(1.0, start / total), min(1.0, self.done / total), words)

    def _measure(
        self, states: list[Mapping[str, Tensor]], weights: tuple[float, ...], words: str
    ) -> list[Measured]:
        first, device = self.inputs.models[0], self.inputs.device
        return [
            measure(first, states, examples, weights, device, self._part(len(states), words))
            for _, examples in self.inputs.tasks
        ]

    def model_rows(self) -> list[ModelRow]:
        """Loss, score and calibration of every model by itself, and of the ancestor."""
        rows: list[ModelRow] = []
        for number, model in enumerate(self.inputs.models):
            found = self._measure([model.state], (1.0,), f"measuring {model.name}")
            self._ends.append(found)
            ancestor = number >= self.inputs.count
            rows.append({"name": model.name, "ancestor": ancestor, **self._describe(found, 1)})
        return rows

    def _describe(self, found: list[Measured], passes: int) -> Evaluation:
        parameters = passes * self.inputs.models[0].parameters
        return {
            "measured": {
                task.name: cast(Score, each.numbers(task.score))
                for (task, _), each in zip(self.inputs.tasks, found, strict=True)
            },
            "parameters": parameters,
            "bytes": BYTES * parameters,
            "passes": passes,
        }

    def row(self, name: str, settings: Mapping[str, Setting]) -> tuple[MergeRow, Merged | None]:
        """Merge in one way and measure the outcome.

        Args:
            name: of the way to merge.
            settings: of it.

        Returns:
            A row of the result, and what was merged; None of an ensemble.
        """
        method, inputs = MERGES[name], self.inputs
        chosen = method.configured(settings)
        merged, about, seconds = None, MergeReport(), 0.0
        if method.merge is None:
            states = [model.state for model in inputs.merged]
            found = self._measure(states, inputs.weights, "measuring the output ensemble")
        else:
            begin = perf_counter()
            judged = None if method.chooses is None else method.chooses(chosen)
            merged = method.merge(self._ingredients(judged, method.title), chosen)
            seconds = perf_counter() - begin
            if self.types:
                merged = self._round(merged)
            found = self._measure([merged.state], (1.0,), f"measuring: {method.title}")
            about = cast(MergeReport, {**merged.about})
            if judged is not None:
                about |= {"split": inputs.held_out, "examples": judged}
        row: MergeRow = {
            "merge": name,
            "title": method.title,
            "settings": dict(vars(chosen)),
            "ancestor": method.ancestor,
            "weighs": method.weighs,
            "checkpoint": method.checkpoint,
            **self._describe(found, 1 if method.checkpoint else inputs.count),
            "about": about,
            "seconds": seconds,
        }
        return row, merged

    def _round(self, merged: Merged) -> Merged:
        """What was merged with the values that its file will hold, so that numbers are those of the
        file.
        """
        inputs = self.inputs
        outcome = extended(inputs.models[0].with_state(merged.state), inputs.wholes[0])
        self.unrounded = Outputs.of([outcome], inputs.checked.inputs)
        return replace(
            merged, state={name: t.float() for name, t in rounded(merged.state, self.types).items()}
        )

    def _ingredients(self, judged: int | None, title: str) -> Ingredients:
        """The models as a way to merge is given them.

        Args:
            judged: how many validation examples it chooses by; None for ways that do not choose.
            title: of it.
        """
        inputs = self.inputs
        passes = 0.0
        if judged is not None:
            share = judged / len(inputs.tasks[0][1])
            passes = count_judging(inputs.count, share, len(inputs.tasks))
        return Ingredients(
            states=[model.state for model in inputs.merged],
            names=tuple(model.name for model in inputs.merged),
            weights=inputs.weights,
            ancestor=inputs.models[-1].state if len(inputs.models) > inputs.count else None,
            stand_in=inputs.stand_in,
            judge=None if judged is None else self._judge(judged),
            progress=self._part(passes, f"merging: {title}"),
        )

    def _judge(self, count: int) -> Judge:
        """Mean loss and score over all tasks on examples that nothing is reported on."""
        inputs = self.inputs
        chosen = [
            task.examples(inputs.held_out, count, inputs.seed, inputs.length)
            for task, _ in inputs.tasks
        ]

        def judge(state: Mapping[str, Tensor]) -> tuple[float, float]:
            found = [
                measure(inputs.models[0], [state], examples, device=inputs.device)
                for examples in chosen
            ]
            losses = [float(each.losses.double().mean()) for each in found]
            correct = [float(each.correct.double().mean()) for each in found]
            return sum(losses) / len(losses), sum(correct) / len(correct)

        return judge

    def losses_at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and correctness of every example of the task at some mixtures; the models' own come
        first and were measured by `model_rows`.
        """
        inputs, count = self.inputs, self.inputs.count
        rest = points[count:]
        tell = self._part(len(rest), "measuring between the models")
        losses, correct = losses_at(inputs.merged, rest, inputs.tasks[0][1], inputs.device, tell)
        own = [found[0] for found in self._ends[:count]]
        return (
            torch.cat([torch.stack([each.losses for each in own]), losses]),
            torch.cat([torch.stack([each.correct for each in own]), correct]),
        )


Wanted = tuple[str, Mapping[str, Setting]]


def count_passes(
    wanted: Sequence[Wanted], models: int, count: int, tasks: int, points: int, examples: int
) -> float:
    """Forward passes over the examples that measuring takes.

    Args:
        wanted: ways to merge with their settings.
        models: how many there are, an ancestor included.
        count: how many of them are merged.
        tasks: that are measured on.
        points: mixtures that are measured, the models themselves included.
        examples: how many there are.
    """
    passes = float(models * tasks + max(0, points - count))
    for name, settings in wanted:
        method = MERGES[name]
        passes += tasks * (1 if method.checkpoint else count)
        if method.chooses is not None:
            judged = method.chooses(method.configured(dict(settings)))
            passes += count_judging(count, judged / examples, tasks)
    return passes


def count_judging(count: int, share: float, tasks: int) -> float:
    """Passes over the examples that a greedy choice among the models takes.

    Args:
        count: of models.
        share: of validation examples that it chooses by, relative to those that are measured on.
        tasks: that are measured on.
    """
    return 2 * count * min(1.0, share) * tasks
