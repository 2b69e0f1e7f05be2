"""Bringing several models onto one of them as a method."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.errors import BadInput
from lmc_core.limits import require_settings
from lmc_core.matching.method import ManyMethod
from lmc_core.registry import import_later


@dataclass(frozen=True)
class ReferenceSettings:
    """How several models are brought onto one of them.

    Attributes:
        reference: number of that model, the first is 1; 0 for the one with the best objective, for
            which all pairs are matched.
    """

    reference: int = 0

    def __post_init__(self) -> None:
        require_settings(self)
        if self.reference < 0:
            raise BadInput(
                "reference should be 0 or the number of a model, the first is 1; "
                f"{self.reference} came."
            )


METHOD = ManyMethod(
    name="reference",
    title="onto one model",
    sentence="Brings all models onto one of them by weight matching, the one they match best; it "
    "needs no data.",
    source="Ainsworth, Hayase, Srinivasa 2022, arXiv 2209.04836",
    settings=ReferenceSettings,
    match=import_later("lmc_core.matching.universe_search:match_onto"),
    share=0.4,
)
