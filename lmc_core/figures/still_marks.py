"""Plotly's dashes and marks as SVG.

Source: `src/components/drawing/index.js` and `symbol_defs.js` of plotly.js.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lmc_core.figures.still_axes import Unknown

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
