"""What can be chosen: the models with what is known about them, and the classes that their spaces admit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lmc_core.figures.numbers import number, percent
from lmc_core.models.describe import describe, listing
from lmc_core.models.load import zoo


def models() -> dict[str, dict[str, Any]]:
    """Name -> what is known about each model of the zoo."""
    cards = zoo()
    return {row["name"]: {**row, "digest": str(cards[row["name"]].get("digest"))} for row in listing()}


def model_label(row: Mapping[str, Any]) -> str:
    """Return a model with seed, width and score: "vit-fashion-s0 · seed 0 · width 96 · 90.1%"."""
    test = row["scores"].get("test", {})
    score = percent(test.get("accuracy")) if "perplexity" not in test else f"perplexity {number(test['perplexity'])}"
    return f"{row['name']} \u00b7 seed {row['seed']} \u00b7 width {row['width']} \u00b7 {score}"


@st.cache_data(max_entries=64, show_spinner="Reading the model")
def _spaces(reference: str, digest: str) -> dict[str, dict[str, Any]]:
    return describe(reference)["kinds"]


def spaces(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Kind -> what `describe` says of its spaces: what it is, its classes and why there are no more."""
    return _spaces(row["reference"], row["digest"])
