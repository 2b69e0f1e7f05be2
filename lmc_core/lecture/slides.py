"""For each step of the lecture what its slide shows."""

from __future__ import annotations

from collections.abc import Callable

from lmc_core.lecture import slides_between as between
from lmc_core.lecture import slides_within as within
from lmc_core.lecture.slide import Slide
from lmc_core.lecture.step import Step

SLIDES: dict[str, Callable[[], Slide]] = {
    each.__name__: each
    for each in (
        within.units,
        within.permutations,
        within.stream,
        within.heads,
        within.planes,
        within.ones,
        between.average,
        between.classes,
        between.experts,
        between.remains,
        between.data,
    )
}
"""By the key of the step."""


def slide_of(step: Step) -> Slide:
    """What a step shows."""
    return SLIDES[step.key]()
