"""Align two models, or several, as `lmc barrier`, `lmc align` and `lmc merge` do: with the mask of
tokens that were never seen, and with training examples split by the same rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.chain import follow, require_as_many, way_share
from lmc_core.matching.many import AlignedModels, align_models
from lmc_core.matching.method import Method, learns
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.matching.pair import align_pair
from lmc_core.models.checkpoints import list_checkpoints
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.progress import Progress, ignore, part
from lmc_core.symmetry.spaces import SymmetryClass
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.seen_rows import find_seen_rows
from lmc_core.tasks.task import Examples
from lmc_core.tasks.unmeasured import random_task

CHECKED = 16  # examples the function check runs on
Run = str | Path | Sequence[Model]  # checkpoints, or the folder that holds them


def align(
    a: Model,
    b: Model,
    examples: Examples | None = None,
    *,
    method: str = "weight",
    settings: Mapping[str, object] | None = None,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    train: Examples | Learning | None = None,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress = ignore,
    through: tuple[Run, Run] | None = None,
) -> AlignedPair:
    """Move the model `b` into the coordinates of `a`, exactly as `lmc barrier` does.

        pair = align(a, b)
        found = curve(Line(pair.a, pair.end), examples)

    Args:
        a: stays, up to its canonical rewrite.
        b: moves. Both keep what they compute.
        examples: the function check runs on the first 16; random inputs by default.
        method: a name in `METHODS`.
        settings: of the method, by name, where they differ from its defaults.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        train: examples of the training split, for methods that use data; `Learning.split` holds
            some of them out, or give what it returns.
        seed: of everything that is drawn.
        device: where both models are matched and run.
        checkpoint: file that an interrupted run of learning goes on from; None to keep nothing.
        progress: told the share done and a few words; may raise to stop.
        through: checkpoints of the runs that led to `a` and to `b`, the earliest first, or the
            folders that hold them (`models.checkpoints`). They are matched first, and each
            alignment is the start of the next; the last is that of the ends (`chain`).

    Raises:
        UnknownName: for a method or a setting that there is not.
        BadInput: for a method that uses data without `train`, or takes no start; for unequal
            numbers of checkpoints.
        Incompatible: if the models have no common layout, or tell other classes apart.
        Inadmissible: if a class is larger than a space admits.
        FunctionChanged: if either model's outputs moved by more than rounding.
    """
    chosen: Method[object] = METHODS[method]
    configured = chosen.configured(settings)
    learning = _split(train, seed, device, checkpoint) if chosen.uses_data else None
    inputs, masks = _checked((a, b), examples), find_seen_rows(a, b)
    given = inputs, classes, method, configured, masks
    if through is None:
        return align_pair(a, b, *given, progress, learning=learning, device=device)
    share = way_share(method, settings)
    way, after = part(progress, 0.0, share), part(progress, share, 1.0)
    runs, count = _open_runs(through)
    found = inputs, classes, method, settings, masks, way, learning, device, seed
    chain = follow((a, b), runs, count, *found)
    pair = align_pair(a, b, *given, after, learning=learning, device=device, start=chain.start)
    return chain.attach(pair)


def _open_runs(through: tuple[Run, Run]) -> tuple[Iterator[tuple[Model, Model]], int]:
    """The checkpoints of two runs, pair by pair as they are asked for, and how many there are."""
    runs = [_list_run(run) for run in through]
    require_as_many(*map(len, runs))
    pairs = ((_open(one), _open(two)) for one, two in zip(*runs, strict=True))
    return pairs, len(runs[0])


def _list_run(run: Run) -> list[Path] | list[Model]:
    return list_checkpoints(Path(run)) if isinstance(run, str | Path) else list(run)


def _open(checkpoint: Path | Model) -> Model:
    return checkpoint if isinstance(checkpoint, Model) else load_folder(checkpoint)


def align_many(
    models: Sequence[Model],
    examples: Examples | None = None,
    *,
    method: str = "universe",
    settings: Mapping[str, object] | None = None,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    train: Examples | Learning | None = None,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress = ignore,
) -> AlignedModels:
    """Move several models into one frame, so that maps agree around cycles, exactly as
    `lmc merge --frame universe` does with ``steps=0``.

    Args:
        models: two to eight, of one family and width; the first stays, up to its canonical rewrite.
        examples: the function checks run on the first 16; random inputs by default.
        method: a name in `MANY_METHODS`.
        settings: of the method, by name, where they differ from its defaults.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        train: examples of the training split, for methods that learn; `Learning.split` holds some
            of them out, or give what it returns.
        seed: of everything that is drawn.
        device: where all models are matched and run.
        checkpoint: file that an interrupted run of learning goes on from; None to keep nothing.
        progress: told the share done and a few words; may raise to stop.

    Raises:
        UnknownName: for a method or a setting that there is not.
        BadInput: for too few or too many models, or a method that learns without `train`.
        Incompatible: if the models have no common layout.
        Inadmissible: if a class is larger than a space admits.
        FunctionChanged: if any model's outputs moved by more than rounding.
    """
    configured = MANY_METHODS[method].configured(settings)
    learning = _split(train, seed, device, checkpoint) if learns(configured) else None
    return align_models(
        models,
        _checked(models, examples),
        classes,
        method,
        configured,
        find_seen_rows(*models),
        progress,
        learning,
        device,
    )


def _checked(models: Sequence[Model], examples: Examples | None) -> Tensor:
    """The inputs of the function check."""
    if examples is None:
        examples = random_task(models).examples("test", None, 0, 128)
    return examples.first(CHECKED).inputs


def _split(
    train: Examples | Learning | None, seed: int, device: str, checkpoint: Path | None
) -> Learning | None:
    if isinstance(train, Examples):
        return Learning.split(train, None, seed, device, checkpoint)
    return train
