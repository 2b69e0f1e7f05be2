"""The tasks that come with the package, by name; `lmc_core.tasks` fills the table."""

from __future__ import annotations

from lmc_core.models.model import Model
from lmc_core.registry import Registry
from lmc_core.tasks.task import Task

TASKS: Registry[Task] = Registry("task")


def find_shipped(model: Model) -> Task | None:
    """Return the shipped task that a model's card names; None where it names no such task."""
    return next((task for name, task in TASKS.items() if name == model.card.get("task")), None)
