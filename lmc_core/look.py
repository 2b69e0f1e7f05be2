"""How one meaning is drawn, wherever it is drawn, and what the product is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PRODUCT = "LMC Explorer"
Theme = Literal["light", "dark", "paper"]


@dataclass(frozen=True)
class Look:
    """How one meaning is drawn.

    Attributes:
        name: what it stands for, for people.
        light: colour on a light ground and on paper.
        dark: colour on a dark ground.
        dash: of its lines, a name of Plotly.
        marker: of its points, a name of Plotly.
    """

    name: str
    light: str
    dark: str
    dash: str
    marker: str

    def colour(self, theme: Theme) -> str:
        """The colour on the ground of a theme."""
        return self.dark if theme == "dark" else self.light
