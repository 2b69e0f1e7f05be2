"""What the outputs of a model predict, which decides the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.family import PREDICTIONS
from lmc_core.models.model import Model
from lmc_core.tasks.class_order import require_order
from lmc_core.tasks.labels import read_configuration
from lmc_core.tasks.task import Task
from lmc_core.tasks.windows import Windows

MEASURED = {"images": ("label",), "text": ("next", "masked", "continuation", "label")}


def predicts(model: Model) -> str:
    """What a model's outputs are: ``label``, ``next``, ``masked``, ``continuation``, ``features``
    and the like.
    """
    said = getattr(model.family, "predicts", None)
    if said is not None:
        return said(model.config)
    return "label" if model.family.takes == "images" else "next"


def prediction(models: Sequence[Model]) -> str:
    """What all the models predict.

    Raises:
        Incompatible: if they do not predict the same.
        BadInput: for text models that sort whole texts into classes, whose labels `labels:FILE`
            has.
    """
    found = [predicts(model) for model in models]
    for model, other in zip(models[1:], found[1:], strict=True):
        if other != found[0]:
            raise Incompatible(
                f"{models[0].name} predicts {found[0]!r} and {model.name} {other!r}; choose two "
                "that do the same."
            )
    if models[0].family.takes == "text" and found[0] == "label":
        raise BadInput(
            f"{models[0].name} sorts whole texts into classes, which this task has no labels of; "
            "give texts with labels as "
            "labels:FILE, or choose a model that predicts tokens."
        )
    return found[0]


def require_loss(models: Sequence[Model]) -> None:
    """Raise `BadInput` unless the outputs of the models are predictions that a loss can be taken
    of.

    Data here has one class or one token for each prediction, of which the loss is a cross-entropy.
    A classifier with one output would have a loss of zero, whatever it computes; transformers take
    it for a regression.
    """
    for model in models:
        if (found := predicts(model)) not in MEASURED.get(model.family.takes, ()):
            if found != "features":
                raise BadInput(
                    f"{model.name} predicts {PREDICTIONS.get(found, found)}, and no task here "
                    "measures that; it can be aligned "
                    "by its weights."
                )
            raise BadInput(
                f"{model.name} has no head that predicts anything, so there is no loss to measure; "
                "it can be aligned, or choose a checkpoint with its head."
            )
        if (setting := _no_choice(model)) is not None:
            raise BadInput(
                f"{model.name} does not choose one of several classes ({setting} in its "
                "config.json), and a loss is measured "
                "of such a choice alone; it can be aligned by its weights, or choose a classifier."
            )


def _no_choice(model: Model) -> str | None:
    """The setting by which a model's outputs are anything but scores of classes of which one is
    right; None for none.
    """
    if predicts(model) != "label":
        return None
    kind = read_configuration(model).get("problem_type")
    if kind in ("regression", "multi_label_classification"):
        return f"problem_type: {kind}"
    if model.family.sizes(model.config)["classes"] == 1:
        return f"{'num_classes' if 'num_classes' in model.config else 'num_labels'}: 1"
    return None


def in_its_way(task: Task, models: Sequence[Model]) -> Task:
    """The same shipped task, its windows cut for what the models predict.

    Raises:
        Incompatible: if they do not predict the same.
        BadInput: if they number the classes of the task in another order.
    """
    require_order(task, models[0])
    found, stream = prediction(models), task.stream
    if stream is None or found == "next":
        return task

    def read(split: str, length: int) -> Windows:
        whole = task.read(split, length)
        return Windows(
            stream(split), length, found, works=whole.works if isinstance(whole, Windows) else (0,)
        )

    return replace(task, read=read)
