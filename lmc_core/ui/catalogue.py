"""What can be chosen: the models with what is known about them, and the classes that their spaces
admit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lmc_core.models.describe import describe, listing
from lmc_core.models.load import zoo
from lmc_core.numbers import number, percent


def models() -> dict[str, dict[str, Any]]:
    """Name -> what is known about each model of the zoo, then about each of a person's own."""
    from lmc_core.ui import custom_models

    cards = zoo()
    shipped = {
        row["name"]: {**row, "digest": str(cards[row["name"]].get("digest"))} for row in listing()
    }
    return shipped | {
        name: row for name, row in custom_models.models().items() if name not in shipped
    }


def model_label(row: Mapping[str, Any]) -> str:
    """Return a model with seed, width and score, as far as they are known: "vit-fashion-s0 · seed 0
    · width 96 · 90.1%".
    """
    test = row["scores"].get("test", {})
    parts = [
        str(row["name"]),
        "" if row["seed"] is None else f"seed {row['seed']}",
        f"width {row['width']}",
    ]
    if test:
        parts.append(
            f"perplexity {number(test['perplexity'])}"
            if "perplexity" in test
            else percent(test.get("accuracy"))
        )
    return " \u00b7 ".join(part for part in parts if part)


@st.cache_data(max_entries=64, show_spinner="Reading the model")
def _spaces(reference: str, digest: str) -> dict[str, dict[str, Any]]:
    return describe(reference)["kinds"]


def spaces(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Kind -> what `describe` says of its spaces: what it is, its classes and why there are no
    more.
    """
    return _spaces(row["reference"], row["digest"])
