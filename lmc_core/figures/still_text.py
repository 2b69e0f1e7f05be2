"""Words of a figure as SVG: lines, bold words and places, as Plotly sets them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape, unescape

from lmc_core.figures.still_axes import Unknown

LEADING = 1.3  # sizes from a line to the next
ASCENT, DESCENT = 1.025, 0.275  # of IBM Plex Sans, in sizes; browsers round both to pixels


@dataclass(frozen=True)
class Place:
    """Where the first line of words stands.

    Attributes:
        across: share of the panel's width.
        y: pixels of its base line below the panel's upper edge.
        right: pixels to the right of `across`.
    """

    across: float
    y: float
    right: float = 0.0


def lines_of(text: str) -> list[str]:
    """Return the lines of a text of Plotly as SVG, with bold words.

    Raises:
        Unknown: it holds other marks.
    """
    lines = re.split("<br ?/?>", text)
    return ["".join(_spans(line)) for line in lines]


def _spans(line: str) -> list[str]:
    found = []
    for part in re.split("(<b>.*?</b>)", line):
        bold = part.startswith("<b>")
        words = part[3:-4] if bold else part
        if re.search("<[a-zA-Z/]", words):
            raise Unknown(f"marks in {line}")
        plain = escape(unescape(words))
        found.append(f'<tspan font-weight="bold">{plain}</tspan>' if bold else plain)
    return found


def written_height(lines: Sequence[str], size: float) -> float:
    """Return the pixels that lines take from the top of the first to the foot of the last."""
    return round(ASCENT * size) + round(DESCENT * size) + LEADING * size * (len(lines) - 1)


def text_svg(lines: Sequence[str], place: Place, anchor: str, size: float, colour: str) -> str:
    """Return lines of words as SVG.

    Args:
        lines: from `lines_of`.
        place: of the first.
        anchor: what of them stands there, by SVG's names.
        size: of the type, in pixels.
        colour: of the type.
    """
    inside = lines[0]
    for number, line in enumerate(lines[1:], start=1):
        down = LEADING * size * number
        inside += f'<tspan x="0" y="{down:.2f}">{line}</tspan>'
    place_x = f"{100 * place.across:.3f}%"
    return (
        f'<svg x="{place_x}" y="{place.y:.2f}" overflow="visible"><text x="0" '
        f'text-anchor="{anchor}" font-size="{size:g}" fill="{colour}" '
        f'transform="translate({place.right:.2f},0)" xml:space="preserve">{inside}</text></svg>'
    )
