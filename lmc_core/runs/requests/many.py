"""Several models in one frame: its request, its numbers, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from lmc_core.merging.numbers import SimplexNumbers
from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import FrameNumbers, ModelsNumbers, Seconds, SharedWeights
from lmc_core.runs.request import ManyRequest


class ManyFacts(TypedDict):
    """What follows from the losses of several models and of mixtures of them; matrices are over
    pairs of models, None on the diagonal.
    """

    losses: list[float]  # of each model
    centre_loss: float
    centre_excess: float  # above the mean of the models' losses
    centre_stderr: float
    midpoint_excess: list[list[float | None]]
    midpoint_stderr: list[list[float | None]]
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    centre_accuracy: NotRequired[float]
    centre_perplexity: NotRequired[float]
    simplex: SimplexNumbers | None


class ManyNumbers(ModelsNumbers, FrameNumbers, ManyFacts):
    """The numbers of a `GroupRequest`."""

    same: NotRequired[list[SharedWeights]]
    memory: int  # bytes
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class GroupRequest(ManyRequest):
    """Several models in one frame: their centre, the midpoints of their pairs, and of three the
    loss over the simplex.

    Attributes:
        resolution: of the grid on the simplex of three models; None for other numbers of models.
    """

    @property
    def numbers(self) -> type[ManyNumbers]:
        """The type of its results."""
        return ManyNumbers

    method: str = "universe"
    resolution: int | None = None
    what: str = "group"


def rename(numbers: ManyNumbers, before: Sequence[str], names: Sequence[str]) -> ManyNumbers:
    """The name of the start; see `runs.computation.Computation`."""
    start = rename_start(numbers.get("start"), names)
    return numbers if start is None else {**numbers, "start": start}


def rename_start(start: str | None, names: Sequence[str]) -> str | None:
    """The start "2: name" with another name of that model, the number of which the search began at;
    None where it is not of that form.
    """
    number, colon, _ = str(start).partition(": ")
    if colon and number.isdigit() and 1 <= int(number) <= len(names):
        return f"{number}: {names[int(number) - 1]}"
    return None


COMPUTATION = Computation(
    "group",
    GroupRequest,
    import_later("lmc_core.runs.kinds.many:compute"),
    summarize=import_later("lmc_core.runs.kinds.many:summarize"),
    rename=rename,
)
