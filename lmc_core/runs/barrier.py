"""Compute a `BarrierRequest`: load, align, measure the curve, gather everything that is shown."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput
from lmc_core.runs.ask import WINDOW, memory_of
from lmc_core.runs.further import at_best_temperature, routes
from lmc_core.runs.request import BarrierRequest, GroupRequest
from lmc_core.runs.softened import soft_facts
from lmc_core.runs.warm import is_warm, load_warm

if TYPE_CHECKING:
    import numpy as np

    from lmc_core.matching.given import Learning
    from lmc_core.matching.pair import AlignedPair
    from lmc_core.models.model import Model
    from lmc_core.paths.curve import Curve
    from lmc_core.paths.line import Path
    from lmc_core.tasks import Examples, Task

Report = Callable[[float, str], None]
CHECKED = 16  # examples the function check runs on
STATISTICS = 1024  # training examples at the most that temperatures and renormalisations are fitted on
HELD_OUT = 512  # training examples at the most that are only chosen and stopped by


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
    from lmc_core.matching.pair import common_form
    from lmc_core.paths.curve import curve
    from lmc_core.paths.line import Line
    from lmc_core.paths.repair import Repaired
    from lmc_core.symmetry.spaces import choose_classes

    report(0.0, "loading the models")
    a, b = (load_warm(reference) for reference in request.models)
    for model, digest in zip((a, b), request.digests, strict=True):
        if model.digest != digest:
            raise BadInput(f"The files of {model.name} have changed since the request was made; ask again.")
    task, examples = task_and_examples(request, (a, b))
    aligned: dict[str, Any] = {"function_error": None, "objective": [], "objective_before": None, "start": None, "found": {}}
    align_seconds = 0.0
    first = {"none": 0.0, "weight": 0.2}.get(request.method, 0.9)  # where the progress of measuring begins
    pair = None
    if request.method == "none":
        line = Line(*common_form(a, b))
    else:
        pair = align(request, (a, b), examples, task, lambda share, words: report(0.02 + (first - 0.02) * share, words))
        line = Line(pair.a, pair.end)
        align_seconds = pair.seconds
        aligned = {
            "function_error": pair.function_error,
            "objective": list(pair.trace.objective),
            "objective_before": pair.trace.before,
            "start": pair.trace.start,
            "found": dict(pair.trace.about),
            "places": {
                space: {name: values.tolist() for name, values in asdict(place).items()} for space, place in pair.places.items()
            },
        }
    begin = perf_counter()
    learning = learning_from(request, task)
    path: Path = line
    if request.repair and learning is not None:
        path = Repaired(line, learning.train.first(STATISTICS), request.device)
    found = curve(
        path,
        examples,
        request.points,
        request.refine,
        request.device,
        lambda share: report(first + (1 - first) * share, f"measuring the loss on {len(examples)} examples"),
    )
    seconds = {"align": align_seconds, "evaluate": perf_counter() - begin}
    beside: dict[str, Any] = {"routing": routes(line, examples, request.device, report), "repair": request.repair}
    if request.temperature and learning is not None:
        train = learning.train.first(STATISTICS)
        beside["tempered"] = at_best_temperature(path, found, train, examples, request.device, report)
    largest = {kind: value.value for kind, value in choose_classes(a.layout.spaces).items()}
    memory = memory_of(request.models, request.points, request.method != "none", request.learn is not None).peak
    about = {"parameters": a.parameters, "largest": largest, "memory": memory}
    arrays = {"losses": found.losses.numpy(), "correct": found.correct.numpy()}
    softened = soft_facts(pair, found, examples, request.device)
    return _result(request, task, found, seconds) | aligned | about | beside | softened, arrays


def align(request: BarrierRequest, models: tuple[Model, Model], examples: Examples, task: Task, report: Report) -> AlignedPair:
    """Align the models of a request as it says.

    What a method learns is kept in a file until it is done, so that a run that was cancelled or killed goes on from there.
    """
    from lmc_core.matching.methods import get_method
    from lmc_core.matching.pair import align_pair
    from lmc_core.matching.problem import HELD

    method = get_method(request.method)
    return align_pair(
        *models,
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        method.configured(dict(request.settings)),
        masks=seen_rows(*models),
        progress=report,
        in_place=models[0].parameters > HELD and not any(is_warm(reference) for reference in request.models),
        learning=learning_from(request, task),
    )


def learning_from(request: BarrierRequest | GroupRequest, task: Task) -> Learning | None:
    """The training examples that the method of a request learns from, some of them held out; None for methods without."""
    from lmc_core import places
    from lmc_core.matching.given import Learning

    if request.learn is None:
        return None
    chosen = task.examples("train", request.learn, request.seed, request.length or WINDOW)
    rows = len(chosen) - max(2, min(HELD_OUT, len(chosen) // 16))
    checkpoint = places.home() / "unfinished" / f"{request.key}.pt"
    return Learning(chosen.first(rows), chosen.rows(rows, len(chosen)), request.device, checkpoint, request.seed)


def task_and_examples(request: BarrierRequest | GroupRequest, models: Sequence[Model]) -> tuple[Task, Examples]:
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


def seen_rows(*models: Model) -> dict[str, Any]:
    """Which rows of the token tables and heads all models saw in training, by parameter; others carry no information.

    Known only for models whose cards name a shipped text task; empty for others.
    """
    import torch

    from lmc_core.matching.pair import untied
    from lmc_core.tasks import TASKS

    trained = [TASKS.get(str(model.card.get("task"))) for model in models]
    streams = [task.stream for task in trained if task is not None and task.stream is not None]
    if len(streams) < len(models):
        return {}
    tokens = models[0].family.sizes(models[0].config)["tokens"]
    seen = torch.ones(tokens, dtype=torch.bool)
    for stream in streams:
        seen &= torch.zeros(tokens, dtype=torch.bool).index_fill_(0, stream("train").unique(), True)
    layout = untied(models[0]).layout
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
        "settings": dict(request.settings),
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
