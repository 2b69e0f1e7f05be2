"""Where models are merged and measured: in one frame, on every task, with one progress for all of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.runs.aligned_group import Placed, placed_group
from lmc_core.runs.ask import WINDOW, memory_of_group
from lmc_core.runs.opened import CHECKED, opened

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lmc_core.merging.ingredients import Ingredients, Judge, Merged
    from lmc_core.merging.measure import Measured
    from lmc_core.models.model import Model
    from lmc_core.models.written import Outputs
    from lmc_core.runs.kinds.merge import MergeRequest
    from lmc_core.tasks import Examples, Task

Report = Callable[[float, str], None]
BYTES = 4  # of a number


@dataclass
class Bench:
    """Models in their frame, and the data that they are measured on.

    Attributes:
        request: what was asked.
        placed: the models in one frame, a common ancestor last.
        asked: the task of the request with its examples, on the first of which function checks run.
        tasks: what is measured on: that task, then further ones, each with its examples; none where
            nothing is measured.
        report: called with the share done and a few words; may raise to stop.
        begin: share that was done when measuring began.
        total: forward passes over the examples that are still to come.
        done: of them.
        types: by parameter, those that the outcome is rounded to before it is measured; empty for
            not.
        unrounded: what the outcome computed of the first examples before that.
        same: what the models that are merged hold in common, see `sameness.common_weights`.
    """

    request: MergeRequest
    placed: Placed
    asked: tuple[Task, Examples]
    tasks: list[tuple[Task, Examples]]
    report: Report
    begin: float
    total: float
    done: float = 0.0
    same: list[dict[str, Any]] = field(default_factory=list)
    types: Mapping[str, torch.dtype] = field(default_factory=dict)
    unrounded: Outputs | None = None
    ends: list[list[Measured]] = field(default_factory=list)

    @property
    def models(self) -> tuple[Model, ...]:
        """Those that are merged."""
        return self.placed.models[: self.request.count]

    @property
    def memory(self) -> int:
        """Bytes that the run takes at the most."""
        request = self.request
        return memory_of_group(request.models, request.method != "none", request.learn is not None)

    def _tell(self, passes: float, words: str) -> Callable[[float], None]:
        """A progress for something that takes some passes over the examples."""
        start = self.done
        self.done += passes

        def tell(share: float) -> None:
            done = (start + passes * share) / max(self.total, 1e-9)
            self.report(min(1.0, self.begin + (1 - self.begin) * done), words)

        return tell

    def _measured(
        self, states: list[Mapping[str, Tensor]], weights: tuple[float, ...], words: str
    ) -> list[Measured]:
        from lmc_core.merging.measure import measure

        return [
            measure(
                self.models[0],
                states,
                examples,
                weights,
                self.request.device,
                self._tell(len(states), words),
            )
            for _, examples in self.tasks
        ]

    def model_rows(self) -> list[dict[str, Any]]:
        """Loss, score and calibration of every model by itself, and of the ancestor."""
        rows = []
        for number, model in enumerate(self.placed.models):
            found = self._measured([model.state], (1.0,), f"measuring {model.name}")
            self.ends.append(found)
            rows.append(
                {
                    "name": model.name,
                    "ancestor": number >= self.request.count,
                    **self._numbers(found, 1),
                }
            )
        return rows

    def _numbers(self, found: list[Measured], passes: int) -> dict[str, Any]:
        parameters = passes * self.models[0].parameters
        measured = {
            task.name: each.numbers(task.score)
            for (task, _), each in zip(self.tasks, found, strict=True)
        }
        return {
            "measured": measured,
            "parameters": parameters,
            "bytes": BYTES * parameters,
            "passes": passes,
        }

    def row(self, name: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], Merged | None]:
        """Merge in one way and measure the outcome.

        Args:
            name: of the way to merge.
            settings: of it.

        Returns:
            A row of the result, and what was merged; None of an ensemble.
        """
        from lmc_core.merging.methods import MERGES

        method, count = MERGES[name], self.request.count
        chosen = method.configured(settings)
        row: dict[str, Any] = {
            "merge": name,
            "title": method.title,
            "settings": dict(vars(chosen)),
            "ancestor": method.ancestor,
            "weighs": method.weighs,
            "checkpoint": method.checkpoint,
        }
        if method.merge is None:
            found = self._measured(
                [m.state for m in self.models],
                self.request.weights,
                "measuring the output ensemble",
            )
            return {**row, **self._numbers(found, count), "about": {}, "seconds": 0.0}, None
        begin = perf_counter()
        judged = None if method.chooses is None else method.chooses(chosen)
        given = self.ingredients(judged, method.title)
        merged = method.merge(given, chosen)
        seconds = perf_counter() - begin
        if self.types:
            merged = self._rounded(merged)
        found = self._measured([merged.state], (1.0,), f"measuring: {method.title}")
        about = merged.about | (
            {} if judged is None else {"split": self.held_out, "examples": judged}
        )
        return {**row, **self._numbers(found, 1), "about": about, "seconds": seconds}, merged

    def _rounded(self, merged: Merged) -> Merged:
        """What was merged with the values that its file will hold, so that numbers are those of the
        file.
        """
        from lmc_core.models.precision import rounded
        from lmc_core.models.rows import extended
        from lmc_core.models.written import Outputs

        outcome = extended(self.models[0].with_state(merged.state), self.placed.wholes[0])
        self.unrounded = Outputs.of([outcome], self.asked[1].first(CHECKED).inputs)
        return replace(
            merged, state={name: t.float() for name, t in rounded(merged.state, self.types).items()}
        )

    def ingredients(self, judged: int | None, title: str) -> Ingredients:
        """The models as a way to merge is given them.

        Args:
            judged: how many validation examples it chooses by; None for ways that do not choose.
            title: of it.
        """
        from lmc_core.merging.ingredients import Ingredients

        tell = self._tell(
            0.0 if judged is None else judging(self.request, judged, len(self.tasks[0][1])),
            f"merging: {title}",
        )
        return Ingredients(
            states=[model.state for model in self.models],
            names=self.request.names[: self.request.count],
            weights=self.request.weights,
            ancestor=self.placed.models[-1].state if self.request.ancestor else None,
            stand_in=self.request.stand_in,
            judge=None if judged is None else self._judge(judged),
            progress=tell,
        )

    @property
    def held_out(self) -> str:
        """The split that choices are made on, never the one that is measured on and never the test
        split.
        """
        return "train" if self.request.split == "validation" else "validation"

    def _judge(self, count: int) -> Judge:
        """Mean loss and score over all tasks on examples that nothing is reported on."""
        from lmc_core.merging.measure import measure

        request = self.request
        chosen = [
            task.examples(self.held_out, count, request.seed, request.length or WINDOW)
            for task, _ in self.tasks
        ]

        def judge(state: Mapping[str, Tensor]) -> tuple[float, float]:
            found = [
                measure(self.models[0], [state], examples, device=request.device)
                for examples in chosen
            ]
            losses = [float(each.losses.double().mean()) for each in found]
            correct = [float(each.correct.double().mean()) for each in found]
            return sum(losses) / len(losses), sum(correct) / len(correct)

        return judge

    def losses_at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and correctness of every example of the task at some mixtures; the models' own come
        first and were measured.
        """
        import torch

        from lmc_core.paths.simplex import losses_at

        count = self.request.count
        rest = points[count:]
        tell = self._tell(len(rest), "measuring between the models")
        losses, correct = losses_at(self.models, rest, self.tasks[0][1], self.request.device, tell)
        own = [found[0] for found in self.ends[:count]]
        return (
            torch.cat([torch.stack([each.losses for each in own]), losses]),
            torch.cat([torch.stack([each.correct for each in own]), correct]),
        )


def opened_bench(request: MergeRequest, report: Report) -> Bench:
    """Load the models of a request, bring them into their frame, and count what is to be
    measured.
    """
    from lmc_core.models.sameness import common_weights
    from lmc_core.tasks import task_for
    from lmc_core.tasks.unmeasured import RANDOM

    report(0.0, "loading the models")
    models, task, examples = opened(request)
    same = common_weights(models[: request.count])
    length = request.length or WINDOW
    asked = task, examples
    tasks = [] if task.name == RANDOM else [asked]
    for name in request.also:
        other = task_for(name, *models)
        tasks.append((other, other.examples(request.split, request.examples, request.seed, length)))
    first = 0.02 if request.method == "none" else 0.25 if request.learn is None else 0.8
    placed = placed_group(
        request,
        models,
        examples,
        task,
        lambda share, words: report(0.02 + (first - 0.02) * share, words),
    )
    return Bench(
        request, placed, asked, tasks, report, first, passes(request, len(examples)), same=same
    )


def passes(request: MergeRequest, examples: int) -> float:
    """Forward passes over the examples of a request that all of it takes.

    Args:
        request: what is asked.
        examples: how many there are.
    """
    from lmc_core.merging.methods import MERGES
    from lmc_core.runs.kinds.merge import mixtures

    points = 0 if request.save else len(mixtures(request.count, request.points, request.resolution))
    tasks = 1 + len(request.also)
    count = len(request.models) * tasks + max(0, points - request.count)
    for name, settings in request.merges:
        method = MERGES[name]
        count += tasks * (1 if method.checkpoint else request.count)
        if method.chooses is not None:
            judged = method.chooses(method.configured(dict(settings)))
            count += judging(request, judged, examples)
    return count


def judging(request: MergeRequest, judged: int, examples: int) -> float:
    """Passes over the examples that a greedy choice among the models takes.

    Args:
        request: what is asked.
        judged: validation examples that it chooses by.
        examples: of the request.
    """
    return 2 * request.count * min(1.0, judged / examples) * (1 + len(request.also))
