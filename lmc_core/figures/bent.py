"""Curves with a bend among those of a figure: the straight line between the same ends is drawn
beside each, and both are named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lmc_core.figures.text import Result
from lmc_core.numbers import estimate, number

# of the curve with the bend alone
OWN = (
    *("excess_low", "excess_high", "excess_factor", "at_zero", "bent", "accuracy", "plain"),
    *("midpoint_excess", "midpoint_excess_stderr", "midpoint_loss", "above_plain", "tempered"),
    *("barrier_crossfit", "barrier_crossfit_stderr"),
)


def with_straight_lines(
    results: Sequence[Result], names: Sequence[str]
) -> tuple[list[Result], list[str]]:
    """The results with, after each that has a bend, the straight line between its ends, unless
    that is among them.

    Args:
        results: of barriers.
        names: of their curves.
    """
    found: list[Result] = []
    called: list[str] = []
    for result, name in zip(results, names, strict=True):
        found.append(result)
        called.append(name)
        bent = result.get("bent")
        if bent and not any(_is_straight(other, result) for other in results):
            found.append(straight_line(result, bent["straight"]))
            called.append(f"{name.removesuffix(', bent')}, straight")
    return found, called


def _is_straight(other: Result, result: Result) -> bool:
    """Whether a result is the straight line between the ends of one with a bend."""
    about = ("models", "method", "classes", "settings", "task", "split", "examples", "seed")
    return not other.get("bent") and all(other.get(name) == result.get(name) for name in about)


def straight_line(result: Result, straight: Result) -> Result:
    """The straight line of a result with a bend, as a result of its own."""
    shared = {name: value for name, value in result.items() if name not in OWN}
    first, last = straight["loss"][0], straight["loss"][-1]
    chord = [(1 - lam) * first + lam * last for lam in straight["lam"]]
    score = {}
    if result.get("score") == "perplexity":
        score["perplexity"] = [math.exp(min(loss, 700.0)) for loss in straight["loss"]]
    return {**shared, **straight, **score, "chord": chord}


def bent_sentences(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """What a caption says of each curve with a bend."""
    said = []
    for result, name in zip(results, names, strict=True):
        if not (bent := result.get("bent")):
            continue
        how = "learned together with the alignment"
        if training := bent["training"]:
            how = (
                f"trained for {training['steps']:,} steps of {training['batch']} training examples "
                f"({number(training['learn_seconds'], digits=2)} s)"
            )
        straight, unit = bent["straight"], str(result.get("unit", "nats"))
        value = estimate(straight["barrier"], straight["barrier_stderr"], unit)
        longer = bent["length"] / bent["chord"] if bent["chord"] else 1.0
        said.append(
            f"{name} follows a quadratic Bezier curve whose bend was {how} (Garipov et al. 2018); "
            f"it is {longer:.3f} times as long as the straight line between its ends, whose "
            f"barrier is {value}."
        )
    return said
