"""For each step of the lecture what its slide shows: measured numbers of every setting, and what is
drawn.

All of it comes from the two files of `lecture.shipped`; nothing here computes a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmc_core.figures.tables import Table
from lmc_core.lecture import shipped
from lmc_core.lecture.controls import settings
from lmc_core.lecture.steps import BY_KEY, LAMBDAS, STRENGTHS, TURNS, Step
from lmc_core.numbers import RAISED, estimate, number, percent

CHANGE = "largest relative change of an output"
SHORT = {
    "plain": "plain average",
    "permutations": "permutations",
    "weight": "all, by weights",
    "learned": "all, learned",
}
MEANING = {  # of a setting: the colour, dash and marker of `figures.style`
    "plain": "plain",
    "permutations": "permutation",
    "weight": "orthogonal",
    "learned": "learned",
}
SINGLES = (
    {"units": True},
    {"heads": True},
    {"residual": "permutation"},
    {"residual": "orthogonal"},
    {"planes": True},
)


@dataclass(frozen=True)
class Slide:
    """What a step shows.

    Attributes:
        alt: the picture in words that give no answer away.
        facts: labels of the numbers beside the picture.
        values: these numbers in a setting, as text.
        numbers: for the fields in the words of the step.
        data: for the drawing; JSON values.
        table: what is drawn, as rows.
    """

    alt: str
    facts: tuple[str, ...]
    values: Callable[[Mapping[str, str]], Sequence[str]]
    table: Table
    numbers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)


def change(value: float) -> str:
    """A relative change of the outputs in words."""
    if value == 0:
        return "none"
    return percent(value) if value > 1e-3 else number(value, digits=2)


def _exchanged(found: Mapping[str, Any], setting: Mapping[str, str]) -> Any:
    """What was measured of the exchange of the two things that a setting names, None for one."""
    first, second = sorted(int(setting[name]) - 1 for name in "ab")
    return found.get(f"{first},{second}")


def units() -> Slide:
    """Two units exchanged, wholly or by half."""
    data = shipped.networks()["units"]

    def values(setting: Mapping[str, str]) -> list[str]:
        found, moved = _exchanged(data["exchanges"], setting), setting["rows"] + setting["columns"]
        return [change(found["change"][moved] if found and moved != "00" else 0)]

    labels = shipped.networks()["average"]["labels"]
    rows = [
        (*(int(each) + 1 for each in pair.split(",")), *(one["change"][k] for k in KINDS))
        for pair, one in data["exchanges"].items()
    ]
    start = _exchanged(data["exchanges"], BY_KEY["units"].setting(0))
    return Slide(
        "Both matrices of a feed-forward block, twelve units of it, two of them marked; the "
        "outputs for one image.",
        (CHANGE,),
        values,
        Table.of(("unit A", "unit B", "rows alone", "columns alone", "both"), rows),
        {"half": change(start["change"]["10"])},
        {**data, "labels": labels},
    )


KINDS = ("10", "01", "11")  # rows, columns, both


def permutations() -> Slide:
    """Random renumberings against random moves of the same length."""
    data = shipped.networks()["permutations"]

    def values(setting: Mapping[str, str]) -> list[str]:
        count = int(setting["moves"])
        random = number(min(data["random"][:count]), digits=2) if setting["random"] == "1" else ""
        return [number(max(data["permuted"][:count]), digits=2), random or "\u2013"]

    rows = zip(data["distances"], data["permuted"], data["random"], strict=True)
    return Slide(
        "Moves of a network: distance of the weights against change of the outputs.",
        (f"{CHANGE} by a permutation", "smallest change by a random move"),
        values,
        Table.of(("distance", "change, permuted", "change, moved at random"), list(rows)),
        {"orders": str(math.floor(data["orders"])).translate(RAISED)},
        data,
    )


def stream() -> Slide:
    """The residual stream turned by an angle."""
    data = shipped.networks()["stream"]
    labels = shipped.networks()["average"]["labels"]

    def values(setting: Mapping[str, str]) -> list[str]:
        at, follow = TURNS.index(int(setting["angle"])), setting["follow"]
        return [number(data["similarity"][follow][at]), change(data["change"][follow][at])]

    rows = [
        (angle, follow == "1", data["similarity"][follow][at], data["change"][follow][at])
        for follow in ("1", "0")
        for at, angle in enumerate(TURNS)
    ]
    return Slide(
        "Patch filters of a network whose stream is turned, its weights against those as trained, "
        "and the outputs for one image.",
        ("cosine of all weights with those as trained", CHANGE),
        values,
        Table.of(("angle", "reading weights follow", "cosine of weights", CHANGE), rows),
        {"half": change(data["change"]["0"][TURNS.index(90)])},
        {**data, "labels": labels},
    )


def heads() -> Slide:
    """Two attention heads exchanged."""
    data = shipped.networks()["heads"]
    labels = shipped.networks()["average"]["labels"]
    start = _exchanged(data["exchanges"], BY_KEY["heads"].setting(0))
    return Slide(
        "What each of four attention heads looks at, and some of the weights it writes with; the "
        "outputs for one image.",
        (CHANGE,),
        _follows({pair: one["change"] for pair, one in data["exchanges"].items()}),
        _exchanges("head", {pair: one["change"] for pair, one in data["exchanges"].items()}),
        {"half": change(start["change"]["0"])},
        {**data, "labels": labels},
    )


def _follows(
    changes: Mapping[str, Mapping[str, float]],
) -> Callable[[Mapping[str, str]], list[str]]:
    def values(setting: Mapping[str, str]) -> list[str]:
        found = _exchanged(changes, setting)
        return [change(found[setting["follow"]] if found and setting["exchange"] == "1" else 0)]

    return values


def _exchanges(what: str, changes: Mapping[str, Mapping[str, float]]) -> Table:
    rows = [
        (*(int(each) + 1 for each in pair.split(",")), one["1"], one["0"])
        for pair, one in changes.items()
    ]
    header = (f"{what} A", f"{what} B", "change, wholly exchanged", "change, half exchanged")
    return Table.of(header, rows)


def planes() -> Slide:
    """The queries of a head stretched, the keys the other way."""
    data = shipped.networks()["planes"]

    def values(setting: Mapping[str, str]) -> list[str]:
        at, follow = _place(STRENGTHS, setting["strength"]), setting["follow"]
        return [change(data[name][follow][at]) for name in ("score_change", "change")]

    rows = [
        (s, follow == "1", data["score_change"][follow][at], data["change"][follow][at])
        for follow in ("1", "0")
        for at, s in enumerate(STRENGTHS)
    ]
    at = STRENGTHS.index(2.5)
    return Slide(
        "Queries and keys of one head in two coordinates of its plane, and the scores of all "
        "pairs of tokens.",
        ("largest change of a score", CHANGE),
        values,
        Table.of(("stretch", "keys follow", "change of a score", CHANGE), rows),
        {"scores": change(data["score_change"]["0"][at]), "half": change(data["change"]["0"][at])},
        data,
    )


def _place(values: Sequence[float], wanted: str) -> int:
    return next(k for k, value in enumerate(values) if str(value) == wanted)


def ones() -> Slide:
    """The stream turned within, or out of, what LayerNorm keeps."""
    data = shipped.networks()["ones"]
    angles = [f"{angle:g}" for angle in data["degrees"]]

    def values(setting: Mapping[str, str]) -> list[str]:
        errors = data["tilting" if setting["turn"] == "tilts" else "keeping"]
        return [change(errors[angles.index(setting["angle"])])]

    rows = list(zip(data["degrees"], data["keeping"], data["tilting"], strict=True))
    return Slide(
        "States of the stream seen from the side, and the change of the outputs against the angle "
        "of the turn.",
        (CHANGE,),
        values,
        Table.of(("angle", "keeps the ones direction", "tilts it"), rows),
        {"half": change(data["tilting"][angles.index("60")])},
        data,
    )


def average() -> Slide:
    """A walk along the line between two networks."""
    data = shipped.networks()["average"]
    plain = shipped.find_curve({})
    assert plain is not None
    rows = list(zip(data["lam"], data["loss"], data["accuracy"], strict=True))
    return Slide(
        "Loss along the straight line between two networks, and what the network at one point "
        "says of nine images.",
        ("loss of this network, nats", "right answers"),
        lambda setting: [
            number(data["loss"][_place(LAMBDAS, setting["lam"])]),
            percent(data["accuracy"][_place(LAMBDAS, setting["lam"])], 0),
        ],
        Table.of(("weight of B", "loss, nats", "accuracy"), rows),
        {
            "accuracy": percent(data["accuracy"][len(LAMBDAS) // 2], 0),
            "end": percent(data["accuracy"][-1], 0),
            "barrier": estimate(plain["barrier"], plain["barrier_stderr"]),
        },
        data,
    )


def classes() -> Slide:
    """The barrier as symmetries are switched on."""
    everything, rungs = shipped.barriers(), shipped.ladder()
    plain = shipped.find_curve({})
    assert plain is not None
    turned = shipped.find_curve({"residual": "orthogonal", "learned": True})
    single = [shipped.find_curve(each) for each in SINGLES]
    nats = {name: value for name, value, _ in rungs}
    curves: dict[str, object] = {}
    shares: dict[str, str] = {}
    for setting in settings(BY_KEY["classes"].controls):
        key, found = "|".join(setting.values()), _curve(setting)
        curves[key] = {
            "loss": found["loss"],
            "top": found["barrier_lam"],
            "label": estimate(found["barrier"], found["barrier_stderr"], "nats"),
            "meaning": _meaning(found),
        }
        shares[key] = percent(found["barrier"] / plain["barrier"])
    data = {
        "lam": everything["lam"],
        "curves": curves,
        "rungs": [
            {
                "name": name if not k else f"+ {name}",
                "value": value,
                "label": number(value),
                "meaning": RUNGS.get(name, "permutation"),
                "key": "|".join(
                    each if isinstance(each, str) else str(int(each))
                    for each in {**shipped.NOTHING, **choice}.values()
                ),
            }
            for k, ((name, value, _), (_, choice)) in enumerate(
                zip(rungs, shipped.LADDER, strict=True)
            )
        ],
    }
    return Slide(
        "Loss between two networks as symmetries are allowed, over that of the plain average.",
        ("of the plain barrier",),
        lambda setting: [shares["|".join(setting.values())]],
        Table.of(("switched on", "barrier, nats", "standard error"), rungs),
        {
            "alone": number(min(row["barrier"] for row in single if row is not None)),
            "plain": number(plain["barrier"]),
            "all": number(nats["planes"]),
            "learned": number(nats.get("learned")),
            "turned": number(turned["barrier"] if turned else None),
        },
        data,
    )


RUNGS = {
    "nothing": "plain",
    "stream rotated": "orthogonal",
    "planes": "orthogonal",
    "learned": "learned",
}


def _curve(setting: Mapping[str, str]) -> shipped.ClassesCurve:
    """The curve of a setting of the switches; where it was not learned, that of the weights."""
    chosen: dict[str, bool | str] = {
        name: value if name == "residual" else value == "1" for name, value in setting.items()
    }
    found = shipped.find_curve(chosen) or shipped.find_curve({**chosen, "learned": False})
    assert found is not None  # every choice by weights is there
    return found


def _meaning(row: shipped.ClassesCurve) -> str:
    """The meaning of a choice of classes: plain, permutations, larger classes, learned."""
    if row["learned"]:
        return "learned"
    if row["residual"] == "orthogonal" or row["planes"]:
        return "orthogonal"
    moved = row["units"] or row["heads"] or row["residual"] == "permutation"
    return "permutation" if moved else "plain"


def experts() -> Slide:
    """Two experts exchanged, with the rows of the router or without."""
    data = shipped.networks()["experts"]
    barriers = {
        name: row["barrier"]
        for name, row in shipped.barriers()["experts"].items()
        if name in shipped.SETTINGS
    }
    bars = [
        {"name": SHORT[name], "value": value, "label": number(value), "meaning": MEANING[name]}
        for name, value in barriers.items()
    ]
    start = _exchanged(data["change"], BY_KEY["experts"].setting(0))
    numbers = {name: number(value) for name, value in barriers.items()}
    return Slide(
        "Four experts with their rows of the router, and a text in which each character has the "
        "colour of its expert.",
        (CHANGE,),
        _follows(data["change"]),
        _exchanges("expert", data["change"]),
        {**numbers, "half": change(start["0"])},
        {**data, "rungs": bars},
    )


def remains() -> Slide:
    """What is left of the barrier for each family."""
    rows = shipped.remains()
    left = [row["shares"]["learned"] for row in rows]
    drawn = [
        {
            "name": row["name"],
            "pairs": row["pairs"],
            "share": [row["shares"][name] for name in shipped.SETTINGS],
            "nats": [row["nats"][name] for name in shipped.SETTINGS],
        }
        for row in rows
    ]
    kinds = [{"name": SHORT[name], "meaning": MEANING[name]} for name in shipped.SETTINGS]
    counts = (str(len(rows)), str(sum(row["pairs"] for row in rows)))
    return Slide(
        "Barriers of every family of the zoo by what was allowed.",
        ("families", "pairs of networks"),
        lambda setting: counts,
        Table.of(
            ("family", "pairs", *(f"{SHORT[name]}, nats" for name in shipped.SETTINGS)),
            [(row["name"], row["pairs"], *row["nats"].values()) for row in rows],
        ),
        {"low": percent(min(left), 1), "high": percent(max(left), 0)},
        {"rows": drawn, "kinds": kinds},
    )


def data() -> Slide:
    """A network averaged with its turned copies."""
    found = shipped.networks()["data"]
    names = {"free": "freely", "led": "led to symmetry"}
    rows = [
        (share, names[name], loss, accuracy)
        for name, one in found.items()
        for share, loss, accuracy in zip(one["shares"], one["loss"], one["accuracy"], strict=True)
    ]
    return Slide(
        "Loss of two networks as they are averaged with their turned copies, and what one of them "
        "says of three digits in four positions.",
        ("right answers",),
        lambda setting: [
            percent(found[setting["trained"]]["accuracy"][_place(LAMBDAS, setting["share"])], 0)
        ],
        Table.of(("averaged", "trained", "loss, nats", "accuracy"), rows),
        {name: percent(each["accuracy"][-1], 0) for name, each in found.items()},
        found,
    )


SLIDES: dict[str, Callable[[], Slide]] = {
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
"""By the key of the step."""


def slide_of(step: Step) -> Slide:
    """What a step shows."""
    return SLIDES[step.key]()
