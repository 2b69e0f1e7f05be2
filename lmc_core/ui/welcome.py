"""What the first page says: the shipped picture, three ways in, the device."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from lmc_core.figures.words import barrier_words, setting_label
from lmc_core.ui.setting import Setting

Result = Mapping[str, Any]
SETTINGS = ("Plain average", "Permutations only", "All classes", "All classes, learned")  # what the first picture shows
CLASSES = ("residual", "units", "heads", "query-key", "value-output")


@dataclass(frozen=True)
class Way:
    """One way into the app.

    Attributes:
        name: who it is for.
        sentence: what it offers today.
        link: the words of the link.
        icon: beside the link.
        address: query parameters of the page it opens.
    """

    name: str
    sentence: str
    link: str
    icon: str
    address: dict[str, str | list[str]] = field(default_factory=dict)


def _classes(residual: str) -> str:
    """Units and heads permuted, the planes inside heads left alone, the residual stream as said; as in an address."""
    classes = dict.fromkeys(CLASSES, "none") | {"units": "permutation", "heads": "permutation", "residual": residual}
    return Setting.of("weight", classes).text


WAYS = (
    Way(
        "Explore",
        "Pick any two models of the zoo, choose which symmetries may be used, and measure what is left between them.",
        "Measure a barrier",
        ":material/explore:",
    ),
    Way(
        "Teach",
        "See what each class of symmetries does to the barrier, switched on one at a time: units and heads permuted, then "
        "the residual stream permuted, then rotated, then all classes.",
        "Switch them on one at a time",
        ":material/school:",
        {"with": [_classes("none"), _classes("permutation"), _classes("orthogonal")]},
    ),
    Way(
        "Present",
        "Take the figure with you: one HTML file that opens offline with caption and data, SVG for a paper, CSV and JSON. "
        "The downloads are below the table.",
        "Open the figure with its downloads",
        ":material/present_to_all:",
    ),
)


def one_pair(results: Sequence[Result]) -> list[Result]:
    """Return the results of one pair of models that make the first picture, in the order of `SETTINGS`."""
    groups: dict[tuple[str, ...], dict[str, Result]] = {}
    for result in sorted(results, key=lambda r: (tuple(r["models"]), -r["examples"])):
        label = setting_label(result["method"], result["classes"], result.get("largest"))
        groups.setdefault(tuple(result["models"]), {}).setdefault(label, result)
    best: dict[str, Result] = {}
    for group in groups.values():  # among equally complete pairs the last in the alphabet, which is one of images
        if sum(label in group for label in SETTINGS) >= sum(label in best for label in SETTINGS):
            best = group
    return [best[label] for label in SETTINGS if label in best]


def lead(results: Sequence[Result]) -> str:
    """Say what the picture shows, with its own numbers."""
    said = (
        "Two transformers trained from different seeds solve the same task, yet the average of their weights is a broken "
        "model: the straight line between them climbs a **loss barrier**. Much of it is an illusion. Weights can change in "
        "many ways that leave the function alone; undo these accidental differences first, and the barrier shrinks."
    )
    if len(results) > 1:
        said += f" Here from **{barrier_words(results[0])}** to **{barrier_words(results[-1])}**."
    return said


def address_of(results: Sequence[Result]) -> dict[str, str | list[str]]:
    """Return the query parameters under which the barrier's page shows these results."""
    first = results[0]
    settings = [
        Setting.of(r["method"], r["classes"], r.get("settings", {}).get("steps")) for r in results if r["method"] != "none"
    ]
    chosen = settings[-1] if settings else None
    return {
        "a": first["models"][0],
        "b": first["models"][1],
        "method": chosen.method if chosen else "none",
        **({"steps": str(chosen.steps)} if chosen and chosen.steps else {}),
        **(dict(chosen.classes) if chosen else {}),
        "split": first["split"],
        "with": [setting.text for setting in settings[:-1]] or "none",
    }


@st.cache_data(max_entries=1, show_spinner="Looking for a device")
def device_sentence() -> str:
    """Say which device this machine offers."""
    import torch

    from lmc_core.runs.ask import find_device

    device = find_device()
    cores = f"{os.cpu_count() or 1} CPU cores"
    if device == "cuda":
        gib = torch.cuda.get_device_properties(0).total_memory / 2**30
        name = f"**{torch.cuda.get_device_name(0)}** with {gib:.0f} GiB (CUDA), beside {cores}"
    elif device == "mps":
        name = f"the **graphics processor of this Mac** (MPS), beside {cores}"
    else:
        name = f"**{cores}** ({platform.machine()}); no CUDA or MPS device was found"
    return f"On this machine: {name}. Nothing leaves it: models, data and results stay here."
