"""The controls of the page Experts: mixtures alone, what else may move, how exact, which layer,
which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial
from typing import TYPE_CHECKING

from lmc_core.matching.methods import METHODS
from lmc_core.models.listing import Row
from lmc_core.runs.requests.orders import POINTS as OFFERED
from lmc_core.ui import catalogue
from lmc_core.ui.catalogue import Known, Pair
from lmc_core.ui.controls import SQUARE_ROOT, make_examples, make_split
from lmc_core.ui.options import Option
from lmc_core.ui.setting import Setting, all_classes, only_permutations

if TYPE_CHECKING:
    from lmc_core.runs.requests.orders import OrdersNumbers

WHAT = {"all": "All classes", "permutations": "Permutations only", "experts": "Experts alone"}
BY = {
    name: method.label.removeprefix("By ").capitalize()
    for name, method in METHODS.items()
    if method.orders_experts
}
REST = Option(
    "rest",
    "What else is aligned",
    list(WHAT),
    "all",
    "Before the experts are ordered, the rest of B is brought into the coordinates of A: with "
    "rotations of the residual stream and of planes, with permutations, or not at all.",
    "buttons",
    WHAT.__getitem__,
)
METHOD = Option(
    "method",
    "Aligned by",
    list(BY),
    "weight",
    "By weights, or by what both models compute on training examples, which orders the experts "
    "by what they answer. Maps that are learned fit the one order in which they were learned, "
    "and soft matching ends as weight matching, so that these are on the page Barrier.",
    "buttons",
    BY.__getitem__,
)
EXAMPLES = make_examples(
    (16, 64, 256, None), "16", f"Every order is measured on all of them. {SQUARE_ROOT}"
)
POINTS = Option("points", "Points on the line", OFFERED, 9, "One of them is the middle.")
SPLIT = make_split(("test", "validation"), "Neither was seen in training.")
MIXTURE = ("experts", "expert-groups", "units")
TRIED = 24  # orders of a layer at the most, and drawn for all layers
BUTTONS = 8  # layers for which there are buttons; more are in a list


def find_mixtures(known: Known) -> dict[str, Row]:
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


def choose_rest(pair: Pair, key: str) -> tuple[str, Setting]:
    """What else of the network is aligned; returns its name and the setting."""
    largest = catalogue.find_largest(pair[0])
    name = REST.show(key)
    return name, rest_setting(name, largest, METHOD.show(key))


def choose_fan(result: OrdersNumbers, key: str) -> int:
    """Which fan is shown; returns its number."""
    names = [fan["mixture"] for fan in result["fans"]]
    layers = {each["name"]: f"Layer {each['layer']}" for each in result["mixtures"]}
    option = Option(
        "layer",
        "Experts that change places",
        names,
        names[0],
        "In one layer all orders can be tried, the others in exact order; of all layers together "
        "only a few.",
        "buttons" if len(names) <= BUTTONS else "list",
        lambda name: layers.get(name, "All layers"),
    )
    return names.index(option.show(key, width="content"))


def amount(row: Row, points: int) -> str:
    """Say what is measured: "42 orders of 9 points"."""
    layers, experts = row["sizes"].get("depth", 1), row["sizes"]["experts"]
    count = layers * min(TRIED, factorial(min(experts, 8))) + TRIED + 6
    return f"{count} orders of {points} points"
