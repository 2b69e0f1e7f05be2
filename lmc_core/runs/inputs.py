"""What every request and every computation begins with: models, data and matching, checked when a
request is made and read again when it is computed; and the facts that every result ends with.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from lmc_core import __version__, folders
from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.models.cache import load_warm, loaded
from lmc_core.models.common import head_notes
from lmc_core.models.handover import HANDOVER
from lmc_core.models.lazy import is_lazy
from lmc_core.models.load import configuration, full_reference, load
from lmc_core.models.model import Model
from lmc_core.models.rows import row_notes
from lmc_core.runs.computation import Arrays
from lmc_core.runs.kinds import Asked, Size, Stamp
from lmc_core.runs.request import (
    DEVICES,
    LEARN,
    WINDOW,
    Data,
    Matching,
    Models,
    ModelsRequest,
    Scalar,
    hash_json,
)
from lmc_core.symmetry.spaces import SymmetryClass, at_most, choose_classes
from lmc_core.tasks import Examples, Task, list_forms, task_for
from lmc_core.tasks.class_order import find_order, in_one_order, order_notes
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.prediction import require_loss
from lmc_core.tasks.unmeasured import RANDOM, random_task

CHECKED = 16  # examples the function check runs on
SCORES = ("accuracy", "perplexity")


def find_device(wanted: str | None = None) -> str:
    """Return the device to use: the wanted one, else that of `LMC_DEVICE`, else CUDA if there, else
    the CPU. MPS has to be asked for, as nothing here was ever run on one.

    Raises:
        UnknownName: for a device that no one knows.
        BadInput: for a device this machine does not have.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if wanted in (None, "auto"):
        wanted = os.environ.get("LMC_DEVICE") or ("cuda" if there["cuda"] else "cpu")
    if wanted not in there:
        raise UnknownName.of("device", str(wanted), DEVICES)
    if not there[wanted]:
        raise BadInput(f"The device {wanted!r} is not available on this machine; use --device cpu.")
    return str(wanted)


def name_device() -> tuple[str, str, str]:
    """The device that is used if none is asked for, with the name and the memory of a graphics card
    of CUDA; beside the CPU "MPS" where that could be asked for; else "".
    """
    device = find_device()
    if device == "cpu" and torch.backends.mps.is_available():
        return device, "MPS", ""
    if device != "cuda":
        return device, "", ""
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    return device, torch.cuda.get_device_name(0), f"{gib:.0f} GiB"


def lower_classes(reference: str, largest: str) -> dict[str, str]:
    """Kind of space -> the largest class that a model admits and that a class contains; no weights
    are read.
    """
    family, config = configuration(reference)
    classes = at_most(family.layout(config).spaces, SymmetryClass.parse(largest))
    return {kind: value.value for kind, value in classes.items()}


def describe_models(references: Sequence[str], models: Sequence[Model]) -> Models:
    """What a request says of its models."""
    full = tuple(full_reference(each) for each in references)
    return Models(
        full,
        tuple(model.name for model in models),
        tuple(model.digest for model in models),
        find_orders(models),
        tuple(loaded(*each) for each in zip(full, models, strict=True)),
    )


def find_orders(models: Sequence[Model]) -> tuple[str, ...]:
    """What a request says of the orders that the classes of its models are brought into; () where
    all have their own.
    """
    orders = [find_order(models[0], model) for model in models]
    return (
        tuple("" if order is None else hash_json(order) for order in orders) if any(orders) else ()
    )


def choose_data(
    models: Sequence[Model], asked: Data, measured: bool, needed: bool = True
) -> tuple[Task, Data]:
    """The task of some models, and what a request says of its data.

    Args:
        models: of the request.
        asked: what a person asked for.
        measured: whether a loss is measured, which models without a head do not have.
        needed: whether anything is measured on data or learned from it; where it is not and no task
            is known, random inputs stand for it.
    """
    task = choose_task(models, asked.task, needed)
    if measured:
        require_loss(models)
    split, length = choose_split(task, asked.split), choose_length(task, models, asked.length)
    there = len(task.source(split, length or WINDOW))
    count = asked.examples
    count = None if count is None or count >= there else count
    digest = task.digest(split, count, asked.seed, length or WINDOW)
    return task, Data(task.reference or task.name, split, count, asked.seed, length, digest)


def choose_task(models: Sequence[Model], name: str | None, needed: bool = True) -> Task:
    """The task of that name as all models see it, or the one that all were trained on.

    Args:
        models: that are asked about.
        name: of the task; None for theirs.
        needed: see `choose_data`.
    """
    if name == RANDOM:
        raise BadInput(f"Random inputs are no task to ask for; name one of: {list_forms()}.")
    if name is None:
        known = [model.card.get("task") for model in models]
        if known[0] is None or len(set(known)) > 1:
            if not needed:
                return random_task(models)
            raise BadInput(
                "Which task to measure on is not clear from the models; name one of: "
                f"{list_forms()}."
            )
        name = str(known[0])
    task = task_for(name, *models)
    for model in models:
        sizes = model.family.sizes(model.config)
        outputs = sizes.get("tokens", sizes.get("classes", task.classes))
        if outputs < task.classes:
            raise BadInput(
                f"{model.name} has {outputs} outputs and the task {task.name!r} has {task.classes} "
                "labels; choose a task the model was made for."
            )
        # one's own are prepared as the model takes them
        if task.kind == "images" and not task.reference:
            takes = [sizes[name] for name in ("channels", "image", "image")]
            gives = list(task.examples("test").first(1).inputs.shape[1:])
            if takes != gives:
                raise BadInput(
                    f"{model.name} takes images {takes} and the task {task.name!r} gives {gives} "
                    "(channels, edges)."
                )
    return task


def choose_length(task: Task, models: Sequence[Model], length: int | None) -> int | None:
    """Tokens of a window: as asked for, else the models' context, at most `WINDOW`; None for
    images.
    """
    if task.kind == "images":
        if length is not None:
            raise BadInput(
                f"A length is for text; the task {task.name} gives images, so leave it out."
            )
        return None
    contexts = [(model.family.sizes(model.config).get("context"), model.name) for model in models]
    context, name = min(((size, name) for size, name in contexts if size), default=(None, ""))
    if length is None:
        return min(WINDOW, context or WINDOW)
    if length < 2:
        raise BadInput(f"A window should have 2 tokens or more; a length of {length} came.")
    if context is not None and length > context:
        raise BadInput(f"{name} reads at most {context} tokens at once; a length of {length} came.")
    return length


def choose_split(task: Task, split: str | None) -> str:
    """The split asked for, else the only one there is, else the test split."""
    if split is None:
        split = task.splits[0] if len(task.splits) == 1 else "test"
    if split not in task.splits:
        raise UnknownName.of("split", split, task.splits)
    return split


def require_two(examples: int | None) -> None:
    """Refuse fewer examples than a standard error needs."""
    require_counts(examples=examples)
    if examples is not None and examples < 2:
        raise BadInput(f"At least 2 examples are needed for a standard error; {examples} came.")


def choose_matching(
    model: Model,
    method: str,
    classes: Mapping[str, str] | None = None,
    settings: Mapping[str, Scalar] | None = None,
    learn: tuple[int | None, str] = (None, ""),
) -> Matching:
    """What a request says of how its models are brought together.

    Args:
        model: one of them.
        method: ``none``, or a name.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        settings: of the method, by name.
        learn: how many training examples are learned from, and their digest; see `choose_learning`.
    """
    chosen = choose_classes(model.layout.spaces, classes)
    if method == "none":
        return Matching(method, (), (), *learn)
    taken = tuple(sorted((kind, value.value) for kind, value in chosen.items()))
    return Matching(method, taken, tuple(sorted((settings or {}).items())), *learn)


def choose_learning(task: Task, method: str, learn: int | None, data: Data) -> tuple[int, str]:
    """How many training examples a method (or a switch) learns from, and their digest if they are a
    person's own.

    Args:
        task: of the request.
        method: what learns, in words.
        learn: how many are asked for; None for the default.
        data: of the request.
    """
    if "train" not in task.splits:
        raise BadInput(
            f"{method.capitalize()} learns from a training split and the task {task.name} has "
            "none; "
            "use the method weight alone, or data with a training split."
        )
    wanted = LEARN[task.kind] if learn is None else learn
    if wanted < 4:
        raise BadInput(
            f"At least 4 training examples are needed, some of them to stop by; {wanted} came."
        )
    length = data.length or WINDOW
    count = min(wanted, len(task.source("train", length)))
    return count, task.digest("train", count, data.seed, length)


def refuse_learning(method: str, learn: int | None) -> None:
    """Raise `BadInput` where a method that learns nothing was given training examples."""
    if learn is not None:
        raise BadInput(
            f"The method {method} learns from no examples; leave their number out, or choose one "
            "that does."
        )


def open_inputs(request: ModelsRequest, lazy: bool = False) -> tuple[list[Model], Task, Examples]:
    """The models of a request, its task, and its examples.

    Args:
        request: what was asked.
        lazy: whether the models' parameters are read when they are asked for, and not kept.

    Raises:
        BadInput: if the models or a person's own data have changed since the request was made, or
            what is computed.
    """
    if request.algorithm != request.current:
        raise BadInput(
            "The request was made by another version, whose numbers are others; ask again."
        )
    held = HANDOVER.take(request, len(request.models))
    models = [_open(*each, lazy) for each in zip(request.models, held, strict=True)]
    del held  # what is aligned in place has one owner
    for model, digest in zip(models, request.digests, strict=True):
        if model.digest != digest:
            raise BadInput(
                f"The files of {model.name} have changed since the request was made; ask again."
            )
    if find_orders(models) != request.orders:
        raise BadInput(
            "The names of the classes have changed since the request was made; ask again."
        )
    models = in_one_order(models)
    return models, *open_data(request, models)


def _open(reference: str, held: Model | None, lazy: bool) -> Model:
    """A model of a request, or the one that whoever made it has read in the same way."""
    if held is not None and is_lazy(held.state) == lazy:
        return held
    return load(reference, lazy=True) if lazy else load_warm(reference)


def open_data(request: ModelsRequest, models: Sequence[Model]) -> tuple[Task, Examples]:
    """The task of a request as its models see it, and its examples.

    Args:
        request: what was asked.
        models: of the request, their classes in one order.

    Raises:
        BadInput: if a person's own data is no longer that of the request.
    """
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


def open_learning(request: ModelsRequest, task: Task, name: str | None = None) -> Learning | None:
    """The training examples that a request learns from, some of them held out; None for one that
    learns nothing.

    Args:
        request: what was asked.
        task: of the request.
        name: of what is learned, which an interrupted run goes on with; by default the request's
            key.
    """
    if request.learn is None:
        return None
    chosen = task.examples("train", request.learn, request.seed, request.length or WINDOW)
    checkpoint = folders.home() / "unfinished" / f"{name or request.key}.pt"
    return Learning.split(chosen, None, request.seed, request.device, checkpoint)


def describe_axes(request: ModelsRequest) -> tuple[str, str, float]:
    """The unit of the loss of a request, its score, and what a model loses that knows nothing: all
    labels are equally likely.

    Raises:
        BadInput: its models or its data cannot be read.
    """
    task = task_for(request.task, *in_one_order([load_warm(each) for each in request.models]))
    return task.unit, task.score, math.log(task.classes)


def make_group_array(examples: Examples) -> dict[str, np.ndarray]:
    """The array ``groups`` that is stored beside losses: which examples belong together; none where
    each stands for itself.
    """
    return {} if examples.groups is None else {"groups": examples.groups.numpy()}


def describe_request(request: ModelsRequest, task: Task, examples: int) -> Asked:
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


def make_stamp() -> Stamp:
    """The entries of a result that say by what and when it was computed."""
    return {
        "versions": {
            "lmc": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cached": False,
    }


def describe_size(models: Sequence[Model]) -> Size:
    """The entries of a result that say how large the models are and what they admit."""
    largest = {kind: value.value for kind, value in choose_classes(models[0].layout.spaces).items()}
    widest = max(model.parameters for model in models)
    return {"parameters": models[0].parameters, "widest": widest, "largest": largest}


def read_tensor(arrays: Arrays, name: str, axes: int) -> Tensor:
    """One of the stored arrays.

    Args:
        arrays: by name.
        name: of one of them.
        axes: that it has.

    Raises:
        ValueError: it has another number of axes.
    """
    array = arrays[name]
    if array.ndim != axes:
        raise ValueError(f"{name} has {array.ndim} axes")
    return torch.from_numpy(array.copy())


def read_groups(arrays: Arrays) -> Tensor | None:
    """Which examples belong together; None of results that know of none, as those of earlier
    versions.
    """
    return read_tensor(arrays, "groups", 1) if "groups" in arrays else None


def read_score(score: str) -> str:
    """The score of a task, ``accuracy`` or ``perplexity``.

    Raises:
        ValueError: it is neither.
    """
    if score not in SCORES:
        raise ValueError("no such score")
    return score
