"""The loss at one place of a plane, exactly where it is asked for rather than on a grid: the
request, its numbers, and how they are computed.
"""

from __future__ import annotations

import math
from time import perf_counter

from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.inputs import (
    describe_request,
    describe_size,
    make_group_array,
    make_stamp,
    open_inputs,
    read_groups,
    read_tensor,
)
from lmc_core.runs.kinds.plane import Scene
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.point import PointFacts, PointNumbers, PointRequest
from lmc_core.tasks.evaluator import evaluate


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
