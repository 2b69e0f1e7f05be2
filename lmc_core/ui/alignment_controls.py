"""The controls of the page Alignment: on what the streams are compared, and which space is shown in
detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from lmc_core.figures.alignment import copy_title, layer_title, space_title
from lmc_core.ui.controls import make_examples, make_split
from lmc_core.ui.options import Option, capital

if TYPE_CHECKING:
    from lmc_core.runs.requests.alignment import AlignmentNumbers, SpaceNumbers

EXAMPLES = make_examples(
    (64, 256, 1000),
    "256",
    "For the similarity of the streams alone, which looks at 1,024 tokens spread over them.",
)
SPLIT = make_split(("test", "validation", "train"), "Which part of the data they are from.")
FEW = 16  # coordinates up to which the assignment is drawn in without being asked
WAYS = {"matched": "As matched", "own": "B's own order"}
VIEWS = {
    drawn_in: Option(
        "view",
        "B is drawn",
        list(WAYS),
        "own" if drawn_in else "matched",
        "As the alignment numbers it, matched pairs on the diagonal; or as its file does, matched "
        "pairs marked.",
        "buttons",
        WAYS.__getitem__,
        suffix="_few" if drawn_in else "_many",
    )
    for drawn_in in (False, True)
}
"""By whether the assignment is drawn in without being asked."""


@dataclass(frozen=True)
class Detail:
    """What is shown in detail.

    Attributes:
        entry: of the space, one of the result's `spaces`.
        copy: which copy of it.
        own: whether the second matrix has B in its own order, the assignment drawn in.
    """

    entry: SpaceNumbers
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
            "space": space_title(self.entry),
            "layer": self.entry["name"],
            "copy": str(self.copy) if self.entry["copies"] > 1 else None,
            "view": None if self.own == self.drawn_in else "own" if self.own else "matched",
        }


def group_spaces(result: AlignmentNumbers) -> dict[str, list[SpaceNumbers]]:
    """The spaces of a result by what they are called, in the order of the network."""
    found: dict[str, list[SpaceNumbers]] = {}
    for entry in result["spaces"]:
        found.setdefault(space_title(entry), []).append(entry)
    return found


def choose_detail(result: AlignmentNumbers, key: str) -> Detail:
    """Which space, which layer, which copy, and in which order B is drawn."""
    groups = group_spaces(result)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        space = Option(
            "space", "Space", list(groups), next(iter(groups)), shape="list", shown=capital
        )
        entries = {entry["name"]: entry for entry in groups[space.show(key, width=190)]}
        chosen = next(iter(entries))
        if len(entries) > 1:
            chosen = Option(
                "layer",
                "Layer",
                list(entries),
                chosen,
                shape="list",
                shown=lambda each: layer_title(entries[each]["layers"][0]),
            ).show(key, width=150)
        entry, copy = entries[chosen], 0
        if entry["copies"] > 1:
            copy = Option(
                "copy",
                "Within",
                list(range(entry["copies"])),
                0,
                shape="list",
                shown=lambda each: capital(copy_title(entry, each)),
            ).show(key, width=150)
        usual = Detail(entry, copy, False)
        own = False
        if usual.reordered:
            own = VIEWS[usual.drawn_in].show(key, width="content") == "own"
    return Detail(entry, copy, own)


def selected_space(result: AlignmentNumbers, key: str) -> str:
    """Name of the space that is shown in detail, before the widgets that choose it have run."""
    groups = group_spaces(result)
    group = st.session_state.get(f"{key}_space", st.query_params.get("space"))
    entries = groups.get(str(group)) or next(iter(groups.values()))
    layer = st.session_state.get(f"{key}_layer", st.query_params.get("layer"))
    return next((entry["name"] for entry in entries if entry["name"] == layer), entries[0]["name"])


def follow_click(event: Mapping[str, Any], result: AlignmentNumbers, key: str) -> None:
    """Show the space whose point in the overview was clicked; in a callback, before the page's
    widgets exist.
    """
    points = (event.get("selection") or {}).get("points") or []
    for point in points[:1]:
        name = (point.get("customdata") or [None])[0]
        entry = next((each for each in result["spaces"] if each["name"] == name), None)
        if entry is not None:
            st.session_state[f"{key}_space"] = space_title(entry)
            st.session_state[f"{key}_layer"] = name


def without_spaces(result: AlignmentNumbers, detail: Detail) -> AlignmentNumbers:
    """A result with the one space that is shown, for a file about it."""
    return {**result, "spaces": [detail.entry]}
