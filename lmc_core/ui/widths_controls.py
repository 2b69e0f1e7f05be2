"""The controls of the page Widths: a narrow and a wide model that go together, ways to match, and
all pairs of widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import streamlit as st

from lmc_core.ui import address, catalogue
from lmc_core.ui.controls import STEPS
from lmc_core.ui.setting import PLAIN, Setting, all_classes

Row = Mapping[str, Any]

# sizes that may differ; all others have to be equal
GROWS = ("width", "heads", "key heads", "units")
WAYS = {"weight": "By weights", "learned": "Learned"}
FIRST = "vit-fashion-narrow-s0", "vit-fashion-s0"
EXAMPLES, POINTS = "500", 11  # what is chosen at first: a pair takes half a minute


def fits(narrow: Row, wide: Row) -> bool:
    """Whether one model can lie in another by their sizes: equal but for widths, and wider
    somewhere, narrower nowhere.
    """
    if narrow["family"] != wide["family"] or narrow["sizes"].keys() != wide["sizes"].keys():
        return False
    one, two = narrow["sizes"], wide["sizes"]
    equal = all(one[key] == two[key] for key in one if key not in GROWS)
    grown = [two[key] - one[key] for key in GROWS if key in one]
    return equal and min(grown) >= 0 and max(grown) > 0


def narrow_models(known: Mapping[str, dict[str, Any]]) -> list[str]:
    """Names of the models that fit into another."""
    return [
        name for name, row in known.items() if any(fits(row, other) for other in known.values())
    ]


def choose_widths(
    known: Mapping[str, dict[str, Any]], key: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two select boxes, the second with the models that the first fits into."""
    names = narrow_models(known)
    st.subheader("Models", anchor=False)

    def label(name: str) -> str:
        return catalogue.model_label(known[name])

    address.prepare(f"{key}_a", "a", names, FIRST[0] if FIRST[0] in names else names[0])
    a = st.selectbox(
        "Narrow model, at \u03bb = 0",
        names,
        key=f"{key}_a",
        format_func=label,
        help="It is widened to the sizes of the other, and still computes what it did.",
    )
    wide = [name for name in known if fits(known[a], known[name])]
    address.prepare(f"{key}_b", "b", wide, FIRST[1] if FIRST[1] in wide else wide[0])
    b = st.selectbox(
        "Wide model, at \u03bb = 1",
        wide,
        key=f"{key}_b",
        format_func=label,
        help="Models that hold the narrow one.",
    )
    return known[a], known[b]


def choose_ways(pair: Sequence[Row], key: str) -> list[Setting]:
    """Which ways to match are shown beside zeros appended; returns their settings, zeros first."""
    largest = {kind: space["largest"] for kind, space in catalogue.spaces(pair[1]).items()}
    st.subheader("Ways to match", anchor=False)
    name = f"{key}_ways"
    if name not in st.session_state:
        asked = st.query_params.get_all("ways")
        st.session_state[name] = [way for way in WAYS if way in asked] if asked else list(WAYS)
    ways = st.pills(
        "Beside zeros appended",
        list(WAYS),
        selection_mode="multi",
        key=name,
        format_func=WAYS.__getitem__,
        help="By weights: matching chooses which unit is copied where, and how the narrow stream "
        "lies in the wide one. "
        "Learned goes on from there by the gradient of the loss half way. Every class that the "
        "family admits is used.",
    )
    address.prepare(f"{key}_steps", "steps", list(STEPS), STEPS[1])
    if "learned" in ways:
        st.select_slider(
            "Steps", list(STEPS), key=f"{key}_steps", help="Of the gradient, on training examples."
        )
    weight = all_classes(largest)
    chosen = {
        "weight": weight,
        "learned": Setting("learned", weight.classes, int(st.session_state[f"{key}_steps"])),
    }
    return [PLAIN, *(chosen[way] for way in WAYS if way in ways)]


def all_pairs(
    known: Mapping[str, dict[str, Any]], pair: Sequence[Row]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of every two widths of the family and task, those of equal width first; the chosen
    models stand for theirs.
    """
    narrow, wide = pair
    kin = [
        row
        for row in known.values()
        if row["task"] == narrow["task"]
        and (row["sizes"] == narrow["sizes"] or fits(narrow, row) or fits(row, wide))
    ]
    chosen = {row["width"]: row for row in reversed(kin)} | {row["width"]: row for row in pair}
    equal = []
    for row in (chosen[width] for width in sorted(chosen)):
        partner = next(
            (
                other
                for other in kin
                if other["sizes"] == row["sizes"] and other["name"] != row["name"]
            ),
            None,
        )
        if partner is not None:
            equal.append((dict(row), dict(partner)))
    unequal = [
        (dict(chosen[one]), dict(chosen[two])) for one, two in combinations(sorted(chosen), 2)
    ]
    return [*equal, *(each for each in unequal if fits(*each))]
