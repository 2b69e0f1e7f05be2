"""Held-out loss by setting: against the price rho of the resilient form, with what has no price as
lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import FORMS, Run
from lmc_core.equivariance.figures.picture import form_label, setting
from lmc_core.equivariance.figures.setting import BAND, EMPTY, NONE, Drawing, ending, shorten
from lmc_core.figures.layout import padded, write
from lmc_core.figures.style import GROUNDS, SMALL, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.numbers import estimate

FOOT, LEFT = 52, 56  # pixels


@dataclass(frozen=True)
class Level:
    """Held-out loss of all runs of one setting.

    Attributes:
        name: "Resilient, \u03c1 = 0.1".
        form: a key of `FORMS`.
        price: rho; None for what has none.
        loss: in nats; the mean over runs.
        stderr: over seeds where there are several, else over examples.
        runs: how many.
    """

    name: str
    form: str
    price: float | None
    loss: float
    stderr: float
    runs: int


def find_levels(runs: Sequence[Run]) -> list[Level]:
    """Return the held-out loss by setting of finished runs: in the order of rho, then those without
    a price.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.finished:
            groups.setdefault(form_label(run.facts), []).append(run)
    found = []
    for name, members in groups.items():
        losses = [run.score("on") for run in members]
        error = members[0].score("on", "stderr")
        if len(losses) > 1:
            error = float(np.std(losses, ddof=1) / math.sqrt(len(losses)))
        price = float(members[0].facts["price"]) if members[0].form == "resilient" else None
        found.append(
            Level(name, members[0].form, price, float(np.mean(losses)), error, len(losses))
        )
    return sorted(found, key=lambda level: (level.price is None, level.price or 0.0))


def price_loss_figure(
    runs: Sequence[Run], theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw held-out loss against the price rho, with what has no price as horizontal lines; the
    lowest price is ringed.

    Args:
        runs: unfinished ones are left out; several of one setting are averaged.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    levels = find_levels(runs)
    figure = axes.new(theme, height or 400)
    if not levels:
        return axes.nothing(figure, "No run has finished yet.", theme)
    priced, flat = (
        [v for v in levels if v.price is not None],
        [v for v in levels if v.price is None],
    )
    written = [axes.broken(level.name) for level in flat]
    split = str(next(run for run in runs if run.finished).facts.get("split", "held out"))
    margin = {"l": LEFT, "r": axes.label_room(written, 24), "b": FOOT}
    (panel,) = axes.rows(figure, [f"<b>Loss</b> ({split}, nats)"], theme, margin)
    bars = [level.loss + sign * level.stderr for level in levels for sign in (-1, 1)]
    reach = axes.limits(figure, panel, [bars], (), 0.06, 0.16)
    for level in flat:
        _flat(figure, level, theme)
    ends = [
        axes.Ended(t, FORMS[level.form].colour(theme), level.loss)
        for t, level in zip(written, flat, strict=True)
    ]
    axes.end_labels(figure, panel, ends, reach)
    prices = [math.log10(level.price) for level in priced if level.price] or [-1.0]
    span = (
        padded(min(prices), max(prices), 0.12, 0.12)
        if len(prices) > 1
        else (prices[0] - 0.5, prices[0] + 0.5)
    )
    figure.update_layout(
        xaxis={
            "type": "log",
            "range": list(span),
            "tickvals": [level.price for level in priced],
            "tickangle": 0,
            "ticktext": [setting(level.price) for level in priced],
            "title": {"text": "<b>\u03c1</b>, price of asymmetry", "standoff": 8},
        }
    )
    _priced(figure, priced, theme)
    return figure


def _flat(figure: go.Figure, level: Level, theme: Theme) -> None:
    """A level without a price, with a band of one standard error."""
    look = FORMS.get(level.form, FORMS["free"])
    for y0, y1, fill in (
        (level.loss - level.stderr, level.loss + level.stderr, True),
        (level.loss, level.loss, False),
    ):
        figure.add_shape(
            type="rect" if fill else "line",
            xref="paper",
            x0=0,
            x1=1,
            y0=y0,
            y1=y1,
            layer="below",
            name="one standard error" if fill else f"level {level.form}",
            fillcolor=faint(look.colour(theme), 0.08) if fill else None,
            line={"width": 0}
            if fill
            else {"color": look.colour(theme), "width": 2, "dash": look.dash},
        )


def _priced(figure: go.Figure, levels: Sequence[Level], theme: Theme) -> None:
    look, ground = FORMS["resilient"], GROUNDS[theme]
    colour = look.colour(theme)
    figure.add_scatter(
        x=[level.price for level in levels],
        y=[level.loss for level in levels],
        mode="lines+markers",
        name="resilient",
        line={"color": colour, "width": 2.5},
        marker={"size": 10, "symbol": look.marker, "color": colour},
        error_y={
            "type": "data",
            "array": [level.stderr for level in levels],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[estimate(level.loss, level.stderr, "nats") for level in levels],
        hovertemplate="\u03c1 = %{x:g}: %{customdata}<extra>resilient</extra>",
    )
    if len(levels) > 1:
        best = min(levels, key=lambda level: level.loss)
        figure.add_scatter(
            x=[best.price],
            y=[best.loss],
            mode="markers",
            hoverinfo="skip",
            name="lowest",
            marker={"size": 20, "symbol": "circle-open", "color": ground.ink, "line": {"width": 2}},
        )
        write(
            figure,
            f"<b>lowest</b>, {estimate(best.loss, best.stderr)}",
            (math.log10(best.price or 1), best.loss - best.stderr),
            (SMALL, ground.ink),
            name="lowest",
            anchor="top",
            shift=(None, -4),
            bgcolor=faint(ground.paper, 0.8),
        )


def price_loss_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `price_loss_figure` that would stand in a paper."""
    known, levels = [run for run in runs if run.finished], find_levels(runs)
    if not levels:
        return NONE
    several = max(level.runs for level in levels) > 1
    error = (
        "one standard error over runs, where a setting has several, else over examples"
        if several
        else BAND
    )
    ends = "; ".join(
        f"{level.name}: {estimate(level.loss, level.stderr, 'nats')}" for level in levels
    )
    return (
        "Held-out loss of the network as trained against the price \u03c1 of the resilient form, "
        "with what has no price as "
        f"horizontal lines; bars and bands show {error}. {ends}. {ending(known)}"
    )


def price_loss_alt(runs: Sequence[Run]) -> str:
    """Return what `price_loss_figure` shows in a sentence."""
    levels = find_levels(runs)
    if not levels:
        return EMPTY
    best = min(levels, key=lambda level: level.loss)
    said = "; ".join(f"{level.name}, {estimate(level.loss, level.stderr)}" for level in levels)
    return shorten(f"Held-out loss in nats by the price \u03c1: {said}. Lowest: {best.name}.")


def price_loss_table(runs: Sequence[Run]) -> Table:
    """Return every number of `price_loss_figure`."""
    rows = [
        (level.name, level.price, level.loss, level.stderr, level.runs)
        for level in find_levels(runs)
    ]
    return Table.of(("setting", "\u03c1", "loss (nats)", "standard error", "runs"), rows)


PRICES = Drawing(
    "Loss against the price",
    price_loss_figure,
    price_loss_caption,
    price_loss_alt,
    price_loss_table,
)
