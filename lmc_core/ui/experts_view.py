"""Results on the page Experts: fan, ranks, costs, routing, numbers, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from lmc_core.figures.experts import costs_caption, costs_figure, ranks_caption, ranks_figure
from lmc_core.figures.export import results_json, standalone_html, svg
from lmc_core.figures.orders import (
    STRONGEST,
    WAYS,
    empty_fan,
    fan_caption,
    fan_figure,
    fan_finding,
    order_words,
    orders_table,
    spoken_fan,
)
from lmc_core.figures.routing import agreement_figure, load_figure, routing_caption
from lmc_core.numbers import estimate, number, percent
from lmc_core.ui import backend
from lmc_core.ui.options import Option
from lmc_core.ui.panels import (
    WIDEST,
    File,
    pack,
    show_caption,
    show_check,
    show_figure,
    show_files,
    svg_files,
    theme,
)

if TYPE_CHECKING:
    from lmc_core.runs.kinds import RoutingNumbers
    from lmc_core.runs.requests.orders import OrdersNumbers

HEIGHT = 400  # pixels of the fan


def show_empty(models: Sequence[str], split: str, key: str) -> None:
    """Show the axes of the fan while there is nothing to draw."""
    show_figure(
        empty_fan(models, split, theme(), HEIGHT), f"{key}_empty", "Empty axes of the loss."
    )
    st.caption(
        "Nothing is computed yet for these models. **Run** measures the loss along the straight "
        "line for all orders of the "
        "experts, layer by layer."
    )


def show_fan(result: OrdersNumbers, number_of_fan: int, key: str) -> None:
    """Show the fan with its caption."""
    fan = result["fans"][number_of_fan]
    figure = fan_figure(result, fan, theme(), HEIGHT)
    show_figure(figure, f"{key}_fan", spoken_fan(result, fan), width=WIDEST)
    show_caption(fan_finding(result, fan), fan_caption(result, fan))


def show_facts(result: OrdersNumbers) -> None:
    """Show what the order of all experts is worth, and that no function changed."""
    fan = result["fans"][-1]
    exact, naive = (fan["named"][way] for way in ("exact", "naive"))
    left, middle, right = st.columns(3)
    values = [estimate(fan["barrier"][i], fan["barrier_stderr"][i]) for i in (exact, naive)]
    left.metric("Exact order (nats)", values[0], border=True)
    share = percent(fan["barrier"][exact] / result["plain"]["barrier"], 0)
    left.caption(f"All layers in exact order: {share} of the barrier of the plain average.")
    middle.metric("As numbered (nats)", values[1], border=True)
    below, others = (
        sum(value < fan["barrier"][naive] for value in fan["barrier"]),
        len(fan["barrier"]) - 1,
    )
    middle.caption(
        f"The rest is aligned all the same; {below} of the other {others} orders measured are "
        "better."
    )
    show_check(
        right,
        result["function_error"],
        "rounding level",
        "more than rounding explains",
        "Largest relative difference of the outputs before and after alignment: {}.",
    )


def show_ranks(result: OrdersNumbers, key: str) -> None:
    """Show the barrier of every order."""
    fan = result["fans"][-1]
    exact = number(fan["barrier"][fan["named"]["exact"]])
    spoken = f"Barriers of every order by layer; all layers in exact order: {exact} nats."
    show_figure(ranks_figure(result, theme()), f"{key}_ranks", spoken)
    show_caption("", ranks_caption(result))


def show_costs(result: OrdersNumbers, number_of_fan: int, key: str) -> None:
    """Show what pairs of experts cost, of one layer or of all."""
    one = number_of_fan < len(result["mixtures"])
    layers = [number_of_fan] if one else None
    orders = "; ".join(
        f"layer {each['layer']} {order_words(each['orders']['exact'])}"
        for each in result["mixtures"]
        if layers is None or each["layer"] == number_of_fan
    )
    show_figure(
        costs_figure(result, layers, theme()),
        f"{key}_costs",
        "Costs of pairs of experts by routers, Gram matrices and exactly. Exact assignment: "
        f"{orders}.",
    )
    show_caption("", costs_caption(result))


def show_routing(result: OrdersNumbers, number_of_fan: int, key: str) -> None:
    """Show agreement and load along the line."""
    layers = [number_of_fan] if number_of_fan < len(result["mixtures"]) else None
    followed = [way for way in STRONGEST if way in result["routing"]]
    way = Option(
        "order",
        "Experts ordered",
        followed,
        "exact",
        "In all layers. The agreement of the order as numbered stays in the figure.",
        "buttons",
        WAYS.__getitem__,
    ).show(key, width="content")
    ways = list(dict.fromkeys(["naive", way]))
    routing = cast("Mapping[str, RoutingNumbers]", result["routing"])
    ends = [np.mean(np.array(routing[each]["with_a"][-1])[layers or slice(None)]) for each in ways]
    left, right = st.columns(2)
    said = "; ".join(
        f"{WAYS[each]}, {number(float(end), digits=2)}"
        for each, end in zip(ways, ends, strict=True)
    )
    show_figure(
        agreement_figure(result, ways, layers, theme()),
        f"{key}_agreement",
        f"Agreement of the routers' choices along the line. Of both ends with each other: {said}.",
        left,
    )
    load = np.array(routing[way]["load"])
    show_figure(
        load_figure(result, way, layers, theme()),
        f"{key}_load",
        f"Load of each expert along the line, from {percent(float(load.min()))} to "
        f"{percent(float(load.max()))} of visits.",
        right,
    )
    show_caption("", routing_caption(result, way))


def show_downloads(result: OrdersNumbers, number_of_fan: int, key: str) -> None:
    """Offer every curve as CSV, everything as JSON, the fan as a page and SVG, and the loss of
    every example as arrays.
    """
    fan, current = result["fans"][number_of_fan], theme()

    def page() -> str:
        caption = fan_caption(result, fan)
        return standalone_html(
            fan_figure(result, fan, current, HEIGHT),
            caption,
            [result],
            current,
            title="Orders of experts",
        )

    files = [
        File(
            "CSV",
            "csv",
            lambda: orders_table(result).csv(),
            "One row for every point of every order.",
        ),
        File(
            "JSON",
            "json",
            lambda: results_json([result]),
            "Everything that is known: costs, curves, routing.",
        ),
        File(
            "HTML",
            "html",
            page,
            "One file with the fan, its caption and the data, that opens in any browser, offline.",
        ),
        File(
            "NPZ",
            "npz",
            lambda: pack(backend.arrays(result["key"])),
            "The loss of every example at every point of every order, for NumPy.",
        ),
        *svg_files(
            File(
                "SVG",
                "svg",
                lambda: svg(fan_figure(result, fan, "paper", HEIGHT)),
                "The fan for a paper.",
            )
        ),
    ]
    show_files(files, f"experts-{'-'.join(result['models'])}", key)
