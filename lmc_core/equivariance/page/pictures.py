"""The pictures of the page Equivariance by name, each with its caption, its sentence for those who
cannot see it, its table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from lmc_core.equivariance.figures import (
    copies,
    gauge,
    levels,
    losses,
    paths,
    phase,
    plane,
    price,
    strip,
    trace,
)
from lmc_core.equivariance.figures.setting import Drawing, ending
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.ui.panels import show_figure, theme

DRAWN: dict[str, Drawing[...]] = {
    "paths": paths.PATHS,
    "gammas": trace.GAMMAS,
    "gauge": gauge.GAUGE,
    "prices": levels.PRICES,
    "tradeoff": price.TRADEOFF,
    "constraint": trace.CONSTRAINT,
    "phase": phase.PHASE,
    "losses": losses.LOSSES,
    "checkpoints": paths.CHECKPOINTS,
    "plane": plane.PLANE,
    "strip": strip.STRIP,
    "copies": copies.COPIES,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of some runs.

    Attributes:
        name: a key of `DRAWN`.
        arguments: of its functions: a run or several, and what is chosen of them.
    """

    name: str
    arguments: tuple[Any, ...]

    @property
    def title(self) -> str:
        """What it is called."""
        return DRAWN[self.name].title

    @property
    def caption(self) -> str:
        """Text that would stand below it in a paper."""
        return DRAWN[self.name].caption(*self.arguments)

    @property
    def short(self) -> str:
        """The caption without what it shares with every other one of the same runs: data, network,
        training, version.
        """
        first = self.arguments[0]
        runs = first if isinstance(first, list) else [first]
        told = self.caption
        for form in (True, False):
            told = told.removesuffix(ending(runs, form))
        return told.rstrip()

    @property
    def alt(self) -> str:
        """What it shows, in a sentence."""
        return DRAWN[self.name].alt(*self.arguments)

    @property
    def table(self) -> Table:
        """Every number of it."""
        return DRAWN[self.name].table(*self.arguments)

    def draw(self, ground: Theme) -> go.Figure:
        """The figure."""
        return DRAWN[self.name].draw(*self.arguments, theme=ground)


def show(picture: Picture, key: str, whole: bool = False) -> None:
    """Show a picture with its caption.

    Args:
        picture: what to show.
        key: prefix of the widgets' keys.
        whole: whether the caption says all; else what the first one of the page has said is left
            out.
    """
    show_figure(
        picture.draw(theme()),
        f"{key}_chart_{picture.name}",
        picture.alt or picture.title,
        file=f"equivariance-{picture.name}",
    )
    if picture.arguments[0]:  # empty axes are explained by the page
        st.caption(picture.caption if whole else picture.short)
