"""The pictures of the page Equivariance by name, each with its caption, its sentence for those who
cannot see it, its table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from lmc_core.equivariance.figures import copies, paths, price, strip, tables, trace
from lmc_core.equivariance.figures import text as words
from lmc_core.equivariance.figures.setting import ending
from lmc_core.figures.export import CONFIG
from lmc_core.figures.style import Theme
from lmc_core.figures.tables import Table
from lmc_core.ui.curves import theme

DRAWN: dict[str, tuple[str, Callable[..., go.Figure]]] = {
    "paths": ("From the projection to the network", paths.paths_figure),
    "gammas": ("γ of one layer, run by run", trace.gammas_figure),
    "gauge": ("Where symmetry costs something", price.gauge_figure),
    "prices": ("Loss against the price", price.price_loss_figure),
    "tradeoff": ("Accuracy against equivariance", price.price_figure),
    "constraint": ("The constraint, layer by layer", trace.constraint_figure),
    "phase": ("Phase portrait", trace.phase_figure),
    "losses": ("Losses and the error of equivariance", trace.losses_figure),
    "checkpoints": ("The way to the projection during training", paths.checkpoints_figure),
    "plane": ("Two layers", paths.plane_figure),
    "strip": ("One input in all positions", strip.strip_figure),
    "copies": ("The network and its moved copy", copies.copies_figure),
}
# where functions are called otherwise than here
WORDS = {"prices": "price_loss", "tradeoff": "price"}


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
        return DRAWN[self.name][0]

    @property
    def caption(self) -> str:
        """Text that would stand below it in a paper."""
        return self._of(words, "caption")

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
        return self._of(words, "alt")

    @property
    def table(self) -> Table:
        """Every number of it."""
        return self._of(tables, "table")

    def draw(self, ground: Theme) -> go.Figure:
        """The figure."""
        return DRAWN[self.name][1](*self.arguments, theme=ground)

    def _of(self, module: Any, ending: str) -> Any:
        return getattr(module, f"{WORDS.get(self.name, self.name)}_{ending}")(*self.arguments)


def show(picture: Picture, key: str, whole: bool = False) -> None:
    """Show a picture with its caption.

    Args:
        picture: what to show.
        key: prefix of the widgets' keys.
        whole: whether the caption says all; else what the first one of the page has said is left
            out.
    """
    config = {
        **CONFIG,
        "toImageButtonOptions": {"format": "svg", "filename": f"equivariance-{picture.name}"},
    }
    name = f"{key}_chart_{picture.name}"
    st.plotly_chart(
        picture.draw(theme()), theme=None, config=config, key=name, alt=picture.alt or picture.title
    )
    if picture.arguments[0]:  # empty axes are explained by the page
        st.caption(picture.caption if whole else picture.short)
