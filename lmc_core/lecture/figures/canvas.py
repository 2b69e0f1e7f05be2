"""What the pictures of the lecture have in common: type that grows with the hall's screen,
headings, outputs as bars.

Every picture of the lecture is a pure function of what was measured, a theme, a scale (1 for a
window 800 pixels high), a height, and whether the answer may be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures.style import GROUNDS, MEANINGS, Ground, Theme, faint, template
from lmc_core.numbers import number

TEXT, LARGE, HUGE = 17, 21, 60  # pixels at scale 1
POWERS = {  # ticks of an axis of relative differences
    "tickvals": [1e-15, 1e-10, 1e-5, 1],
    "ticktext": ["10\u207b\u00b9\u2075", "10\u207b\u00b9\u2070", "10\u207b\u2075", "1"],
}
DIVERGING = {  # blue and ochre around the ground, as everywhere
    "light": [
        [0, "#996600"],
        [0.25, "#dab878"],
        [0.5, "#ffffff"],
        [0.75, "#8fbcdb"],
        [1, "#0066a6"],
    ],
    "dark": [
        [0, "#f0b840"],
        [0.25, "#7d5e22"],
        [0.5, "#11171d"],
        [0.75, "#265a7d"],
        [1, "#56b4e9"],
    ],
}
SEQUENTIAL = {
    "light": [[0, "#ffffff"], [0.5, "#74aed3"], [1, "#003a61"]],
    "dark": [[0, "#11171d"], [0.5, "#226591"], [1, "#c4e4f8"]],
}


@dataclass(frozen=True)
class Look:
    """How a picture is drawn.

    Attributes:
        theme: ``light``, ``dark`` or ``paper``.
        scale: factor on type and lines; 1 for a window 800 pixels high.
        height: of the picture, in pixels.
        revealed: whether the answer may be seen.
    """

    theme: Theme = "light"
    scale: float = 1.0
    height: int = 450
    revealed: bool = True

    @property
    def ground(self) -> Ground:
        """Colours of what is no data."""
        return GROUNDS[self.theme]

    @property
    def text(self) -> float:
        """Size of ordinary type, in pixels."""
        return TEXT * self.scale

    @property
    def large(self) -> float:
        """Size of headings and labels, in pixels."""
        return LARGE * self.scale

    def colour(self, meaning: str) -> str:
        """The colour of a meaning."""
        return MEANINGS[meaning].colour(self.theme)

    @property
    def diverging(self) -> list:
        """Colour scale around zero."""
        return DIVERGING["dark" if self.theme == "dark" else "light"]

    @property
    def sequential(self) -> list:
        """Colour scale from zero."""
        return SEQUENTIAL["dark" if self.theme == "dark" else "light"]


def canvas(
    look: Look, top: float = 40, bottom: float = 16, left: float = 8, right: float = 8
) -> go.Figure:
    """An empty picture; margins in pixels at scale 1."""
    s = look.scale
    figure = go.Figure(layout={"template": template(look.theme), "height": look.height})
    return figure.update_layout(
        margin={"t": top * s, "b": bottom * s, "l": left * s, "r": right * s},
        font={"size": look.text},
        hoverlabel={"font": {"size": look.text}},
        showlegend=False,
        dragmode=False,
    )


def axes(
    figure: go.Figure,
    look: Look,
    number: int,
    x: tuple[float, float],
    y: tuple[float, float] = (0, 1),
    **both: object,
) -> None:
    """Place panel `number` at domains `x` and `y`; `both` goes to both of its axes."""
    tag = "" if number == 1 else str(number)
    common = {"fixedrange": True, "tickfont": {"size": look.text}, **both}
    figure.update_layout(
        {
            f"xaxis{tag}": {**common, "domain": list(x), "anchor": f"y{tag}"},
            f"yaxis{tag}": {**common, "domain": list(y), "anchor": f"x{tag}"},
        }
    )


def matrix(
    figure: go.Figure,
    look: Look,
    number: int,
    values: np.ndarray,
    largest: float | None = None,
    scale=None,
) -> None:
    """Draw a matrix in a panel, first row on top, square cells; by default diverging around
    zero.
    """
    tag = "" if number == 1 else str(number)
    limit = float(np.abs(values).max()) if largest is None else largest
    figure.add_heatmap(
        z=values,
        xaxis=f"x{tag}",
        yaxis=f"y{tag}",
        showscale=False,
        hoverinfo="skip",
        colorscale=look.diverging if scale is None else scale,
        zmin=-limit if scale is None else 0,
        zmax=limit,
    )
    rows, columns = values.shape
    blank = {"showticklabels": False, "showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_layout(
        {
            f"xaxis{tag}": {**blank, "range": [-0.5, columns - 0.5]},
            f"yaxis{tag}": {
                **blank,
                "range": [rows - 0.5, -0.5],
                "scaleanchor": f"x{tag}",
                "constraintoward": "top",
            },
        }
    )


def heading(
    figure: go.Figure,
    look: Look,
    text: str,
    x: float,
    y: float = 1.0,
    colour: str | None = None,
    **more: object,
) -> None:
    """Words above a place of the picture, in shares of its panels."""
    figure.add_annotation(
        **{
            "text": text,
            "x": x,
            "y": y,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "bottom",
            "showarrow": False,
            "yshift": 6 * look.scale,
            "font": {"size": look.large, "color": colour or look.ground.ink},
            "name": "heading",
            **more,
        }
    )


def frame(
    figure: go.Figure,
    look: Look,
    number: int,
    box: tuple[float, float, float, float],
    colour: str,
    dash: str,
) -> None:
    """A box (x0, y0, x1, y1) in the coordinates of a panel."""
    tag = "" if number == 1 else str(number)
    x0, y0, x1, y1 = box
    figure.add_shape(
        type="rect",
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        xref=f"x{tag}",
        yref=f"y{tag}",
        line={"color": colour, "width": 3.5 * look.scale, "dash": dash},
    )


def bars(
    figure: go.Figure,
    look: Look,
    number: int,
    before: np.ndarray,
    after: np.ndarray,
    names: Sequence[str],
    colour: str,
) -> None:
    """Outputs of a network before (outlined) and now (filled), one bar for each class."""
    tag = "" if number == 1 else str(number)
    common = {
        "y": list(range(len(before))),
        "orientation": "h",
        "xaxis": f"x{tag}",
        "yaxis": f"y{tag}",
        "hoverinfo": "skip",
    }
    figure.add_bar(x=after, marker={"color": faint(colour, 0.55)}, width=0.72, name="now", **common)
    outline = {
        "color": "rgba(0,0,0,0)",
        "line": {"color": look.ground.ink, "width": 2 * look.scale},
    }
    figure.add_bar(x=before, marker=outline, width=0.72, name="before", **common)
    low, high = (
        min(float(before.min()), float(after.min()), 0.0),
        max(float(before.max()), float(after.max()), 0.0),
    )
    pad = 0.06 * (high - low)
    figure.update_layout(
        {
            "barmode": "overlay",
            f"xaxis{tag}": {
                "range": [low - pad, high + pad],
                "showticklabels": False,
                "showgrid": False,
            },
            f"yaxis{tag}": {
                "range": [len(before) - 0.4, -0.6],
                "tickvals": list(range(len(before))),
                "ticktext": list(names),
                "showgrid": False,
                "tickfont": {"size": look.text, "color": look.ground.ink},
            },
        }
    )


def unknown(figure: go.Figure, look: Look, x: float, y: float = 0.5) -> None:
    """A question mark where the answer will be, in shares of the panels."""
    figure.add_annotation(
        text="?",
        x=x,
        y=y,
        xref="paper",
        yref="paper",
        showarrow=False,
        name="unknown",
        font={"size": HUGE * look.scale, "color": look.ground.muted},
    )


def ladder(
    figure: go.Figure,
    look: Look,
    panel: int,
    names: Sequence[str],
    values: Sequence[float],
    colours: Sequence[str],
) -> None:
    """Bars of barriers in nats, from the top down, each with its name and number."""
    tag = "" if panel == 1 else str(panel)
    places = list(range(len(names)))
    figure.add_bar(
        x=list(values),
        y=places,
        orientation="h",
        xaxis=f"x{tag}",
        yaxis=f"y{tag}",
        name="ladder",
        width=0.66,
        marker={"color": list(colours)},
        hoverinfo="skip",
        text=[number(value) for value in values],
        textposition="outside",
        cliponaxis=False,
        constraintext="none",
        textfont={"size": look.text, "color": look.ground.ink},
    )
    figure.update_layout(
        {
            f"xaxis{tag}": {"range": [0, max(values)], "showticklabels": False, "showgrid": False},
            f"yaxis{tag}": {
                "range": [len(names) - 0.4, -0.6],
                "tickvals": places,
                "ticktext": list(names),
                "showgrid": False,
                "tickfont": {"size": look.text, "color": look.ground.ink},
                "ticklabelstandoff": int(8 * look.scale),
            },
        }
    )
