"""Compute a `PointRequest`: the loss at one place of a plane, exactly where it is asked for rather
than on a grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput
from lmc_core.runs.kinds import ModelsNumbers, Seconds
from lmc_core.runs.kinds.plane import PlacedRequest, PlaneRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

DIGITS = 7  # of a coordinate that count; nearer points are one


class PointNumbers(ModelsNumbers):
    """The numbers of a `PointRequest`."""

    kind: str
    u: float
    v: float
    loss: float
    stderr: float
    accuracy: float
    perplexity: float
    function_error: float | None
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class PointRequest(PlacedRequest):
    """The loss at one point of a plane.

    Attributes:
        u: coordinate along the first axis of the plane.
        v: along the second.
    """

    u: float = 0.0
    v: float = 0.0
    what: str = "point"


def point_of(plane: PlaneRequest, u: float, v: float) -> PointRequest:
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
    request: PointRequest, report: Callable[[float, str], None] = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure the loss at the point of a request.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and the arrays ``losses`` (nats) and ``correct``,
        `[examples]`.

    Raises:
        BadInput: if the models are no longer those of the request, or lie on one line.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    from lmc_core.paths.curve import evaluate
    from lmc_core.runs.kinds.plane import placed
    from lmc_core.runs.opened import asked, grouped, opened, size_of, stamped

    report(0.0, "loading the models")
    models, task, examples = opened(request)
    found = placed(request, models, task, examples, lambda share, words: report(0.7 * share, words))
    begin = perf_counter()
    words = f"measuring this point on {len(examples)} examples"
    losses, correct = evaluate(
        found.plane.origin,
        [found.plane.state(request.u, request.v)],
        examples,
        request.device,
        lambda share: report(0.7 + 0.3 * share, words),
    )
    result = {
        **asked(request, task, len(examples)),
        **size_of(models),
        "kind": request.kind,
        "u": request.u,
        "v": request.v,
        **numbers_of(losses[0], correct[0], examples.groups),
        "function_error": found.function_error,
        "seconds": {"align": found.seconds, "evaluate": perf_counter() - begin},
        **stamped(),
    }
    return result, {"losses": losses[0].numpy(), "correct": correct[0].numpy(), **grouped(examples)}


def numbers_of(losses: Tensor, correct: Tensor, groups: Tensor | None = None) -> dict[str, float]:
    """The entries of a result that follow from its arrays.

    Args:
        losses: of each example in nats, `[examples]`.
        correct: share predicted correctly, same shape.
        groups: which examples belong together, `[examples]`; None for none.
    """
    from lmc_core.intervals.errors import stderr

    values = losses.double()
    loss = float(values.mean())
    return {
        "loss": loss,
        "stderr": float(stderr(values, groups)),
        "accuracy": float(correct.double().mean()),
        "perplexity": math.exp(min(loss, 700.0)),
    }
