"""The controls of the page Alignment: on what the streams are compared, and which space is shown in
detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lmc_core.figures.alignment import Entry, copy_title, group_of, layer_title
from lmc_core.figures.text import Result
from lmc_core.runs.kinds.alignment import AlignmentRequest
from lmc_core.runs.kinds.barrier import BarrierRequest
from lmc_core.ui import address

EXAMPLES = (64, 256, 1000)
SPLITS = ("test", "validation", "train")
FEW = 16  # coordinates up to which the assignment is drawn in without being asked
VIEWS = {"matched": "As matched", "own": "B's own order"}


@dataclass(frozen=True)
class Detail:
    """What is shown in detail.

    Attributes:
        entry: of the space, one of the result's `spaces`.
        copy: which copy of it.
        own: whether the second matrix has B in its own order, the assignment drawn in.
    """

    entry: Entry
    copy: int
    own: bool

    @property
    def reordered(self) -> bool:
        """Whether the copy was permuted, so that there is an assignment to draw."""
        return (
            self.entry["moved"] is not None
            and self.entry["edge"] == 1
            and bool(self.entry["moved"][self.copy])
        )

    @property
    def drawn_in(self) -> bool:
        """Whether the assignment is drawn in without being asked."""
        return self.reordered and self.entry["size"] <= FEW

    @property
    def state(self) -> dict[str, str | None]:
        """How it is written in the address."""
        return {
            "space": group_of(self.entry),
            "layer": self.entry["name"],
            "copy": str(self.copy) if self.entry["copies"] > 1 else None,
            "view": None if self.own == self.drawn_in else "own" if self.own else "matched",
        }


def alignment_of(request: BarrierRequest) -> AlignmentRequest:
    """The request for what the alignment of a barrier's request found."""
    return AlignmentRequest.of(request)


def choose_data(key: str) -> tuple[str, int]:
    """On which examples the streams are compared; returns split and their number."""
    address.prepare(f"{key}_examples", "examples", list(EXAMPLES), 256)
    address.prepare(f"{key}_split", "split", list(SPLITS), "test")
    examples = st.select_slider(
        "Examples",
        list(EXAMPLES),
        key=f"{key}_examples",
        help="For the similarity of the streams alone, which looks at 1,024 tokens spread over "
        "them.",
    )
    split = st.segmented_control(
        "Split",
        list(SPLITS),
        key=f"{key}_split",
        required=True,
        width="stretch",
        help="Which part of the data they are from.",
    )
    return str(split), int(examples)


def groups_of(result: Result) -> dict[str, list[Entry]]:
    """The spaces of a result by what they are called, in the order of the network."""
    found: dict[str, list[Entry]] = {}
    for entry in result["spaces"]:
        found.setdefault(group_of(entry), []).append(entry)
    return found


def choose_detail(result: Result, key: str) -> Detail:
    """Which space, which layer, which copy, and in which order B is drawn."""
    groups = groups_of(result)
    name, layer_key, copy_key, view_key = (
        f"{key}_{part}" for part in ("space", "layer", "copy", "view")
    )
    address.prepare(name, "space", list(groups), next(iter(groups)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        group = st.selectbox("Space", list(groups), key=name, format_func=_capital, width=190)
        entries = {entry["name"]: entry for entry in groups[group]}
        chosen = next(iter(entries))
        if len(entries) > 1:
            address.prepare(layer_key, "layer", list(entries), chosen)
            chosen = st.selectbox(
                "Layer",
                list(entries),
                key=layer_key,
                format_func=lambda each: layer_title(entries[each]["layers"][0]),
                width=150,
            )
        entry, copy = entries[chosen], 0
        if entry["copies"] > 1:
            copies = list(range(entry["copies"]))
            address.prepare(copy_key, "copy", copies, 0)
            copy = st.selectbox(
                "Within",
                copies,
                key=copy_key,
                format_func=lambda each: _capital(copy_title(entry, each)),
                width=150,
            )
        usual = Detail(entry, int(copy), False)
        own = False
        if usual.reordered:
            view_key = f"{view_key}_{'few' if usual.drawn_in else 'many'}"
            address.prepare(view_key, "view", list(VIEWS), "own" if usual.drawn_in else "matched")
            view = st.segmented_control(
                "B is drawn",
                list(VIEWS),
                key=view_key,
                format_func=VIEWS.__getitem__,
                required=True,
                help="As the alignment numbers it, matched pairs on the diagonal; or as its file "
                "does, matched pairs marked.",
            )
            own = view == "own"
    return Detail(entry, int(copy), own)


def selected_space(result: Result, key: str) -> str:
    """Name of the space that is shown in detail, before the widgets that choose it have run."""
    groups = groups_of(result)
    group = st.session_state.get(f"{key}_space", st.query_params.get("space"))
    entries = groups.get(str(group)) or next(iter(groups.values()))
    layer = st.session_state.get(f"{key}_layer", st.query_params.get("layer"))
    return next((entry["name"] for entry in entries if entry["name"] == layer), entries[0]["name"])


def follow_click(event: Mapping[str, Any], result: Result, key: str) -> None:
    """Show the space whose point in the overview was clicked; in a callback, before the page's
    widgets exist.
    """
    points = (event.get("selection") or {}).get("points") or []
    for point in points[:1]:
        name = (point.get("customdata") or [None])[0]
        entry = next((each for each in result["spaces"] if each["name"] == name), None)
        if entry is not None:
            st.session_state[f"{key}_space"] = group_of(entry)
            st.session_state[f"{key}_layer"] = name


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def without_spaces(result: Result, detail: Detail) -> dict[str, Any]:
    """A result with the one space that is shown, for a file about it."""
    return {**result, "spaces": [detail.entry]}
