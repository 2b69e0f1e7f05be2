"""What was matched with what: its request, its numbers, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import ModelsNumbers, PairNumbers, Seconds
from lmc_core.runs.request import PairRequest

_SpaceClass = TypedDict("_SpaceClass", {"class": str})


class SpaceNumbers(_SpaceClass):
    """What the alignment did in one space; lists are over its copies, None where there is no number
    (of maps that mix, nothing is moved; of those that reorder, nothing is turned).
    """

    name: str
    kind: str
    largest: str  # admissible class
    size: int
    copies: int
    within: str | None
    layers: list[str]
    edge: int  # coordinates that share a row of the matrices that are kept
    before: list[float | None]  # mean cosine of matched coordinates before the alignment
    after: list[float | None]
    by_layer: dict[str, list[float | None]]  # before, after
    owned: int  # coordinates that are matched
    distance: list[float | None]
    moved: list[int] | None
    flipped: list[int] | None
    angle: list[float | None] | None  # mean, in degrees
    condition: list[float | None] | None


class StreamNumbers(TypedDict):
    """How alike two residual streams are, layer by layer."""

    layers: list[str]
    tokens: list[int]
    before: list[float | None]
    after: list[float | None]
    cka: list[float | None]
    unbiased: list[float | None]


class AlignmentNumbers(ModelsNumbers, PairNumbers):
    """The numbers of an `AlignmentRequest`."""

    spaces: list[SpaceNumbers]
    streams: dict[str, StreamNumbers]
    wider: NotRequired[str | None]  # name of the wider model
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class AlignmentRequest(PairRequest):
    """What an alignment matched: matrices of every space, what its elements do, and the streams of
    both models.

    Attributes:
        tokens: on which the streams are compared, the same number of each example.
    """

    @property
    def numbers(self) -> type[AlignmentNumbers]:
        """The type of its results."""
        return AlignmentNumbers

    tokens: int = 1024
    what: str = "alignment"


def rename(
    numbers: AlignmentNumbers, before: Sequence[str], names: Sequence[str]
) -> AlignmentNumbers:
    """The name of the wider model; see `runs.computation.Computation`."""
    wide = numbers.get("wider")
    return {**numbers, "wider": names[before.index(wide)]} if wide in before else numbers


COMPUTATION = Computation(
    "alignment",
    AlignmentRequest,
    import_later("lmc_core.runs.kinds.alignment:compute"),
    passes=lambda request, workload: 2,
    summarize=import_later("lmc_core.runs.kinds.alignment:summarize"),
    rename=rename,
)
