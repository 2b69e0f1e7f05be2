"""Slides on one network: measured numbers of every setting, and what is drawn.

All of it comes from `lecture.shipped`; nothing here computes a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from lmc_core.figures.tables import Table
from lmc_core.lecture import shipped
from lmc_core.lecture.slide import CHANGE, Slide, change, exchanged, exchanges, follows, place
from lmc_core.lecture.steps import BY_KEY
from lmc_core.lecture.steps_within import STRENGTHS, TURNS
from lmc_core.numbers import RAISED, number


def units() -> Slide:
    """Two units exchanged, wholly or by half."""
    data = shipped.networks()["units"]

    def values(setting: Mapping[str, str]) -> list[str]:
        found, moved = exchanged(data["exchanges"], setting), setting["rows"] + setting["columns"]
        return [change(found["change"][moved] if found and moved != "00" else 0)]

    labels = shipped.networks()["average"]["labels"]
    rows = [
        (*(int(each) + 1 for each in pair.split(",")), *(one["change"][k] for k in KINDS))
        for pair, one in data["exchanges"].items()
    ]
    start = exchanged(data["exchanges"], BY_KEY["units"].setting(0))
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
    start = exchanged(data["exchanges"], BY_KEY["heads"].setting(0))
    return Slide(
        "What each of four attention heads looks at, and some of the weights it writes with; the "
        "outputs for one image.",
        (CHANGE,),
        follows({pair: one["change"] for pair, one in data["exchanges"].items()}),
        exchanges("head", {pair: one["change"] for pair, one in data["exchanges"].items()}),
        {"half": change(start["change"]["0"])},
        {**data, "labels": labels},
    )


def planes() -> Slide:
    """The queries of a head stretched, the keys the other way."""
    data = shipped.networks()["planes"]

    def values(setting: Mapping[str, str]) -> list[str]:
        at, follow = place(STRENGTHS, setting["strength"]), setting["follow"]
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
