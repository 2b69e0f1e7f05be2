"""Ratios of times on a machine that does other things too: runs are interleaved, and every round
gives one ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def seconds(run: Callable[[], object]) -> float:
    """How long one run takes."""
    begin = time.process_time()
    run()
    return time.process_time() - begin


def ratios(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int
) -> tuple[list[float], float, float]:
    """Time two runs against each other, after one untimed run of each.

    Returns:
        The ratios ours / theirs of all rounds, and the shortest times of both.
    """
    ours()
    theirs()
    pairs = []
    for number in range(repeats):  # who comes first takes turns
        runs = [ours, theirs] if number % 2 == 0 else [theirs, ours]
        times = [seconds(run) for run in runs]
        pairs.append(times if number % 2 == 0 else times[::-1])
    return (
        [one / two for one, two in pairs],
        min(one for one, _ in pairs),
        min(two for _, two in pairs),
    )


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} rounds)"
