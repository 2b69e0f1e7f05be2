"""A fine-tuning in the coordinates of a target, and the losses of the target with shares of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.aligned import AlignedPair
from lmc_core.merging.measure import measure
from lmc_core.merging.transport import MovedDifference, move_difference
from lmc_core.models.cache import load_warm
from lmc_core.models.model import Model
from lmc_core.progress import Part, Progress, ignore
from lmc_core.runs.cache import aligned_pair, consumes
from lmc_core.runs.inputs import CHECKED, choose_split, make_group_array, open_data, open_inputs
from lmc_core.runs.kinds.transport_facts import CHOICE, HEADS
from lmc_core.runs.request import WINDOW
from lmc_core.runs.requests.transport import TARGET, TaskHead, TransportRequest
from lmc_core.tasks import Examples, Task, task_for
from lmc_core.tasks.class_order import in_one_order


@dataclass(frozen=True, eq=False)
class Carried:
    """A fine-tuning in the coordinates of the target.

    Attributes:
        models: of the request, their classes in one order.
        task: of the request.
        examples: of the request.
        aligned_on: the task that base and target were aligned on.
        checked: a few examples of it.
        pair: the target moved onto the base.
        difference: what the fine-tuning changed, moved to the target.
    """

    models: Sequence[Model]
    task: Task
    examples: Examples
    aligned_on: Task
    checked: Examples
    pair: AlignedPair
    difference: MovedDifference


# by key, for as long as somebody holds them: who writes the target besides aligns once
_HELD: WeakValueDictionary[str, Carried] = WeakValueDictionary()


def carry(request: TransportRequest, progress: Progress = ignore, refresh: bool = False) -> Carried:
    """Align the target with the base, and move what the fine-tuning changed.

    While what is returned is held, `compute` takes it for the same request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if the alignment moved the outputs by more than rounding.
    """
    models, task, examples = open_inputs(request)
    asked = request.pair()
    two = models[0], models[TARGET]
    split = split_of(task_for(asked.task, *two), None)
    asked = replace(asked, split=split, examples=CHECKED)
    aligned_on, checked = open_data(asked, two)
    written = consumes(asked, two)
    pair = aligned_pair(asked, two, checked, aligned_on, progress, refresh)
    if written:  # both were aligned in place
        models = in_one_order([load_warm(reference) for reference in request.models])
    base, finetuned, target = models[: TARGET + 1]
    difference = move_difference(base, finetuned, target, pair, dict(request.classes))
    found = Carried(models, task, examples, aligned_on, checked, pair, difference)
    _HELD[request.key] = found
    return found


def find_held(request: TransportRequest) -> Carried | None:
    """What `carry` returned for a request of that key, while somebody holds it."""
    return _HELD.get(request.key)


def split_of(task: Task, split: str | None) -> str:
    """The split of that name, or the usual one of a task that has none of that name."""
    return choose_split(task, split if split in task.splits else None)


@dataclass
class Measured:
    """One task while it is measured on.

    Attributes:
        head: of the names of its arrays.
        task: that is measured on.
        split: of its data.
        examples: of that split.
        losses: of each example, by what they are of, in the order of the shares.
    """

    head: str
    task: Task
    split: str
    examples: Examples
    losses: dict[str, list[Tensor]]

    def takes(self, name: str) -> bool:
        """Whether losses of that name are measured here; the best share is chosen by the moved."""
        return self.head != CHOICE or name == "moved"

    def arrays(self) -> dict[str, np.ndarray]:
        """As they are stored."""
        found = {name: torch.stack(rows).numpy() for name, rows in self.losses.items()}
        return {
            f"{self.head}{name}": each
            for name, each in {**found, **make_group_array(self.examples)}.items()
        }

    def describe(self) -> TaskHead:
        """What is said of it."""
        task = self.task
        return {"name": task.name, "unit": task.unit, "about": task.sentence, "split": self.split}


def open_tasks(request: TransportRequest, carried: Carried) -> list[Measured]:
    """Everything that is measured on.

    Raises:
        BadInput: if a person's own data is no longer that of the request.
    """
    count = request.examples, request.seed, request.length or WINDOW
    found = [Measured(HEADS[0], carried.task, request.split, carried.examples, {})]
    further: list[tuple[str, Task, str, str]] = []
    if request.other_task:
        other = task_for(request.other_task, *carried.models)
        split = split_of(other, request.split)
        further.append((HEADS[1], other, split, request.other_data))
    if request.chooses:
        further.append((CHOICE, carried.task, request.choice, request.choice_data))
    for head, task, split, digest in further:
        if task.digest(split, *count) != digest:
            raise BadInput(
                f"The data of {task.name} has changed since the request was made; ask again."
            )
        found.append(Measured(head, task, split, task.examples(split, *count), {}))
    return found


def measure_all(
    request: TransportRequest, carried: Carried, measured: Sequence[Measured], progress: Progress
) -> None:
    """Measure the target once, with every other share of the difference moved and unmoved, and the
    target fine-tuned itself; each model is made once for all tasks.
    """
    cells = [("moved", share) for share in request.shares]
    cells += [("unmoved", share) for share in request.shares if share]
    cells += [("tuned", 0.0)] * (len(carried.models) > TARGET + 1)
    tell = Part(progress, words=f"measuring {len(request.shares)} shares")
    for number, (name, share) in enumerate(cells):
        if name == "tuned":
            model = carried.models[-1]
        else:
            model = carried.difference.at(share, moved=name == "moved")
        state = {each: tensor.float() for each, tensor in model.state.items()}
        places = [each for each in measured if each.takes(name)]
        for place, each in enumerate(places):
            low, high = ((number + (place + step) / len(places)) / len(cells) for step in (0, 1))
            found = measure(
                model, [state], each.examples, device=request.device, progress=tell.part(low, high)
            )
            each.losses.setdefault(name, []).append(found.losses)
    zero = request.shares.index(0.0)
    for each in measured:
        if each.takes("unmoved"):  # at 0 both are the target
            each.losses["unmoved"].insert(zero, each.losses["moved"][zero])
