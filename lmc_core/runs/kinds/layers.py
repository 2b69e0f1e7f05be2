"""What averaging each part of a network alone costs: the request and its computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.matching.methods import matching_share
from lmc_core.runs.aligned import line_of
from lmc_core.runs.kinds import ModelsNumbers, PairNumbers, Seconds
from lmc_core.runs.request import PairRequest

if TYPE_CHECKING:
    import numpy as np


class LayersNumbers(ModelsNumbers, PairNumbers):
    """The numbers of a `LayersRequest`; lists are over the parts of the network."""

    parts: list[str]
    numbers: list[int]  # parameters
    loss: float  # of A
    cost: list[float]  # of a part half way to B, in nats above A
    cost_stderr: list[float]
    swap: list[float]  # of a part in B's place
    swap_stderr: list[float]
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class LayersRequest(PairRequest):
    """The loss of A with one part at a time half way to B, or in B's place, after an alignment or
    without one.
    """

    what: str = "layers"


def compute(
    request: LayersRequest, report: Callable[[float, str], None] = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute what each part costs.

    Returns:
        The result as plain JSON values, and the arrays ``own`` (nats, `[examples]`), ``half`` and
        ``swapped`` (`[parts, examples]`).

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    from lmc_core.analysis.parts import part_costs
    from lmc_core.runs.kinds.barrier import pair_facts
    from lmc_core.runs.opened import asked, grouped, opened, size_of, stamped

    report(0.0, "loading the models")
    (a, b), task, examples = opened(request)
    first = matching_share(request.method)
    line, pair = line_of(
        request, (a, b), examples, task, lambda share, words: report(first * share, words)
    )
    begin = perf_counter()
    words = f"measuring one part at a time on {len(examples)} examples"
    found = part_costs(
        line, examples, request.device, lambda share: report(first + (1 - first) * share, words)
    )
    (half, half_error), (swap, swap_error) = found.above(found.half), found.above(found.swapped)
    shapes = line.a.layout.shapes
    result = {
        **asked(request, task, len(examples)),
        "parts": [part.name for part in found.parts],
        "numbers": [sum(_count(shapes[name]) for name in part.parameters) for part in found.parts],
        "loss": float(found.own.double().mean()),
        "cost": half.tolist(),
        "cost_stderr": half_error.tolist(),
        "swap": swap.tolist(),
        "swap_stderr": swap_error.tolist(),
        **pair_facts(pair),
        **size_of((a, b)),
        "seconds": {"align": pair.seconds if pair else 0.0, "evaluate": perf_counter() - begin},
        **stamped(),
    }
    return result, {
        **{name: getattr(found, name).numpy() for name in ("own", "half", "swapped")},
        **grouped(examples),
    }


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
