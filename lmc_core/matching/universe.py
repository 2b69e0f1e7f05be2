"""A universe of several models as a method; how it is found stands in `universe_search`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lmc_core.errors import BadInput
from lmc_core.matching.learned.steps import Steps
from lmc_core.matching.method import ManyMethod
from lmc_core.matching.reference import ReferenceSettings
from lmc_core.registry import import_later
from lmc_core.settings import choice

FRAMES = ("best", "reference", "mean")


@dataclass(frozen=True)
class UniverseSettings(Steps):
    """How a universe is found; see `Steps` for how it is learned.

    Attributes:
        steps: as of `Steps`; 0 for weights alone, without data.
        reference: number of the model that the search begins at, the first is 1; 0 for the one with
            the best objective.
        frame: ``reference`` (stay there), ``mean`` (match each onto the mean of the others, in
            turn) or ``best`` of both.
        rounds: visits of every model, at the most.
        tolerance: stop when a round adds less than this share of the largest possible objective.
        concentration: c of the Dirichlet distribution of mixing weights; the larger, the closer to
            the centre.
    """

    fewest: ClassVar[int] = 0
    reference: int = 0
    frame: str = choice("best", FRAMES, "frame")
    rounds: int = 10
    tolerance: float = 5e-4
    concentration: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        ReferenceSettings(self.reference)
        if self.rounds < 1:
            raise BadInput(f"rounds should be 1 or more; {self.rounds} came.")
        if self.tolerance < 0:
            raise BadInput(f"tolerance should be 0 or more; {self.tolerance} came.")
        if not self.concentration > 0:
            raise BadInput(f"concentration should be above 0; {self.concentration} came.")


METHOD = ManyMethod(
    name="universe",
    title="universe",
    sentence="Matches each model onto the mean of the others, in turn, then learns all maps "
    "together on training examples.",
    source="Theus et al. 2025, arXiv 2506.22712; Crisostomi et al. 2024, arXiv 2405.17897",
    settings=UniverseSettings,
    match=import_later("lmc_core.matching.universe_search:match_universe"),
)
