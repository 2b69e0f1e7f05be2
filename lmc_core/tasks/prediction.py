"""What the outputs of a model predict, which decides the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.model import Model
from lmc_core.tasks.task import Task
from lmc_core.tasks.windows import Windows

MEASURED = {"images": ("label",), "text": ("next", "masked", "continuation")}


def predicts(model: Model) -> str:
    """What a model's outputs are: ``label``, ``next``, ``masked``, ``continuation`` or ``features``."""
    said = getattr(model.family, "predicts", None)
    if said is not None:
        return said(model.config)
    return "label" if model.family.takes == "images" else "next"


def prediction(models: Sequence[Model]) -> str:
    """What all the models predict.

    Raises:
        Incompatible: if they do not predict the same.
        BadInput: for text models that classify whole texts, of which no task here has the labels.
    """
    found = [predicts(model) for model in models]
    for model, other in zip(models[1:], found[1:], strict=True):
        if other != found[0]:
            raise Incompatible(
                f"{models[0].name} predicts {found[0]!r} and {model.name} {other!r}; choose two that do the same."
            )
    if models[0].family.takes == "text" and found[0] == "label":
        raise BadInput(
            f"{models[0].name} sorts whole texts into classes, and no task here has such labels; "
            "choose a model that predicts tokens."
        )
    return found[0]


def require_loss(models: Sequence[Model]) -> None:
    """Raise `BadInput` unless the outputs of the models are predictions that a loss can be taken of."""
    for model in models:
        if predicts(model) not in MEASURED[model.family.takes]:
            raise BadInput(
                f"{model.name} has no head that predicts anything, so there is no loss to measure; "
                "it can be aligned, or choose a checkpoint with its head."
            )


def in_its_way(task: Task, models: Sequence[Model]) -> Task:
    """The same shipped task, its windows cut for what the models predict.

    Raises:
        Incompatible: if they do not predict the same.
    """
    found, stream = prediction(models), task.stream
    if stream is None or found == "next":
        return task

    def read(split: str, length: int) -> Windows:
        whole = task.read(split, length)
        return Windows(stream(split), length, found, works=whole.works if isinstance(whole, Windows) else (0,))

    return replace(task, read=read)
