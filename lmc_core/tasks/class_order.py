"""Two classifiers of the same classes that number them differently: the rows of the second one's
head follow the first.

What a row of a head means is its class, not its number. Where the files of both models name their
classes (`id2label` of transformers, `label_names` of timm, or the shipped task that a card names),
the names decide; where either does not, or only numbers them (LABEL_0, LABEL_1, ...), both are
taken to be in one order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lmc_core.errors import BadInput, Incompatible
from lmc_core.models.lazy import map_state
from lmc_core.models.model import Model
from lmc_core.tasks.labels import few, named_classes, plain
from lmc_core.tasks.task import Task

HEADS = ("head", "distillation.head")  # blocks whose rows are classes, where a family has classes


def class_names(model: Model) -> tuple[str, ...]:
    """The names of a model's classes in the order of its outputs; () where they are not known, or
    say no more than numbers.
    """
    if model.class_names:
        return model.class_names
    count = model.family.sizes(model.config).get("classes")
    named = named_classes(model) if count else {}
    if not count or sorted(named) != list(range(count)):
        return ()
    bare = all(
        re.fullmatch(rf"((label|class)[ _-]?)?0*{number}", name.strip(), re.I)
        for number, name in named.items()
    )
    return () if bare else tuple(named[number] for number in range(count))


def find_order(first: Model, model: Model) -> list[int] | None:
    """Which output of `model` each output of `first` is, by the names of the classes; None where
    both are in one order.

    Raises:
        Incompatible: if the classes are not the same, or two of them have one name.
    """
    wanted, own = class_names(first), class_names(model)
    ours, theirs = ([plain(name) for name in names] for names in (wanted, own))
    # other numbers are refused elsewhere
    if not wanted or not own or len(ours) != len(theirs) or ours == theirs:
        return None
    if set(ours) != set(theirs):
        alone = [name for name, each in zip(wanted, ours, strict=True) if each not in theirs]
        other = [name for name, each in zip(own, theirs, strict=True) if each not in ours]
        only = " and ".join(
            f"{few(names)} {'are' if len(names) > 1 else 'is'} known to {who.name} alone"
            for names, who in ((alone, first), (other, model))
            if names
        )
        raise Incompatible(
            f"{first.name} and {model.name} tell other classes apart: {only}; choose two of the "
            "same classes."
        )
    twice = next((name for name, times in Counter(ours).items() if times > 1), None)
    if twice is not None:
        raise Incompatible(
            f"{first.name} and {model.name} have their classes in another order, and call several "
            f"{twice!r}, so that it is not "
            "known which is which; give these classes names of their own in both configurations."
        )
    return [theirs.index(name) for name in ours]


def in_order_of(first: Model, model: Model) -> Model:
    """The same classifier with its outputs in the order of the classes of `first`; the model itself
    where they are.

    Args:
        first: whose order is taken.
        model: of the same family and sizes, or of other sizes with as many classes.

    Returns:
        The model with permuted rows of its head, which says so in `class_names`.

    Raises:
        Incompatible: if the classes are not the same, or two of them have one name.
    """
    order = find_order(first, model)
    if order is None:
        return model
    rows = torch.tensor(order)
    heads = [f"{head}.{part}" for head in HEADS for part in ("weight", "bias")]
    names = [block.parameter for block in model.layout.blocks if block.name in heads]

    def in_order(name: str, tensor: Tensor) -> Tensor:
        return tensor[rows.to(tensor.device)] if name in names else tensor

    state = map_state(model.state, in_order)
    return replace(model, state=state, class_names=class_names(first))


def in_one_order(models: Sequence[Model]) -> list[Model]:
    """All models with their outputs in the order of the first one's classes."""
    return [models[0], *(in_order_of(models[0], model) for model in models[1:])]


def order_notes(models: Sequence[Model]) -> tuple[str, ...]:
    """A sentence for captions that names the models whose classes were brought into the order of
    the first; () for none.
    """
    names = [model.name for model in models[1:] if model.class_names]
    if not names:
        return ()
    verb = "are" if len(names) > 1 else "is"
    return (
        f"{' and '.join(names)} {verb} read with the classes in the order of {models[0].name}, by "
        "their names: the rows of the "
        "head are permuted.",
    )


def require_order(task: Task, model: Model) -> None:
    """Raise `BadInput` if a model names the classes of a shipped task and has them in another
    order.
    """
    ours, theirs = ([plain(name) for name in names] for names in (task.labels, class_names(model)))
    if ours != theirs and sorted(ours) == sorted(theirs):
        raise BadInput(
            f"{model.name} has the classes of {task.name} in another order; give the images as "
            "images:FOLDER, one folder per "
            "class with its name, so that the names decide."
        )
