"""The controls of the page Equivariance: which lesson, data and symmetry, which network, what is
compared, how long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import streamlit as st

from lmc_core.equivariance.data import KINDS, SOURCES
from lmc_core.equivariance.forms import FORMS
from lmc_core.equivariance.groups import GROUPS
from lmc_core.equivariance.groups import group as group_of
from lmc_core.equivariance.networks import NETWORKS
from lmc_core.equivariance.page.presets import OWN, PRESETS, TITLES, Preset, preset_of
from lmc_core.errors import BadInput
from lmc_core.ui import address

MOST = 24  # runs at a time
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
AUGMENTED = (0.0, 0.5, 1.0, 2.0, 4.0)
PRICES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
IMAGES = (50, 100, 200, 400, 800)
STEPS = (100, 200, 300, 400, 600, 1000, 2000)
SEEDS = tuple(range(10))
SPLITS = ("validation", "test")
MOVING = ("equality", "resilient")  # forms in which gamma moves
NAMES = {
    "data": "data",
    "kind": "symmetry of the data",
    "group": "group",
    "network": "network",
    "form": "what is compared",
    "primal": "primal rate",
    "dual": "dual rate",
    "c": "c",
    "rho": "ρ",
    "seed": "seed",
    "images": "training examples",
    "steps": "steps",
    "split": "split",
}


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        preset: a key of `PRESETS`, or `OWN`.
        values: of the controls, by their names in the address.
    """

    preset: str
    values: Mapping[str, Any]

    @property
    def lesson(self) -> Preset:
        """The lesson, and for own settings the one they begin with."""
        return preset_of(self.preset)

    @property
    def used(self) -> list[str]:
        """Names of the controls that matter for what is compared."""
        forms = self.values["form"]
        unused = {"primal", "dual"} if not set(forms) & set(MOVING) else set()
        unused |= {
            name for name, form in (("c", "equality"), ("rho", "resilient")) if form not in forms
        }
        return [name for name in self.values if name not in unused]

    @property
    def changed(self) -> list[str]:
        """What differs from the lesson, for people."""
        if self.preset == OWN:
            return []
        lesson = self.lesson.values
        return [
            NAMES[name] for name in self.used if _sorted(self.values[name]) != _sorted(lesson[name])
        ]

    @property
    def address(self) -> dict[str, str | list[str]]:
        """As query parameters; a list that is empty is the word none."""
        found: dict[str, str | list[str]] = {"preset": self.preset}
        for name in self.used:
            value = self.values[name]
            found[name] = (
                ([str(each) for each in value] or "none") if isinstance(value, list) else str(value)
            )
        return found

    def wanted(self) -> list[dict[str, Any]]:
        """The words of every request, kind by kind and form by form.

        Raises:
            BadInput: they are too many at a time.
        """
        v = self.values
        shared = {
            "source": v["data"],
            "group": v["group"],
            "network": v["network"],
            "primal_rate": v["primal"],
            "dual_rate": v["dual"],
            "steps": v["steps"],
            "examples": v["images"],
            "split": v["split"],
            "seed": v["seed"],
        }
        ways: list[dict[str, Any]] = []
        for form in v["form"]:
            own = {"equality": ("augmented", v["c"]), "resilient": ("price", v["rho"])}.get(form)
            ways += (
                [{"form": form}]
                if own is None
                else [{"form": form, own[0]: value} for value in own[1]]
            )
        found = [{**shared, "kind": kind, **way} for kind, way in product(v["kind"], ways)]
        if len(found) > MOST:
            raise BadInput(
                f"{len(found)} networks are asked for, and {MOST} are the most at a time; choose "
                "fewer prices or kinds."
            )
        return found


def choose(key: str) -> Choice:
    """Show all controls in the order of thought."""
    preset = _preset(key)
    first = preset_of(preset).values
    values: dict[str, Any] = {}

    def one(name: str, options: Sequence[Any]) -> str:
        address.prepare(
            f"{key}_{name}", name, options, first[name] if first[name] in options else options[0]
        )
        return f"{key}_{name}"

    def many(name: str, options: Sequence[Any]) -> str:
        _prepare_many(f"{key}_{name}", name, options, first[name])
        return f"{key}_{name}"

    def pills(
        label: str, name: str, options: Sequence[Any], words: Callable[[Any], str], told: str
    ) -> None:
        state = many(name, options)
        st.pills(label, options, selection_mode="multi", key=state, format_func=words, help=told)
        values[name] = [each for each in options if each in st.session_state[state]]

    def slider(label: str, name: str, options: Sequence[Any], told: str) -> None:
        values[name] = st.select_slider(label, options, key=one(name, options), help=told)

    st.subheader("Data and its symmetry", anchor=False)
    values["data"] = st.selectbox(
        "Data",
        list(SOURCES),
        key=one("data", list(SOURCES)),
        format_func=SOURCES.__getitem__,
        help="Small enough that a network is trained in seconds. Sets are made of digits.",
    )
    pills(
        "Symmetry of the data",
        "kind",
        list(KINDS),
        _short,
        " ".join(f"**{_short(k)}**: {_told(k)}." for k in KINDS),
    )
    groups = [
        name for name in GROUPS if values["data"] == "digits" or group_of(name).acts == "image"
    ]
    values["group"] = st.selectbox(
        "Group",
        groups,
        key=one("group", groups),
        format_func=lambda name: f"{name}: {group_of(name).sentence}",
        help="C4 and D4 turn images, D4 mirrors them too; S3 and S4 exchange the elements of a "
        "set.",
    )
    acts = group_of(str(values["group"])).acts
    networks = [name for name, network in NETWORKS.items() if acts in network.acts]
    values["network"] = st.selectbox(
        "Network",
        networks,
        key=one("network", networks),
        format_func=lambda name: NETWORKS[name].label,
        help="Of the same class whether it is equivariant or not: only its weights differ.",
    )
    if len(networks) < len(NETWORKS):
        st.caption("A convolution net takes images; a set takes one of these.")
    st.subheader("What is compared", anchor=False)
    pills(
        "Networks",
        "form",
        list(FORMS),
        FORMS.__getitem__,
        "W(γ) = P(We) + γ (I − P)(Wn) in every layer, P the average over the group. "
        "Unconstrained: γ = 1. Strictly "
        "equivariant: γ = 0. Equality leads γ to 0; resilient lets it stay within u at a price.",
    )
    _choose_constraint(values, slider, pills, first)
    st.subheader("How long, on how much", anchor=False)
    slider(
        "Steps",
        "steps",
        STEPS,
        "Of training, by AdamW; the learning rate falls to 0 along a half cosine.",
    )
    slider(
        "Training examples",
        "images",
        IMAGES,
        "Before they are moved. The fewer, the more a symmetry is worth.",
    )
    slider(
        "Seed",
        "seed",
        SEEDS,
        "Of the draw of the data, of the start of the weights, and of the order of batches.",
    )
    values["split"] = st.segmented_control(
        "Measured on",
        list(SPLITS),
        key=one("split", list(SPLITS)),
        required=True,
        width="stretch",
        help="Neither was seen in training. Choose on validation; test is for the final number.",
    )
    return Choice(preset, {name: values[name] for name in NAMES})


def write_address(choice: Choice, key: str, run: str | None = None) -> None:
    """Put everything that is chosen into the address.

    Args:
        choice: of the controls.
        key: prefix of the widgets' keys.
        run: key of the finished run that is looked at, if there is one.
    """
    views = {
        name: st.session_state.get(f"{key}_{name}", st.query_params.get(name))
        for name in ("view", "layer", "shown", "example")
    }
    shown = {name: None if value is None else str(value) for name, value in views.items()}
    address.write(
        {**choice.address, "run": run[:8] if run else st.query_params.get("run"), **shown}
    )


def _choose_constraint(
    values: dict[str, Any], slider: Callable, pills: Callable, first: Mapping[str, Any]
) -> None:
    """Rates, augmented terms and prices, as far as what is compared has a use for them."""
    values |= {name: first[name] for name in ("primal", "dual", "c", "rho")}
    if set(values["form"]) & set(MOVING):
        slider(
            "Primal rate",
            "primal",
            RATES,
            "How far γ moves in a step against dJ/dγ and its multiplier.",
        )
        slider(
            "Dual rate",
            "dual",
            RATES,
            "How far the multiplier λ moves in a step; at most the price ρ.",
        )
    if "equality" in values["form"]:
        told = (
            "The term c γ² / 2 in the Lagrangian damps γ; without it (0) γ rings. 2 √(dual "
            "rate / primal rate) is critical."
        )
        pills("Augmented term c", "c", list(AUGMENTED), "{:g}".format, told)
    if "resilient" in values["form"]:
        told = (
            "(ρ / 2) |u|² is what it costs to let |γ| be u: a high price leaves an equivariant "
            "network. One run each."
        )
        pills("Prices ρ of asymmetry", "rho", list(PRICES), "{:g}".format, told)


def _preset(key: str) -> str:
    """Which lesson; choosing one sets every control."""
    state = f"{key}_preset"
    address.prepare(state, "preset", list(TITLES), next(iter(PRESETS)))

    def take() -> None:
        name = st.session_state[state]
        if name != OWN:
            for control, value in preset_of(name).values.items():
                st.session_state[f"{key}_{control}"] = (
                    list(value) if isinstance(value, list) else value
                )
            for view in ("closer", "layer", "shown", "view"):
                # nothing that can be chosen: the lesson's own is
                st.session_state[f"{key}_{view}"] = None

    st.subheader("Lesson", anchor=False)
    return str(
        st.selectbox(
            "Lesson",
            list(TITLES),
            key=state,
            format_func=TITLES.__getitem__,
            on_change=take,
            label_visibility="collapsed",
            help="Sets everything below, which can then be changed.",
        )
    )


def _prepare_many(key: str, name: str, options: Sequence[Any], default: Sequence[Any]) -> None:
    """Give a widget of several values its first ones: those of the session, else of the address,
    else the default.
    """
    if key in st.session_state:
        return
    asked = st.query_params.get_all(name)
    found = [option for option in options if str(option) in asked]
    st.session_state[key] = found if found or asked == ["none"] else list(default)


def _short(kind: str) -> str:
    return KINDS[kind].partition(":")[0]


def _told(kind: str) -> str:
    return KINDS[kind].partition(": ")[2] or "not moved"


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
