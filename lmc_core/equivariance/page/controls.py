"""The controls of the page Equivariance: which lesson, data and symmetry, which network, what is
compared, how long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import cast

import streamlit as st

from lmc_core.equivariance.data import KINDS, SOURCES
from lmc_core.equivariance.forms import FORMS
from lmc_core.equivariance.groups import GROUPS
from lmc_core.equivariance.groups import group as group_of
from lmc_core.equivariance.networks import NETWORKS
from lmc_core.equivariance.page.presets import (
    OWN,
    PRESETS,
    TITLES,
    Preset,
    Setting,
    Settings,
    preset_of,
)
from lmc_core.errors import BadInput
from lmc_core.ui import address
from lmc_core.ui.options import NONE, Option, Several

MOST = 24  # runs at a time
MOVING = ("equality", "resilient")  # forms in which gamma moves


def _short(kind: str) -> str:
    return KINDS[kind].partition(":")[0]


def _told(kind: str) -> str:
    return KINDS[kind].partition(": ")[2] or "not moved"


def _name_group(name: str) -> str:
    """A group with what it does, in words that the list has room for."""
    return f"{name}: {group_of(name).sentence.replace(' turns and ', ' turns, ')}"


# What every control is at first depends on the lesson.
LESSON = Option(
    "preset",
    "Lesson",
    list(TITLES),
    next(iter(PRESETS)),
    "Sets everything below, which can then be changed.",
    "list",
    TITLES.__getitem__,
    hidden=True,
)
DATA = Option(
    "data",
    "Data",
    list(SOURCES),
    "digits",
    "Small enough that a network is trained in seconds. Sets are made of digits.",
    "list",
    SOURCES.__getitem__,
)
KIND = Several(
    "kind",
    "Symmetry of the data",
    list(KINDS),
    (),
    " ".join(f"**{_short(k)}**: {_told(k)}." for k in KINDS),
    _short,
    may_be_none=True,
)
GROUP = Option(
    "group",
    "Group",
    list(GROUPS),
    "C4",
    "C4 and D4 turn images, D4 mirrors them too; S3 and S4 exchange the elements of a set.",
    "list",
    _name_group,
)
NETWORK = Option(
    "network",
    "Network",
    list(NETWORKS),
    "perceptron",
    "Of the same class whether it is equivariant or not: only its weights differ.",
    "list",
    lambda name: NETWORKS[name].label,
)
FORM = Several(
    "form",
    "Networks",
    list(FORMS),
    (),
    "W(γ) = P(We) + γ (I − P)(Wn) in every layer, P the average over the group. Unconstrained: "
    "γ = 1. Strictly equivariant: γ = 0. Equality leads γ to 0; resilient lets it stay within u "
    "at a price.",
    FORMS.__getitem__,
    may_be_none=True,
)
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
PRIMAL = Option(
    "primal",
    "Primal rate",
    RATES,
    0.02,
    "How far γ moves in a step against dJ/dγ and its multiplier.",
)
DUAL = Option(
    "dual",
    "Dual rate",
    RATES,
    0.02,
    "How far the multiplier λ moves in a step; at most the price ρ.",
)
AUGMENTED = Several(
    "c",
    "Augmented term c",
    (0.0, 0.5, 1.0, 2.0, 4.0),
    (),
    "The term c γ² / 2 in the Lagrangian damps γ; without it (0) γ rings. 2 √(dual rate / primal "
    "rate) is critical.",
    "{:g}".format,
    may_be_none=True,
)
PRICES = Several(
    "rho",
    "Prices ρ of asymmetry",
    (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    (),
    "(ρ / 2) |u|² is what it costs to let |γ| be u: a high price leaves an equivariant network. "
    "One run each.",
    "{:g}".format,
    may_be_none=True,
)
STEPS = Option(
    "steps",
    "Steps",
    (100, 200, 300, 400, 600, 1000, 2000),
    300,
    "Of training, by AdamW; the learning rate falls to 0 along a half cosine.",
)
IMAGES = Option(
    "images",
    "Training examples",
    (50, 100, 200, 400, 800),
    400,
    "Before they are moved. The fewer, the more a symmetry is worth.",
)
SEED = Option(
    "seed",
    "Seed",
    range(10),
    0,
    "Of the draw of the data, of the start of the weights, and of the order of batches.",
)
SPLIT = Option(
    "split",
    "Measured on",
    ("validation", "test"),
    "validation",
    "Neither was seen in training. Choose on validation; test is for the final number.",
    "buttons",
)
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
    values: Settings

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
        return [name for name in NAMES if name not in unused]

    @property
    def changed(self) -> list[str]:
        """What differs from the lesson, for people."""
        if self.preset == OWN:
            return []
        here, there = cast("Mapping[str, Setting]", self.values), self.lesson.values
        return [NAMES[name] for name in self.used if _sorted(here[name]) != _sorted(there[name])]

    @property
    def address(self) -> dict[str, str | list[str]]:
        """As query parameters; a list that is empty is the word none."""
        found: dict[str, str | list[str]] = {"preset": self.preset}
        values = cast("Mapping[str, Setting]", self.values)
        for name in self.used:
            value = values[name]
            found[name] = (
                [str(each) for each in value] or NONE if isinstance(value, list) else str(value)
            )
        return found

    def wanted(self) -> list[dict[str, object]]:
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
        several = {"equality": ("augmented", v["c"]), "resilient": ("price", v["rho"])}
        ways: list[dict[str, object]] = []
        for form in v["form"]:
            if form in several:
                name, values = several[form]
                ways += [{"form": form, name: value} for value in values]
            else:
                ways.append({"form": form})
        found = [{**shared, "kind": kind, **way} for kind, way in product(v["kind"], ways)]
        if len(found) > MOST:
            raise BadInput(
                f"{len(found)} networks are asked for, and {MOST} are the most at a time; choose "
                "fewer prices or kinds."
            )
        return found


def choose(key: str) -> Choice:
    """Show all controls in the order of thought."""
    preset = _choose_lesson(key)
    first = preset_of(preset).values
    st.subheader("Data and its symmetry", anchor=False)
    data = replace(DATA, default=first["data"]).show(key)
    kinds = replace(KIND, default=first["kind"]).show(key)
    groups = [name for name in GROUPS if data == "digits" or group_of(name).acts == "image"]
    group = _among(GROUP, groups, first["group"]).show(key)
    acts = group_of(group).acts
    networks = [name for name, network in NETWORKS.items() if acts in network.acts]
    network = _among(NETWORK, networks, first["network"]).show(key)
    if len(networks) < len(NETWORKS):
        st.caption("A convolution net takes images; a set takes one of these.")
    st.subheader("What is compared", anchor=False)
    forms = replace(FORM, default=first["form"]).show(key)
    primal, dual, c, rho = first["primal"], first["dual"], first["c"], first["rho"]
    if set(forms) & set(MOVING):
        primal = replace(PRIMAL, default=primal).show(key)
        dual = replace(DUAL, default=dual).show(key)
    if "equality" in forms:
        c = replace(AUGMENTED, default=c).show(key)
    if "resilient" in forms:
        rho = replace(PRICES, default=rho).show(key)
    st.subheader("How long, on how much", anchor=False)
    values: Settings = {
        "data": data,
        "kind": kinds,
        "group": group,
        "network": network,
        "form": forms,
        "primal": primal,
        "dual": dual,
        "c": c,
        "rho": rho,
        "steps": replace(STEPS, default=first["steps"]).show(key),
        "images": replace(IMAGES, default=first["images"]).show(key),
        "seed": replace(SEED, default=first["seed"]).show(key),
        "split": replace(SPLIT, default=first["split"]).show(key),
    }
    return Choice(preset, values)


def _among(option: Option[str], choices: Sequence[str], default: str) -> Option[str]:
    """The option with fewer choices."""
    return replace(option, choices=choices, default=default if default in choices else choices[0])


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


def _choose_lesson(key: str) -> str:
    """Which lesson; choosing one sets every control."""
    state = LESSON.key(key)

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
    return LESSON.show(key, on_change=take)


def _sorted(value: Setting) -> Setting:
    # the entries of a list are of one type
    # lists of an address hold words or numbers, which sort among themselves
    return sorted(value) if isinstance(value, list) else value  # type: ignore[type-var]
