"""How the pages about two models begin: title, models, symmetries, and what of these belongs into
the address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lmc_core.errors import LmcError
from lmc_core.ui import catalogue, messages
from lmc_core.ui.controls import choose_classes
from lmc_core.ui.setting import Setting

Row = Mapping[str, Any]


def begin(title: str) -> dict[str, dict[str, Any]]:
    """Show the title of a page and return the models that it can be about; stop where there are no
    two.
    """
    known = catalogue.models()
    st.title(title, anchor=False)
    if len(known) < 2:
        st.info(
            "This installation ships no models; `lmc train --list` names the recipes that make "
            "them."
        )
        st.stop()
    return known


def choose_setting(pair: Sequence[Row], key: str) -> tuple[Setting, dict[str, dict[str, Any]]]:
    """Let a person choose symmetries and method; stop with the reason where models admit none.

    Args:
        pair: of models, rows of the catalogue.
        key: prefix of the widgets' keys.

    Returns:
        The setting, and what is known of every kind of space.
    """
    try:
        return choose_classes(pair, key)
    except LmcError as error:
        messages.refuse(error)
        st.stop()


def state_of(pair: Sequence[Row], setting: Setting | None) -> dict[str, str | list[str] | None]:
    """Return what an address says of the models and of the setting, None where nothing is
    aligned.
    """
    found: dict[str, str | list[str] | None] = {"a": pair[0]["name"], "b": pair[1]["name"]}
    if setting is None:
        return found
    steps = {"steps": str(setting.steps)} if setting.steps else {}
    return {**found, "method": setting.method, **steps, **dict(setting.classes)}
