"""The controls of the page Experts: mixtures alone, what else may move, how exact, which layer,
which order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import factorial
from typing import Any

import streamlit as st

from lmc_core.figures.text import Result
from lmc_core.runs.kinds.barrier import BarrierRequest
from lmc_core.runs.kinds.orders import POINTS, OrdersRequest
from lmc_core.ui import address, catalogue
from lmc_core.ui.setting import Setting, all_classes, only_permutations

Row = Mapping[str, Any]

EXAMPLES = (16, 64, 256, None)
SPLITS = ("test", "validation")
REST = {"all": "All classes", "permutations": "Permutations only", "experts": "Experts alone"}
BY = {"weight": "Weights", "activation": "Activations"}
MIXTURE = ("experts", "expert-groups", "units")
TRIED = 24  # orders of a layer at the most, and drawn for all layers
BUTTONS = 8  # layers for which there are buttons; more are in a list


def mixtures(known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The models that have experts."""
    return {name: row for name, row in known.items() if "experts" in row["sizes"]}


def rest_setting(name: str, largest: Mapping[str, str], method: str = "weight") -> Setting:
    """A method by which more or less of the rest of the network may move, a key of `REST`."""
    if name == "all":
        return Setting.of(method, dict(all_classes(largest).classes))
    if name == "permutations":
        return Setting.of(method, dict(only_permutations(largest).classes))
    return Setting.of(
        method, {kind: "permutation" if kind in MIXTURE else "none" for kind in largest}
    )


def choose_rest(pair: Sequence[Row], key: str) -> tuple[str, Setting]:
    """What else of the network is aligned; returns its name and the setting."""
    largest = {kind: space["largest"] for kind, space in catalogue.spaces(pair[0]).items()}
    st.subheader("Symmetries that may be used", anchor=False)
    address.prepare(f"{key}_rest", "rest", list(REST), "all")
    name = str(
        st.segmented_control(
            "What else is aligned",
            list(REST),
            key=f"{key}_rest",
            format_func=REST.__getitem__,
            required=True,
            width="stretch",
            help="Before the experts are ordered, the rest of B is brought into the coordinates "
            "of A: with rotations of the "
            "residual stream and of planes, with permutations, or not at all.",
        )
    )
    address.prepare(f"{key}_method", "method", list(BY), "weight")
    method = str(
        st.segmented_control(
            "Aligned by",
            list(BY),
            key=f"{key}_method",
            format_func=BY.__getitem__,
            required=True,
            width="stretch",
            help="By weights, or by what both models compute on training examples, which orders "
            "the experts by what they answer. "
            "Maps that are learned fit the one order in which they were learned, and soft "
            "matching ends as weight matching, so "
            "that these are on the page Barrier.",
        )
    )
    return name, rest_setting(name, largest, method)


def choose_exactness(key: str) -> tuple[str, int | None, int]:
    """How much of the data, and how many points; returns split, examples (None for all) and
    points.
    """
    st.subheader("How exact", anchor=False)
    address.prepare(f"{key}_examples", "examples", [str(n or "all") for n in EXAMPLES], "16")
    address.prepare(f"{key}_points", "points", list(POINTS), 9)
    address.prepare(f"{key}_split", "split", list(SPLITS), "test")
    examples = st.select_slider(
        "Examples",
        [str(n or "all") for n in EXAMPLES],
        key=f"{key}_examples",
        help="Every order is measured on all of them. The standard error falls with the square "
        "root of their number.",
    )
    points = st.select_slider(
        "Points on the line", list(POINTS), key=f"{key}_points", help="One of them is the middle."
    )
    split = st.segmented_control(
        "Split",
        list(SPLITS),
        key=f"{key}_split",
        required=True,
        width="stretch",
        help="Neither was seen in training.",
    )
    return str(split), None if examples == "all" else int(examples), int(points)


def choose_fan(result: Result, key: str) -> int:
    """Which fan is shown; returns its number."""
    names = [fan["mixture"] for fan in result["fans"]]
    layers = {each["name"]: f"Layer {each['layer']}" for each in result["mixtures"]}
    address.prepare(f"{key}_layer", "layer", names, names[0])
    arguments: dict[str, Any] = {
        "key": f"{key}_layer",
        "format_func": lambda name: layers.get(name, "All layers"),
        "help": "In one layer all orders can be tried, the others in exact order; of all layers "
        "together only a few.",
    }
    if len(names) <= BUTTONS:
        return names.index(
            str(
                st.segmented_control(
                    "Experts that change places", names, required=True, **arguments
                )
            )
        )
    return names.index(str(st.selectbox("Experts that change places", names, **arguments)))


def orders_of(request: BarrierRequest, points: int) -> OrdersRequest:
    """The request for all orders of the experts in the setting of a barrier's request."""
    return OrdersRequest.of(request, points=points)


def amount(row: Row, points: int) -> str:
    """Say what is measured: "42 orders of 9 points"."""
    layers, experts = row["sizes"].get("depth", 1), row["sizes"]["experts"]
    count = layers * min(TRIED, factorial(min(experts, 8))) + TRIED + 6
    return f"{count} orders of {points} points"
