"""What a person asked for becomes a `BarrierRequest`, after checking everything that is cheap to
check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.runs.model_cache import load_warm
from lmc_core.runs.request import BarrierRequest, digest_of

if TYPE_CHECKING:
    from lmc_core.models.model import Model
    from lmc_core.runs.memory import Memory
    from lmc_core.tasks import Task

WINDOW = 128  # tokens of a window when nothing else is asked for
# training examples that a method learns from when nothing else is asked for
LEARN = {"images": 8000, "text": 1500}
DEVICES = ("cpu", "cuda", "mps")


def memory_of(
    references: str | Sequence[str], points: int = 25, aligned: bool = True, learned: bool = False
) -> Memory:
    """The memory that a run on two models takes, before anything of their weights is read.

    Args:
        references: of both, or of one where the other is alike; a narrower one is widened first.
        points: of the curve.
        aligned: whether they are aligned first.
        learned: whether by a method that follows gradients.
    """
    from lmc_core.models.load import configuration
    from lmc_core.runs.memory import estimate

    found = [
        configuration(each)
        for each in ([references] if isinstance(references, str) else references)
    ]
    sizes = [
        {name: space.size for name, space in family.layout(config).spaces.items()}
        for family, config in found
    ]
    if found[0][0].name != found[-1][0].name:  # refused a moment later, for that reason
        found = found[:1]
    unequal = sizes[0] != sizes[-1]
    return max(
        (estimate(*each, points, aligned, unequal, learned) for each in found),
        key=lambda memory: memory.peak,
    )


def find_device(wanted: str | None = None) -> str:
    """Return the device to use: the wanted one, else CUDA if there, else MPS, else CPU.

    Raises:
        UnknownName: for a device that no one knows.
        BadInput: for a device this machine does not have.
    """
    import torch

    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if wanted in (None, "auto"):
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if wanted not in there:
        raise UnknownName.of("device", str(wanted), DEVICES)
    if not there[wanted]:
        raise BadInput(f"The device {wanted!r} is not available on this machine; use --device cpu.")
    return str(wanted)


def task_of(models: Sequence[Model], name: str | None, needed: bool = True) -> Task:
    """The task of that name as all models see it, or the one that all were trained on.

    Args:
        models: that are asked about.
        name: of the task; None for theirs.
        needed: whether data is; where it is not and no task is known, random inputs stand for it.
    """
    from lmc_core.tasks import FORMS, task_for
    from lmc_core.tasks.unmeasured import RANDOM, random_task

    if name == RANDOM:
        raise BadInput(f"Random inputs are no task to ask for; name one of: {FORMS}.")
    if name is None:
        known = [model.card.get("task") for model in models]
        if known[0] is None or len(set(known)) > 1:
            if not needed:
                return random_task(models)
            raise BadInput(
                f"Which task to measure on is not clear from the models; name one of: {FORMS}."
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


def window_of(task: Task, models: Sequence[Model], length: int | None) -> int | None:
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


def split_of(task: Task, split: str | None) -> str:
    """The split asked for, else the only one there is, else the test split."""
    if split is None:
        split = task.splits[0] if len(task.splits) == 1 else "test"
    if split not in task.splits:
        raise UnknownName.of("split", split, task.splits)
    return split


def data_of(
    models: Sequence[Model],
    task: str | None,
    split: str | None,
    examples: int | None,
    seed: int,
    length: int | None,
    measured: bool,
    needed: bool = True,
) -> tuple[Task, dict[str, Any]]:
    """The task of some models, and what a request says of its data.

    For the arguments see `make_request`; `needed` is whether anything is measured on data or
    learned from it.
    """
    from lmc_core.tasks.prediction import require_loss

    chosen = task_of(models, task, needed)
    if measured:
        require_loss(models)
    split, length = split_of(chosen, split), window_of(chosen, models, length)
    there = len(chosen.source(split, length or WINDOW))
    examples = None if examples is None or examples >= there else examples
    return chosen, {
        "task": chosen.reference or chosen.name,
        "split": split,
        "examples": examples,
        "seed": seed,
        "length": length,
        "data": chosen.digest(split, examples, seed, length or WINDOW),
    }


def require_two(examples: int | None) -> None:
    """Refuse fewer examples than a standard error needs."""
    require_counts(examples=examples)
    if examples is not None and examples < 2:
        raise BadInput(f"At least 2 examples are needed for a standard error; {examples} came.")


def make_request(
    a: str,
    b: str,
    *,
    task: str | None = None,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
    length: int | None = None,
    method: str = "weight",
    classes: Mapping[str, str] | None = None,
    points: int = 25,
    refine: int = 4,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    learn: int | None = None,
    temperature: bool = False,
    repair: bool = False,
    measured: bool = True,
) -> BarrierRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args:
        a: reference of the first model, which stays.
        b: reference of the second, which moves.
        task: name of a shipped task, ``text:FILE``, ``images:FOLDER`` or
            ``hf-dataset:NAME[:SPLIT]``; by default the task that both models were trained on.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        method: ``none``, or a name in `matching.methods.METHODS`.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        points: of the uniform grid.
        refine: further points around the maximum.
        settings: of the method, by name.
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        learn: training examples for methods that use data; by default at most 8,000 images or 1,500
            windows.
        temperature: also measure the curve at the softmax temperature that is best on training
            examples at each point.
        repair: renormalise the interpolated network on training examples; for networks without
            norms.
        measured: a loss will be measured, which models without a head do not have; where it is not,
            and the method uses no data, no task is needed.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    from lmc_core.matching.methods import get_method

    require_counts(length=length, learn=learn, seed=seed)
    _require_counts(points, refine, examples)
    learned, where = _checked(method, settings), find_device(device)
    measured = measured or (learned and get_method(method).takes_loss)
    models = _opened(a, b, points, method != "none", learned, measured)
    needed = measured or learned
    chosen_task, data = data_of(models, task, split, examples, seed, length, measured, needed)
    curve: dict[str, Any] = {
        "points": points,
        "refine": refine,
        "temperature": temperature,
        "repair": repair,
    }
    learns = [method] * learned + ["temperature"] * temperature + ["repair"] * repair
    return BarrierRequest(
        **named((a, b), models),
        **data,
        **matching_of(models[1], method, classes, settings),  # which moves
        **_learning(models[0], learns, chosen_task, method, learn, seed, data["length"]),
        **curve,
        device=where,
    )


def _checked(method: str, settings: Mapping[str, Any] | None) -> bool:
    """Whether a method learns from training examples, after a look at its settings."""
    from lmc_core.matching.methods import get_method

    if method == "none":
        return False
    chosen = get_method(method)
    chosen.configured(settings)
    return chosen.uses_data


def _opened(
    a: str, b: str, points: int, aligned: bool, learned: bool, measured: bool
) -> tuple[Model, Model]:
    """Two models that can be compared, or aligned where nothing is measured, loaded if there is
    room for what is asked.
    """
    from lmc_core.matching.common_form import common_form
    from lmc_core.models.common import different_heads, require_one_body
    from lmc_core.models.load import full_reference
    from lmc_core.runs.memory import require_room

    references = full_reference(a), full_reference(b)
    require_room(
        memory_of(references, points, aligned, learned).peak, f"Measuring between {a} and {b}"
    )
    models = load_warm(references[0]), load_warm(references[1])
    if not measured and different_heads(*models):
        require_one_body(*models)
    else:
        common_form(*models)
    return models


def named(references: Sequence[str], models: Sequence[Model]) -> dict[str, Any]:
    """What a request says of its models."""
    from lmc_core.models.load import full_reference

    return {
        "models": tuple(full_reference(each) for each in references),
        "names": tuple(model.name for model in models),
        "digests": tuple(model.digest for model in models),
        "orders": orders_of(models),
    }


def orders_of(models: Sequence[Model]) -> tuple[str, ...]:
    """What a request says of the orders that the classes of its models are brought into; () where
    all have their own.
    """
    from lmc_core.tasks.class_order import order_of

    orders = [order_of(models[0], model) for model in models]
    return (
        tuple("" if order is None else digest_of(order) for order in orders) if any(orders) else ()
    )


def matching_of(
    model: Model, method: str, classes: Mapping[str, str] | None, settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a request says of how its models are brought together.

    Args:
        model: one of them.
        method: ``none``, or a name.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        settings: of the method, by name.
    """
    from lmc_core.symmetry.spaces import choose_classes

    chosen = choose_classes(model.layout.spaces, classes)
    if method == "none":
        return {"method": method, "classes": (), "settings": ()}
    taken = tuple(sorted((kind, value.value) for kind, value in chosen.items()))
    return {"method": method, "classes": taken, "settings": tuple(sorted((settings or {}).items()))}


def _learning(
    model: Model,
    learns: Sequence[str],
    task: Task,
    method: str,
    learn: int | None,
    seed: int,
    length: int | None,
) -> dict[str, Any]:
    """What a request says of training examples: how many, and their digest if they are a person's
    own.

    Args:
        model: of the request.
        learns: what learns from them.
        task: of the request.
        method: of the request.
        learn: how many are asked for.
        seed: of their draw.
        length: of a window of text, in tokens.
    """
    if "repair" in learns:
        from lmc_core.analysis.repair import hidden_layers

        hidden_layers(model)
    if not learns:
        if learn is not None:
            raise BadInput(
                f"The method {method} learns from no examples; leave their number out, or choose "
                "one that does."
            )
        return {"learn": None, "learn_data": ""}
    count, digest = learning_of(task, learns[0], learn, seed, length)
    return {"learn": count, "learn_data": digest}


def _require_counts(points: int, refine: int, examples: int | None) -> None:
    require_counts(points=points, refine=refine)
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")
    require_two(examples)


def learning_of(
    task: Task, method: str, learn: int | None, seed: int, length: int | None
) -> tuple[int, str]:
    """How many training examples a method (or a switch) learns from, and their digest if they are a
    person's own.
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
    count = min(wanted, len(task.source("train", length or WINDOW)))
    return count, task.digest("train", count, seed, length or WINDOW)
