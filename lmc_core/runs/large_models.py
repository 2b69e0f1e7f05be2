"""Which requests are computed without holding their models: the same rule for who makes a request,
who computes it, and who says beforehand what it takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmc_core.analysis.lazy_memory import can_be_lazy, estimate_curve_of, is_large
from lmc_core.analysis.memory import Memory
from lmc_core.runs.inputs import CHECKED
from lmc_core.runs.request import WINDOW, Request
from lmc_core.runs.requests.barrier import BarrierRequest


def reads_lazily(references: Sequence[str], method: str, device: str, usual: bool) -> bool:
    """Whether the curve between two models is measured without holding them: large ones, on the
    CPU, as they are or matched by their weights.

    Args:
        references: of both.
        method: ``none`` or a name in `METHODS`.
        device: kind of device.
        usual: whether nothing else is asked for: the straight line, in float32, by networks as they
            are.
    """
    if not usual or method not in ("none", "weight") or device != "cpu":
        return False
    return can_be_lazy(references) and is_large(references)


def holds_nothing(request: Request) -> bool:
    """Whether the models of a request are read one parameter at a time."""
    if not isinstance(request, BarrierRequest):
        return False
    usual = request.precision == "float32" and not (
        request.temperature
        or request.repair
        or request.reroute
        or request.compiled
        or request.bends
        or request.through
    )
    return reads_lazily(request.models, request.method, request.device, usual)


def estimate_large(
    references: Sequence[str], method: str, length: int | None, points: int, examples: int | None
) -> Memory:
    """The memory that such a request takes.

    Args:
        references: of both models.
        method: ``none`` or ``weight``.
        length: tokens of a window; None for the usual number, or images.
        points: at the most that are measured at once.
        examples: None for all that there are.
    """
    pairs = None if examples is None else points * examples
    return estimate_curve_of(references, method != "none", CHECKED, length or WINDOW, pairs)
