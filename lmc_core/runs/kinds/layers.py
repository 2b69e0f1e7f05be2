"""What averaging each part of a network alone costs: its request, its numbers, and how it is
computed.
"""

from __future__ import annotations

import math
from time import perf_counter

from lmc_core.analysis.parts import PartCosts, part_costs
from lmc_core.matching.methods import matching_share
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.cache import make_line
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
from lmc_core.runs.kinds.curve_facts import pair_facts
from lmc_core.runs.request import RequestJson
from lmc_core.runs.requests.layers import LayersNumbers, LayersRequest


def compute(
    request: LayersRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[LayersNumbers, Arrays]:
    """Compute what each part costs.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and the arrays ``own`` (nats, `[examples]`), ``half`` and ``swapped``
        (`[parts, examples]`).

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    progress(0.0, "loading the models")
    (a, b), task, examples = open_inputs(request)
    first = matching_share(request.method)
    aligning = part(progress, 0.0, first)
    line, pair = make_line(request, (a, b), examples, task, aligning, refresh)
    begin = perf_counter()
    words = f"measuring one part at a time on {len(examples)} examples"
    found = part_costs(line, examples, request.device, part(progress, first, 1.0, words))
    (half, half_error), (swap, swap_error) = found.above(found.half), found.above(found.swapped)
    shapes = line.a.layout.shapes
    numbers: LayersNumbers = {
        **describe_request(request, task, len(examples)),
        "parts": [each.name for each in found.parts],
        "numbers": [
            sum(math.prod(shapes[name]) for name in each.parameters) for each in found.parts
        ],
        "loss": float(found.own.double().mean()),
        "cost": half.tolist(),
        "cost_stderr": half_error.tolist(),
        "swap": swap.tolist(),
        "swap_stderr": swap_error.tolist(),
        **pair_facts(pair),
        **describe_size((a, b)),
        "seconds": {"align": pair.seconds if pair else 0.0, "evaluate": perf_counter() - begin},
        **make_stamp(),
    }
    return numbers, {
        **{name: getattr(found, name).numpy() for name in ("own", "half", "swapped")},
        **make_group_array(examples),
    }


def summarize(request: RequestJson, numbers: LayersNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    own, half, swapped = (
        read_tensor(arrays, name, axes) for name, axes in (("own", 1), ("half", 2), ("swapped", 2))
    )
    if len({len(half), len(swapped), len(numbers["parts"])}) != 1:
        raise ValueError("as many parts as rows are needed")
    costs = PartCosts((), own, half, swapped, read_groups(arrays))
    (cost, cost_error), (swap, swap_error) = costs.above(half), costs.above(swapped)
    return {
        "examples": len(own),
        "loss": float(own.double().mean()),
        "cost": cost.tolist(),
        "cost_stderr": cost_error.tolist(),
        "swap": swap.tolist(),
        "swap_stderr": swap_error.tolist(),
    }
