"""The gauge of asymmetry: how much the data would gain from the free part of every layer, beside
the multiplier at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import Run, run_strokes
from lmc_core.equivariance.figures.setting import EMPTY, NONE, Drawing, ending, shorten
from lmc_core.figures.layout import heading
from lmc_core.figures.style import GROUNDS, SMALL, Theme, hatched
from lmc_core.figures.tables import Table
from lmc_core.numbers import number

BAR, SPACE = 18, 14  # pixels of a bar and between two layers
TOP, FOOT, GAP = 50, 30, 0.08  # pixels; GAP between both columns as a share of the width
TINY = 1e-5  # nats; a bar below is not to be seen, its number is written all the same
ROUNDING = 1e-12  # nats; what is below is zero in float64
# nats that an axis holds at the least, so that rounding is not drawn as large as what is measured
FLAT = 0.01
COLUMNS = {
    "gauge": "<b>Gauge</b> (nats)<br>|dJ/d\u03b3| at \u03b3 = 0",
    "multiplier": "<b>|\u03bb|</b> (nats)<br>at the end",
}


def gauge_figure(
    runs: Sequence[Run], theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw the gauge of asymmetry of every layer, |dJ/dgamma| at gamma = 0, beside its multiplier,
    at the last recorded step.

    Sizes alone: the sign only says which way the free part points, gamma and (I - P) Wn may both
    change theirs.

    Args:
        runs: those without a record are left out; layers are those of the first.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; by default what the bars need.
    """
    ground = GROUNDS[theme]
    known = [run for run in runs if len(run.trace("gauge"))]
    known = [run for run in known if run.layers == known[0].layers]
    labels = [run.label for run in known]
    if not known:
        return axes.nothing(axes.new(theme, height or 260), "Nothing is recorded yet.", theme)
    layers, several = known[0].layers, len(known) > 1
    foot = FOOT + (12 + axes.legend_height(labels) if several else 0)
    inner = len(layers) * (BAR * len(known) + SPACE)
    figure = axes.new(theme, height or TOP + foot + inner)
    written = [axes.broken(layer, 12) for layer in layers]
    figure.update_layout(
        margin={"l": axes.label_room(written), "r": 12, "t": TOP, "b": foot, "autoexpand": False},
        bargap=SPACE / (BAR * len(known) + SPACE),
        yaxis={
            "tickvals": list(range(len(layers))),
            "ticktext": written,
            "autorange": "reversed",
            "showgrid": False,
            "fixedrange": True,
            "tickfont": {"size": SMALL, "color": ground.ink},
            "ticklabelstandoff": 6,
        },
    )
    for place, (name, title) in enumerate(COLUMNS.items()):
        values = [_last(run, name) for run in known]
        left = place * (0.5 + GAP / 2)
        _column(figure, known, left, place, several, title, values, theme)
    if several:
        axes.legend(figure, FOOT + 4, inner)
    return figure


def _column(
    figure: go.Figure,
    known: list[Run],
    left: float,
    place: int,
    several: bool,
    title: str,
    values: list[np.ndarray],
    theme: Theme,
) -> None:
    """One of both columns with its axis, from the share `left` of the width."""
    ground = GROUNDS[theme]
    axis = "x" if place == 0 else "x2"
    high = max(*(float(v.max()) for v in values), FLAT)
    figure.update_layout(
        {
            f"xaxis{axis[1:]}": {
                "domain": [left, left + 0.5 - GAP / 2],
                "range": [0, 1.5 * high],
                "anchor": "y",
                "fixedrange": True,
                "showgrid": True,
                "gridcolor": ground.grid,
                "nticks": 3,
                "zeroline": True,
                "zerolinecolor": ground.muted,
                "zerolinewidth": 1,
                "exponentformat": "power",
            }
        }
    )
    heading(figure, title, theme, x=left, up=4, align="left")
    _bars(figure, known, values, axis, several, theme)


def _last(run: Run, name: str) -> np.ndarray:
    found = run.trace(name)
    return np.abs(found[-1]) if len(found) else np.zeros(len(run.layers))


def _bars(
    figure: go.Figure,
    runs: Sequence[Run],
    values: Sequence[np.ndarray],
    axis: str,
    several: bool,
    theme: Theme,
) -> None:
    ground = GROUNDS[theme]
    for place, (run, own, stroke) in enumerate(
        zip(runs, values, run_strokes(runs, theme), strict=True)
    ):
        figure.add_bar(
            y=list(range(len(own))),
            x=np.where(own < TINY, 0.0, own),
            orientation="h",
            name=run.label,
            xaxis=axis,
            yaxis="y",
            showlegend=several and axis == "x",
            offsetgroup=str(place),
            legendgroup=str(place),
            text=["0" if v < ROUNDING else number(float(v), digits=2) for v in own],
            textposition="outside",
            textfont={"size": SMALL, "color": ground.ink},
            cliponaxis=False,
            meta={"what": "gauge" if axis == "x" else "multiplier"},
            marker=hatched(stroke.colour, place, ground),
            customdata=run.layers,
            hovertemplate=f"<b>{run.label}</b><br>%{{customdata}}: %{{x:.3g}} nats<extra></extra>",
        )


def gauge_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `gauge_figure` that would stand in a paper."""
    known = [run for run in runs if len(run.trace("gauge"))]
    if not known:
        return NONE
    return (
        "What symmetry costs, layer by layer, at the last recorded step. Left: the gauge of "
        "asymmetry, the size of dJ/d\u03b3 of the training loss J at \u03b3 = 0 with all other "
        "weights as they are; it vanishes on data that the group maps to itself (symmetric "
        "criticality). Right: the size of the multiplier \u03bb, which at rest balances "
        "dJ/d\u03b3. Signs, which the table has, only say which way the free part points. "
        f"{ending(known)}"
    )


def gauge_alt(runs: Sequence[Run]) -> str:
    """Return what `gauge_figure` shows in a sentence."""
    known = [run for run in runs if len(run.trace("gauge"))]
    if not known:
        return EMPTY
    said = []
    for run in known:
        pairs = zip(run.layers, run.trace("gauge")[-1], run.trace("multiplier")[-1], strict=True)
        said.append(
            f"{run.label}: "
            + "; ".join(
                f"{n} {number(float(g), digits=2)}, \u03bb {number(float(m), digits=2)}"
                for n, g, m in pairs
            )
        )
    return shorten(
        f"Bars of the gauge of asymmetry and the multiplier by layer, in nats. {'. '.join(said)}."
    )


def gauge_table(runs: Sequence[Run]) -> Table:
    """Return every number of `gauge_figure`, with the dimensions of every layer and the share of it
    that is not equivariant.
    """
    header = (
        "run",
        "layer",
        "\u2212dJ/d\u03b3 at \u03b3 = 0 (nats)",
        "\u03bb (nats)",
        "\u03b3",
        "share of the norm that is not equivariant",
        "equivariant dimensions",
        "dimensions",
    )
    rows: list[tuple[object, ...]] = []
    for run in runs:
        if not len(run.trace("gauge")):
            continue
        shares = run.facts.get("asymmetry") or [None] * len(run.layers)
        sizes = run.facts.get("dimensions") or [[None, None]] * len(run.layers)
        for k, layer in enumerate(run.layers):
            values = (float(run.trace(name)[-1, k]) for name in ("gauge", "multiplier", "gamma"))
            rows.append((run.label, layer, *values, shares[k], *sizes[k]))
    return Table.of(header, rows)


GAUGE = Drawing(
    "Where symmetry costs something", gauge_figure, gauge_caption, gauge_alt, gauge_table
)
