"""Curves with a trained bend between two models, against the straight line and the aligned one:
the request, its numbers, and how they are computed. Bends are kept on disk once trained.

bends/<key>/bend.safetensors, facts.json      the bend of a curve, and how it was trained
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from lmc_core import folders
from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.models.cache import load_warm
from lmc_core.models.model import Model
from lmc_core.paths.barrier import barrier, excess
from lmc_core.paths.bezier import Bending, BendSettings, Bezier
from lmc_core.paths.curve import Curve, measure
from lmc_core.paths.line import Line, ModelPath
from lmc_core.paths.plane import Plane
from lmc_core.progress import Part, Progress, ignore, part
from lmc_core.runs.cache import find_ends
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import (
    choose_learning,
    describe_request,
    describe_size,
    make_group_array,
    make_stamp,
    open_inputs,
    open_learning,
    read_groups,
    read_score,
    read_tensor,
)
from lmc_core.runs.kept import keep, read_json, read_kept, write_json, write_state
from lmc_core.runs.kinds import BendTraining, Seconds
from lmc_core.runs.request import Data, ModelsRequest, RequestJson
from lmc_core.runs.requests.bend import BendNumbers, BendRequest, Control, PathFacts, PathNumbers
from lmc_core.tasks import Task, task_for


def choose_own_data(request: ModelsRequest) -> tuple[int, str]:
    """How many training examples of a person's own data a bend learns from, and their digest."""
    task = task_for(request.task, *(load_warm(reference) for reference in request.models))
    return choose_learning(task, "a bend", None, Data(seed=request.seed, length=request.length))


def compute(
    request: BendRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[BendNumbers, Arrays]:
    """Compute the curves of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align and train also what was aligned and trained before.

    Returns:
        The numbers, and for every path ``losses.<name>`` (nats, `[points, examples]`).

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    progress(0.0, "loading the models")
    models, task, examples = open_inputs(request)
    aligning = part(progress, 0.0, 0.1)
    ends = find_ends(request, models, examples, task, aligning, refresh=refresh)
    aligned = ends.moved is not None
    goals = [("", ends.b)] + ([("-aligned", ends.end)] if aligned else [])
    paths: dict[str, ModelPath] = {f"straight{tail}": Line(ends.a, goal) for tail, goal in goals}
    trained = _train(request, ends.a, goals, task, part(progress, 0.1, 0.8), refresh)
    bends = {name: bend for name, (bend, _) in trained.items()}
    trainings = {name: about for name, (_, about) in trained.items()}
    paths |= bends
    begin = perf_counter()
    lam = torch.linspace(0, 1, request.points, dtype=torch.float64)
    measuring = part(progress, 0.8, 1.0, f"measuring the loss on {len(examples)} examples")
    curves = {}
    for number, (name, path) in enumerate(paths.items()):
        tell = measuring.part(number / len(paths), (number + 1) / len(paths))
        curves[name] = measure(path, lam, examples, request.device, tell)
    plane = Plane.through(ends.a, ends.end, ends.b) if aligned else None
    listed = [
        _listed(name, curve, task, bends.get(name), plane, trainings.get(name))
        for name, curve in curves.items()
    ]
    seconds: Seconds = {
        "align": ends.seconds,
        "evaluate": perf_counter() - begin,
        "learn": sum(about["learn_seconds"] for about in trainings.values()),
    }
    numbers: BendNumbers = {
        **describe_request(request, task, len(examples)),
        **describe_size(models),
        "steps": request.steps,
        "paths": listed,
        "function_error": ends.function_error,
        "seconds": seconds,
        **make_stamp(),
    }
    return numbers, {
        **{f"losses.{name}": curve.losses.numpy() for name, curve in curves.items()},
        **make_group_array(examples),
    }


def _train(
    request: BendRequest,
    a: Model,
    goals: Sequence[tuple[str, Model]],
    task: Task,
    progress: Part,
    refresh: bool,
) -> dict[str, tuple[Bezier, BendTraining]]:
    """A curve from A to each goal, whose name ends as the goal's does, and how it was trained."""
    found = {}
    settings = BendSettings(steps=request.steps)
    for number, (tail, goal) in enumerate(goals):
        where = f"training the curve to{' aligned' if tail else ''} {request.names[1]}"
        told = progress.part(number / len(goals), (number + 1) / len(goals))

        def tell(share: float, words: str, told: Part = told, where: str = where) -> None:
            told(share, f"{where}, {words}")

        found[f"bend{tail}"] = train_bend(request, a, goal, task, settings, tell, refresh)
    return found


def _listed(
    name: str,
    curve: Curve,
    task: Task,
    bend: Bezier | None,
    plane: Plane | None,
    training: BendTraining | None,
) -> PathNumbers:
    """One path as plain JSON values, as a barrier's result has them; with where its bend is in the
    plane of A, B, aligned B.
    """
    if task.score == "accuracy":
        score = curve.correct.double().mean(1).tolist()
    else:
        score = [math.exp(min(value, 700.0)) for value in curve.mean.tolist()]
    control: Control | None = None
    if bend is not None and plane is not None:
        u, v, away = plane.project(bend.bend)
        control = {"u": u, "v": v, "away": away}
    found = {
        "name": name,
        **path_facts(curve.lam, curve.losses, curve.groups),
        task.score: score,
        "training": training,
        "control": control,
    }
    return cast(PathNumbers, found)


def path_facts(lam: Tensor, losses: Tensor, groups: Tensor | None = None) -> PathFacts:
    """The entries of one path that follow from its losses.

    Args:
        lam: the points, `[points]`.
        losses: of each example in nats, `[points, examples]`.
        groups: which examples belong together, `[examples]`; None for none.
    """
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


def summarize(request: RequestJson, numbers: BendNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    lam = torch.linspace(0, 1, int(request["points"]), dtype=torch.float64)
    score, paths = read_score(numbers["score"]), []
    for path in numbers["paths"]:
        losses = read_tensor(arrays, f"losses.{path['name']}", 2)
        found: PathNumbers = {**path, **path_facts(lam, losses, read_groups(arrays))}
        if score == "perplexity":
            found["perplexity"] = [math.exp(min(value, 700.0)) for value in found["loss"]]
        paths.append(found)
    return {"paths": paths}


def train_bend(
    request: ModelsRequest,
    a: Model,
    b: Model,
    task: Task,
    settings: BendSettings,
    progress: Progress,
    refresh: bool = False,
) -> tuple[Bezier, BendTraining]:
    """The curve between two models with a trained bend; what was trained so before is taken from
    disk.

    Args:
        request: that says what is learned from.
        a: the model at 0.
        b: the model at 1.
        task: of the request.
        settings: of training.
        progress: told the share done and a few words; may raise to stop.
        refresh: train also what was trained before.
    """
    learning = open_learning(request, task, "bend")
    if learning is None:
        raise BadInput(
            "A bend is trained on examples of a training split; choose a task that has one."
        )
    bending = Bending(a, b, settings, learning, progress)
    folder = folders.home() / "bends" / bending.fingerprint
    if (found := read_kept(folder, lambda path: _read_bend(path, bending), refresh)) is not None:
        progress(1.0, "trained before")
        return Bezier(a, b, found[0]), found[1]
    bending.learning = replace(
        bending.learning, checkpoint=folders.home() / "unfinished" / f"{bending.fingerprint}.pt"
    )
    curve, about = bending.finish()

    def write(draft: Path) -> None:
        write_state(draft / "bend.safetensors", curve.bend)
        write_json(draft / "facts.json", about)

    keep(folder, write)
    return curve, cast(BendTraining, about)


def _read_bend(folder: Path, bending: Bending) -> tuple[dict[str, Tensor], BendTraining]:
    about = read_json(folder / "facts.json")
    bend = load_file(folder / "bend.safetensors")
    shapes = {name: tensor.shape for name, tensor in bending.bend.items()}
    if {name: tensor.shape for name, tensor in bend.items()} != shapes:
        raise ValueError("another bend")
    return bend, about
