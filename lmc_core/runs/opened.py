"""What every computation begins and ends with: the models and the data of a request, and the facts
of its result.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput
from lmc_core.runs.ask import WINDOW, orders_of
from lmc_core.runs.model_cache import load_warm
from lmc_core.runs.request import ModelsRequest

if TYPE_CHECKING:
    import numpy as np

    from lmc_core.models.model import Model
    from lmc_core.tasks import Examples, Task
    from lmc_core.tasks.learning import Learning

CHECKED = 16  # examples the function check runs on


def opened(request: ModelsRequest) -> tuple[list[Model], Task, Examples]:
    """The models of a request, its task, and its examples.

    Raises:
        BadInput: if the models or a person's own data have changed since the request was made, or
            what is computed.
    """
    from lmc_core.tasks.class_order import in_one_order

    if request.algorithm != request.current:
        raise BadInput(
            "The request was made by another version, whose numbers are others; ask again."
        )
    models = [load_warm(reference) for reference in request.models]
    for model, digest in zip(models, request.digests, strict=True):
        if model.digest != digest:
            raise BadInput(
                f"The files of {model.name} have changed since the request was made; ask again."
            )
    if orders_of(models) != request.orders:
        raise BadInput(
            "The names of the classes have changed since the request was made; ask again."
        )
    models = in_one_order(models)
    return models, *task_and_examples(request, models)


def task_and_examples(request: ModelsRequest, models: Sequence[Model]) -> tuple[Task, Examples]:
    """The task of a request as its models see it, and its examples.

    Args:
        request: what was asked.
        models: of the request, their classes in one order.

    Raises:
        BadInput: if a person's own data is no longer that of the request.
    """
    from lmc_core.models.common import head_notes
    from lmc_core.models.rows import row_notes
    from lmc_core.tasks import task_for
    from lmc_core.tasks.class_order import order_notes

    task = task_for(request.task, *models)
    chosen = request.split, request.examples, request.seed, request.length or WINDOW
    if task.digest(*chosen) != request.data:
        raise BadInput(
            f"The data of {task.name} has changed since the request was made; ask again."
        )
    said = () if task.said is None else task.said(request.split, chosen[3])
    return replace(
        task,
        notes=(*task.notes, *said, *order_notes(models), *row_notes(models), *head_notes(models)),
    ), task.examples(*chosen)


def learning_from(request: ModelsRequest, task: Task, name: str | None = None) -> Learning | None:
    """The training examples that a request learns from, some of them held out; None for one that
    learns nothing.

    Args:
        request: what was asked.
        task: of the request.
        name: of what is learned, which an interrupted run goes on with; by default the request's
            key.
    """
    from lmc_core import folders
    from lmc_core.tasks.learning import Learning

    if request.learn is None:
        return None
    chosen = task.examples("train", request.learn, request.seed, request.length or WINDOW)
    checkpoint = folders.home() / "unfinished" / f"{name or request.key}.pt"
    return Learning.split(chosen, None, request.seed, request.device, checkpoint)


def grouped(examples: Examples) -> dict[str, np.ndarray]:
    """The array ``groups`` that is stored beside losses: which examples belong together; none where
    each stands for itself.
    """
    return {} if examples.groups is None else {"groups": examples.groups.numpy()}


def asked(request: ModelsRequest, task: Task, examples: int) -> dict[str, Any]:
    """The entries of a result that say what was asked.

    Args:
        request: what was asked.
        task: of the request.
        examples: how many there were.
    """
    return {
        "key": request.key,
        "what": request.what,
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "task": task.name,
        "about": task.sentence,
        "notes": list(task.notes),
        "data": request.data,
        "length": request.length,
        "unit": task.unit,
        "score": task.score,
        "split": request.split,
        "examples": examples,
        "method": request.method,
        "classes": dict(request.classes),
        "settings": dict(request.settings),
        "seed": request.seed,
        "precision": request.precision,
        "device": request.device,
    }


def stamped() -> dict[str, Any]:
    """The entries of a result that say by what and when it was computed."""
    import torch

    from lmc_core import __version__

    return {
        "versions": {
            "lmc": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cached": False,
    }


def size_of(models: Sequence[Model]) -> dict[str, Any]:
    """The entries of a result that say how large the models are and what they admit."""
    from lmc_core.symmetry.spaces import choose_classes

    largest = {kind: value.value for kind, value in choose_classes(models[0].layout.spaces).items()}
    widest = max(model.parameters for model in models)
    return {"parameters": models[0].parameters, "widest": widest, "largest": largest}
