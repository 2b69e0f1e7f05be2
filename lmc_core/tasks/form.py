"""Forms of references to data of one's own, "text:FILE"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmc_core.models.model import Model
from lmc_core.tasks.task import Task


@dataclass(frozen=True)
class TaskForm:
    """A kind of data of one's own, and what reads it.

    Attributes:
        name: what stands before the colon, such as ``text``.
        what: what stands behind it, such as ``FILE``.
        gives: ``text`` or ``images``; None for whatever the models take.
        read: makes the task from what stands behind the colon, for models that see the same inputs.
    """

    name: str
    what: str
    gives: str | None
    read: Callable[[str, Sequence[Model]], Task]

    @property
    def form(self) -> str:
        """How it is asked for: "text:FILE"."""
        return f"{self.name}:{self.what}"
