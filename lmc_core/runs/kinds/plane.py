"""The loss on a grid of a plane through models, coarse to fine: the request, its numbers, and how
they are computed.

While it runs, what it has so far lies in `unfinished`, where the page finds it to draw and a later
run to go on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.models.model import Model
from lmc_core.models.rows import usable
from lmc_core.paths.bezier import BendSettings
from lmc_core.paths.directions import random_plane
from lmc_core.paths.grid import Grid, Surface, measure_grid
from lmc_core.paths.plane import Plane
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.cache import Ends, find_ends
from lmc_core.runs.computation import Arrays, Entries, Workload
from lmc_core.runs.inputs import (
    describe_request,
    describe_size,
    make_stamp,
    open_inputs,
    read_score,
)
from lmc_core.runs.kinds import BendTraining
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.bend import train_bend
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.bend import STEPS
from lmc_core.runs.requests.plane import (
    KINDS,
    LabelledSpot,
    PlacedRequest,
    PlaneFacts,
    PlaneNumbers,
    PlaneRequest,
    PlaneSpot,
    choose_plane,
)
from lmc_core.runs.store import Store
from lmc_core.tasks import Examples, Task
from lmc_core.tasks.evaluator import evaluate

Label = tuple[str, str, str]  # what is written at the point, the name of the model, its role
NUMBERS = ("loss", "stderr", "correct")
OVERFLOW = "because what the networks compute overflows; choose a smaller span, or other models."


def make_plane_request(
    models: Sequence[str],
    kind: str | None = None,
    resolution: int = 25,
    span: float = 1.0,
    steps: int = 300,
    **words: Any,
) -> PlaneRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args:
        models: references of one (random directions), two or three.
        kind: of plane; by default the one that takes so many models.
        resolution: points along a side.
        span: of random directions.
        steps: of a bend.
        words: as `kinds.barrier.make_request` takes them.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    if not 1 <= len(models) <= 3:
        raise BadInput(
            f"A plane is drawn through two or three models, or around one; {len(models)} came."
        )
    kind = kind or {1: "random", 2: "pair", 3: "three"}[len(models)]
    if KINDS.get(kind, len(models)) != len(models):
        raise BadInput(
            f"A plane of the kind {kind!r} takes {KINDS[kind]} models; {len(models)} came."
        )
    if kind == "random":
        words |= {"method": "none", "classes": None, "settings": None}
    first = make_request(
        models[0], models[-1] if len(models) == 1 else models[1], points=3, refine=0, **words
    )
    requests = [first]
    if len(models) == 3:
        requests.append(
            make_request(models[0], models[2], points=3, refine=0, **{**words, "task": first.task})
        )
    return choose_plane(requests, kind, resolution, span, steps)


def compute(
    request: PlaneRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[PlaneNumbers, Arrays]:
    """Compute the plane of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: make also alignments and bends again, and measure also what the plane of half the
            resolution has.

    Returns:
        The numbers, and the arrays ``u`` and ``v`` `[n]`, ``loss`` (nats), ``stderr`` and
        ``correct`` `[n, n]`, rows along v.

    Raises:
        BadInput: if the models are no longer those of the request, or lie on one line, or no loss
            is finite.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    progress(0.0, "loading the models")
    models, task, examples = open_inputs(request)
    # where the progress of measuring begins
    first = 0.02 if request.method == "none" and request.kind != "bend" else 0.25
    scene = Scene(request, models, task, examples, part(progress, 0.0, first), refresh)
    found = scene.span()
    plane = found.plane
    grid = _choose_grid(request, plane)
    facts: PlaneFacts = {
        **describe_request(request, task, len(examples)),
        **describe_size(models),
        "kind": request.kind,
        "resolution": request.resolution,
        "span": request.span,
        "points": _points(request, found, task, examples),
        "clip": math.log(task.classes),
        "bend": found.bend,
        "found": {},
        "function_error": found.function_error,
        **make_stamp(),
    }
    begin = perf_counter()
    partial = Unfinished(request.key)
    known = _known(request, partial, grid, refresh)
    before = int((~known.missing).sum())  # measuring fills in what is missing
    measuring = part(progress, first, 1.0)
    surface = _measure(request, plane, grid, examples, facts, known, measuring)
    arrays = {
        "u": grid.u.numpy(),
        "v": grid.v.numpy(),
        **{name: getattr(surface, name).numpy() for name in NUMBERS},
    }
    numbers: PlaneNumbers = {
        **facts,
        "lowest": find_lowest(arrays, task.score),
        "seconds": {"align": found.seconds, "evaluate": perf_counter() - begin},
        "gone_on": before,
        **make_stamp(),
    }
    return numbers, arrays


def _choose_grid(request: PlaneRequest, plane: Plane) -> Grid:
    """The points that are measured: around a model, along the chord of a curve, or around all
    models.
    """
    if request.kind == "random":
        return Grid.square((0.0, 0.0), request.span or 1.0, request.resolution)
    if request.kind == "bend":
        return Grid.along(plane.corners[1][0], plane.corners[2], request.resolution)
    return Grid.around([(u, v) for u, v in plane.corners], request.resolution)


def _measure(
    request: PlaneRequest,
    plane: Plane,
    grid: Grid,
    examples: Examples,
    facts: PlaneFacts,
    known: Surface,
    progress: Progress,
) -> Surface:
    """Measure the points of the grid that are not known; what there is lies beside the results
    meanwhile, and stays there when the run is stopped.
    """
    partial = Unfinished(request.key)
    axes = {"u": grid.u.numpy(), "v": grid.v.numpy()}

    def keep(surface: Surface, now: bool = False) -> None:
        values = {name: getattr(surface, name).numpy() for name in NUMBERS}
        partial.write(facts, axes | values, now)

    side = len(grid.u)
    tell = part(progress, words=f"measuring {side} × {side} points on {len(examples)} examples")
    keep(known, now=True)
    try:
        surface = measure_grid(plane, grid, examples, request.device, known, tell, keep)
    except BaseException:  # whatever stops it, what was measured stays
        keep(known, now=True)
        raise
    partial.remove()
    return surface


def count_known_points(request: PlaneRequest) -> int:
    """Points of a plane that are measured already, by a run that was stopped or one of half the
    resolution.
    """
    if (found := Unfinished(request.key).read()) is not None:
        return int((~np.isnan(found[1].get("correct", np.empty(0)))).sum())
    coarse = halve(request)
    return 0 if coarse is None or Store().get(coarse.key) is None else coarse.resolution**2


def halve(request: PlaneRequest) -> PlaneRequest | None:
    """The plane of half the resolution, whose points are all among those of this one; None where
    there is none.
    """
    if request.resolution % 2 == 0 or request.resolution <= 3:
        return None
    return replace(request, resolution=(request.resolution + 1) // 2)


def _known(request: PlaneRequest, partial: Unfinished, grid: Grid, refresh: bool) -> Surface:
    """What was measured before on this grid: by a run that was stopped, or by one of half the
    resolution.
    """
    found = partial.read()
    if found is not None and _lies_on(found[1], grid, 1):
        return Surface(*(torch.from_numpy(found[1][name].copy()) for name in NUMBERS))
    if (half := halve(request)) is not None and not refresh:
        coarse = Store().get(half.key)
        arrays = coarse.arrays() if coarse is not None else {}
        if _lies_on(arrays, grid, 2):
            return Surface(*(torch.from_numpy(arrays[name]) for name in NUMBERS)).refined()
    return Surface.empty(request.resolution)


def _lies_on(arrays: Arrays, grid: Grid, step: int) -> bool:
    """Whether some arrays are whole and on every `step`-th point of a grid."""
    whole = {"u", "v", *NUMBERS} <= arrays.keys()
    return whole and all(
        np.array_equal(arrays[axis], getattr(grid, axis).numpy()[::step]) for axis in ("u", "v")
    )


def _points(
    request: PlaneRequest, found: Placed, task: Task, examples: Examples
) -> list[LabelledSpot]:
    """The labelled points, with their own losses."""
    corners = found.plane.corners if request.kind != "random" else ((0.0, 0.0),)
    states = [found.plane.state(u, v) for u, v in corners]
    losses, correct = (
        each.double() for each in evaluate(found.plane.origin, states, examples, request.device)
    )
    if not losses.mean(1).isfinite().any():  # nothing around them will be
        raise BadInput(
            f"None of {', '.join(dict.fromkeys(request.names))} has a finite loss on {task.name}, "
            f"{OVERFLOW}"
        )
    errors = stderr(losses, examples.groups)
    return [
        {
            "label": label,
            "name": name,
            "role": role,
            "u": u,
            "v": v,
            "loss": float(losses[i].mean()),
            "stderr": float(errors[i]),
            "score": float(correct[i].mean())
            if task.score == "accuracy"
            else math.exp(min(float(losses[i].mean()), 700.0)),
        }
        for i, ((label, name, role), (u, v)) in enumerate(zip(found.labels, corners, strict=True))
    ]


def find_lowest(arrays: Arrays, score: str) -> PlaneSpot:
    """The lowest point of the grid, from the arrays of a result.

    Raises:
        BadInput: no loss is finite, so that none is lowest.
    """
    loss = arrays["loss"]
    finite = np.isfinite(loss)
    if not finite.any():
        raise BadInput(
            f"None of the {loss.size:,} points of this plane has a finite loss, {OVERFLOW}"
        )
    row, column = np.unravel_index(int(np.where(finite, loss, np.inf).argmin()), loss.shape)
    value = float(loss[row, column])
    return {
        "u": float(arrays["u"][column]),
        "v": float(arrays["v"][row]),
        "loss": value,
        "stderr": float(arrays["stderr"][row, column]),
        "score": float(arrays["correct"][row, column])
        if score == "accuracy"
        else math.exp(min(value, 700.0)),
    }


@dataclass(frozen=True)
class Placed:
    """Models in a plane.

    Attributes:
        plane: that they span.
        labels: of its corners.
        seconds: what alignments took.
        function_error: largest relative difference of the outputs of an aligned model; None where
            nothing was aligned.
        bend: what is said of the training of a bend, where there is one.
    """

    plane: Plane
    labels: list[Label]
    seconds: float = 0.0
    function_error: float | None = None
    bend: BendTraining | None = None


@dataclass(frozen=True)
class Scene:
    """The models of a request before they span their plane.

    Attributes:
        request: what was asked.
        models: of the request.
        task: of the request.
        examples: of the request.
        progress: told the share done and a few words; may raise to stop.
        refresh: whether alignments and bends are made again.
    """

    request: PlacedRequest
    models: Sequence[Model]
    task: Task
    examples: Examples
    progress: Progress = ignore
    refresh: bool = False

    def span(self) -> Placed:
        """Bring the models into one frame, and span the plane."""
        ways = {"pair": self._pair, "bend": self._bend, "three": self._three}
        return ways.get(self.request.kind, self._random)()

    def _ends(self, low: float, high: float, second: int = 1) -> Ends:
        """The first model and another one, aligned in a part of the progress."""
        return find_ends(
            self.request,
            self.models,
            self.examples,
            self.task,
            part(self.progress, low, high),
            second,
            self.refresh,
        )

    def _pair(self) -> Placed:
        ends = self._ends(0.0, 1.0)
        a, b = self.request.names
        labels = [("A", a, "a"), ("B aligned", b, "aligned"), ("B", b, "b")]
        plane = Plane.through(ends.a, ends.end, ends.b)
        return Placed(plane, labels, ends.seconds, ends.function_error)

    def _bend(self) -> Placed:
        ends = self._ends(0.0, 0.5)
        curve, about = train_bend(
            self.request,
            ends.a,
            ends.end,
            self.task,
            BendSettings(steps=self.request.steps or STEPS),
            part(self.progress, 0.5, 1.0),
            self.refresh,
        )
        a, b = self.request.names
        second = ("B", b, "b") if ends.moved is None else ("B aligned", b, "aligned")
        bend = ends.a.with_state(curve.bend, name="the bend")
        return Placed(
            Plane.through(ends.a, ends.end, bend),
            [("A", a, "a"), second, ("bend", "bend", "bend")],
            ends.seconds,
            ends.function_error,
            about,
        )

    def _three(self) -> Placed:
        found = [self._ends((k - 1) / 2, k / 2, k) for k in (1, 2)]
        aligned = found[0].moved is not None
        tail, role = (" aligned", "aligned") if aligned else ("", "b")
        a, b, c = self.request.names
        labels = [("A", a, "a"), (f"B{tail}", b, role), (f"C{tail}", c, role)]
        errors = [ends.function_error for ends in found if ends.function_error is not None]
        seconds = sum(ends.seconds for ends in found)
        plane = Plane.through(found[0].a, found[0].end, found[1].end)
        return Placed(plane, labels, seconds, max(errors, default=None))

    def _random(self) -> Placed:
        plane = random_plane(usable(self.models[0]), self.request.seed)
        return Placed(plane, [("A", self.request.names[0], "a")])


def summarize(request: RequestJson, numbers: PlaneNumbers, arrays: Arrays) -> Entries:
    """The lowest point; see `runs.computation.summarize`."""
    shape = (len(arrays["v"]), len(arrays["u"]))
    if any(arrays[name].shape != shape for name in NUMBERS) or shape[0] != request["resolution"]:
        raise ValueError("the grid is not that of the request")
    return {"lowest": find_lowest(arrays, read_score(numbers["score"]))}


def count_passes(request: PlaneRequest, workload: Workload) -> float:
    """Forward passes over every example, but for the points that are measured already."""
    there = count_known_points(request) if workload.there is None else workload.there
    return request.resolution**2 + 3 - there
