"""Slides on two networks and what lies between them, and on the symmetry of data.

All of it comes from `lecture.shipped`; nothing here computes a network.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmc_core.figures.tables import Table
from lmc_core.lecture import shipped
from lmc_core.lecture.controls import settings
from lmc_core.lecture.slide import CHANGE, Slide, change, exchanged, exchanges, follows, place
from lmc_core.lecture.steps import BY_KEY
from lmc_core.lecture.steps_between import LAMBDAS
from lmc_core.numbers import estimate, number, percent

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
            number(data["loss"][place(LAMBDAS, setting["lam"])]),
            percent(data["accuracy"][place(LAMBDAS, setting["lam"])], 0),
        ],
        Table.of(("weight of B", "loss, nats", "accuracy"), rows),
        {
            "accuracy": percent(data["accuracy"][len(LAMBDAS) // 2], 0),
            "end": percent(data["accuracy"][-1], 0),
            "barrier": _barrier(plain),
        },
        data,
    )


def classes() -> Slide:
    """The barrier as symmetries are switched on."""
    everything, rungs = shipped.barriers(), shipped.ladder()
    plain = shipped.find_curve({})
    assert plain is not None
    turned = shipped.find_curve({"residual": "orthogonal", "learned": True})
    single = [found for each in SINGLES if (found := shipped.find_curve(each)) is not None]
    left = {name: _barrier(row) for name, row in rungs.items()}
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
                "value": row["barrier"],
                "label": left[name],
                "meaning": RUNGS.get(name, "permutation"),
                "key": "|".join(
                    each if isinstance(each, str) else str(int(each))
                    for each in {**shipped.NOTHING, **choice}.values()
                ),
            }
            for k, ((name, row), (_, choice)) in enumerate(
                zip(rungs.items(), shipped.LADDER, strict=True)
            )
        ],
    }
    return Slide(
        "Loss between two networks as symmetries are allowed, over that of the plain average.",
        ("of the plain barrier",),
        lambda setting: [shares["|".join(setting.values())]],
        Table.of(
            ("switched on", "barrier, nats", "standard error"),
            [(name, row["barrier"], row["barrier_stderr"]) for name, row in rungs.items()],
        ),
        {
            "alone": _barrier(min(single, key=lambda row: row["barrier"])),
            "plain": _barrier(plain),
            "all": left["planes"],
            "learned": left.get("learned", number(None)),
            "turned": _barrier(turned) if turned else number(None),
            "steps": str(everything["steps"]),
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


def _barrier(row: shipped.Measured) -> str:
    """A barrier with its standard error, in nats, which no line divides."""
    return estimate(row["barrier"], row["barrier_stderr"]).replace(" ", "\u00a0")


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
    found = shipped.barriers()["experts"]
    numbers = {name: _barrier(found[name]) for name in shipped.SETTINGS}
    bars = [
        {
            "name": SHORT[name],
            "value": found[name]["barrier"],
            "label": words,
            "meaning": MEANING[name],
        }
        for name, words in numbers.items()
    ]
    start = exchanged(data["change"], BY_KEY["experts"].setting(0))
    return Slide(
        "Four experts with their rows of the router, and a text in which each character has the "
        "colour of its expert.",
        (CHANGE,),
        follows(data["change"]),
        exchanges("expert", data["change"]),
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
            percent(found[setting["trained"]]["accuracy"][place(LAMBDAS, setting["share"])], 0)
        ],
        Table.of(("averaged", "trained", "loss, nats", "accuracy"), rows),
        {name: percent(each["accuracy"][-1], 0) for name, each in found.items()},
        found,
    )
