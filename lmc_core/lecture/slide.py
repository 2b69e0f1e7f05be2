"""What the slide of a step shows, and how exchanges of two things are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmc_core.figures.tables import Table
from lmc_core.numbers import number, percent

CHANGE = "largest relative change of an output"


@dataclass(frozen=True)
class Slide:
    """What a step shows.

    Attributes:
        alt: the picture in words that give no answer away.
        facts: labels of the numbers beside the picture.
        values: these numbers in a setting, as text.
        numbers: for the fields in the words of the step.
        data: for the drawing; JSON values.
        table: what is drawn, as rows.
    """

    alt: str
    facts: tuple[str, ...]
    values: Callable[[Mapping[str, str]], Sequence[str]]
    table: Table
    numbers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)


def change(value: float) -> str:
    """A relative change of the outputs in words."""
    if value == 0:
        return "none"
    return percent(value) if value > 1e-3 else number(value, digits=2)


def exchanged(found: Mapping[str, Any], setting: Mapping[str, str]) -> Any:
    """What was measured of the exchange of the two things that a setting names, None for one."""
    first, second = sorted(int(setting[name]) - 1 for name in "ab")
    return found.get(f"{first},{second}")


def follows(changes: Mapping[str, Mapping[str, float]]) -> Callable[[Mapping[str, str]], list[str]]:
    """The change by an exchange in a setting, where something follows the two or not."""

    def values(setting: Mapping[str, str]) -> list[str]:
        found = exchanged(changes, setting)
        return [change(found[setting["follow"]] if found and setting["exchange"] == "1" else 0)]

    return values


def exchanges(what: str, changes: Mapping[str, Mapping[str, float]]) -> Table:
    """Every exchange of two things with the changes by it."""
    rows = [
        (*(int(each) + 1 for each in pair.split(",")), one["1"], one["0"])
        for pair, one in changes.items()
    ]
    header = (f"{what} A", f"{what} B", "change, wholly exchanged", "change, half exchanged")
    return Table.of(header, rows)


def place(values: Sequence[float], wanted: str) -> int:
    """Number of a value that is written so."""
    return next(k for k, value in enumerate(values) if str(value) == wanted)
