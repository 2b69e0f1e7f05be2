"""What symmetry costs: accuracy against the error of equivariance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from lmc_core.equivariance.figures import axes
from lmc_core.equivariance.figures.data import FORMS, Run
from lmc_core.equivariance.figures.picture import form_label, setting
from lmc_core.equivariance.figures.setting import EMPTY, NONE, Drawing, ending, shorten
from lmc_core.figures.layout import write
from lmc_core.figures.style import GROUNDS, SMALL, Theme, faint
from lmc_core.figures.tables import Table
from lmc_core.numbers import number, percent

FOOT, RIGHT = 52, 56  # pixels
PHONE = 190  # pixels that the panel is wide on a phone
LEFT = 0.04  # share of the axis of errors below which a point stands at the equivariant end


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


def find_places(runs: Sequence[Run]) -> list[Place]:
    """Return the points of finished runs: a resilient run by its price, any other by its form, a
    free one also projected.
    """
    found = []
    for run in runs:
        if not run.finished:
            continue
        price = float(run.facts["price"]) if run.form == "resilient" else None
        name = f"\u03c1 = {setting(price)}" if price is not None else form_label(run.facts)
        found.append(
            Place(
                name,
                run.form,
                float(run.facts["error_on"]),
                run.score("on", "accuracy"),
                _binomial(run, "on"),
                price,
            )
        )
        if run.form == "free":
            error, accuracy = float(run.facts["error_off"]), run.score("off", "accuracy")
            found.append(
                Place(
                    f"{name}, projected", "free", error, accuracy, _binomial(run, "off"), None, True
                )
            )
    return found


def _binomial(run: Run, branch: str) -> float:
    """The standard error of a share; the positions of one example count once."""
    share, count = run.score(branch, "accuracy"), max(int(run.facts.get("held_out", 1)), 1)
    if run.facts.get("kind") == "orbit":
        count = max(count // max(len(run.facts.get("group_labels", ())), 1), 1)
    return math.sqrt(share * (1 - share) / count)


def price_figure(
    runs: Sequence[Run], theme: Theme = "light", height: int | None = None
) -> go.Figure:
    """Draw accuracy against the error of equivariance, a point for each run, the resilient ones
    joined in the order of rho.

    What is equivariant stands at the left edge with its label beside the axis, whose ticks are on
    the right.

    Args:
        runs: unfinished ones are left out.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels.
    """
    ground, places = GROUNDS[theme], find_places(runs)
    figure = axes.new(theme, height or 420)
    if not places:
        return axes.nothing(figure, "No run has finished yet.", theme)
    far = max(max(place.error for place in places), 0.1)
    still = [place for place in places if place.error < LEFT * far]
    written = [axes.broken(place.name) for place in still]
    (panel,) = axes.rows(
        figure,
        ["<b>Accuracy</b>, held out"],
        theme,
        {"l": axes.label_room(written, 40), "r": RIGHT, "b": FOOT},
    )
    bars = [place.accuracy + sign * place.stderr for place in places for sign in (-1, 1)]
    reach = axes.limits(figure, panel, [bars], (), 0.12)
    _curve(figure, places, theme)
    for place in places:
        _mark(figure, place, theme)
    ends = [
        axes.Ended(t, FORMS[p.form].colour(theme), p.accuracy)
        for t, p in zip(written, still, strict=True)
    ]
    axes.end_labels(figure, panel, ends, reach, "left")
    _beside(figure, [place for place in places if place not in still], far, panel, reach, theme)
    figure.update_layout(
        yaxis={"side": "right", "tickformat": ".0%"},
        xaxis={
            "range": [-0.02 * far, 1.12 * far],
            "nticks": 6,
            "tickfont": {"color": ground.muted},
            "title": {"text": "error of equivariance", "standoff": 8},
        },
    )
    return figure


def _curve(figure: go.Figure, places: Sequence[Place], theme: Theme) -> None:
    order = sorted(
        (place for place in places if place.price is not None), key=lambda place: place.price or 0
    )
    look = FORMS["resilient"]
    figure.add_scatter(
        x=[place.error for place in order],
        y=[place.accuracy for place in order],
        mode="lines",
        hoverinfo="skip",
        name="resilient, by price",
        line={"color": faint(look.colour(theme), 0.6), "width": 2},
    )


def _mark(figure: go.Figure, place: Place, theme: Theme) -> None:
    look = FORMS.get(place.form, FORMS["free"])
    colour = look.colour(theme)
    marker = {
        "size": 11,
        "symbol": look.marker,
        "color": GROUNDS[theme].paper if place.projected else colour,
    }
    figure.add_scatter(
        x=[place.error],
        y=[place.accuracy],
        mode="markers",
        name=place.name,
        meta={"form": place.form, "price": place.price},
        marker={**marker, "line": {"width": 2, "color": colour}},
        cliponaxis=False,
        error_y={
            "type": "data",
            "array": [place.stderr],
            "color": faint(colour, 0.6),
            "thickness": 1.5,
            "width": 3,
        },
        hovertemplate=f"<b>{place.name}</b><br>error %{{x:.3g}}, accuracy "
        f"%{{y:.1%}}<extra></extra>",
    )


def _beside(
    figure: go.Figure,
    places: Sequence[Place],
    far: float,
    panel: axes.Panel,
    reach: tuple[float, float],
    theme: Theme,
) -> None:
    """Labels of points inside: above the error bar, or below or farther where another label is near
    on a phone.
    """
    scale = panel.pixels / (reach[1] - reach[0])
    # middle and width as shares of the axis, height in pixels
    taken: list[tuple[float, float, float]] = []
    for place in sorted(places, key=lambda each: -each.error):
        width, at = axes.LETTER * (len(place.name) + 1) / PHONE, place.error / (1.12 * far)
        anchor = "right" if at + width / 2 > 1.04 else "center"
        middle = at - width / 2 if anchor == "right" else at
        for shift in (1, -1, 2, -2, 3, -3):
            level = (
                place.accuracy * scale
                + math.copysign(place.stderr * scale - 3, shift)
                + shift * axes.LINE * 0.9
            )
            if not any(
                abs(middle - x) < (width + w) / 2 and abs(level - y) < axes.LINE
                for x, w, y in taken
            ):
                break
        taken.append((middle, width, level))
        write(
            figure,
            place.name,
            (place.error, place.accuracy),
            (SMALL, FORMS[place.form].colour(theme)),
            name="label",
            shift=(12 if anchor == "right" else 0, level - place.accuracy * scale),
            xanchor=anchor,
        )


def price_caption(runs: Sequence[Run]) -> str:
    """Return a caption of `price_figure` that would stand in a paper."""
    known = [run for run in runs if run.finished]
    if not known:
        return NONE
    return (
        "Held-out accuracy against the error of equivariance (root mean square difference of f(gx) "
        "from g f(x), in units of the spread of f over inputs), a point for each run; resilient "
        "runs are joined in the order of their price \u03c1, the hollow circle is the projection "
        "of the unconstrained network. Bars show one standard error of the share, for which the "
        f"positions of one example count once. {ending(known)}"
    )


def price_alt(runs: Sequence[Run]) -> str:
    """Return what `price_figure` shows in a sentence."""
    places = find_places(runs)
    if not places:
        return EMPTY
    said = "; ".join(
        f"{p.name}, {percent(p.accuracy)} at an error of {number(p.error, digits=2)}"
        for p in places
    )
    return shorten(f"Points of accuracy against the error of equivariance: {said}.")


def price_table(runs: Sequence[Run]) -> Table:
    """Return every number of `price_figure`."""
    rows = [(p.name, p.price, p.error, p.accuracy, p.stderr) for p in find_places(runs)]
    return Table.of(
        ("setting", "\u03c1", "error of equivariance", "accuracy", "standard error"), rows
    )


TRADEOFF = Drawing(
    "Accuracy against equivariance", price_figure, price_caption, price_alt, price_table
)
