"""What a way to match is: its name and words, its settings, how it is drawn, what it needs, and the
function that does it.

This module and those in which the methods are declared load nothing heavy, so that lists, pages and
figures know all methods without torch; what finds an alignment is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from lmc_core.look import Look
from lmc_core.matching.learned.steps import Steps
from lmc_core.matching.trace import Trace
from lmc_core.settings import Configurable

if TYPE_CHECKING:  # they load torch
    from torch import Tensor

    from lmc_core.matching.matcher_input import ManyInput, MatcherInput
    from lmc_core.matching.widened import Widened
    from lmc_core.models.model import Model
    from lmc_core.symmetry.alignment import Alignment
    from lmc_core.symmetry.spaces import Classes

S = TypeVar("S")
T = TypeVar("T", contravariant=True)


class MatchWidths(Protocol[T]):
    """What matches two models of unequal widths, as `widths.match_widths` does by weights."""

    def __call__(
        self,
        narrow: Model,
        wide: Model,
        classes: Classes,
        settings: T,
        masks: Mapping[str, Tensor] | None,
        progress: Callable[[float], None],
    ) -> Widened:
        """Widen one model and move the other onto it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Method(Configurable[S]):
    """A way to find an alignment of two models.

    Attributes:
        match: finds the alignment that moves B onto A.
        look: how its curves are drawn.
        uses_data: whether it needs examples of a training split.
        short: its title where there is little room, "by weights".
        pace: seconds that it takes by parameter, on one core; of methods that make steps, theirs
            count.
        share: of a measurement's progress, what finding the alignment takes.
        bends: whether it learns a curve with the alignment, which is measured in place of the line.
        orders_experts: whether the orders of experts that it finds can be compared with others.
        match_widths: widens the narrow one of two models of unequal widths and finds the whole
            alignment (`widths.match_widths`, with the settings of this method); None for weight
            matching, from where `match` goes on.
        on_the_way: by its settings the name of the method that matches earlier checkpoints of both
            models, if its search begins at the alignment that is given (`MatcherInput.start`); None
            for a method that takes no start.
    """

    match: Callable[[MatcherInput, S], tuple[Alignment, Trace]]
    look: Look
    uses_data: bool = False
    short: str = ""
    pace: float = 2e-5
    share: float = 0.9
    bends: bool = False
    orders_experts: bool = False
    match_widths: MatchWidths[S] | None = None
    on_the_way: Callable[[S], str] | None = None

    @property
    def label(self) -> str:
        """What it is called in a list where there is little room, "By weights"."""
        words = self.short or self.title
        return words[0].upper() + words[1:]

    @property
    def takes_loss(self) -> bool:
        """Whether it follows the gradient of a loss, which not all models have."""
        return issubclass(self.settings, Steps)


@dataclass(frozen=True, kw_only=True)
class ManyMethod(Configurable[S]):
    """A way to bring several models into one frame.

    Attributes:
        match: finds one alignment for every model.
        pace: seconds that it takes by pair and parameter, on one core.
        share: of a measurement's progress, what finding the alignments takes.
    """

    match: Callable[[ManyInput, S], tuple[list[Alignment], Trace]]
    pace: float = 2e-5
    share: float = 0.85


def learns(settings: object) -> bool:
    """Whether settings of a method ask for examples to learn from: those of one that makes steps,
    if they are not 0.
    """
    return isinstance(settings, Steps) and settings.steps > 0
