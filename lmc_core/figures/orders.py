"""The fan: the loss along the line for all orders of the experts, those with a name highlighted.
Layers and experts are counted from 0, as in the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from lmc_core.figures.chart import blank
from lmc_core.figures.layout import heading, name_ends, padded
from lmc_core.figures.margin import MarginLabel, margin_width, write_margin_labels
from lmc_core.figures.panel import Picture, one
from lmc_core.figures.style import BODY, GROUNDS, MEANINGS, Stroke, Theme, faint, find_meaning
from lmc_core.figures.tables import Table
from lmc_core.figures.text import Result, classes_sentence, method_title, version_sentence
from lmc_core.numbers import estimate, number

if TYPE_CHECKING:  # it loads torch
    from lmc_core.runs.kinds import CurveSummary
    from lmc_core.runs.requests.orders import FanNumbers

ALL = "all"
WAYS = {
    "naive": "as numbered",
    "router": "router",
    "gram": "Gram",
    "exact": "exact",
    "found": "by activations",
    "best": "best",
    "worst": "worst",
}
# whose line is drawn where several ways agree
STRONGEST = ("exact", "gram", "router", "found", "naive", "best", "worst")
SIDE, RIGHT, TOP, FOOT = 56, 148, 36, 56  # pixels; labels stand in the right margin


def layer_name(fan: FanNumbers, result: Result) -> str:
    """Return what a fan is about: "layer 2", or "all layers"."""
    if fan["mixture"] == ALL:
        return "all layers"
    named = (each["layer"] for each in result["mixtures"] if each["name"] == fan["mixture"])
    return f"layer {next(named)}"


def named_orders(fan: FanNumbers) -> list[tuple[int, tuple[str, ...]]]:
    """Return the orders that have a name with all their names, the strongest first: ways often
    agree.
    """
    found: dict[int, list[str]] = {}
    for way in STRONGEST:
        if way in fan["named"]:
            found.setdefault(fan["named"][way], []).append(way)
    return [(index, tuple(ways)) for index, ways in found.items()]


def group_name(ways: Sequence[str], every: bool = False) -> str:
    """Return the names of one order: "exact, Gram, router"; `every` for an order of all layers,
    each by that way.
    """
    names = [
        f"{WAYS[way]} of each" if every and way in ("best", "worst") else WAYS[way] for way in ways
    ]
    text = ", ".join(names)
    return text[0].upper() + text[1:]


def order_words(order: Sequence[int]) -> str:
    """Return an order: "2 0 3 1", the expert of B that stands at each place of A."""
    return " ".join(str(expert) for expert in order)


@dataclass(frozen=True)
class Named:
    """A curve of a fan that has a name: where it is, and its barrier."""

    name: str
    stroke: Stroke
    loss: Sequence[float]
    barrier: float
    stderr: float
    lam: float

    def words(self, unit: str = "") -> str:
        """The barrier with its error."""
        return estimate(self.barrier, self.stderr, unit)


def way_stroke(way: str, theme: Theme) -> Stroke:
    """How the line of a way to order is drawn; orders by weights share the colour of weight
    matching.
    """
    blue, ground = MEANINGS["orthogonal"].colour(theme), GROUNDS[theme]
    return {
        "exact": Stroke(blue, "solid", "diamond"),
        "gram": Stroke(blue, "11px,4px", "circle-open"),
        "router": Stroke(blue, "3px,3px", "square-open"),
        "found": Stroke(MEANINGS["activation"].colour(theme), "7px,3px,2px,3px", "cross"),
        "naive": Stroke(ground.ink, "8px,4px", "square"),
        "best": Stroke(ground.muted, "solid", "triangle-down"),
        "worst": Stroke(ground.muted, "solid", "triangle-up"),
    }[way]


def fan_figure(
    result: Result, fan: FanNumbers, theme: Theme = "light", height: int = 480
) -> go.Figure:
    """Draw the curves of a fan, all faint but those with a name.

    Args:
        result: of `lmc_core.runs.kinds.orders.compute`.
        fan: one of its ``fans``.
        theme: ``light``, ``dark`` or ``paper``.
        height: in pixels; labels are placed for it.
    """
    figure = empty_fan(result["models"], str(result["split"]), theme, height)
    _others(figure, result, fan, theme)
    figure.add_scatter(
        x=[0, 1],
        y=[result["chord"][0], result["chord"][-1]],
        mode="lines",
        name="chord",
        hoverinfo="skip",
        showlegend=False,
        line={"color": GROUNDS[theme].muted, "width": 1.5, "dash": "dash"},
    )
    named = _named(result, fan, theme)
    labels = [_label(result, curve) for curve in named]
    for curve, label in zip(named, labels, strict=True):
        stroke, strong = curve.stroke, curve.stroke.colour == MEANINGS["orthogonal"].colour(theme)
        figure.add_scatter(
            x=result["lam"],
            y=curve.loss,
            mode="lines+markers",
            name=curve.name,
            hovertemplate=f"<b>{curve.name}</b><br>barrier {curve.words('nats')}<br>"
            "\u03bb = %{x:.2f}: %{y:.3f} nats<extra></extra>",
            line={"color": stroke.colour, "width": 3 if strong else 2, "dash": stroke.dash},
            marker={"color": stroke.colour, "symbol": stroke.marker, "size": 8 if strong else 6},
            showlegend=False,
            meta={"panel": "named", "entry": label.entry},
        )
    _labels(figure, result, labels, height)
    return figure


def _named(result: Result, fan: FanNumbers, theme: Theme) -> list[Named]:
    """The curves with a name: plain average, the method as it is, orders from the weakest up."""
    every = fan["mixture"] == ALL
    whole: list[tuple[str, str, CurveSummary]] = [("Plain average", "plain", result["plain"])]
    if every and result.get("matched"):
        title = method_title(str(result["method"])).capitalize()
        whole.append((title, find_meaning(result), result["matched"]))
    found = []
    for name, meaning, curve in whole:
        look = MEANINGS[meaning]
        stroke = Stroke(look.colour(theme), look.dash, look.marker)
        numbers = (curve["loss"], curve["barrier"], curve["barrier_stderr"], curve["barrier_lam"])
        found.append(Named(name, stroke, *numbers))
    for i, ways in reversed(named_orders(fan)):
        numbers = (fan["loss"][i], fan["barrier"][i], fan["barrier_stderr"][i])
        stroke = way_stroke(ways[0], theme)
        found.append(Named(group_name(ways, every), stroke, *numbers, fan["barrier_lam"][i]))
    return found


def empty_fan(
    models: Sequence[str], split: str, theme: Theme = "light", height: int = 480
) -> go.Figure:
    """The axes of a fan, which keep the place while there is nothing to draw."""
    ground = GROUNDS[theme]
    figure = blank(theme, height)
    ends = ["0", "0.5<br>\u03bb", "1"]
    figure.update_xaxes(
        range=[-0.02, 1.0],
        fixedrange=True,
        tickvals=[0, 0.5, 1],
        ticktext=ends,
        tickangle=0,
        tickfont={"size": BODY, "color": ground.ink},
    )
    figure.update_yaxes(fixedrange=True, nticks=6)
    figure.update_layout(
        margin={"l": SIDE, "r": RIGHT, "t": TOP, "b": FOOT},
        showlegend=False,
        hovermode="closest",
        hoverdistance=12,
    )
    name_ends(figure, models, theme, SIDE - 8, 64)
    heading(figure, f"<b>Loss</b> ({split}, nats)", theme, left=-SIDE, up=10)
    return figure


def _others(figure: go.Figure, result: Result, fan: FanNumbers, theme: Theme) -> None:
    """The orders without a name as one trace with gaps."""
    known = {index for index, _ in named_orders(fan)}
    x: list[float | None] = []
    y: list[float | None] = []
    said: list[str] = []
    for index, order in enumerate(fan["orders"]):
        if index in known:
            continue
        barrier = estimate(fan["barrier"][index], fan["barrier_stderr"][index], "nats")
        words = " | ".join(order_words(each) for each in order)
        x += [*result["lam"], None]
        y += [*fan["loss"][index], None]
        said += [f"{words}<br>barrier {barrier}"] * (len(result["lam"]) + 1)
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": faint(GROUNDS[theme].muted, 0.38), "width": 1.2},
        name="other orders",
        showlegend=False,
        customdata=said,
        hovertemplate="Experts of B: %{customdata}<extra></extra>",
        meta={"panel": "others"},
    )


def _label(result: Result, curve: Named) -> MarginLabel:
    """The name of a curve with its barrier, at the height of its barrier."""
    at = min(range(len(curve.loss)), key=lambda k: abs(result["lam"][k] - curve.lam))
    place = result["lam"][at], curve.loss[at]
    return MarginLabel(curve.name, curve.words("nats"), curve.stroke.colour, *place)


def _labels(figure: go.Figure, result: Result, labels: Sequence[MarginLabel], height: int) -> None:
    """Names and barriers in the right margin; one scale for all fans of a result."""
    losses = [*result["plain"]["loss"], *result["chord"]]
    losses += [value for fan in result["fans"] for curve in fan["loss"] for value in curve]
    limits = padded(min(losses), max(losses), 0.06, 0.06)
    figure.update_yaxes(range=limits)
    figure.update_layout(margin_r=margin_width(labels, RIGHT))
    write_margin_labels(figure, labels, limits, height - TOP - FOOT)


def fan_finding(result: Result, fan: FanNumbers) -> str:
    """Return what the order of the experts is worth, in a sentence with errors."""
    known = {
        way: estimate(fan["barrier"][i], fan["barrier_stderr"][i])
        for way, i in fan["named"].items()
        if way in ("exact", "naive")
    }
    plain = estimate(result["plain"]["barrier"], result["plain"]["barrier_stderr"], "nats")
    return (
        f"Barrier with the experts of {layer_name(fan, result)} in exact order "
        f"{known['exact']}, as numbered {known['naive']}, of the plain average {plain}."
    )


def fan_caption(result: Result, fan: FanNumbers) -> str:
    """Return a caption for the fan that would stand in a paper, in plain text."""
    a, b = result["models"]
    every = fan["mixture"] == ALL
    count, there = len(fan["orders"]), fan["there"]
    experts = len(result["mixtures"][0]["orders"]["naive"])
    if not every and count == there:
        what = (
            f"all {count} orders of the {experts} experts of {layer_name(fan, result)}, those "
            "of other layers in exact order"
        )
    elif not every:
        where = f"the {experts} experts of {layer_name(fan, result)}"
        what = f"{count} of the {there:,} orders of {where}: those named, others drawn at random"
    else:
        what = (
            f"{count} of the {there:,} joint orders of the experts of all "
            f"{len(result['mixtures'])} layers: those named, others drawn at random"
        )
    named = "; ".join(
        f"{group_name(ways, every)}: "
        f"{estimate(fan['barrier'][i], fan['barrier_stderr'][i], 'nats')}"
        for i, ways in named_orders(fan)
    )
    method = method_title(str(result.get("method", "weight")))
    if every and (matched := result.get("matched")):
        own = estimate(matched["barrier"], matched["barrier_stderr"], "nats")
        named += f"; {method} as it is, its units by activations too: {own}"
    return (
        f"Loss along the straight line from {a} to {b} for {what}. Everything else is aligned by "
        f"{method} ({classes_sentence(result['classes'])}) and held; units follow each order by "
        f"their weights. Barriers, \u00b1 one standard error over {result['examples']:,} examples "
        f"of the {result['split']} split of {result['task']}: {named}; plain average: "
        f"{estimate(result['plain']['barrier'], result['plain']['barrier_stderr'], 'nats')}. Best "
        "and worst are chosen on these same examples. Largest relative difference of the outputs "
        f"before and after alignment: {number(result['function_error'], digits=2)}. "
        f"{version_sentence(result, with_torch=False)}"
    )


def spoken_fan(result: Result, fan: FanNumbers) -> str:
    """Return what a fan shows in a sentence, as the accessible name of its figure."""
    every = fan["mixture"] == ALL
    said = "; ".join(
        f"{group_name(ways, every)} {number(fan['barrier'][i])}" for i, ways in named_orders(fan)
    )
    what = f"{len(fan['orders'])} orders of experts, {layer_name(fan, result)}"
    return f"Loss between two models for {what}. Barriers in nats: {said}."


def named_table(result: Result) -> Table:
    """Return the orders with a name, layer by layer."""
    rows = []
    for fan in result["fans"]:
        every = fan["mixture"] == ALL
        for index, ways in named_orders(fan):
            order = "each its own" if every else order_words(fan["orders"][index][0])
            rank = sum(value < fan["barrier"][index] for value in fan["barrier"]) + 1
            barrier = estimate(fan["barrier"][index], fan["barrier_stderr"][index])
            place = f"{rank} of {len(fan['orders'])}"
            name = group_name(ways, every)
            rows.append((layer_name(fan, result), name, order, barrier, place))
    others = [("none aligned", "Plain average", result["plain"])]
    if matched := result.get("matched"):
        title = method_title(result["method"]).capitalize()
        others.insert(0, ("all layers", f"{title} as it is", matched))
    for where, name, curve in others:
        barrier = estimate(curve["barrier"], curve["barrier_stderr"])
        rows.append((where, name, "\u2013", barrier, "\u2013"))
    return Table.of(("Experts of", "Order", "Experts of B", "Barrier (nats)", "Rank"), rows)


def orders_table(result: Result) -> Table:
    """Return every curve, one row for each point."""
    lams, plain, rows = result["lam"], result["plain"], []
    for fan in result["fans"]:
        names = dict(named_orders(fan))
        numbers = zip(fan["barrier"], fan["barrier_stderr"], strict=True)
        for index, (order, barrier) in enumerate(zip(fan["orders"], numbers, strict=True)):
            text = " | ".join(order_words(each) for each in order)
            head = (fan["mixture"], text, " ".join(names.get(index, ())), *barrier)
            curve = zip(lams, fan["loss"][index], fan["loss_stderr"][index], strict=True)
            rows += [(*head, *point) for point in curve]
    head = ("", "", "plain", plain["barrier"], plain["barrier_stderr"])
    curve = zip(lams, plain["loss"], plain["loss_stderr"], strict=True)
    rows += [(*head, *point) for point in curve]
    columns = ("barrier", "barrier_stderr", "lam", "loss", "loss_stderr")
    return Table.of(("mixture", "order", "named", *columns), rows)


def orders_headline(result: Result) -> tuple[str, float]:
    """Return the barrier of the exact order."""
    fan = result["fans"][-1]
    place = fan["named"]["exact"]
    value = float(fan["barrier"][place])
    return f"exact order {estimate(value, fan['barrier_stderr'][place], 'nats')}", value


PICTURE = Picture(  # of all layers together
    name="Orders of experts",
    draw=lambda found, labels, theme, height: fan_figure(
        found[0].result, found[0].result["fans"][-1], theme
    ),
    caption=one(lambda result: fan_caption(result, result["fans"][-1])),
    summary=one(named_table),
    numbers=one(orders_table),
    headline=orders_headline,
    finding=lambda results, labels: fan_finding(results[0], results[0]["fans"][-1]),
)
