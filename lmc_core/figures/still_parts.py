"""What a still picture is made of: where values and ticks lie in a panel, and words, lines and
marks as SVG, as Plotly sets them.

Source of dashes and marks: `src/components/drawing/index.js` and `symbol_defs.js` of plotly.js.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape

AXIS = frozenset(
    "range fixedrange anchor domain matches tickvals ticktext tickangle tickfont showticklabels"
    " nticks exponentformat tickformat hoverformat showline zeroline ticks gridcolor gridwidth"
    " showgrid title automargin".split()
)
STEPS = (2, 5, 10)
MINUS = "\u2212"
DASHES = {"dot": (1,), "dash": (3,), "longdash": (5,), "dashdot": (3, 1, 1, 1)}
ROOT2, ROOT3 = math.sqrt(2), math.sqrt(3)
# corners as multiples of half the size
CORNERS: dict[str, Sequence[tuple[float, float]]] = {
    "square": [(1, 1), (-1, 1), (-1, -1), (1, -1)],
    "diamond": [(1.3, 0), (0, 1.3), (-1.3, 0), (0, -1.3)],
    "diamond-tall": [(0, 1.4), (0.7, 0), (0, -1.4), (-0.7, 0)],
    "triangle-up": [(-2 / ROOT3, 0.5), (2 / ROOT3, 0.5), (0, -1)],
    "triangle-down": [(-2 / ROOT3, -0.5), (2 / ROOT3, -0.5), (0, 1)],
    "triangle-left": [(0.5, -2 / ROOT3), (0.5, 2 / ROOT3), (-1, 0)],
    "pentagon": [(0.951, -0.309), (0.588, 0.809), (-0.588, 0.809), (-0.951, -0.309), (0, -1)],
    "hexagon": [(ROOT3 / 2, -0.5), (ROOT3 / 2, 0.5), (0, 1), (-ROOT3 / 2, 0.5)]
    + [(-ROOT3 / 2, -0.5), (0, -1)],
    "hourglass": [(1, 1), (-1, 1), (1, -1), (-1, -1)],
}
ARM, ARMS = 0.4, 1.2  # half the width and the length of a cross's arms
OBLIQUE = 0.8 / ROOT2  # the step between corners of an x
LEADING = 1.3  # sizes from a line to the next
ASCENT, DESCENT = 1.025, 0.275  # of IBM Plex Sans, in sizes; browsers round both to pixels


class Unknown(Exception):
    """A figure holds something that no picture is made of here."""


def require(props: Mapping[str, object], known: Collection[str], what: str) -> None:
    """Refuse properties that are not known, so that nothing is left out of a picture.

    Args:
        props: of a part of a figure.
        known: names that count, or that change nothing in a still picture.
        what: the part.

    Raises:
        Unknown: there is another name.
    """
    if more := set(props) - set(known):
        raise Unknown(f"{what}: {', '.join(sorted(more))}")


def tick_step(low: float, high: float, most: int) -> float:
    """Return the distance of ticks: the smallest of 2, 5 and 10 times a power of ten that is above
    the range over `most`.

    Source: `autoTicks` of plotly.js, `src/plots/cartesian/axes.js`.
    """
    rough = abs(high - low) / most
    base = 10.0 ** math.floor(math.log10(rough))
    return base * next((step for step in STEPS if step > rough / base), STEPS[-1])


def tick_values(axis: Mapping[str, object]) -> list[float]:
    """Return the values of an axis that have a tick, in its range.

    Raises:
        Unknown: Plotly chooses their number, or the axis has something not known here.
    """
    require(axis, AXIS, "axis")
    low, high = _range(axis)
    given = axis.get("tickvals")
    if isinstance(given, Sequence):
        return [float(value) for value in given if low <= value <= high]
    most = axis.get("nticks")
    if not isinstance(most, int) or _titled(axis):
        raise Unknown("ticks as many as fit")
    step = tick_step(low, high, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [step * k for k in range(first, last + 1)]


def tick_labels(axis: Mapping[str, object]) -> list[tuple[float, str]]:
    """Return the ticks of an axis with what is written at each.

    Raises:
        Unknown: Plotly would write powers of ten, or the axis has a format not known here.
    """
    values = tick_values(axis)
    given = axis.get("ticktext")
    if isinstance(given, Sequence):
        return list(zip(values, map(str, given), strict=True))
    form = axis.get("tickformat")
    if form not in (None, ".0%"):
        raise Unknown(f"format {form}")
    largest = max(map(abs, _range(axis)))
    if form is None and abs(math.floor(math.log10(largest) + 0.01)) > 3:
        raise Unknown("powers of ten")
    texts = (f"{100 * value:.0f}%" if form else _plain(value) for value in values)
    return [(value, text.replace("-", MINUS)) for value, text in zip(values, texts, strict=True)]


def _plain(value: float) -> str:
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _titled(axis: Mapping[str, object]) -> bool:
    title = axis.get("title")
    return isinstance(title, Mapping) and bool(title.get("text"))


def _range(axis: Mapping[str, object]) -> tuple[float, float]:
    limits = axis.get("range")
    if not isinstance(limits, Sequence) or limits[0] >= limits[1]:
        raise Unknown("an axis that runs down")
    return float(limits[0]), float(limits[1])


@dataclass(frozen=True)
class Panel:
    """One pair of axes and where it lies in the figure.

    Attributes:
        name: of both axes, e.g. ``2`` for ``x2`` and ``y2``.
        x: range of the horizontal axis.
        y: range of the vertical axis.
        top: pixels from the figure's upper edge.
        height: in pixels.
    """

    name: str
    x: tuple[float, float]
    y: tuple[float, float]
    top: float
    height: float

    def across(self, value: float) -> float:
        """Where a value lies, as a share of the width."""
        return (value - self.x[0]) / (self.x[1] - self.x[0])

    def down(self, value: float) -> float:
        """Where a value lies, in pixels below the panel's upper edge."""
        return self.height * (self.y[1] - value) / (self.y[1] - self.y[0])


def line_runs(
    x: Sequence[float], y: Sequence[float], panel: Panel
) -> Iterator[list[tuple[float, float]]]:
    """Stretches of a line without a gap, as shares of the width and pixels down."""
    run: list[tuple[float, float]] = []
    for one, other in zip(x, y, strict=True):
        if one is None or other is None or not math.isfinite(one) or not math.isfinite(other):
            if run:
                yield run
            run = []
        else:
            run.append((panel.across(float(one)), panel.down(float(other))))
    if run:
        yield run


def dashes(dash: object, width: float) -> str:
    """Return the SVG attribute of a line's dash, "" for a solid one.

    Args:
        dash: as Plotly's lines have it: a name, or lengths in pixels.
        width: of the line, in pixels.

    Raises:
        Unknown: another name.
    """
    if dash in (None, "solid"):
        return ""
    if isinstance(dash, str) and dash in DASHES:
        lengths = " ".join(f"{step * max(3, float(width)):g}" for step in DASHES[dash])
    elif isinstance(dash, str) and dash.replace("px", "").replace(",", "").isdigit():
        lengths = dash.replace("px", "").replace(",", " ")
    else:
        raise Unknown(f"dash {dash}")
    return f' stroke-dasharray="{lengths}"'


def marker_path(symbol: str, radius: float) -> str:
    """Return the path of a mark around the origin.

    Args:
        symbol: Plotly's name.
        radius: half its size, in pixels.

    Raises:
        Unknown: another name.
    """
    r = round(radius, 2)
    if symbol == "circle":
        return f"M{r},0A{r},{r} 0 1,1 0,-{r}A{r},{r} 0 0,1 {r},0Z"
    if symbol == "star-diamond":
        side, bend = round(1.4 * radius, 2), round(1.9 * radius, 2)
        arc = f"A{bend},{bend} 0 0 1 "
        return f"M-{side},0{arc}0,-{side}{arc}{side},0{arc}0,{side}{arc}-{side},0Z"
    corners = CORNERS.get(symbol) or _composed(symbol)
    return "M" + "L".join(f"{x * radius:.2f},{y * radius:.2f}" for x, y in corners) + "Z"


def _composed(symbol: str) -> Sequence[tuple[float, float]]:
    """Corners of the marks that repeat a step all around."""
    if symbol == "cross":
        quarter = [(ARMS, ARM), (ARM, ARM), (ARM, ARMS)]
    elif symbol == "x":
        quarter = [(OBLIQUE, 0.0), (2 * OBLIQUE, OBLIQUE), (OBLIQUE, 2 * OBLIQUE)]
    elif symbol == "star":
        return [
            (length * 1.4 * math.sin(k * math.pi / 5), -length * 1.4 * math.cos(k * math.pi / 5))
            for k, length in enumerate([1, 0.382] * 5)
        ]
    else:
        raise Unknown(f"mark {symbol}")
    corners = list(quarter)
    for _ in range(3):
        quarter = [(-y, x) for x, y in quarter]
        corners += quarter
    return corners


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
