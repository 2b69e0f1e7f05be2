"""The data that losses are measured on. Adding a shipped one: a module with a `TASK`, and a line
here.

plays, austen, fashion-mnist   shipped
text:FILE                      a text of one's own, with the model's own tokenizer
labels:FILE                    texts of one's own with a label each, as CSV or JSON lines
images:FOLDER                  images of one's own, one folder per class, with the model's own preparation
hf-dataset:NAME[:SPLIT]        what the package `datasets` reads
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmc_core.errors import BadInput, UnknownName
from lmc_core.tasks import austen, fashion_mnist, plays
from lmc_core.tasks.task import SPLITS, Examples, Task, losses

if TYPE_CHECKING:
    from lmc_core.models.model import Model

TASKS: dict[str, Task] = {task.name: task for task in (austen.TASK, fashion_mnist.TASK, plays.TASK)}
OWN = {
    "text": "FILE",
    "labels": "FILE",
    "images": "FOLDER",
    "hf-dataset": "NAME[:SPLIT]",
}  # kinds of references to data of one's own
FORMS = ", ".join([*sorted(TASKS), *(f"{kind}:{what}" for kind, what in OWN.items())])


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
    if name not in TASKS:
        raise UnknownName.of("task", name, TASKS)
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
    from lmc_core.tasks.prediction import in_its_way

    if not models:
        raise BadInput("task_for needs the model that the data is read for.")
    if reference == "random inputs":  # of a request that needs no data
        from lmc_core.tasks.unmeasured import random_task

        return random_task(models)
    kind, colon, rest = reference.partition(":")
    own = bool(colon) and kind in OWN
    if own and not rest.strip():
        raise BadInput(f"{kind}:{OWN[kind]} is expected as the task; {reference!r} came.")
    task = None if own else get_task(reference)
    kinds = {"text": "text", "labels": "text", "images": "images"}
    gives = task.kind if task is not None else kinds.get(kind, models[0].family.takes)
    for model in models:
        if model.family.takes != gives:
            raise BadInput(
                f"{model.name} takes {model.family.takes}; the task {reference!r} gives {gives}."
            )
    if task is not None:
        return in_its_way(task, models)
    if kind == "text":
        from lmc_core.tasks.own_text import text_task

        return text_task(Path(rest).expanduser(), models)
    if kind == "labels":
        from lmc_core.tasks.own_labels import labels_task

        return labels_task(Path(rest).expanduser(), models)
    if kind == "images":
        from lmc_core.tasks.own_images import images_task

        return images_task(Path(rest).expanduser(), models)
    from lmc_core.tasks.hub_data import dataset_task

    return dataset_task(reference, models)


__all__ = ["FORMS", "OWN", "SPLITS", "TASKS", "Examples", "Task", "get_task", "losses", "task_for"]
