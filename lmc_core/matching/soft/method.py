"""Soft matching as a method; what it does stands in `search`."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.errors import BadInput
from lmc_core.limits import require_settings
from lmc_core.look import Look
from lmc_core.matching.method import Method
from lmc_core.matching.weight import EDGES
from lmc_core.registry import import_later
from lmc_core.settings import choice

COLD = 0.002  # where annealing towards temperature 0 ends; what is left is decided by assignment


@dataclass(frozen=True)
class SoftSettings:
    """How soft matching anneals.

    Attributes:
        temperature: where it ends, in cosines: what one coordinate can contribute to the objective
            at the most is 1. Above 0 the line leads to the soft end, which is another function than
            B; at 0 to the hard end.
        start: where it begins; at `temperature`, if that is higher.
        rounds: temperatures between, falling by equal factors; every space is visited once at each.
        origin: what is matched before: ``weight`` (everything, by weight matching) or ``edges``
            (the residual stream alone, by tables, positions and head).
    """

    temperature: float = 0.02
    start: float = 0.3
    rounds: int = 16
    origin: str = choice("weight", ("weight", EDGES), "origin of soft matching")

    def __post_init__(self) -> None:
        require_settings(self)
        for name in ("temperature", "start"):
            if getattr(self, name) < 0:
                raise BadInput(
                    f"The {name} of soft matching should be a number of 0 or more; "
                    f"{getattr(self, name)} came."
                )
        if self.start == 0:
            raise BadInput(
                "The start of soft matching should be above 0; at 0 there is nothing to anneal."
            )
        if self.rounds < 1:
            raise BadInput(
                "The rounds of soft matching should be a whole number of 1 or more; "
                f"{self.rounds} came."
            )

    @property
    def schedule(self) -> list[float]:
        """The temperatures, falling from the first to the last by equal factors."""
        last = self.temperature or min(COLD, self.start)
        first = max(self.start, last)
        steps = max(1, self.rounds - 1)
        return [first * (last / first) ** (step / steps) for step in range(self.rounds)][:-1] + [
            last
        ]


METHOD = Method(
    name="soft",
    title="soft matching",
    short="soft",
    sentence="Soft assignments whose temperature falls; above temperature 0 the line leads to an "
    "average of B's rows, which is another function than B.",
    source="Gold, Rangarajan 1996; Sinkhorn 1964; Cuturi 2013, arXiv 1306.0895",
    settings=SoftSettings,
    match=import_later("lmc_core.matching.soft.search:match_soft"),
    look=Look("soft matching", "#5f6b00", "#c3d13a", "2px,4px", "triangle-left"),
    pace=1e-5,
)
