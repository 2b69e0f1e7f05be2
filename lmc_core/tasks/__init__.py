"""The data that losses are measured on.

plays, austen, fashion-mnist   shipped
text:FILE                      a text of one's own, with the model's own tokenizer
labels:FILE                    texts of one's own with a label each, as CSV or JSON lines
images:FOLDER                  images of one's own, one folder per class, with the model's own
                               preparation
hf-dataset:NAME[:SPLIT]        what the package `datasets` reads

A further task is a module with a `TASK`, a further form of data of one's own a module with a
`FORM`, and a line here; from outside, `TASKS.add(task)` and `OWN.add(form)`.
"""

from __future__ import annotations

from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.registry import Registry
from lmc_core.tasks import austen, fashion_mnist, hub_data, own_images, own_labels, own_text, plays
from lmc_core.tasks.form import TaskForm
from lmc_core.tasks.prediction import in_its_way
from lmc_core.tasks.shipped import TASKS
from lmc_core.tasks.task import SPLITS, Examples, Task, losses
from lmc_core.tasks.unmeasured import RANDOM, random_task

for _task in (austen.TASK, fashion_mnist.TASK, plays.TASK):
    TASKS.add(_task)

OWN: Registry[TaskForm] = Registry(
    "kind of data", (own_text.FORM, own_labels.FORM, own_images.FORM, hub_data.FORM)
)
"""Forms of references to data of one's own, by what stands before the colon."""


def list_forms() -> str:
    """How data can be asked for, in one line."""
    return ", ".join([*sorted(TASKS), *(form.form for form in OWN.values())])


def get_task(name: str) -> Task:
    """Return the shipped task of that name.

    Raises:
        UnknownName: if there is none.
        BadInput: for data of one's own, which can only be read for a model.
    """
    if name.partition(":")[0] in OWN and ":" in name:
        raise BadInput(
            f"{name!r} is read with the tokenizer or preparation of a model; use "
            f"task_for({name!r}, model)."
        )
    return TASKS[name]


def task_for(reference: str, *models: Model) -> Task:
    """Return a task as one model, or several that see the same inputs, can be measured on it.

    Args:
        reference: name of a shipped task, ``text:FILE``, ``labels:FILE``, ``images:FOLDER`` or
            ``hf-dataset:NAME[:SPLIT]``.
        models: at least one. Data of one's own is read with their tokenizer or preparation, and the
            loss is of what they predict: labels, next tokens, masked tokens, or the second half of
            a window.

    Raises:
        UnknownName: if there is no such task.
        BadInput: if the data cannot be read, or a model does not take it.
        Incompatible: if the models cannot be given the same inputs.
    """
    if not models:
        raise BadInput("task_for needs the model that the data is read for.")
    if reference == RANDOM:  # of a request that needs no data
        return random_task(models)
    kind, colon, rest = reference.partition(":")
    own = OWN[kind] if colon and kind in OWN else None
    if own is not None and not rest.strip():
        raise BadInput(f"{own.form} is expected as the task; {reference!r} came.")
    task = get_task(reference) if own is None else None
    gives = own.gives if own is not None else task.kind if task is not None else None
    for model in models:
        if model.family.takes != (gives or models[0].family.takes):
            raise BadInput(
                f"{model.name} takes {model.family.takes}; the task {reference!r} gives "
                f"{gives or models[0].family.takes}."
            )
    if own is not None:
        return own.read(rest, models)
    assert task is not None
    return in_its_way(task, models)


__all__ = [
    "OWN",
    "SPLITS",
    "TASKS",
    "Examples",
    "Task",
    "TaskForm",
    "get_task",
    "list_forms",
    "losses",
    "task_for",
]
