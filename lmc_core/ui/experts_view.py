"""Results on the page Experts: fan, ranks, costs, routing, numbers, files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmc_core.figures.experts import costs_caption, costs_figure, ranks_caption, ranks_figure
from lmc_core.figures.export import CONFIG, can_draw_svg, results_json, standalone_html, svg
from lmc_core.figures.orders import (
    STRONGEST,
    WAYS,
    empty_fan,
    fan_caption,
    fan_figure,
    named_table,
    order_words,
    orders_table,
    spoken_fan,
)
from lmc_core.figures.routing import agreement_figure, load_figure, routing_caption
from lmc_core.figures.tables import words as cell
from lmc_core.figures.text import Result
from lmc_core.numbers import estimate, number, percent
from lmc_core.ui import address, backend
from lmc_core.ui.curves import ROUNDING, theme

HEIGHT = 480  # pixels of the fan


def show_empty(models: Sequence[str], split: str, key: str) -> None:
    """Show the axes of the fan while there is nothing to draw."""
    st.plotly_chart(
        empty_fan(models, split, theme(), HEIGHT),
        theme=None,
        config=CONFIG,
        key=f"{key}_empty",
        alt="Empty axes of the loss.",
    )
    st.caption(
        "Nothing is computed yet for these models. **Run** measures the loss along the straight "
        "line for all orders of the "
        "experts, layer by layer."
    )


def show_fan(result: Result, number_of_fan: int, key: str) -> None:
    """Show the fan with its caption."""
    fan = result["fans"][number_of_fan]
    st.plotly_chart(
        fan_figure(result, fan, theme(), HEIGHT),
        theme=None,
        config=CONFIG,
        key=f"{key}_fan",
        alt=spoken_fan(result, fan),
    )
    st.caption(fan_caption(result, fan))


def show_facts(result: Result) -> None:
    """Show what the order of all experts is worth, and that no function changed."""
    fan = result["fans"][-1]
    exact, naive = (fan["named"][way] for way in ("exact", "naive"))
    left, middle, right = st.columns(3)
    values = [estimate(fan["barrier"][i], fan["barrier_stderr"][i], "nats") for i in (exact, naive)]
    left.metric("Exact order (nats)", number(fan["barrier"][exact]), border=True)
    share = percent(fan["barrier"][exact] / result["plain"]["barrier"], 0)
    left.caption(f"Barrier {values[0]}, all layers ordered: {share} of that of the plain average.")
    middle.metric("As numbered (nats)", number(fan["barrier"][naive]), border=True)
    below, others = (
        sum(value < fan["barrier"][naive] for value in fan["barrier"]),
        len(fan["barrier"]) - 1,
    )
    middle.caption(
        f"Barrier {values[1]}, the rest aligned all the same; {below} of the other {others} "
        "orders measured are better."
    )
    error = result["function_error"]
    right.metric("Function check", number(error, digits=2), border=True)
    verdict = "rounding level" if error < ROUNDING else "more than rounding explains"
    right.caption(
        f"Largest relative difference of the outputs before and after alignment: {verdict}."
    )


def show_ranks(result: Result, key: str) -> None:
    """Show the barrier of every order."""
    fan = result["fans"][-1]
    exact = number(fan["barrier"][fan["named"]["exact"]])
    spoken = f"Barriers of every order by layer; all layers in exact order: {exact} nats."
    st.plotly_chart(
        ranks_figure(result, theme()), theme=None, config=CONFIG, key=f"{key}_ranks", alt=spoken
    )
    st.caption(ranks_caption(result))


def show_costs(result: Result, number_of_fan: int, key: str) -> None:
    """Show what pairs of experts cost, of one layer or of all."""
    one = number_of_fan < len(result["mixtures"])
    layers = [number_of_fan] if one else None
    orders = "; ".join(
        f"layer {each['layer']} {order_words(each['orders']['exact'])}"
        for each in result["mixtures"]
        if layers is None or each["layer"] == number_of_fan
    )
    st.plotly_chart(
        costs_figure(result, layers, theme()),
        theme=None,
        config=CONFIG,
        key=f"{key}_costs",
        alt="Costs of pairs of experts by routers, Gram matrices and exactly. Exact assignment: "
        f"{orders}.",
    )
    st.caption(costs_caption(result))


def show_routing(result: Result, number_of_fan: int, key: str) -> None:
    """Show agreement and load along the line."""
    layers = [number_of_fan] if number_of_fan < len(result["mixtures"]) else None
    followed = [way for way in STRONGEST if way in result["routing"]]
    address.prepare(f"{key}_order", "order", followed, "exact")
    way = str(
        st.segmented_control(
            "Experts ordered",
            followed,
            key=f"{key}_order",
            required=True,
            format_func=WAYS.__getitem__,
            help="In all layers. The agreement of the order as numbered stays in the figure.",
        )
    )
    ways = list(dict.fromkeys(["naive", way]))
    ends = [
        np.mean(np.array(result["routing"][each]["with_a"][-1])[layers or slice(None)])
        for each in ways
    ]
    left, right = st.columns(2)
    said = "; ".join(
        f"{WAYS[each]}, {number(float(end), digits=2)}"
        for each, end in zip(ways, ends, strict=True)
    )
    left.plotly_chart(
        agreement_figure(result, ways, layers, theme()),
        theme=None,
        config=CONFIG,
        key=f"{key}_agreement",
        alt="Agreement of the routers' choices along the line. Of both ends with each other: "
        f"{said}.",
    )
    load = np.array(result["routing"][way]["load"])
    right.plotly_chart(
        load_figure(result, way, layers, theme()),
        theme=None,
        config=CONFIG,
        key=f"{key}_load",
        alt=f"Load of each expert along the line, from {percent(float(load.min()))} to "
        f"{percent(float(load.max()))} of visits.",
    )
    st.caption(routing_caption(result, way))


def show_table(result: Result) -> None:
    """Show the orders that have a name."""
    table = named_table(result)
    frame = pd.DataFrame(
        [[cell(value) for value in row] for row in table.rows], columns=list(table.header)
    )
    st.table(frame.set_index(["Experts of", "Order"]), border="horizontal")


def show_downloads(result: Result, number_of_fan: int, key: str) -> None:
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

    def packed() -> bytes:
        file = io.BytesIO()
        np.savez_compressed(file, **backend.arrays(str(result["key"])))
        return file.getvalue()

    files: list[tuple[str, str, str, Any, str]] = [
        (
            "CSV",
            "csv",
            "text/csv",
            lambda: orders_table(result).csv(),
            "One row for every point of every order.",
        ),
        (
            "JSON",
            "json",
            "application/json",
            lambda: results_json([result]),
            "Everything that is known: costs, curves, routing.",
        ),
        (
            "HTML",
            "html",
            "text/html",
            page,
            "One file with the fan, its caption and the data, that opens in any browser, offline.",
        ),
        (
            "NPZ",
            "npz",
            "application/octet-stream",
            packed,
            "The loss of every example at every point of every order, for NumPy.",
        ),
    ]
    if can_draw_svg():
        files.append(
            (
                "SVG",
                "svg",
                "image/svg+xml",
                lambda: svg(fan_figure(result, fan, "paper", HEIGHT)),
                "The fan for a paper.",
            )
        )
    name = f"experts-{'-'.join(result['models'])}"
    with st.container(horizontal=True):
        for label, ending, mime, make, help_ in files:
            st.download_button(
                label,
                make,
                f"{name}.{ending}",
                mime,
                on_click="ignore",
                key=f"{key}_{ending}",
                icon=":material/download:",
                help=help_,
            )
