"""How long something will take, and how that is said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """How long something will take.

    Attributes:
        seconds: in all.
        measured: whether all of it is known from finished runs of the same kind and size, rather
            than counted.
    """

    seconds: float
    measured: bool


def rounded(seconds: float) -> str:
    """An expected duration, no more exact than it is known: "2 s", "40 s", "6 min", "2 h"."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 58:
        return f"{round(seconds, -1):.0f} s" if seconds >= 15 else f"{round(seconds)} s"
    if seconds < 3600:
        minutes = seconds / 60
        return f"{round(minutes) if minutes < 10 else round(minutes / 5) * 5} min"
    return f"{round(seconds / 3600)} h" if seconds >= 7200 else f"{seconds / 3600:.1f} h"
