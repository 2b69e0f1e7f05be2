"""The data sets that losses are measured on. Adding one: a module with a `TASK`, and a line here."""

from __future__ import annotations

from lmc_core.errors import UnknownName
from lmc_core.tasks import austen, fashion_mnist, plays
from lmc_core.tasks.task import SPLITS, Examples, Task, losses

TASKS: dict[str, Task] = {task.name: task for task in (austen.TASK, fashion_mnist.TASK, plays.TASK)}


def get_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in TASKS:
        raise UnknownName.of("task", name, TASKS)
    return TASKS[name]


__all__ = ["SPLITS", "TASKS", "Examples", "Task", "get_task", "losses"]
