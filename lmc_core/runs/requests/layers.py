"""Which part of the network costs what: its request, its numbers, and its record."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.registry import import_later
from lmc_core.runs.computation import Computation
from lmc_core.runs.kinds import ModelsNumbers, PairNumbers, Seconds
from lmc_core.runs.request import PairRequest


class LayersNumbers(ModelsNumbers, PairNumbers):
    """The numbers of a `LayersRequest`; lists are over the parts of the network."""

    parts: list[str]
    numbers: list[int]  # parameters
    loss: float  # of A
    cost: list[float]  # of a part half way to B, in nats above A
    cost_stderr: list[float]
    swap: list[float]  # of a part in B's place
    swap_stderr: list[float]
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class LayersRequest(PairRequest):
    """The loss of A with one part at a time half way to B, or in B's place, after an alignment or
    without one.
    """

    @property
    def numbers(self) -> type[LayersNumbers]:
        """The type of its results."""
        return LayersNumbers

    what: str = "layers"


COMPUTATION = Computation(
    "layers",
    LayersRequest,
    import_later("lmc_core.runs.kinds.layers:compute"),
    passes=lambda request, workload: 1 + 2 * workload.parts,
    summarize=import_later("lmc_core.runs.kinds.layers:summarize"),
)
