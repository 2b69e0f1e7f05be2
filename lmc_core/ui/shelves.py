"""The tables of the page Models, as data frames of text."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from lmc_core.models.catalogue import public_rows as all_public_rows
from lmc_core.numbers import number, percent, size
from lmc_core.ui import catalogue

FORMATS = {
    True: "pickle: needs `--allow-pickle`",
    False: "safetensors",
    None: "may need `--allow-pickle`",
}


def zoo_table() -> pd.DataFrame:
    """The shipped models."""
    rows = []
    for row in catalogue.models().values():
        test = row["scores"].get("test", {})
        score = (
            percent(test.get("accuracy")) + " right"
            if "perplexity" not in test
            else f"perplexity {number(test['perplexity'])}"
        )
        rows.append(
            {
                "Name": row["name"],
                "Family": row["family"],
                "Task": row["task"],
                "Seed": str(row["seed"]),
                "Width": str(row["width"]),
                "Parameters": f"{row['parameters']:,}",
                "On the test split": score,
            }
        )
    return pd.DataFrame(rows).set_index("Name") if rows else pd.DataFrame()


def public_rows() -> list[dict[str, Any]]:
    """The catalogue of public families."""
    return all_public_rows()


@st.cache_data(max_entries=1, show_spinner="Reading the catalogue")
def public_table() -> pd.DataFrame:
    """Public families with their size and what is needed to run them."""
    rows = [
        {
            "Name": row["name"],
            "Models": str(row["models"]),
            "Family": row["family"] or "not supported",
            "Parameters of each": f"{row['parameters']:,}",
            "Download of each": size(row["bytes"]),
            "Memory for a pair": size(row["memory"]),
            "Files": FORMATS[row["pickle"]],
        }
        for row in public_rows()
    ]
    return pd.DataFrame(rows).set_index("Name")


@st.cache_data(max_entries=1, show_spinner="Reading the families")
def families_table() -> pd.DataFrame:
    """The families that have a layout."""
    from lmc_core.models.families import FAMILIES

    rows = [
        {
            "Family": family.name,
            "What it is": family.sentence,
            "Classes": ", ".join(family.classes) or "of timm",
            "Paper": family.reference,
        }
        for family in FAMILIES.values()
    ]
    return pd.DataFrame(rows).set_index("Family")
