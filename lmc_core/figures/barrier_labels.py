"""What is written at the lines of a barrier, in how many lines of type: never wider than a phone
has room for beside the peak.

A figure does not know how wide it will be drawn. So names are broken where they are longer than the
half of a phone, and where that makes too many lines a legend says the names and the labels keep the
value alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from lmc_core.figures.style import BODY, SMALL

DIRECT = 5  # up to so many lines are labelled at the line, more get a legend
# more than so many get one entry of the legend for each meaning, and neither brackets nor bands
MANY = 12
# characters that fit between the middle of a phone's axis and its edge
WIDE = {BODY: 19, SMALL: 22}
LEGEND = 42  # characters of a line of the legend that fit a phone
HIGH = {BODY: 18, SMALL: 16}  # pixels of a line of type
# lines that a name may take at the line, by the number of curves
MOST = {1: 3, 2: 3, 3: 3, 4: 1, 5: 1}


@dataclass(frozen=True)
class Labelling:
    """How the lines of a figure are labelled.

    Attributes:
        names: what is written before the values, with line breaks; empty where a legend says it.
        entries: names for the legend, with line breaks.
        size: of the type, in pixels.
        lines: of a label at the most.
        legend: whether there is one.
    """

    names: tuple[str, ...]
    entries: tuple[str, ...]
    size: int
    lines: int
    legend: bool

    @property
    def gap(self) -> int:
        """Pixels between the centres of two labels."""
        return self.lines * HIGH[self.size] + (4 if self.size == BODY else 2)

    @property
    def clear(self) -> int:
        """Pixels between the centre of a label and its line."""
        return self.gap // 2 + 3

    @property
    def legend_height(self) -> int:
        """Pixels that the legend takes below the axis."""
        if not self.legend:
            return 0
        if len(self.entries) > DIRECT:
            return 24 * (1 + len(self.entries) // 3) if len(self.entries) <= MANY else 48
        return 8 + sum(22 + 16 * entry.count("<br>") for entry in self.entries)


def labelling(names: Sequence[str]) -> Labelling:
    """Decide how curves of these names are labelled."""
    entries = (
        tuple(broken(name, LEGEND) for name in names) if len(names) <= DIRECT else tuple(names)
    )
    if len(names) > DIRECT:
        return Labelling(("",) * len(names), entries, SMALL, 1, True)
    for size, most in ((BODY, min(2, MOST.get(len(names), 2))), (SMALL, MOST.get(len(names), 1))):
        if size == BODY and len(names) > 3:
            continue
        written = tuple(broken(name, WIDE[size]) for name in names)
        lines = max((name.count("<br>") + 1 for name in written), default=1)
        if lines <= most:
            return Labelling(written, entries, size, lines + 1, False)
    return Labelling(("",) * len(names), entries, BODY, 1, True)


def broken(name: str, width: int) -> str:
    """Return a name in lines of about so many characters, with HTML line breaks; a long word is
    left whole.
    """
    return (
        "<br>".join(textwrap.wrap(name, width, break_long_words=False, break_on_hyphens=False))
        or name
    )


def text_of(name: str, value: str) -> str:
    """Return a label: the name in bold, the value below it."""
    return f"<b>{name}</b><br>{value}" if name else f"<b>{value}</b>"
