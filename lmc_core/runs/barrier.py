"""Compute a `BarrierRequest`: load, align, measure the curve, gather everything that is shown."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput, UnknownName
from lmc_core.runs.request import BarrierRequest

if TYPE_CHECKING:
    import numpy as np

    from lmc_core.models.model import Model
    from lmc_core.paths.curve import Curve
    from lmc_core.runs.memory import Memory
    from lmc_core.tasks import Examples, Task

Report = Callable[[float, str], None]
CHECKED = 16  # examples the function check runs on
# Bytes of a model's files up to which it is kept in memory between runs. Every model that is aligned in place is larger, even
# in half precision (2 bytes x matching.problem.HELD), so that no model that is kept is ever written into.
WARM = 2 * 2**24
WINDOW = 128  # tokens of a window when nothing else is asked for
DEVICES = ("cpu", "cuda", "mps")


@lru_cache(maxsize=8)
def _load_once(reference: str, stamp: tuple[tuple[int, int], ...]) -> Model:
    from lmc_core.models.load import load

    return load(reference)


def _load(reference: str) -> Model:
    """Load a model, or take the one kept warm if its files have not been written since; large ones are not kept."""
    from lmc_core.models.load import files_of, load

    if not _warm(reference):
        return load(reference)
    stats = [path.stat() for path in files_of(reference)]
    return _load_once(reference, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


def _warm(reference: str) -> bool:
    """Whether a model is small enough to be kept between runs; others are this run's own."""
    from lmc_core.models.load import files_of

    return sum(path.stat().st_size for path in files_of(reference)) <= WARM


def memory_of(reference: str, points: int = 25, aligned: bool = True) -> Memory:
    """The memory that a run on two models like this one takes, before anything of their weights is read."""
    from lmc_core.models.load import configuration
    from lmc_core.runs.memory import estimate

    return estimate(*configuration(reference), points, aligned)


def find_device(wanted: str | None = None) -> str:
    """Return the device to use: the wanted one, else CUDA if there, else MPS, else CPU.

    Raises:
        UnknownName: for a device that no one knows.
        BadInput: for a device this machine does not have.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted in (None, "auto"):
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if wanted not in there:
        raise UnknownName.of("device", str(wanted), DEVICES)
    if not there[wanted]:
        raise BadInput(f"The device {wanted!r} is not available on this machine; use --device cpu.")
    return str(wanted)


def _task_of(a: Model, b: Model, name: str | None) -> Task:
    from lmc_core.tasks import FORMS, task_for

    if name is None:
        known = [model.card.get("task") for model in (a, b)]
        if known[0] is None or known[0] != known[1]:
            raise BadInput(f"Which task to measure on is not clear from the models; name one of: {FORMS}.")
        name = str(known[0])
    task = task_for(name, a, b)
    for model in (a, b):
        sizes = model.family.sizes(model.config)
        outputs = sizes.get("tokens", sizes.get("classes", task.classes))
        if outputs < task.classes:
            raise BadInput(
                f"{model.name} has {outputs} outputs and the task {task.name!r} has {task.classes} "
                "labels; choose a task the model was made for."
            )
        if task.kind == "images" and not task.reference:  # one's own are prepared as the model takes them
            takes = [sizes[name] for name in ("channels", "image", "image")]
            gives = list(task.examples("test").first(1).inputs.shape[1:])
            if takes != gives:
                raise BadInput(f"{model.name} takes images {takes} and the task {task.name!r} gives {gives} (channels, edges).")
    return task


def _window(task: Task, models: tuple[Model, Model], length: int | None) -> int | None:
    """Tokens of a window: as asked for, else the models' context, at most `WINDOW`; None for images."""
    if task.kind == "images":
        if length is not None:
            raise BadInput(f"A length is for text; the task {task.name} gives images, so leave it out.")
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


def _split(task: Task, split: str | None) -> str:
    """The split asked for, else the only one there is, else the test split."""
    if split is None:
        split = task.splits[0] if len(task.splits) == 1 else "test"
    if split not in task.splits:
        raise UnknownName.of("split", split, task.splits)
    return split


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
    measured: bool = True,
) -> BarrierRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to check.

    Args:
        a: reference of the first model, which stays.
        b: reference of the second, which moves.
        task: name of a shipped task, ``text:FILE``, ``images:FOLDER`` or ``hf-dataset:NAME[:SPLIT]``; by default the task that
            both models were trained on.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        method: ``none`` or a matcher.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        points: of the uniform grid.
        refine: further points around the maximum.
        settings: of the matcher, by name.
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        measured: a loss will be measured, which models without a head do not have.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    from lmc_core.matching.pair import METHODS, common_form
    from lmc_core.matching.weight import Settings
    from lmc_core.models.load import full_reference
    from lmc_core.runs.memory import require_room
    from lmc_core.symmetry.spaces import choose_classes
    from lmc_core.tasks.prediction import require_loss

    if method not in ("none", *METHODS):
        raise UnknownName.of("method", method, ("none", *METHODS))
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")
    if examples is not None and examples < 2:
        raise BadInput(f"At least 2 examples are needed for a standard error; {examples} came.")
    try:
        Settings(**(settings or {}))
    except TypeError:
        raise UnknownName.of("setting", ", ".join(settings or {}), Settings.__dataclass_fields__) from None
    where = find_device(device)
    references = full_reference(a), full_reference(b)
    require_room(memory_of(references[0], points, method != "none").peak, f"Measuring between {a} and {b}")
    models = _load(references[0]), _load(references[1])
    common_form(*models)
    chosen_task = _task_of(*models, task)
    if measured:
        require_loss(models)
    split, length = _split(chosen_task, split), _window(chosen_task, models, length)
    chosen = choose_classes(models[0].layout.spaces, classes)
    all_there = len(chosen_task.source(split, length or WINDOW))
    examples = None if examples is None or examples >= all_there else examples
    return BarrierRequest(
        models=references,
        names=(models[0].name, models[1].name),
        digests=(models[0].digest, models[1].digest),
        task=chosen_task.reference or chosen_task.name,
        split=split,
        examples=examples,
        seed=seed,
        length=length,
        data=chosen_task.digest(split, examples, seed, length or WINDOW),
        method=method,
        classes=() if method == "none" else tuple(sorted((kind, value.value) for kind, value in chosen.items())),
        points=points,
        refine=refine,
        settings=() if method == "none" else tuple(sorted((settings or {}).items())),
        device=where,
    )


def compute(
    request: BarrierRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute the barrier of a request.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and the arrays ``losses`` (nats, `[points, examples]`) and ``correct``.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    from lmc_core.matching.pair import align_pair, common_form
    from lmc_core.matching.problem import HELD
    from lmc_core.matching.weight import Settings
    from lmc_core.paths.curve import curve
    from lmc_core.paths.line import Line
    from lmc_core.symmetry.spaces import choose_classes

    report(0.0, "loading the models")
    a, b = (_load(reference) for reference in request.models)
    for model, digest in zip((a, b), request.digests, strict=True):
        if model.digest != digest:
            raise BadInput(f"The files of {model.name} have changed since the request was made; ask again.")
    task, examples = task_and_examples(request, (a, b))
    aligned: dict[str, Any] = {"function_error": None, "objective": [], "objective_before": None, "start": None}
    align_seconds = 0.0
    first = 0.0 if request.method == "none" else 0.2
    if request.method == "none":
        line = Line(*common_form(a, b))
    else:
        pair = align_pair(
            a,
            b,
            examples.first(CHECKED).inputs,
            dict(request.classes),
            request.method,
            Settings(**dict(request.settings)),
            masks=seen_rows(a, b),
            progress=lambda share: report(0.02 + 0.18 * share, "matching the weights"),
            in_place=a.parameters > HELD and not any(_warm(reference) for reference in request.models),
        )
        line = Line(pair.a, pair.b)
        align_seconds = pair.seconds
        aligned = {
            "function_error": pair.function_error,
            "objective": list(pair.trace.objective),
            "objective_before": pair.trace.before,
            "start": pair.trace.start,
        }
    begin = perf_counter()
    found = curve(
        line,
        examples,
        request.points,
        request.refine,
        request.device,
        lambda share: report(first + (1 - first) * share, f"measuring the loss on {len(examples)} examples"),
    )
    seconds = {"align": align_seconds, "evaluate": perf_counter() - begin}
    largest = {kind: value.value for kind, value in choose_classes(a.layout.spaces).items()}
    memory = memory_of(request.models[0], request.points, request.method != "none").peak
    about = {"parameters": a.parameters, "largest": largest, "memory": memory}
    arrays = {"losses": found.losses.numpy(), "correct": found.correct.numpy()}
    return _result(request, task, found, seconds) | aligned | about, arrays


def task_and_examples(request: BarrierRequest, models: tuple[Model, Model]) -> tuple[Task, Examples]:
    """The task of a request as its models see it, and its examples.

    Raises:
        BadInput: if a person's own data is no longer that of the request.
    """
    from lmc_core.tasks import task_for

    task = task_for(request.task, *models)
    chosen = request.split, request.examples, request.seed, request.length or WINDOW
    if task.digest(*chosen) != request.data:
        raise BadInput(f"The data of {task.name} has changed since the request was made; ask again.")
    return task, task.examples(*chosen)


def seen_rows(a: Model, b: Model) -> dict[str, Any]:
    """Which rows of the token tables and heads both models saw in training, by parameter; others carry no information.

    Known only for models whose cards name a shipped text task; empty for others.
    """
    import torch

    from lmc_core.matching.pair import untied
    from lmc_core.tasks import TASKS

    trained = [TASKS.get(str(model.card.get("task"))) for model in (a, b)]
    streams = [task.stream for task in trained if task is not None and task.stream is not None]
    if len(streams) < 2:
        return {}
    tokens = a.family.sizes(a.config)["tokens"]
    seen = torch.ones(tokens, dtype=torch.bool)
    for stream in streams:
        seen &= torch.zeros(tokens, dtype=torch.bool).index_fill_(0, stream("train").unique(), True)
    layout = untied(a).layout
    tables = [block.parameter for block in layout.blocks if block.name in ("token.table", "head.weight", "head.bias")]
    return {name: seen for name in tables if layout.shapes[name][0] == tokens}


def _result(request: BarrierRequest, task: Task, found: Curve, seconds: dict[str, float]) -> dict[str, Any]:
    import torch

    from lmc_core import __version__
    from lmc_core.paths.barrier import excess

    mean, lam = found.mean, found.lam
    above = excess(lam, found.losses)
    top = found.barrier
    chord = (1 - lam) * mean[0] + lam * mean[-1]
    if task.score == "accuracy":
        score = found.correct.double().mean(1).tolist()
    else:
        score = [math.exp(min(value, 700.0)) for value in mean.tolist()]
    middle = int((lam - 0.5).abs().argmin())
    return {
        "key": request.key,
        "models": list(request.names),
        "references": list(request.models),
        "digests": list(request.digests),
        "task": task.name,
        "about": task.sentence,
        "data": request.data,
        "length": request.length,
        "unit": task.unit,
        "split": request.split,
        "examples": found.losses.shape[1],
        "method": request.method,
        "classes": dict(request.classes),
        "seed": request.seed,
        "lam": lam.tolist(),
        "loss": mean.tolist(),
        "loss_stderr": found.stderr.tolist(),
        "chord": chord.tolist(),
        "excess": above.mean(1).tolist(),
        "excess_stderr": (above.std(1) / above.shape[1] ** 0.5).tolist(),
        "score": task.score,
        task.score: score,
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        "midpoint_loss": float(mean[middle]),
        "seconds": seconds,
        "versions": {"lmc": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "precision": request.precision,
        "device": request.device,
        "cached": False,
    }
