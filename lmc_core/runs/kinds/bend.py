"""Compute a `BendRequest`: curves with a trained bend between two models, against the straight line
and the aligned one.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from lmc_core.errors import BadInput
from lmc_core.limits import MOST, require_counts
from lmc_core.runs.kinds import BendTraining, CurveSummary, ModelsNumbers, Seconds
from lmc_core.runs.request import ModelsRequest, PairRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.models.model import Model
    from lmc_core.paths.bezier import Bezier
    from lmc_core.paths.curve import Curve
    from lmc_core.tasks import Task

Report = Callable[[float, str], None]
STEPS = 300


class Control(TypedDict):
    """Where a bend lies relative to the plane of A, aligned B, and B."""

    u: float
    v: float
    away: float  # its distance from the plane


class PathNumbers(CurveSummary):
    """One path between two models, point by point."""

    name: str
    lam: list[float]
    chord: list[float]
    excess: list[float]
    excess_stderr: list[float]
    mean_loss: float
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    training: BendTraining | None
    control: Control | None


class BendNumbers(ModelsNumbers):
    """The numbers of a `BendRequest`."""

    steps: int
    paths: list[PathNumbers]
    function_error: float | None
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class BendRequest(PairRequest):
    """Curves from A to B as it is and, where there is a method, to aligned B, with the straight
    lines between the same ends.

    Attributes:
        steps: that train each bend.
        points: of every curve, ends included.
    """

    steps: int = STEPS
    points: int = 25
    what: str = "bend"


def bend_of(request: ModelsRequest, steps: int = STEPS, points: int = 25) -> BendRequest:
    """The bends of a checked request about two models.

    Args:
        request: of A with B.
        steps: that train each bend.
        points: of every curve.

    Raises:
        BadInput: for numbers that make no sense, or data without a training split.
    """
    from lmc_core.runs.ask import LEARN, learning_of

    require_counts(steps=steps, points=points)
    if steps < 1:
        raise BadInput(
            f"The steps that train a bend should lie between 1 and {MOST['steps']:,}; {steps} came."
        )
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    learn, data = request.learn, request.learn_data
    if learn is None and not request.data:
        learn = LEARN["images" if request.length is None else "text"]
    elif learn is None:
        from lmc_core.runs.model_cache import load_warm
        from lmc_core.tasks import task_for

        task = task_for(request.task, *(load_warm(reference) for reference in request.models))
        learn, data = learning_of(task, "a bend", None, request.seed, request.length)
    return BendRequest.of(request, steps=steps, points=points, learn=learn, learn_data=data)


def compute(
    request: BendRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute the curves of a request.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and for every path ``losses.<name>`` (nats,
        `[points, examples]`).

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    import torch

    from lmc_core.paths.curve import measure
    from lmc_core.paths.line import Line, ModelPath
    from lmc_core.paths.plane import Plane
    from lmc_core.runs.aligned import ends_of
    from lmc_core.runs.opened import asked, grouped, opened, size_of, stamped

    report(0.0, "loading the models")
    models, task, examples = opened(request)
    ends = ends_of(request, models, examples, task, lambda share, words: report(0.1 * share, words))
    aligned = ends.moved is not None
    goals = [("", ends.b)] + ([("-aligned", ends.end)] if aligned else [])
    paths: dict[str, ModelPath] = {f"straight{tail}": Line(ends.a, goal) for tail, goal in goals}
    trainings: dict[str, Any] = {}
    for number, (tail, goal) in enumerate(goals):
        where = " aligned" if tail else ""

        def tell(share: float, words: str, number: int = number, where: str = where) -> None:
            report(
                0.1 + 0.7 * (number + share) / len(goals),
                f"training the curve to{where} {request.names[1]}, {words}",
            )

        paths[f"bend{tail}"], trainings[f"bend{tail}"] = trained(request, ends.a, goal, task, tell)
    begin = perf_counter()
    lam = torch.linspace(0, 1, request.points, dtype=torch.float64)
    curves = {}
    for number, (name, path) in enumerate(paths.items()):

        def share_of(share: float, number: int = number) -> None:
            report(
                0.8 + 0.2 * (number + share) / len(paths),
                f"measuring the loss on {len(examples)} examples",
            )

        curves[name] = measure(path, lam, examples, request.device, share_of)
    plane = Plane.through(ends.a, ends.end, ends.b) if aligned else None
    listed = [
        _listed(name, curve, task, paths[name], plane, trainings.get(name))
        for name, curve in curves.items()
    ]
    seconds = {"align": ends.seconds, "evaluate": perf_counter() - begin}
    seconds["learn"] = sum(about["learn_seconds"] for about in trainings.values())
    return {
        **asked(request, task, len(examples)),
        **size_of(models),
        "steps": request.steps,
        "paths": listed,
        "function_error": ends.function_error,
        "seconds": seconds,
        **stamped(),
    }, {
        **{f"losses.{name}": curve.losses.numpy() for name, curve in curves.items()},
        **grouped(examples),
    }


def _listed(
    name: str, curve: Curve, task: Task, path: Any, plane: Any, training: dict[str, Any] | None
) -> dict[str, Any]:
    """One path as plain JSON values, as a barrier's result has them; with where its bend is in the
    plane of A, B, aligned B.
    """
    import math

    if task.score == "accuracy":
        score = curve.correct.double().mean(1).tolist()
    else:
        score = [math.exp(min(value, 700.0)) for value in curve.mean.tolist()]
    found: dict[str, Any] = {
        "name": name,
        **path_facts(curve.lam, curve.losses, curve.groups),
        task.score: score,
        "training": training,
        "control": None,
    }
    if training is not None and plane is not None:
        u, v, away = plane.project(path.bend)
        found["control"] = {"u": u, "v": v, "away": away}
    return found


def path_facts(lam: Tensor, losses: Tensor, groups: Tensor | None = None) -> dict[str, Any]:
    """The entries of one path that follow from its losses.

    Args:
        lam: the points, `[points]`.
        losses: of each example in nats, `[points, examples]`.
        groups: which examples belong together, `[examples]`; None for none.
    """
    from lmc_core.intervals.errors import stderr
    from lmc_core.paths.barrier import barrier, excess

    rows = losses.double()
    above, mean, top = excess(lam, losses), rows.mean(1), barrier(lam, losses, groups)
    return {
        "lam": lam.tolist(),
        "loss": mean.tolist(),
        "loss_stderr": stderr(rows, groups).tolist(),
        "chord": ((1 - lam) * mean[0] + lam * mean[-1]).tolist(),
        "excess": above.mean(1).tolist(),
        "excess_stderr": stderr(above, groups).tolist(),
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        "mean_loss": float(mean.mean()),
    }


def trained(
    request: ModelsRequest, a: Model, b: Model, task: Task, report: Report
) -> tuple[Bezier, dict[str, Any]]:
    """The curve between two models with a trained bend; what was trained so before is taken from
    disk.

    Args:
        request: that says the steps and what is learned from.
        a: the model at 0.
        b: the model at 1.
        task: of the request.
        report: called with the share done and a few words; may raise to stop.
    """
    from lmc_core import folders
    from lmc_core.paths.bezier import Bending, BendSettings, Bezier
    from lmc_core.runs.aligned import make_room
    from lmc_core.runs.anew import make_way
    from lmc_core.runs.opened import learning_from

    learning = learning_from(request, task, "bend")
    if learning is None:
        raise BadInput(
            "A bend is trained on examples of a training split; choose a task that has one."
        )
    bending = Bending(
        a, b, BendSettings(steps=getattr(request, "steps", None) or STEPS), learning, report
    )
    folder = folders.home() / "bends" / bending.fingerprint
    make_way(folder)
    if (found := _read(folder, bending)) is not None:
        report(1.0, "trained before")
        return Bezier(a, b, found[0]), found[1]
    bending.learning = replace(
        bending.learning, checkpoint=folders.home() / "unfinished" / f"{bending.fingerprint}.pt"
    )
    curve, about = bending.finish()
    draft = folder.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        from safetensors.torch import save_file

        draft.mkdir(parents=True)
        make_room(folder.parent)
        save_file(
            {name: tensor.contiguous() for name, tensor in curve.bend.items()},
            draft / "bend.safetensors",
        )
        (draft / "facts.json").write_text(json.dumps(about), encoding="utf-8")
        os.rename(draft, folder)
    except OSError:  # no room, or another process was first
        pass
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return curve, about


def _read(folder: Any, bending: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The bend that was kept and what is said of it, or None."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        bend = load_file(folder / "bend.safetensors")
        os.utime(folder)  # used just now
    except (OSError, ValueError, SafetensorError):
        return None
    fits = {name: tensor.shape for name, tensor in bend.items()} == {
        n: t.shape for n, t in bending.bend.items()
    }
    return (bend, about) if fits else None
