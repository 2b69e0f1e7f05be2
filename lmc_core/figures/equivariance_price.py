"""Figures of what symmetry costs: accuracy against the error of equivariance, and held-out loss against the price rho."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lmc_core.figures import equivariance_axes as axes
from lmc_core.figures.equivariance_data import FORMS, Run, form_label, setting
from lmc_core.figures.equivariance_gauge import gauge_figure
from lmc_core.figures.layout import padded
from lmc_core.figures.numbers import estimate
from lmc_core.figures.style import GROUNDS, SMALL, Theme, faint

__all__ = ["Level", "Place", "gauge_figure", "levels_of", "places_of", "price_figure", "price_loss_figure"]

FOOT, RIGHT = 52, 56  # pixels
LEFT = 0.04  # share of the axis of errors below which a point stands at the equivariant end
EXACT = 1e-3  # errors below are those of an equivariant network


@dataclass(frozen=True)
class Place:
    """One point of the curve of accuracy against the error of equivariance.

    Attributes:
        name: for its label.
        form: a key of `FORMS`.
        error: of equivariance.
        accuracy: held out.
        stderr: binomial, of as many independent examples as there are.
        price: rho of the resilient form; None for the ends.
        projected: whether it is the projection of a trained network.
    """

    name: str
    form: str
    error: float
    accuracy: float
    stderr: float
    price: float | None = None
    projected: bool = False


def places_of(runs: Sequence[Run]) -> list[Place]:
    """Return the points of finished runs: a resilient run by its price, any other by its form, a free one also projected."""
    found = []
    for run in runs:
        if not run.finished:
            continue
        price = float(run.facts["price"]) if run.form == "resilient" else None
        name = f"\u03c1 = {setting(price)}" if price is not None else form_label(run.facts)
        found.append(
            Place(name, run.form, float(run.facts["error_on"]), run.score("on", "accuracy"), _binomial(run, "on"), price)
        )
        if run.form == "free":
            error, accuracy = float(run.facts["error_off"]), run.score("off", "accuracy")
            found.append(Place(f"{name}, projected", "free", error, accuracy, _binomial(run, "off"), None, True))
    return found


def _binomial(run: Run, branch: str) -> float:
    """The standard error of a share; the positions of one example count once."""
    share, count = run.score(branch, "accuracy"), max(int(run.facts.get("held_out", 1)), 1)
    if run.facts.get("kind") == "orbit":
        count = max(count // max(len(run.facts.get("group_labels", ())), 1), 1)
    return math.sqrt(share * (1 - share) / count)


def price_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw accuracy against the error of equivariance, a point for each run, the resilient ones joined in the order of rho.

    What is equivariant stands at the left edge with its label beside the axis, whose ticks are on the right.

    Args:
        runs: unfinished ones are left out.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    ground, places = GROUNDS[theme], places_of(runs)
    figure = axes.new(theme, height or 420)
    if not places:
        return axes.nothing(figure, "No run has finished yet.", theme)
    far = max(max(place.error for place in places), 0.1)
    still = [place for place in places if place.error < LEFT * far]
    written = [axes.broken(place.name) for place in still]
    (panel,) = axes.rows(
        figure, ["<b>Accuracy</b>, held out"], theme, {"l": axes.label_room(written, 40), "r": RIGHT, "b": FOOT}
    )
    bars = [place.accuracy + sign * place.stderr for place in places for sign in (-1, 1)]
    reach = axes.limits(figure, panel, [bars], (), 0.12)
    _curve(figure, places, theme)
    for place in places:
        _mark(figure, place, theme)
    ends = [axes.Ended(t, FORMS[p.form].colour(theme), p.accuracy) for t, p in zip(written, still, strict=True)]
    axes.end_labels(figure, panel, ends, reach, "left")
    _beside(figure, [place for place in places if place not in still], far, panel, reach, theme)
    figure.update_layout(
        yaxis={"side": "right", "tickformat": ".0%"},
        xaxis={
            "range": [-0.02 * far, 1.12 * far], "nticks": 6, "tickfont": {"color": ground.muted},
            "title": {"text": "error of equivariance (0: equivariant, 1: as far apart as inputs)", "standoff": 8, "font": {"size": SMALL}},
        },
    )  # fmt: skip
    return figure


def _curve(figure: go.Figure, places: Sequence[Place], theme: Theme) -> None:
    order = sorted((place for place in places if place.price is not None), key=lambda place: place.price or 0)
    look = FORMS["resilient"]
    figure.add_scatter(
        x=[place.error for place in order], y=[place.accuracy for place in order], mode="lines", hoverinfo="skip",
        name="resilient, by price", line={"color": faint(look.colour(theme), 0.6), "width": 2},
    )  # fmt: skip


def _mark(figure: go.Figure, place: Place, theme: Theme) -> None:
    look = FORMS.get(place.form, FORMS["free"])
    colour = look.colour(theme)
    marker = {"size": 11, "symbol": look.marker, "color": GROUNDS[theme].paper if place.projected else colour}
    figure.add_scatter(
        x=[place.error], y=[place.accuracy], mode="markers", name=place.name, meta={"form": place.form, "price": place.price},
        marker={**marker, "line": {"width": 2, "color": colour}}, cliponaxis=False,
        error_y={"type": "data", "array": [place.stderr], "color": faint(colour, 0.6), "thickness": 1.5, "width": 3},
        hovertemplate=f"<b>{place.name}</b><br>error %{{x:.3g}}, accuracy %{{y:.1%}}<extra></extra>",
    )  # fmt: skip


def _beside(
    figure: go.Figure, places: Sequence[Place], far: float, panel: axes.Panel, reach: tuple[float, float], theme: Theme
) -> None:
    """Labels of points inside: above the error bar, or below where another label is near."""
    scale = panel.pixels / (reach[1] - reach[0])
    taken: list[tuple[float, float]] = []
    for place in sorted(places, key=lambda each: -each.error):
        for shift in (1, -1, 2, -2):
            level = place.accuracy * scale + shift * 14 + math.copysign(place.stderr * scale, shift)
            if not any(abs(place.error - x) < 0.2 * far and abs(level - y) < axes.LINE for x, y in taken):
                break
        taken.append((place.error, level))
        figure.add_annotation(
            x=place.error, y=place.accuracy, yshift=level - place.accuracy * scale, text=place.name, showarrow=False, name="label",
            font={"size": SMALL, "color": FORMS[place.form].colour(theme)},
        )  # fmt: skip


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


def levels_of(runs: Sequence[Run]) -> list[Level]:
    """Return the held-out loss by setting of finished runs: in the order of rho, then those without a price."""
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
        found.append(Level(name, members[0].form, price, float(np.mean(losses)), error, len(losses)))
    return sorted(found, key=lambda level: (level.price is None, level.price or 0.0))


def price_loss_figure(runs: Sequence[Run], theme: Theme = "light", height: int | None = None) -> go.Figure:
    """Draw held-out loss against the price rho, with what has no price as horizontal lines; the lowest price is ringed.

    Args:
        runs: unfinished ones are left out; several of one setting are averaged.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    levels = levels_of(runs)
    figure = axes.new(theme, height or 400)
    if not levels:
        return axes.nothing(figure, "No run has finished yet.", theme)
    priced, flat = [v for v in levels if v.price is not None], [v for v in levels if v.price is None]
    written = [axes.broken(level.name) for level in flat]
    split = str(next(run for run in runs if run.finished).facts.get("split", "held out"))
    margin = {"l": RIGHT, "r": axes.label_room(written, 24), "b": FOOT}
    (panel,) = axes.rows(figure, [f"<b>Loss</b> ({split}, nats)"], theme, margin)
    bars = [level.loss + sign * level.stderr for level in levels for sign in (-1, 1)]
    reach = axes.limits(figure, panel, [bars], (), 0.06, 0.16)
    for level in flat:
        _flat(figure, level, theme)
    ends = [axes.Ended(t, FORMS[level.form].colour(theme), level.loss) for t, level in zip(written, flat, strict=True)]
    axes.end_labels(figure, panel, ends, reach)
    prices = [math.log10(level.price) for level in priced if level.price] or [-1.0]
    span = padded(min(prices), max(prices), 0.12, 0.12) if len(prices) > 1 else (prices[0] - 0.5, prices[0] + 0.5)
    figure.update_layout(
        xaxis={
            "type": "log", "range": list(span), "tickvals": [level.price for level in priced], "tickangle": 0,
            "ticktext": [setting(level.price) for level in priced],
            "title": {"text": "<b>\u03c1</b>, price of leaving symmetry (resilient form)", "standoff": 8},
        }
    )  # fmt: skip
    _priced(figure, priced, theme)
    return figure


def _flat(figure: go.Figure, level: Level, theme: Theme) -> None:
    """A level without a price, with a band of one standard error."""
    look = FORMS.get(level.form, FORMS["free"])
    for y0, y1, fill in ((level.loss - level.stderr, level.loss + level.stderr, True), (level.loss, level.loss, False)):
        figure.add_shape(
            type="rect" if fill else "line", xref="paper", x0=0, x1=1, y0=y0, y1=y1, layer="below",
            name="one standard error" if fill else f"level {level.form}", fillcolor=faint(look.colour(theme), 0.08) if fill else None,
            line={"width": 0} if fill else {"color": look.colour(theme), "width": 2, "dash": look.dash},
        )  # fmt: skip


def _priced(figure: go.Figure, levels: Sequence[Level], theme: Theme) -> None:
    look, ground = FORMS["resilient"], GROUNDS[theme]
    colour = look.colour(theme)
    figure.add_scatter(
        x=[level.price for level in levels], y=[level.loss for level in levels], mode="lines+markers", name="resilient",
        line={"color": colour, "width": 2.5}, marker={"size": 10, "symbol": look.marker, "color": colour},
        error_y={"type": "data", "array": [level.stderr for level in levels], "color": colour, "thickness": 1.5, "width": 4},
        customdata=[estimate(level.loss, level.stderr, "nats") for level in levels],
        hovertemplate="\u03c1 = %{x:g}: %{customdata}<extra>resilient</extra>",
    )  # fmt: skip
    if len(levels) > 1:
        best = min(levels, key=lambda level: level.loss)
        figure.add_scatter(
            x=[best.price], y=[best.loss], mode="markers", hoverinfo="skip", name="lowest",
            marker={"size": 20, "symbol": "circle-open", "color": ground.ink, "line": {"width": 2}},
        )  # fmt: skip
        figure.add_annotation(
            x=math.log10(best.price or 1), y=best.loss - best.stderr, text=f"<b>lowest</b>, {estimate(best.loss, best.stderr)}",
            showarrow=False, yanchor="top", yshift=-4, font={"size": SMALL, "color": ground.ink}, name="lowest",
            bgcolor=faint(ground.paper, 0.8),
        )  # fmt: skip
