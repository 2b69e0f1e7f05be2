"""What changes along a path besides the loss: its request, its numbers, and its record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

from lmc_core import elsewhere
from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation, Workload
from lmc_core.runs.kinds import BendTraining, ModelsNumbers, PairNumbers, Seconds
from lmc_core.runs.request import ModelsRequest, PairRequest

# quantity -> points where nothing else is said; curvature takes minutes a point
QUANTITIES = {"sharpness": 5, "spectra": 5, "calibration": 11, "other-task": 11}
CURVED = {"images": 128, "text": 16}  # examples that curvature is measured on
PROBES = 8  # of the trace
STEPS = 24  # of Lanczos' method at the most
DIGITS = 6  # decimals of a point
DIFFERENTIATED = 5  # forward passes that a product with a Hessian takes
EIGENVALUES = 3  # of the largest that are shown
CHOOSE = "lmc_core.runs.kinds.along:choose_other"  # which needs torch


class SharpnessNumbers(TypedDict):
    """Curvature point by point, in nats; see `analysis.hessian`."""

    examples: int  # that it is measured on
    parameters: int  # that vary
    largest: list[list[float]]  # `[points, values]`, Ritz values from the largest down
    largest_error: list[float]  # of the first of them
    smallest: list[float]  # Ritz value, which the smallest eigenvalue is at most
    negative: list[bool]  # whether that proves a negative eigenvalue
    trace: list[float]
    trace_stderr: list[float]
    relative: list[float]  # largest of the relative Hessian
    relative_error: list[float]


class SpectraNumbers(TypedDict):
    """Spectra of the matrices; lists are `[matrices, points]`."""

    matrices: list[str]
    rows: list[int]
    columns: list[int]
    copies: list[int]  # experts
    effective: list[list[float]]  # rank
    stable: list[list[float]]  # rank
    norm: list[list[float]]
    top: list[list[float]]  # largest singular value


class CalibrationNumbers(TypedDict):
    """Calibration point by point."""

    bins: int
    error: list[float]  # expected calibration error, in [0, 1]
    error_stderr: list[float]
    confidence: list[list[float | None]]  # `[points, bins]`, means
    accuracy: list[list[float | None]]
    temperatures: list[float]
    temperatures_stderr: list[float]


class OtherNumbers(TypedDict):
    """The loss on two tasks point by point, in nats."""

    task: str
    unit: str
    examples: int
    loss: list[float]
    loss_stderr: list[float]
    other_loss: list[float]
    other_stderr: list[float]
    excess: list[float]  # above the chord, on the models' own task
    excess_stderr: list[float]
    other_excess: list[float]
    other_excess_stderr: list[float]


class AlongNumbers(ModelsNumbers, PairNumbers):
    """The numbers of an `AlongRequest`; of what was measured, the others are missing."""

    quantity: str
    at: list[float]
    bent: BendTraining | None  # how the bend of a curve was trained
    sharpness: NotRequired[SharpnessNumbers]
    spectra: NotRequired[SpectraNumbers]
    calibration: NotRequired[CalibrationNumbers]
    other: NotRequired[OtherNumbers]
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class AlongRequest(PairRequest):
    """One quantity at some points of the path that a barrier is measured on.

    Attributes:
        quantity: a name in `QUANTITIES`.
        at: the points, increasing, in [0, 1].
        curved: examples that curvature is measured on; 0 for other quantities.
        probes: of the trace; 0 for other quantities.
        lanczos: steps at the most; 0 for other quantities.
        other_task: name of another task, or a reference to data of one's own; "" for none.
        other_data: digest of that data; "" for a shipped task.
        bend: as of a `BarrierRequest`.
        bend_seconds: as of a `BarrierRequest`.
    """

    @property
    def numbers(self) -> type[AlongNumbers]:
        """The type of its results."""
        return AlongNumbers

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(self.at)

    @property
    def bends(self) -> tuple[str, ...]:
        """The end that a bend is trained to."""
        return (self.method,) if self.bend or self.bend_seconds else ()

    @property
    def copies(self) -> int:
        """How often the parameters are held besides, by Lanczos' method and what it starts from."""
        return self.lanczos + 8 if self.lanczos else 2

    quantity: str = "sharpness"
    at: tuple[float, ...] = (0.0, 0.5, 1.0)
    curved: int = 0
    probes: int = 0
    lanczos: int = 0
    other_task: str = ""
    other_data: str = ""
    bend: int = 0
    bend_seconds: float | None = None
    what: str = "along"


def make_along_request(
    request: ModelsRequest,
    quantity: str,
    points: int | None = None,
    at: Sequence[float] = (),
    other: str | None = None,
    curved: int | None = None,
    probes: int = PROBES,
) -> AlongRequest:
    """One quantity along the path of a checked request about two models.

    Args:
        request: of A with B; that of a barrier with a bend means the curve.
        quantity: a name in `QUANTITIES`.
        points: evenly spaced, ends included; by default that of `QUANTITIES`.
        at: points in place of these, in [0, 1]; both ends are always among them.
        other: another task, for the quantity ``other-task``.
        curved: examples that curvature is measured on; by default `CURVED`.
        probes: of the trace.

    Raises:
        BadInput: for what makes no sense together, or a task that the models cannot be measured on.
    """
    if quantity not in QUANTITIES:
        raise UnknownName.of("quantity", quantity, QUANTITIES)
    require_counts(points=points, examples=curved, probes=probes)
    if (other is None) == (quantity == "other-task"):
        if other is None:
            raise BadInput(
                "The loss on another task needs its name; give one, such as --other-task austen."
            )
        raise BadInput(f"The quantity {quantity} is measured on one task; leave the other out.")
    sharp = quantity == "sharpness"
    if sharp and ((curved is not None and curved < 1) or probes < 2):
        raise BadInput(
            "Curvature takes at least 1 example and 2 probes; "
            f"{curved if curved is not None else 'the default'} and {probes} came."
        )
    kind = "images" if request.length is None else "text"
    named = {"other_task": "", "other_data": ""}
    if other is not None:
        found = elsewhere.call(CHOOSE, request, other)
        reference, digest = cast("tuple[str, str]", found)
        named = {"other_task": reference, "other_data": digest}
    return AlongRequest.of(
        request,
        quantity=quantity,
        at=choose_points(QUANTITIES[quantity] if points is None else points, at),
        curved=(curved or CURVED[kind]) if sharp else 0,
        probes=probes if sharp else 0,
        lanczos=STEPS if sharp else 0,
        bend=getattr(request, "bend", 0),
        bend_seconds=getattr(request, "bend_seconds", None),
        **named,
    )


def choose_points(points: int, at: Sequence[float] = ()) -> tuple[float, ...]:
    """The points of a request: evenly spaced ones, or those that are given with both ends, which
    everything is compared with.

    Raises:
        BadInput: for fewer than two, or one outside of [0, 1].
    """
    if not at:
        if points < 2:
            raise BadInput(f"At least 2 points are needed, both ends included; {points} came.")
        return tuple(round(k / (points - 1), DIGITS) for k in range(points))
    if any(not 0 <= value <= 1 or not math.isfinite(value) for value in at):
        raise BadInput(
            f"Points of a path lie between 0 and 1; {', '.join(f'{v:g}' for v in at)} came."
        )
    return tuple(sorted({0.0, 1.0, *(round(float(value), DIGITS) + 0.0 for value in at)}))


def count_passes(request: AlongRequest, workload: Workload) -> float:
    """Forward passes over every example; a product with a Hessian counts as some over its own."""
    if request.quantity == "sharpness":
        products = request.points * (2 * request.lanczos + request.probes)
        return DIFFERENTIATED * products * request.curved / max(workload.examples, 1)
    if request.quantity == "spectra":
        return DIFFERENTIATED * request.points / max(workload.examples, 1)
    return request.points * (2 if request.quantity == "other-task" else 1)


COMPUTATION = Computation(
    "along",
    AlongRequest,
    import_later("lmc_core.runs.kinds.along:compute"),
    passes=count_passes,
    summarize=import_later("lmc_core.runs.kinds.along_facts:summarize"),
)
