"""Curves between two models whose bend is trained: its request, its numbers, and its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lmc_core.errors import BadInput
from lmc_core.limits import MOST, require_counts
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation, Workload
from lmc_core.runs.kinds import BendTraining, CurveSummary, ModelsNumbers, Seconds
from lmc_core.runs.request import LEARN, ModelsRequest, PairRequest

STEPS = 300
choose_own_data = import_later("lmc_core.runs.kinds.bend:choose_own_data")


class Control(TypedDict):
    """Where a bend lies relative to the plane of A, aligned B, and B."""

    u: float
    v: float
    away: float  # its distance from the plane


class PathFacts(CurveSummary):
    """What follows from the losses of one path."""

    lam: list[float]
    chord: list[float]
    excess: list[float]
    excess_stderr: list[float]
    mean_loss: float


class PathNumbers(PathFacts):
    """One path between two models, point by point."""

    name: str
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    training: BendTraining | None
    control: Control | None


class BendNumbers(ModelsNumbers):
    """The numbers of a `BendRequest`."""

    steps: int
    paths: list[PathNumbers]
    function_error: float | None
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class BendRequest(PairRequest):
    """Curves from A to B as it is and, where there is a method, to aligned B, with the straight
    lines between the same ends.

    Attributes:
        steps: that train each bend.
        points: of every curve, ends included.
    """

    @property
    def numbers(self) -> type[BendNumbers]:
        """The type of its results."""
        return BendNumbers

    steps: int = STEPS
    points: int = 25
    what: str = "bend"

    @property
    def bends(self) -> tuple[str, ...]:
        """The ends that a bend is trained to."""
        return tuple(dict.fromkeys(["none", self.method]))


def make_bend_request(request: ModelsRequest, steps: int = STEPS, points: int = 25) -> BendRequest:
    """The bends of a checked request about two models.

    Args:
        request: of A with B.
        steps: that train each bend.
        points: of every curve.

    Raises:
        BadInput: for numbers that make no sense, or data without a training split.
    """
    require_counts(steps=steps, points=points)
    if steps < 1:
        raise BadInput(
            f"The steps that train a bend should lie between 1 and {MOST['steps']:,}; {steps} came."
        )
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    learn, data = request.learn, request.learn_data
    if learn is None and not request.data:
        learn = LEARN["images" if request.length is None else "text"]
    elif learn is None:
        learn, data = choose_own_data(request)
    return BendRequest.of(request, steps=steps, points=points, learn=learn, learn_data=data)


def count_passes(request: BendRequest, workload: Workload) -> float:
    """Forward passes over every example."""
    return request.points * (2 if request.method == "none" else 4)


COMPUTATION = Computation(
    "bend",
    BendRequest,
    import_later("lmc_core.runs.kinds.bend:compute"),
    passes=count_passes,
    summarize=import_later("lmc_core.runs.kinds.bend:summarize"),
)
