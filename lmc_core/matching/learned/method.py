"""Learned matching as two methods, of one end and of both; what it does stands in `learn`."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.errors import BadInput
from lmc_core.look import Look
from lmc_core.matching.learned.steps import Steps
from lmc_core.matching.method import Method
from lmc_core.registry import import_later
from lmc_core.settings import choice


@dataclass(frozen=True)
class LearnedSettings(Steps):
    """How the maps of a pair are learned; see `Steps` for the others.

    Attributes:
        spread: s; lam is drawn from U(1/2 - s, 1/2 + s).
        start: the method that it goes on from, ``activation`` (on examples that it has anyway) or
            ``weight``.
    """

    spread: float = 0.1
    start: str = choice("activation", ("weight", "activation"), "start of learning")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.spread <= 0.5:
            raise BadInput(f"spread should lie between 0 and 0.5; {self.spread} came.")


LEARNED = Method(
    name="learned",
    title="learned",
    short="learned",
    sentence="Goes on from another method by the gradient of the loss on the line, on training "
    "examples; B alone moves.",
    source="Theus et al. 2025, arXiv 2506.22712",
    settings=LearnedSettings,
    match=import_later("lmc_core.matching.learned.learn:match_and_learn"),
    look=Look("learned, one side", "#b84a00", "#ff955c", "16px,4px", "cross"),
    uses_data=True,
)
DUAL = Method(
    name="dual",
    title="learned at both ends",
    short="learned at both ends",
    sentence="Like learned, but both ends move towards a common line; the path has an exact "
    "one-sided twin, which is shown.",
    source="arXiv 2606.23607, 2026",
    settings=LearnedSettings,
    match=import_later("lmc_core.matching.learned.learn:match_both"),
    look=Look("learned, both sides", "#9c3f78", "#e8a3cc", "9px,3px,3px,3px,3px,3px", "star"),
    uses_data=True,
)
