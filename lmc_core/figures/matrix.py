"""A matrix of barriers between every two of some models, for a figure that holds one or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lmc_core.figures.style import BODY, GROUNDS, SMALL, Theme, loss_scale, low_words
from lmc_core.numbers import estimate, number

WRITTEN = 8  # models up to which values are written into the cells
BAR = 52  # pixels above the matrices for the scale of colours


@dataclass(frozen=True)
class PairMatrix:
    """Barriers between every two of some models.

    Attributes:
        names: of the models.
        values: in nats `[models, models]`; None where nothing was measured.
        stderr: their standard errors, where known.
    """

    names: Sequence[str]
    values: Sequence[Sequence[float | None]]
    stderr: Sequence[Sequence[float | None]] | None = None

    def words(self, row: int, column: int) -> str:
        """A barrier with its error; "" where there is none."""
        value = self.values[row][column]
        if value is None:
            return ""
        error = self.stderr[row][column] if self.stderr else None
        return estimate(value, error, "nats")


def draw_matrix(
    figure: go.Figure,
    matrix: PairMatrix,
    most: float,
    theme: Theme,
    index: int = 0,
    domain: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 1.0), (0.0, 1.0)),
    named: bool = True,
) -> None:
    """Draw a matrix into a figure, low barriers strong, on axes of its own.

    Args:
        figure: that it is drawn into.
        matrix: what to draw.
        most: where the scale ends, in nats, above 0.
        theme: ``light``, ``dark`` or ``paper``.
        index: of the matrix in the figure, from 0; the first brings the scale of colours.
        domain: its place, as shares of the width and of the height.
        named: whether names of models stand at the rows; else their numbers.
    """
    count, ending = len(matrix.names), str(index + 1) if index else ""
    numbers, edge = list(range(1, count + 1)), count + 0.5
    figure.add_heatmap(
        z=matrix.values,
        x=numbers,
        y=numbers,
        zmin=0,
        zmax=most,
        colorscale=loss_scale(theme),
        showscale=index == 0,
        colorbar=_bar(most, theme),
        xgap=2,
        ygap=2,
        text=[["" if v is None else number(v, digits=2) for v in row] for row in matrix.values],
        texttemplate="%{text}" if count <= WRITTEN else "",
        textfont={"size": BODY if count <= 5 else SMALL},
        customdata=[
            [f"{a} and {b}: {matrix.words(i, j)}" for j, b in enumerate(matrix.names)]
            for i, a in enumerate(matrix.names)
        ],
        hoverongaps=False,
        hovertemplate="%{customdata}<extra></extra>",
        xaxis=f"x{ending}",
        yaxis=f"y{ending}",
        name="barrier",
    )
    axis = {"showgrid": False, "fixedrange": True, "tickvals": numbers, "constrain": "domain"}
    labels = [f"{name}  {k}" if named else str(k) for k, name in enumerate(matrix.names, 1)]
    across, up = (list(each) for each in domain)
    below = {"domain": across, "anchor": f"y{ending}", "range": [0.5, edge]}
    left = {"domain": up, "anchor": f"x{ending}", "range": [edge, 0.5], "ticktext": labels}
    figure.update_layout({f"xaxis{ending}": {**axis, **below}, f"yaxis{ending}": {**axis, **left}})


def _bar(most: float, theme: Theme) -> dict[str, object]:
    """The scale of colours with its ends, which says which one is low."""
    return {
        "orientation": "h",
        "thickness": 8,
        "len": 180,
        "lenmode": "pixels",
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "xpad": 12,
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "ypad": 2,
        "outlinewidth": 0,
        "tickvals": [0, most],
        "ticktext": ["0", number(most, digits=2)],
        "tickfont": {"size": SMALL, "color": GROUNDS[theme].muted},
        "tickangle": 0,
        "title": {
            "text": f"barrier (nats), {low_words(theme)}",
            "side": "bottom",
            "font": {"size": SMALL},
        },
    }
