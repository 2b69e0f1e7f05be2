"""A fine-tuning carried from one model to another: its request, its numbers, and its record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from lmc_core.errors import BadInput
from lmc_core.limits import require_numbers
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation, Workload
from lmc_core.runs.kinds import ModelsNumbers, PairNumbers, Seconds
from lmc_core.runs.request import ModelsRequest, PairRequest

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)  # of the difference, where nothing else is said
MOST = 100  # shares, each of which is two models
TARGET = 2  # number of the target among the models of a request


class CurveNumbers(TypedDict):
    """The loss on one task at every share, in nats; changes are from the target, by example."""

    loss: list[float]
    loss_stderr: list[float]
    change: list[float]
    change_stderr: list[float]


class TunedNumbers(TypedDict):
    """The same of the target fine-tuned itself."""

    loss: float
    loss_stderr: float
    change: float
    change_stderr: float


class TaskHead(TypedDict):
    """A task that is measured on."""

    name: str
    unit: str
    about: str  # a sentence on the data
    split: str


class TaskNumbers(TaskHead):
    """What was measured on it."""

    examples: int
    moved: CurveNumbers
    unmoved: CurveNumbers
    tuned: TunedNumbers | None


class ChoiceNumbers(TypedDict):
    """The losses that the best share was chosen by, of the moved difference on the first task."""

    split: str
    examples: int
    loss: list[float]


class TransportFacts(TypedDict):
    """What follows from the losses."""

    tasks: list[TaskNumbers]  # the fine-tuning's, then the target's own where it is another
    choice: ChoiceNumbers
    best: float  # share
    recovered: float | None  # of what the target gains by being fine-tuned itself; None where
    recovered_stderr: float | None  # that was not measured, or is no gain


class TransportNumbers(ModelsNumbers, PairNumbers, TransportFacts):
    """The numbers of a `TransportRequest`."""

    shares: list[float]
    aligned_on: str
    norm: float  # Euclidean, of the difference
    cosine: float | None  # of the moved with the unmoved difference; None where it is zero
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class TransportRequest(ModelsRequest):
    """What a fine-tuning changed in a base, moved to a target and added to it in several shares.

    Its models are the base, what came of it, the target, and the target fine-tuned itself where
    that is there; its task is the fine-tuning's.

    Attributes:
        shares: of the difference, increasing; 0, the target itself, is among them.
        aligned_on: name of the task that base and target are aligned on, or a reference to data of
            one's own.
        aligned_data: digest of that data; "" for a shipped task.
        other_task: the target's own task, where it is another; "" for none.
        other_data: digest of that data; "" for a shipped task.
        choice: split on which the best share is chosen.
        choice_data: digest of the task's examples there, of data of one's own.
    """

    @property
    def numbers(self) -> type[TransportNumbers]:
        """The type of its results."""
        return TransportNumbers

    @property
    def partners(self) -> tuple[int, ...]:
        """The target alone is aligned with the base."""
        return (TARGET,)

    @property
    def copies(self) -> int:
        """How often the parameters are held besides: the fine-tuned models, and the difference in
        float64 before and after, and added to the target.
        """
        return len(self.models) - 2 + 3 * 2

    @property
    def chooses(self) -> bool:
        """Whether the best share is chosen on another split than the one that is measured on."""
        return self.choice != self.split

    def pair(self, second: int = TARGET) -> PairRequest:
        """What aligns the base with another of the models, on the task that it is aligned on."""
        return replace(super().pair(second), task=self.aligned_on, data=self.aligned_data)

    shares: tuple[float, ...] = SHARES
    aligned_on: str = ""
    aligned_data: str = ""
    other_task: str = ""
    other_data: str = ""
    choice: str = "validation"
    choice_data: str = ""
    what: str = "transport"


def choose_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """The shares of a request: those that are given, and 0, which everything is compared with.

    Raises:
        BadInput: for a share that is no number, none besides 0, or too many.
    """
    for share in shares:
        require_numbers(share=share)
    found = sorted({0.0, *(float(share) + 0.0 for share in shares)})
    if not 1 < len(found) <= MOST:
        raise BadInput(
            f"Between 1 and {MOST - 1} shares of the difference are expected besides 0; "
            f"{len(found) - 1} came."
        )
    return tuple(found)


def count_passes(request: TransportRequest, workload: Workload) -> float:
    """Forward passes over every example: the target once, every other share moved and unmoved, and
    the moved ones again where the best is chosen.
    """
    shares = len(request.shares)
    tasks = 1 + bool(request.other_task)
    return tasks * (2 * shares - 1 + len(request.models) - 3) + shares * request.chooses


def find_best(shares: Sequence[float], losses: Sequence[float]) -> int:
    """The place of the share with the smallest loss, of several the one nearest to 0."""
    known = [value if math.isfinite(value) else math.inf for value in losses]
    return min(range(len(shares)), key=lambda k: (known[k], abs(shares[k])))


COMPUTATION = Computation(
    "transport",
    TransportRequest,
    import_later("lmc_core.runs.kinds.transport:compute"),
    passes=count_passes,
    summarize=import_later("lmc_core.runs.kinds.transport_facts:summarize"),
)
