"""What was drawn before: building a figure takes a tenth of a second, and most visits see figures
of results that stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import streamlit as st

from lmc_core.runs.request import hash_json

T = TypeVar("T")
MOST = 64  # figures that are kept


def draw_once(draw: Callable[[], T], *about: object) -> T:
    """What a function draws, or drew earlier of the same; nobody may write into it.

    Args:
        draw: takes nothing.
        about: everything that the picture depends on, as JSON values.
    """
    return cast(T, _draw(hash_json(about), draw))


@st.cache_resource(max_entries=MOST, show_spinner=False)
def _draw(digest: str, _make: Callable[[], object]) -> object:
    return _make()
