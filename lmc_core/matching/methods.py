"""The methods of matching two models, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_settings
from lmc_core.matching.activation import ActivationSettings, match_activations
from lmc_core.matching.learned.descent import Steps
from lmc_core.matching.learned.kept_start import forget_start, kept_start
from lmc_core.matching.learned.method import LearnedSettings, learn
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.soft.method import SoftSettings, match_soft
from lmc_core.matching.trace import Trace
from lmc_core.matching.weight import WeightSettings, match_weights
from lmc_core.symmetry.alignment import Alignment


@dataclass(frozen=True)
class Method:
    """A way to find an alignment.

    Attributes:
        name: how it is asked for.
        title: how it is called in figures.
        sentence: what it does.
        source: author, year, arXiv number.
        settings: a frozen dataclass with a default for everything.
        uses_data: whether it needs examples of a training split.
        match: finds the alignment that moves B onto A.
    """

    name: str
    title: str
    sentence: str
    source: str
    settings: type
    uses_data: bool
    match: Callable[[MatcherInput, Any], tuple[Alignment, Trace]]

    @property
    def takes_loss(self) -> bool:
        """Whether it follows the gradient of a loss, which not all models have."""
        return issubclass(self.settings, Steps)

    def configured(self, settings: Mapping[str, Any] | None) -> Any:
        """The settings with some values changed.

        Raises:
            UnknownName: for a name that it does not have.
            BadInput: for a value that makes no sense.
        """
        return configured(self.name, self.settings, settings)


def configured(name: str, kind: type, settings: Mapping[str, Any] | None) -> Any:
    """Settings of a method of that name with some values changed.

    Raises:
        UnknownName: for a name that they do not have.
        BadInput: for a value that makes no sense.
    """
    known = {field.name: field for field in fields(kind)}
    for each in settings or {}:
        if each not in known:
            raise UnknownName.of(f"setting of the method {name}", each, known)
    try:
        chosen = kind(**(settings or {}))
    except TypeError as error:
        raise BadInput(f"A setting of the method {name} is of the wrong type ({error}).") from error
    require_settings(chosen)  # also of methods of one's own
    return chosen


def _weight(given: MatcherInput, settings: WeightSettings) -> tuple[Alignment, Trace]:
    def tell(share: float) -> None:
        given.progress(share, "matching the weights")

    return match_weights(
        given.layout, given.a.state, given.b.state, given.classes, settings, given.masks, tell
    )


def _learned(
    given: MatcherInput, settings: LearnedSettings, both: bool = False
) -> tuple[Alignment, Trace]:
    first = given.within(0.0, 0.05)
    from_data = settings.start == "activation"

    def find() -> tuple[Alignment, Trace]:
        return (
            match_activations(first, ActivationSettings())
            if from_data
            else _weight(first, WeightSettings())
        )

    found = learn(given.within(0.05, 1.0), *kept_start(given, settings.start, find), settings, both)
    forget_start(given)
    return found


def _dual(given: MatcherInput, settings: LearnedSettings) -> tuple[Alignment, Trace]:
    return _learned(given, settings, both=True)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "weight",
            "weight matching",
            "Moves B so that its weights correlate most with those of A; it needs no data.",
            "Ainsworth, Hayase, Srinivasa 2022, arXiv 2209.04836; Theus et al. 2025, arXiv "
            "2506.22712",
            WeightSettings,
            False,
            _weight,
        ),
        Method(
            "activation",
            "activation matching",
            "Moves B so that what it computes on training examples correlates most with what A "
            "computes, together with its "
            "weights.",
            "Li et al. 2015, arXiv 1511.07543; Ainsworth et al. 2022, arXiv 2209.04836; Theus et "
            "al. 2025, arXiv 2506.22712",
            ActivationSettings,
            True,
            match_activations,
        ),
        Method(
            "learned",
            "learned",
            "Goes on from another method by the gradient of the loss on the line, on training "
            "examples; B alone moves.",
            "Theus et al. 2025, arXiv 2506.22712",
            LearnedSettings,
            True,
            _learned,
        ),
        Method(
            "dual",
            "learned at both ends",
            "Like learned, but both ends move towards a common line; the path has an exact "
            "one-sided twin, which is shown.",
            "arXiv 2606.23607, 2026",
            LearnedSettings,
            True,
            _dual,
        ),
        Method(
            "soft",
            "soft matching",
            "Soft assignments whose temperature falls; above temperature 0 the line leads to an "
            "average of B's rows, which is "
            "another function than B.",
            "Gold, Rangarajan 1996; Sinkhorn 1964; Cuturi 2013, arXiv 1306.0895",
            SoftSettings,
            False,
            match_soft,
        ),
    )
}
"""Every method, in the order in which they are listed."""


def get_method(name: str) -> Method:
    """Return the method of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in METHODS:
        raise UnknownName.of("method", name, METHODS)
    return METHODS[name]
