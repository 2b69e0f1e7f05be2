"""The barrier along the line between two models: its request, its numbers, and its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import (
    BendTraining,
    CurveSummary,
    ModelsNumbers,
    PairNumbers,
    RoutingOfExamples,
    Seconds,
    SharedWeights,
)
from lmc_core.runs.request import PairRequest


class PlainNumbers(TypedDict):
    """What the plain average loses, at the barrier of an aligned line and half way."""

    lam: list[float]
    loss: list[float]
    more: float  # how much more the aligned line loses at the first of these points
    more_stderr: float


class TemperedNumbers(TypedDict):
    """The curve at the softmax temperature that is best at each of its points."""

    temperatures: list[float]
    loss: list[float]
    excess: list[float]
    barrier: float
    barrier_stderr: float
    barrier_lam: float
    examples: int


class SoftNumbers(TypedDict):
    """A line to a soft end, which is another function than B."""

    temperature: float
    entropy: float
    sharp: float
    softened: list[str]
    loss: float  # of the soft end
    loss_of_b: float
    function_error: float
    hard_function_error: float


class CurveNumbers(TypedDict):
    """A curve on [0, 1], point by point, and its barrier; see `curve_facts`.

    Of results that an earlier version wrote for a line to a soft end some entries are missing (see
    `AGAINST_TRUE_END`).
    """

    lam: list[float]
    loss: list[float]
    loss_stderr: list[float]
    chord: list[float]
    excess: list[float]  # of the loss above the chord
    excess_stderr: list[float]
    excess_low: NotRequired[list[float]]
    excess_high: NotRequired[list[float]]
    excess_factor: NotRequired[float | None]
    at_zero: NotRequired[bool]
    midpoint_excess: NotRequired[float]
    midpoint_excess_stderr: NotRequired[float]
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    barrier: float
    barrier_stderr: float
    barrier_lam: float
    barrier_crossfit: NotRequired[float | None]
    barrier_crossfit_stderr: NotRequired[float | None]
    area: float
    area_stderr: float
    midpoint_loss: float
    # of image tasks, in shares of the accuracy below the chord
    drop: NotRequired[list[float]]
    drop_stderr: NotRequired[list[float]]
    drop_low: NotRequired[list[float]]
    drop_high: NotRequired[list[float]]
    drop_factor: NotRequired[float | None]
    drop_at_zero: NotRequired[bool]
    midpoint_drop: NotRequired[float]
    midpoint_drop_stderr: NotRequired[float]
    largest_drop: NotRequired[float]
    largest_drop_stderr: NotRequired[float]
    largest_drop_lam: NotRequired[float]
    drop_crossfit: NotRequired[float | None]
    drop_crossfit_stderr: NotRequired[float | None]


class Sampling(TypedDict):
    """How many examples were taken for the standard error that was asked for."""

    stderr: float  # nats
    there: int  # examples of the request
    reached: bool


class StraightNumbers(CurveSummary):
    """The straight line between the ends of a bent curve, at some points."""

    lam: list[float]
    excess: list[float]
    excess_stderr: list[float]


class BentNumbers(TypedDict):
    """A curve with a bend, beside the straight line; lengths are in the space of parameters."""

    length: float
    chord: float  # distance of the ends
    away: float  # distance of the curve from the straight line, half way
    straight: StraightNumbers
    training: BendTraining | None  # None where the bend was learned with the alignment


class BarrierNumbers(ModelsNumbers, CurveNumbers, PairNumbers):
    """The numbers of a `BarrierRequest`."""

    same: NotRequired[list[SharedWeights]]
    routing: RoutingOfExamples | None  # of mixtures of experts
    repair: bool
    rerouted: NotRequired[bool]
    tempered: NotRequired[TemperedNumbers]
    plain: NotRequired[PlainNumbers]
    above_plain: NotRequired[bool]
    soft: NotRequired[SoftNumbers]
    there: NotRequired[int]  # of a result that is still measured: examples that there will be
    sampling: NotRequired[Sampling]  # where a standard error was asked for
    compiled: NotRequired[bool]
    bent: NotRequired[BentNumbers]
    memory: int  # bytes
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class BarrierRequest(PairRequest):
    """The barrier between two models along the straight line, after an alignment or without one.

    Attributes:
        points: of the uniform grid on [0, 1].
        refine: further points around the maximum.
        temperature: whether the curve is also measured at the best softmax temperature of each
            point.
        repair: whether the interpolated network is renormalised (networks without norms alone).
        reroute: whether the routers of the interpolated network are fitted again (mixtures of
            experts alone).
        stderr: standard error of the barrier in nats at which no more examples are taken; None for
            all that are asked for.
        compiled: whether the network is compiled before it is evaluated.
        bend: steps that train the bend of a curve between the aligned models; 0 for the straight
            line, and for methods that learn a bend themselves.
        bend_seconds: a budget in place of these steps.
    """

    @property
    def numbers(self) -> type[BarrierNumbers]:
        """The type of its results."""
        return BarrierNumbers

    @property
    def bends(self) -> tuple[str, ...]:
        """The end that a bend is trained to."""
        return (self.method,) if self.bend or self.bend_seconds else ()

    points: int = 25
    refine: int = 4
    temperature: bool = False
    repair: bool = False
    stderr: float | None = None
    compiled: bool = False
    bend: int = 0
    bend_seconds: float | None = None
    reroute: bool = False
    what: str = "barrier"


COMPUTATION = Computation(
    "barrier",
    BarrierRequest,
    import_later("lmc_core.runs.kinds.barrier:compute"),
    # of an aligned line also the plain average, at its barrier and half way
    passes=lambda request, workload: (
        request.points + request.refine + (0 if request.method == "none" else 2)
    ),
    summarize=import_later("lmc_core.runs.kinds.curve_facts:summarize"),
    early=True,
)
