"""For each step of the lecture: its controls, its picture, the numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import plotly.graph_objects as go
import streamlit as st

from lmc_core.lecture import shipped
from lmc_core.lecture.figures import exchange as lecture_exchange
from lmc_core.lecture.figures import experts as lecture_experts
from lmc_core.lecture.figures import lines as lecture_lines
from lmc_core.lecture.figures import stream as lecture_stream
from lmc_core.lecture.figures.canvas import Look
from lmc_core.lecture.measured import ANGLES, DRAW, SHOWN, Wander
from lmc_core.lecture.page import sandbox as live
from lmc_core.lecture.page.state import Controls
from lmc_core.numbers import RAISED, number, percent

CHANGE = "largest relative change of an output"
LAMBDAS = [round(0.1 * k, 1) for k in range(11)]
FIXED = {"none": "fixed", "permutation": "permuted", "orthogonal": "rotated"}


@dataclass(frozen=True)
class Picture:
    """What a step shows.

    Attributes:
        draw: the figure in a look.
        alt: what it shows, in words that give no answer away.
        facts: label and value of measured numbers; shown with the answer.
        numbers: for the words of the answer.
        table: what is drawn, as rows.
    """

    draw: Callable[[Look], go.Figure]
    alt: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    numbers: Mapping[str, str] = field(default_factory=dict)
    table: list[dict[str, str | float | None]] = field(default_factory=list)


def _change(value: float) -> tuple[str, str]:
    return CHANGE, "none" if value == 0 else percent(value) if value > 1e-3 else number(
        value, digits=2
    )


def units(controls: Controls) -> Picture:
    """Two units exchanged, wholly or by half."""
    a, b = controls.pair("Unit", SHOWN, (3, 8))
    rows = controls.toggle(
        "Exchange the rows", "rows", help="What both units listen to, in the first matrix."
    )
    columns = controls.toggle(
        "Exchange the columns", "columns", help="What both units say, in the second matrix."
    )
    shown = live.strongest()
    data = live.units(shown[a], shown[b], rows, columns)
    names = live.labels()
    return Picture(
        lambda look: lecture_exchange.units_figure(
            data, look, shown, (a, b), (rows, columns), names
        ),
        "Both matrices of a feed-forward block, twelve units of it, two of them marked; the "
        "outputs for one image.",
        [_change(data.difference)],
        table=[
            {"output": name, "before": float(was), "now": float(now)}
            for name, was, now in zip(names, data.before, data.after, strict=True)
        ],
    )


def permutations(controls: Controls) -> Picture:
    """Random renumberings against random moves of the same length."""
    moves = controls.slider("Moves", "moves", list(range(DRAW, 101, DRAW)), DRAW)
    found = Wander([], [], [])
    place = st.empty()
    for k in range(moves // DRAW):
        place.progress(k * DRAW / moves, text="Moving the network")
        part = live.draw(k)
        for name in ("distances", "permuted", "random"):
            getattr(found, name).extend(getattr(part, name))
    place.empty()
    power = str(math.floor(live.orders())).translate(RAISED)
    return Picture(
        lambda look: lecture_exchange.wander_figure(found, look),
        f"{moves} moves of a network: distance of the weights against change of the outputs.",
        [(f"{CHANGE}, {moves} permutations", number(max(found.permuted), digits=2))],
        {"orders": power},
        [
            {"distance": d, "permuted": p, "moved at random": r}
            for d, p, r in zip(found.distances, found.permuted, found.random, strict=True)
        ],
    )


def stream(controls: Controls) -> Picture:
    """The residual stream turned by an angle."""
    degrees = controls.slider(
        "Angle", "angle", list(range(0, 181, 10)), 0, lambda value: f"{value}\u00b0"
    )
    data = live.turned(float(degrees))
    return Picture(
        lambda look: lecture_stream.turned_figure(data, look),
        f"Patch filters of a network whose stream is turned by {degrees} degrees, and its weights "
        "against those as trained.",
        [
            ("cosine of all weights with those as trained", number(data.cosine)),
            _change(data.difference),
        ],
        table=[
            {"as trained": float(x), "now": float(y)}
            for x, y in zip(data.before[:200], data.after[:200], strict=True)
        ],
    )


def heads(controls: Controls) -> Picture:
    """Two attention heads exchanged."""
    a, b = controls.pair("Head", 4, (1, 4))
    exchange = controls.toggle("Exchange them", "exchange")
    follow = controls.toggle(
        "Output matrix follows",
        "follow",
        True,
        disabled=not exchange,
        help="Its columns are moved with their heads.",
    )
    data = live.heads(a, b if exchange else a, follow)
    return Picture(
        lambda look: lecture_exchange.heads_figure(data, look, (a, b), exchange),
        "Attention of four heads as trained, and of the heads at the four places now.",
        [_change(data.difference)],
        table=[
            {
                "place": place + 1,
                "to token": token,
                "attention of the first token": float(data.attention[place, 0, token]),
            }
            for place in range(4)
            for token in range(data.attention.shape[1])
        ],
    )


def planes(controls: Controls) -> Picture:
    """The queries of a head stretched, the keys the other way."""
    strengths = [1, 1.25, 1.5, 2, 2.5, 3]
    strength = controls.slider(
        "Stretch the queries by", "strength", strengths, 1, lambda value: f"{value:g}"
    )
    follow = controls.toggle(
        "Keys follow",
        "follow",
        True,
        help="By the inverse transpose of what the queries go through.",
    )
    data = live.stretched(strength, follow)
    return Picture(
        lambda look: lecture_stream.plane_figure(data, look, follow),
        "Queries and keys of one head in two coordinates of its plane, and the scores of all "
        "pairs of tokens.",
        [
            ("largest change of a score", _change(data.score_difference)[1]),
            _change(data.difference),
        ],
        table=[
            {
                "token": k,
                "query 1": float(q[0]),
                "query 2": float(q[1]),
                "key 1": float(w[0]),
                "key 2": float(w[1]),
            }
            for k, (q, w) in enumerate(zip(data.queries, data.keys, strict=True))
        ],
    )


def ones(controls: Controls) -> Picture:
    """The stream turned within, or out of, what LayerNorm keeps."""
    kind = controls.choice(
        "What it does to the ones direction",
        "turn",
        ["keeps", "tilts"],
        "keeps",
        lambda value: f"{value} it",
    )
    degrees = controls.slider(
        "Angle", "angle", [int(angle) for angle in ANGLES], 0, lambda value: f"{value}\u00b0"
    )
    data, at = live.tilted(), ANGLES.index(degrees)
    tilting = kind == "tilts"
    error = (data.tilting if tilting else data.keeping)[at]
    return Picture(
        lambda look: lecture_stream.tilted_figure(data, look, tilting, at),
        "States of the stream seen from the side, and the change of the outputs against the angle "
        "of the turn.",
        [_change(error)],
        table=[
            {"angle": a, "keeps the ones direction": k, "tilts it": t}
            for a, k, t in zip(data.degrees, data.keeping, data.tilting, strict=True)
        ],
    )


def average(controls: Controls) -> Picture:
    """A walk along the line between two networks."""
    lam = controls.slider("Weight of network B", "lam", LAMBDAS, 0.0, lambda value: f"{value:g}")
    data, at = live.line(), LAMBDAS.index(lam)
    names = live.labels()
    plain = shipped.find_curve({})
    assert plain is not None
    return Picture(
        lambda look: lecture_lines.average_figure(data, look, at, names),
        "Loss along the straight line between two networks, and what the network at one point "
        "says of nine images.",
        [("loss of this network, nats", number(data.loss[at]))],
        {
            "accuracy": percent(data.accuracy[len(LAMBDAS) // 2], 0),
            "barrier": number(plain["barrier"]),
        },
        [
            {"weight of B": x, "loss": y, "accuracy": z}
            for x, y, z in zip(data.lam, data.loss, data.accuracy, strict=True)
        ],
    )


def classes(controls: Controls) -> Picture:
    """The barrier as symmetries are switched on."""
    chosen: dict[str, bool | str] = {
        "units": controls.toggle("Units", "units"),
        "heads": controls.toggle("Heads", "heads"),
    }
    chosen["residual"] = controls.choice(
        "Residual stream", "residual", list(FIXED), "none", FIXED.__getitem__
    )
    chosen["planes"] = controls.toggle(
        "Planes inside heads", "planes", help="Queries with keys, values with outputs."
    )
    chosen["learned"] = controls.toggle(
        "Learned", "learned", help="The maps go on by the gradient of the loss half way."
    )
    everything, ladder = shipped.barriers(), shipped.ladder()
    plain = shipped.find_curve({})
    assert plain is not None
    now = shipped.find_curve(chosen) or shipped.find_curve({**chosen, "learned": False}) or plain
    single = [shipped.find_curve(each) for each in SINGLES]
    alone = min(row["barrier"] for row in single if row is not None)
    values = {name: value for name, value, _ in ladder}
    turned = shipped.find_curve({"residual": "orthogonal", "learned": True})
    return Picture(
        lambda look: lecture_lines.classes_figure(everything["lam"], plain, now, ladder, look),
        "Loss between two networks as symmetries are allowed, over that of the plain average.",
        [("of the plain barrier", percent(now["barrier"] / plain["barrier"]))],
        {
            "alone": number(alone),
            "plain": number(plain["barrier"]),
            "all": number(values["planes"]),
            "learned": number(values.get("learned")),
            "turned": number(turned["barrier"] if turned else None),
        },
        [
            {"switched on": name, "barrier, nats": value, "standard error": error}
            for name, value, error in ladder
        ],
    )


SINGLES = (
    {"units": True},
    {"heads": True},
    {"residual": "permutation"},
    {"residual": "orthogonal"},
    {"planes": True},
)


def experts(controls: Controls) -> Picture:
    """Two experts exchanged, with the rows of the router or without."""
    a, b = controls.pair("Place", 4, (1, 3))
    exchange = controls.toggle("Exchange the experts", "exchange")
    follow = controls.toggle("Router's rows follow", "follow", False, disabled=not exchange)
    data = live.routed(a, b if exchange else a, follow or not exchange)
    barriers = {
        name: row["barrier"]
        for name, row in shipped.barriers()["experts"].items()
        if name in shipped.SETTINGS
    }
    text = live.text()
    return Picture(
        lambda look: lecture_experts.experts_figure(data, look, text, barriers),
        "Four experts with their rows of the router, and a text in which each character has the "
        "colour of its expert.",
        [_change(data.difference)],
        {name: number(value) for name, value in barriers.items()},
        [
            {"between two mixtures": lecture_lines.SHORT[name], "barrier, nats": value}
            for name, value in barriers.items()
        ],
    )


def remains(controls: Controls) -> Picture:
    """What is left of the barrier for each family."""
    kind = controls.choice(
        "Barrier",
        "as",
        ["share", "nats"],
        "share",
        lambda value: {"share": "of plain", "nats": "nats"}[value],
    )
    rows = shipped.remains()
    left = [row["shares"]["learned"] for row in rows]
    return Picture(
        lambda look: lecture_lines.remains_figure(rows, look, kind == "share"),
        "Barriers of every family of the zoo by what was allowed.",
        [
            ("families", str(len(rows))),
            ("pairs of networks", str(sum(row["pairs"] for row in rows))),
        ],
        {"low": percent(min(left), 1), "high": percent(max(left), 0)},
        [
            {
                "family": row["name"],
                "pairs": row["pairs"],
                **{lecture_lines.SHORT[k]: row["nats"][k] for k in shipped.SETTINGS},
            }
            for row in rows
        ],
    )


def data(controls: Controls) -> Picture:
    """A network averaged with its turned copies."""
    names = {"free": "freely", "led": "led to symmetry"}
    form = controls.choice("Trained", "trained", list(names), "free", names.__getitem__)
    share = controls.slider(
        "How far it is averaged", "share", LAMBDAS, 0.0, lambda value: percent(value, 0)
    )
    found, at = {name: live.positions(name) for name in names}, LAMBDAS.index(share)
    one = found[form]
    return Picture(
        lambda look: lecture_lines.positions_figure(found, form, look, at),
        "Loss of two networks as they are averaged with their turned copies, and what one of them "
        "says of three digits in four "
        "positions.",
        [("right answers", percent(one.accuracy[at], 0))],
        {name: percent(each.accuracy[-1], 0) for name, each in found.items()},
        [
            {"averaged": x, "trained": names[name], "loss": y, "accuracy": z}
            for name, each in found.items()
            for x, y, z in zip(each.shares, each.loss, each.accuracy, strict=True)
        ],
    )


PICTURES: dict[str, Callable[[Controls], Picture]] = {
    each.__name__: each
    for each in (
        units,
        permutations,
        stream,
        heads,
        planes,
        ones,
        average,
        classes,
        experts,
        remains,
        data,
    )
}
