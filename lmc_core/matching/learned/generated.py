"""Learned matching without data: both models write the windows that are learned from.

What stands in `learn` needs inputs on which the midpoint should predict what the ends do; it needs
no labels. Windows that the ends write themselves (`tasks.generated`) are such inputs, so that two
language models are aligned from their weights alone.
"""

from __future__ import annotations

from dataclasses import replace

from lmc_core.matching.learned.learn import match_and_learn
from lmc_core.matching.learned.method import GeneratedSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.trace import Trace
from lmc_core.symmetry.alignment import Alignment
from lmc_core.tasks.generated import find_length, write_windows
from lmc_core.tasks.learning import Learning

WRITING = 0.1  # share of the progress


def match_generated(given: MatcherInput, settings: GeneratedSettings) -> tuple[Alignment, Trace]:
    """Let both models write windows, and learn from these; for errors see `learn` and
    `write_windows`.
    """
    length = settings.length or find_length(given.a, 128)
    written = write_windows(
        (given.a, given.b),
        settings.windows,
        length,
        given.seed,
        given.device,
        given.within(0.0, WRITING).progress,
    )
    learning = Learning.split(written, None, given.seed, given.device, given.checkpoint)
    alignment, trace = match_and_learn(
        replace(given.within(WRITING, 1.0), **vars(learning)), settings
    )
    return alignment, replace(trace, about={**trace.about, "written": len(written)})
