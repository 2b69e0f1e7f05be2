"""Which requests are computed without holding their models: the same rule for who makes a request,
who computes it, and who says beforehand what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmc_core.analysis.lazy_memory import can_be_lazy, is_large
from lmc_core.analysis.memory import Memory
from lmc_core.analysis.streamed_memory import estimate_curve_of, estimate_mixtures_of
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.paths.simplex import choose_mixtures
from lmc_core.runs.inputs import CHECKED
from lmc_core.runs.request import WINDOW, ModelsRequest, Request
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.runs.requests.many import GroupRequest


def reads_lazily(references: Sequence[str], method: str, device: str, usual: bool) -> bool:
    """Whether mixtures of two models or more are measured without holding them: large ones, on the
    CPU, as they are or matched by their weights.

    Args:
        references: of all of them.
        method: ``none``, or a name in `METHODS` or `MANY_METHODS`.
        device: kind of device.
        usual: whether nothing else is asked for: straight lines, in float32, by networks as they
            are, and nothing learned from examples.
    """
    by_weights = method in ("none", "weight") or method in MANY_METHODS
    if not usual or not by_weights or device != "cpu":
        return False
    return can_be_lazy(references) and is_large(references)


def holds_nothing(request: Request) -> bool:
    """Whether the models of a request are read one parameter at a time."""
    if not isinstance(request, BarrierRequest | GroupRequest):
        return False
    usual = request.precision == "float32" and not request.through
    if isinstance(request, BarrierRequest):
        usual = usual and not (
            request.temperature
            or request.repair
            or request.reroute
            or request.compiled
            or request.bends
        )
    else:
        usual = usual and request.learn is None
    return reads_lazily(request.models, request.method, request.device, usual)


def estimate_unheld(request: ModelsRequest) -> Memory:
    """The memory that a request takes whose models are not held."""
    if isinstance(request, GroupRequest):
        settings, resolution = dict(request.settings), request.resolution
        chosen = request.method, settings, request.length, resolution, request.examples
        return estimate_large_group(request.models, *chosen)
    points = getattr(request, "points", 25)
    return estimate_large(request.models, request.method, request.length, points, request.examples)


def estimate_large(
    references: Sequence[str], method: str, length: int | None, points: int, examples: int | None
) -> Memory:
    """The memory that the curve between two models takes.

    Args:
        references: of both models.
        method: ``none`` or ``weight``.
        length: tokens of a window; None for the usual number, or images.
        points: at the most that are measured at once.
        examples: None for all that there are.
    """
    pairs = None if examples is None else points * examples
    return estimate_curve_of(references, method != "none", CHECKED, length or WINDOW, pairs)


def estimate_large_group(
    references: Sequence[str],
    method: str,
    settings: Mapping[str, object] | None,
    length: int | None,
    resolution: int | None,
    examples: int | None,
) -> Memory:
    """The memory that the mixtures of several models take.

    Args:
        references: of the models.
        method: ``none``, or a name in `MANY_METHODS`.
        settings: of the method.
        length: tokens of a window; None for the usual number, or images.
        resolution: of the simplex of three models; of other numbers it does not matter.
        examples: None for all that there are.
    """
    pairs, onto, count = None, None, len(references)
    if examples is not None:
        points = choose_mixtures(count, resolution if count == 3 else None)
        pairs = len(points) * examples
    if method != "none":
        onto = getattr(MANY_METHODS[method].configured(settings), "reference", 0) > 0
    return estimate_mixtures_of(references, onto, CHECKED, length or WINDOW, pairs)
