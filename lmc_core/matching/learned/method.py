"""Learned matching as two methods, of one end and of both; what it does stands in `learn`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.errors import BadInput
from lmc_core.look import Look
from lmc_core.matching.learned.steps import Steps
from lmc_core.matching.method import Method
from lmc_core.settings import choice

if TYPE_CHECKING:  # they load torch
    from lmc_core.matching.matcher_input import MatcherInput
    from lmc_core.matching.trace import Trace
    from lmc_core.symmetry.alignment import Alignment


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


def match(
    given: MatcherInput, settings: LearnedSettings, both: bool = False
) -> tuple[Alignment, Trace]:
    """Find a start by another method, or take the one that an interrupted run kept, and learn.

    Args:
        given: both models, and examples of the training split.
        settings: how to learn.
        both: whether both ends move.
    """
    from lmc_core.matching.learned.learn import match_and_learn  # torch

    return match_and_learn(given, settings, both)


def match_both(given: MatcherInput, settings: LearnedSettings) -> tuple[Alignment, Trace]:
    """The same with both ends moving."""
    return match(given, settings, both=True)


LEARNED = Method(
    name="learned",
    title="learned",
    short="learned",
    sentence="Goes on from another method by the gradient of the loss on the line, on training "
    "examples; B alone moves.",
    source="Theus et al. 2025, arXiv 2506.22712",
    settings=LearnedSettings,
    match=match,
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
    match=match_both,
    look=Look("learned, both sides", "#9c3f78", "#e8a3cc", "9px,3px,3px,3px,3px,3px", "star"),
    uses_data=True,
)
