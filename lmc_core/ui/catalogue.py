"""What can be chosen: the models with what is known about them, and the classes that their spaces
admit; and the tables of the page Models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pandas as pd
import streamlit as st

from lmc_core.models.catalogue import public_rows
from lmc_core.models.families import FAMILIES
from lmc_core.models.listing import KindRow, Row, listing
from lmc_core.models.zoo import zoo
from lmc_core.numbers import number, percent, size
from lmc_core.runs.remembered import read_kinds
from lmc_core.ui import custom_models

FORMATS = {
    True: "pickle: needs `--allow-pickle`",
    False: "safetensors",
    None: "may need `--allow-pickle`",
}

Known = Mapping[str, Row]
Pair = tuple[Row, Row]
Spaces = Mapping[str, KindRow]


def models() -> dict[str, Row]:
    """Name -> what is known about each model of the zoo, then about each of a person's own."""
    cards = zoo()
    found: dict[str, Row] = {}
    for row in listing():
        digest = str(cards[row["name"]].get("digest"))
        found[row["name"]] = cast("Row", {**row, "digest": digest})
    others = custom_models.models().items()
    return found | {name: row for name, row in others if name not in found}


def spaces(row: Row) -> Spaces:
    """Kind -> what `describe` says of its spaces: what it is, its classes and why there are no
    more.
    """
    return read_kinds(row["reference"])


def find_largest(row: Row) -> dict[str, str]:
    """Kind of space -> the largest class that a model admits."""
    return {kind: space["largest"] for kind, space in spaces(row).items()}


def zoo_table() -> pd.DataFrame:
    """The shipped models, and a person's own."""
    rows = []
    for row in models().values():
        test = row["scores"].get("test", {})
        score = (
            percent(test.get("accuracy")) + " right"
            if "perplexity" not in test
            else f"perplexity {number(test['perplexity'])}"
        )
        rows.append(
            {
                "Name": custom_models.title(row["name"]),
                "Family": row["family"],
                "Task": row["task"],
                "Seed": str(row["seed"]),
                "Width": str(row["width"]),
                "Parameters": f"{row['parameters']:,}",
                "On the test split": score,
            }
        )
    return pd.DataFrame(rows).set_index("Name") if rows else pd.DataFrame()


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
