"""What a person asked for becomes a `BarrierRequest`, after checking everything that is cheap to
check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.runs.model_cache import load_warm
from lmc_core.runs.request import digest_of

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
    from lmc_core.tasks import list_forms, task_for
    from lmc_core.tasks.unmeasured import RANDOM, random_task

    if name == RANDOM:
        raise BadInput(f"Random inputs are no task to ask for; name one of: {list_forms()}.")
    if name is None:
        known = [model.card.get("task") for model in models]
        if known[0] is None or len(set(known)) > 1:
            if not needed:
                return random_task(models)
            raise BadInput(
                f"Which task to measure on is not clear from the models; name one of: {list_forms()}."
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
    from lmc_core.tasks.class_order import find_order

    orders = [find_order(models[0], model) for model in models]
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


def memory_of_group(references: Sequence[str], aligned: bool = True, learned: bool = False) -> int:
    """Bytes that a run on several models takes at the most: what two take, for every two of
    them.
    """
    pairs = (len(references) + 1) // 2
    return pairs * max(memory_of(each, 3, aligned, learned).peak for each in references)


def require_number(references: Sequence[str], besides: str = "", more: int = 0) -> None:
    """Refuse fewer models than two, and more than can be brought together.

    Args:
        references: of the models.
        besides: what comes on top of them, in words.
        more: how many that are.
    """
    from lmc_core.matching.many import FEWEST, MOST

    if not FEWEST <= len(references) <= MOST - more:
        raise BadInput(
            f"Between {FEWEST} and {MOST - more} models are expected{besides}; {len(references)} "
            "came."
        )


def opened_group(
    references: Sequence[str], aligned: bool, learned: bool, doing: str, merged: int | None = None
) -> list[Model]:
    """Several models that can be brought together, loaded if there is room for what is asked of
    them.

    Args:
        references: of the models.
        aligned: whether they are brought into one frame.
        learned: whether by a method that follows gradients.
        doing: what is asked, to say what there is no room for.
        merged: how many of them that is asked of; all by default.
    """
    from lmc_core.matching.many import common_forms
    from lmc_core.models.load import full_reference
    from lmc_core.runs.memory import require_room

    full = [full_reference(each) for each in references]
    require_room(memory_of_group(full, aligned, learned), f"{doing} {merged or len(full)} models")
    models = [load_warm(each) for each in full]
    common_forms(models)
    return models
