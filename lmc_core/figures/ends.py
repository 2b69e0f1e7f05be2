"""Names of the two models below the ends of an axis of lambda, inside the figure however long they
are.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lmc_core.figures.style import BODY, GROUNDS, Theme


def name_ends(
    figure: go.Figure,
    models: Sequence[str],
    theme: Theme,
    left: float,
    right: float,
    drop: float = 24,
) -> None:
    """Write the first name from the left edge of the figure, and the second up to the right one.

    A long name below a tick would reach over the edge, where Plotly hides it together with its
    number.

    Args:
        figure: whose axes end at lambda 0 and 1.
        models: both names.
        theme: of the figure.
        left: pixels from the left end of the axis that the first may reach out.
        right: the same at the right end.
        drop: pixels below the axis.
    """
    for place, (name, anchor, shift) in enumerate(
        zip(models, ("left", "right"), (-left, right), strict=True)
    ):
        figure.add_annotation(
            text=f"<b>{name}</b>",
            x=place,
            xref="paper",
            xanchor=anchor,
            xshift=shift,
            y=0,
            yref="paper",
            yanchor="top",
            yshift=-drop,
            showarrow=False,
            font={"size": BODY, "color": GROUNDS[theme].ink},
            name="model",
        )
