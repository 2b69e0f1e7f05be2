"""The loss at one place of a plane, exactly where it is asked for rather than on a grid: the
request, its numbers, and how they are computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import TypedDict

from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.paths.curve import evaluate
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.computation import Arrays, Computation, Entries
from lmc_core.runs.inputs import (
    describe_request,
    describe_size,
    make_group_array,
    make_stamp,
    open_inputs,
    read_groups,
    read_tensor,
)
from lmc_core.runs.kinds import ModelsNumbers, Seconds
from lmc_core.runs.kinds.plane import PlacedRequest, PlaneRequest, Scene
from lmc_core.runs.request import RequestJson

DIGITS = 7  # of a coordinate that count; nearer points are one


class PointFacts(TypedDict):
    """What follows from the losses at a point."""

    loss: float
    stderr: float
    accuracy: float
    perplexity: float


class PointNumbers(ModelsNumbers, PointFacts):
    """The numbers of a `PointRequest`."""

    kind: str
    u: float
    v: float
    function_error: float | None
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class PointRequest(PlacedRequest):
    """The loss at one point of a plane.

    Attributes:
        u: coordinate along the first axis of the plane.
        v: along the second.
    """

    @property
    def numbers(self) -> type[PointNumbers]:
        """The type of its results."""
        return PointNumbers

    u: float = 0.0
    v: float = 0.0
    what: str = "point"


def choose_point(plane: PlaneRequest, u: float, v: float) -> PointRequest:
    """The point (u, v) of a plane, on the same data; grids of any resolution share it.

    Raises:
        BadInput: for coordinates that are no numbers.
    """
    if not (math.isfinite(u) and math.isfinite(v)):
        raise BadInput(f"A point of a plane has two finite coordinates; {u} and {v} came.")
    # no negative zero
    at = {name: float(f"{value:.{DIGITS}g}") + 0.0 for name, value in (("u", u), ("v", v))}
    return PointRequest.of(plane, kind=plane.kind, steps=plane.steps, **at)


def compute(
    request: PointRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[PointNumbers, Arrays]:
    """Measure the loss at the point of a request.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: make also alignments and bends again.

    Returns:
        The numbers, and the arrays ``losses`` (nats) and ``correct``, `[examples]`.

    Raises:
        BadInput: if the models are no longer those of the request, or lie on one line.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    progress(0.0, "loading the models")
    models, task, examples = open_inputs(request)
    found = Scene(request, models, task, examples, part(progress, 0.0, 0.7), refresh).span()
    begin = perf_counter()
    losses, correct = evaluate(
        found.plane.origin,
        [found.plane.state(request.u, request.v)],
        examples,
        request.device,
        part(progress, 0.7, 1.0, f"measuring this point on {len(examples)} examples"),
    )
    numbers: PointNumbers = {
        **describe_request(request, task, len(examples)),
        **describe_size(models),
        "kind": request.kind,
        "u": request.u,
        "v": request.v,
        **point_facts(losses[0], correct[0], examples.groups),
        "function_error": found.function_error,
        "seconds": {"align": found.seconds, "evaluate": perf_counter() - begin},
        **make_stamp(),
    }
    return numbers, {
        "losses": losses[0].numpy(),
        "correct": correct[0].numpy(),
        **make_group_array(examples),
    }


def point_facts(losses: Tensor, correct: Tensor, groups: Tensor | None = None) -> PointFacts:
    """The entries of a result that follow from its arrays.

    Args:
        losses: of each example in nats, `[examples]`.
        correct: share predicted correctly, same shape.
        groups: which examples belong together, `[examples]`; None for none.
    """
    values = losses.double()
    loss = float(values.mean())
    return {
        "loss": loss,
        "stderr": float(stderr(values, groups)),
        "accuracy": float(correct.double().mean()),
        "perplexity": math.exp(min(loss, 700.0)),
    }


def summarize(request: RequestJson, numbers: PointNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    losses, correct = read_tensor(arrays, "losses", 1), read_tensor(arrays, "correct", 1)
    return {**point_facts(losses, correct, read_groups(arrays)), "examples": len(losses)}


COMPUTATION = Computation(
    "point", PointRequest, compute, passes=lambda request, workload: 1, summarize=summarize
)
