"""The loss at one point of a plane: its request, its numbers, and its record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypedDict

from lmc_core.errors import BadInput
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import ModelsNumbers, Seconds
from lmc_core.runs.requests.plane import PlacedRequest, PlaneRequest

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


COMPUTATION = Computation(
    "point",
    PointRequest,
    import_later("lmc_core.runs.kinds.point:compute"),
    passes=lambda request, workload: 1,
    summarize=import_later("lmc_core.runs.kinds.point:summarize"),
)
