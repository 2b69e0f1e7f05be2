"""What is said of the orders of experts: names, captions, tables. Layers and experts are counted
from 0, as in the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmc_core.figures.tables import Table
from lmc_core.figures.text import MATCHERS, Result, classes_sentence
from lmc_core.numbers import estimate, number

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


def layer_name(fan: Mapping[str, Any], result: Result) -> str:
    """Return what a fan is about: "layer 2", or "all layers"."""
    if fan["mixture"] == ALL:
        return "all layers"
    return f"layer {next(each['layer'] for each in result['mixtures'] if each['name'] == fan['mixture'])}"


def groups_of(fan: Mapping[str, Any]) -> list[tuple[int, tuple[str, ...]]]:
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


def fan_caption(result: Result, fan: Mapping[str, Any]) -> str:
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
            f"{len(result['mixtures'])} layers: "
            "those named, others drawn at random"
        )
    named = "; ".join(
        f"{group_name(ways, every)}: "
        f"{estimate(fan['barrier'][i], fan['barrier_stderr'][i], 'nats')}"
        for i, ways in groups_of(fan)
    )
    version = (result.get("versions") or {}).get("lmc", "")
    method = MATCHERS[str(result.get("method", "weight"))]
    if every and (matched := result.get("matched")):
        own = estimate(matched["barrier"], matched["barrier_stderr"], "nats")
        named += f"; {method} as it is, its units by activations too: {own}"
    return (
        f"Loss along the straight line from {a} to {b} for {what}. Everything else is aligned by "
        f"{method} "
        f"({classes_sentence(result['classes'])}) and held; units follow each order by their "
        "weights. Barriers, \u00b1 one "
        f"standard error over {result['examples']:,} examples of the {result['split']} split of "
        f"{result['task']}: {named}; "
        "plain average: "
        f"{estimate(result['plain']['barrier'], result['plain']['barrier_stderr'], 'nats')}. Best "
        "and worst are "
        "chosen on these same examples. Largest relative difference of the outputs before and "
        "after alignment: "
        f"{number(result['function_error'], digits=2)}. LMC Explorer {version}, "
        f"{str(result.get('date', ''))[:10]}."
    )


def ranks_caption(result: Result) -> str:
    """Return a caption for the barriers of all orders, in plain text."""
    return (
        "Barrier of every order that was measured, by the layer whose experts change places; in "
        "the last row all layers at "
        "once. Marks that lie in each other are ways that choose the same order."
    )


def costs_caption(result: Result) -> str:
    """Return a caption for the matrices of costs, in plain text."""
    a, b = result["models"]
    return (
        f"What each expert of {b} (columns, as its file numbers them) costs at each place of {a} "
        "(rows), everything else "
        "aligned: squared distance of the rows of the routers; of products of the weights that no "
        "order of units changes "
        "(Gram); of all weights after the best order of units, plus that of the rows (exact). 0 "
        "means equal, 1 nothing in "
        "common; strong colour is near. Each kind has one scale for all layers. Frames: the "
        "assignment of least cost."
    )


def routing_caption(result: Result, way: str) -> str:
    """Return a caption for agreement and load, in plain text."""
    followed = result["routing"][way]
    a, b = result["models"]
    experts = len(followed["load"][0][0])
    return (
        f"Agreement of the routers' choices along the line with those at either end ({a}, {b}): "
        "the Jaccard index of the "
        f"{followed['active']} of {experts} experts that each token visits, mean over tokens and "
        "layers; two routers that do "
        f"not know of each other reach {number(followed['chance'], digits=2)}. Load: share of all "
        "visits that each expert has "
        f"(even: {number(1 / experts, digits=2)}), experts in the order {WAYS[way]}. "
        f"{result['routing']['examples']} examples, {len(followed['lam'])} values of \u03bb."
    )


def spoken_fan(result: Result, fan: Mapping[str, Any]) -> str:
    """Return what a fan shows in a sentence, as the accessible name of its figure."""
    every = fan["mixture"] == ALL
    said = "; ".join(
        f"{group_name(ways, every)} {number(fan['barrier'][i])}" for i, ways in groups_of(fan)
    )
    what = f"{len(fan['orders'])} orders of experts, {layer_name(fan, result)}"
    return f"Loss between two models for {what}. Barriers in nats: {said}."


def named_table(result: Result) -> Table:
    """Return the orders with a name, layer by layer."""
    rows = []
    for fan in result["fans"]:
        every = fan["mixture"] == ALL
        for index, ways in groups_of(fan):
            order = "each its own" if every else order_words(fan["orders"][index][0])
            rank = sum(value < fan["barrier"][index] for value in fan["barrier"]) + 1
            barrier = estimate(fan["barrier"][index], fan["barrier_stderr"][index])
            rows.append(
                (
                    layer_name(fan, result),
                    group_name(ways, every),
                    order,
                    barrier,
                    f"{rank} of {len(fan['orders'])}",
                )
            )
    if matched := result.get("matched"):
        own = estimate(matched["barrier"], matched["barrier_stderr"])
        rows.append(
            (
                "all layers",
                MATCHERS[result["method"]].capitalize() + " as it is",
                "\u2013",
                own,
                "\u2013",
            )
        )
    plain = result["plain"]
    rows.append(
        (
            "none aligned",
            "Plain average",
            "\u2013",
            estimate(plain["barrier"], plain["barrier_stderr"]),
            "\u2013",
        )
    )
    return Table.of(("Experts of", "Order", "Experts of B", "Barrier (nats)", "Rank"), rows)


def orders_table(result: Result) -> Table:
    """Return every curve, one row for each point."""
    rows = []
    for fan in result["fans"]:
        names = {index: ways for index, ways in groups_of(fan)}
        for index, order in enumerate(fan["orders"]):
            text = " | ".join(order_words(each) for each in order)
            name = " ".join(names.get(index, ()))
            for lam, loss, error in zip(
                result["lam"], fan["loss"][index], fan["loss_stderr"][index], strict=True
            ):
                rows.append(
                    (
                        fan["mixture"],
                        text,
                        name,
                        fan["barrier"][index],
                        fan["barrier_stderr"][index],
                        lam,
                        loss,
                        error,
                    )
                )
    for lam, loss, error in zip(
        result["lam"], result["plain"]["loss"], result["plain"]["loss_stderr"], strict=True
    ):
        rows.append(
            (
                "",
                "",
                "plain",
                result["plain"]["barrier"],
                result["plain"]["barrier_stderr"],
                lam,
                loss,
                error,
            )
        )
    return Table.of(
        ("mixture", "order", "named", "barrier", "barrier_stderr", "lam", "loss", "loss_stderr"),
        rows,
    )
