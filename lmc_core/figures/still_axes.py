"""Where Plotly puts the ticks of an axis of numbers, and what it writes there."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

AXIS = frozenset(
    "range fixedrange anchor domain matches tickvals ticktext tickangle tickfont showticklabels"
    " nticks exponentformat tickformat hoverformat showline zeroline ticks gridcolor gridwidth"
    " showgrid title automargin".split()
)
STEPS = (2, 5, 10)
MINUS = "\u2212"


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
