"""The look of every figure: colours by meaning, type sizes, and the Plotly templates for screen and
paper.

One meaning has one colour everywhere, and its own dash and marker, so that nothing depends on
colour alone. The hues are those of Okabe and Ito (2008), darkened for a light ground and lightened
for a dark one until every line has at least three times (WCAG 2.2, 1.4.11), and every label at
least four and a half times (1.4.3), the contrast of its ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lmc_core.look import Look, Theme
from lmc_core.matching.methods import METHODS

FONT = "IBM Plex Sans"
FAMILY = f"'{FONT}', 'Source Sans 3', 'Helvetica Neue', Arial, sans-serif"
SMALL, BODY, LARGE = 12, 14, 17  # pixels; one scale, each step about 1.2


class _Meanings(Mapping[str, Look]):
    """How every meaning is drawn; the looks of methods stand on the methods."""

    @property
    def _known(self) -> dict[str, Look]:
        looks = {name: method.look for name, method in METHODS.items()}
        return {
            "plain": Look("plain average", "#666666", "#b3bac2", "5px,3px", "circle"),
            "permutation": Look("permutations", "#996600", "#f0b840", "11px,4px", "square"),
            "orthogonal": looks.pop("weight"),  # whose curves differ by what may be mixed
            **looks,
            "bend": Look("curved path", "#6a3fb0", "#c0a5ff", "24px,3px", "hourglass"),
        }

    def __getitem__(self, key: str) -> Look:
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


MEANINGS = _Meanings()
# for several settings of one meaning
EXTRA_DASHES = ("3px,3px", "14px,3px,4px,3px", "20px,5px", "7px,2px")
EXTRA_MARKERS = ("pentagon", "hexagon", "x", "triangle-down")


@dataclass(frozen=True)
class Ground:
    """Colours of everything that is not data.

    Attributes:
        paper: the ground.
        ink: text.
        muted: secondary text, at least 4.5 times the contrast of the ground.
        grid: grid lines, meant to be faint.
    """

    paper: str
    ink: str
    muted: str
    grid: str


HATCHES = ("", "/", ".", "x", "-", "+")  # beside the colour, so that nothing depends on it
GROUNDS: dict[Theme, Ground] = {
    "light": Ground("#ffffff", "#0f161c", "#58636d", "#e3e7eb"),
    "dark": Ground("#11171d", "#e8edf1", "#a3afb9", "#2b353e"),
    "paper": Ground("#ffffff", "#000000", "#444444", "#dddddd"),
}


# of losses, barriers and costs, from low to high: the low end is strong on every ground
LOSS_RAMPS = {
    "light": [
        "#06304f",
        "#0b4a75",
        "#1f6a9c",
        "#4f93bf",
        "#86b6d6",
        "#b4d2e6",
        "#d9e8f2",
        "#eaf1f6",
    ],
    "dark": [
        "#d8effc",
        "#a6d8f5",
        "#6cbbe8",
        "#3c95c8",
        "#26709f",
        "#1c5075",
        "#183a53",
        "#1a2833",
    ],
}


def loss_scale(theme: Theme) -> list[list[float | str]]:
    """The scale of colours of losses, barriers and costs, from low (0, strong) to high (1)."""
    colours = LOSS_RAMPS["dark" if theme == "dark" else "light"]
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def low_words(theme: Theme) -> str:
    """Which end of `loss_scale` is low, for legends."""
    return "bright is low" if theme == "dark" else "dark is low"


def ink_on_loss(share: float, theme: Theme) -> str:
    """Return black or white, whichever is read better on that share of `loss_scale`."""
    colours = LOSS_RAMPS["dark" if theme == "dark" else "light"]
    ground = colours[min(len(colours) - 1, max(0, round(share * (len(colours) - 1))))]
    return max(("#ffffff", GROUNDS["light"].ink), key=lambda ink: contrast(ink, ground))


def find_meaning(result: Mapping[str, object]) -> str:
    """Return the key in `MEANINGS` of a result: its method, and for weight matching its largest
    class.
    """
    method = str(result.get("method", "none"))
    if method == "none":
        return "plain"
    if method in MEANINGS:
        return method
    chosen = result.get("classes")
    classes = set(chosen.values()) if isinstance(chosen, Mapping) else set()
    return (
        "permutation"
        if classes <= {"none", "permutation", "signs", "turns", "signed", "scales", "scaled"}
        else "orthogonal"
    )


@dataclass(frozen=True)
class Stroke:
    """How one line of a figure is drawn."""

    colour: str
    dash: str
    marker: str


def strokes(results: Sequence[Mapping[str, object]], theme: Theme) -> list[Stroke]:
    """Return how to draw each result; several of one meaning share the colour and differ in dash
    and marker.
    """
    seen: dict[str, int] = {}
    drawn = []
    for result in results:
        key = find_meaning(result)
        meaning, repeat = MEANINGS[key], seen.get(key, 0)
        seen[key] = repeat + 1
        dash = EXTRA_DASHES[(repeat - 1) % len(EXTRA_DASHES)] if repeat else meaning.dash
        marker = EXTRA_MARKERS[(repeat - 1) % len(EXTRA_MARKERS)] if repeat else meaning.marker
        drawn.append(Stroke(meaning.colour(theme), dash, marker))
    return drawn


def faint(colour: str, share: float) -> str:
    """Return a hexadecimal colour as `rgba` with that opacity."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def hatched(colour: str, place: int, ground: Ground) -> dict[str, object]:
    """Return how a bar is filled: in its colour, and in lines that tell it from others without it.

    Args:
        colour: hexadecimal.
        place: number of the bar among those beside it, from 0.
        ground: what it stands on.
    """
    return {
        "color": faint(colour, 0.85),
        "line": {"color": colour, "width": 1},
        "pattern": {
            "shape": HATCHES[place % len(HATCHES)],
            "fillmode": "overlay",
            "fgcolor": ground.paper,
            "size": 6,
            "solidity": 0.3,
        },
    }


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio of two hexadecimal colours, from 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def template(theme: Theme) -> go.layout.Template:
    """Return the Plotly template of a theme: open axes, faint horizontal grid, one family of
    type.
    """
    ground = GROUNDS[theme]
    axis = {
        "showline": False,
        "zeroline": False,
        "ticks": "",
        "gridcolor": ground.grid,
        "gridwidth": 1,
        "tickfont": {"size": SMALL, "color": ground.muted},
        "title": {"font": {"size": BODY, "color": ground.ink}},
        "automargin": False,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FAMILY, "size": BODY, "color": ground.ink},
            "paper_bgcolor": ground.paper,
            "plot_bgcolor": ground.paper,
            "colorway": [meaning.colour(theme) for meaning in MEANINGS.values()],
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": ground.paper,
                "bordercolor": ground.muted,
                "font": {"family": FAMILY, "size": SMALL, "color": ground.ink},
            },
            "legend": {"font": {"size": SMALL}},
            "margin": {"l": 64, "r": 56, "t": 16, "b": 76},
        }
    )
