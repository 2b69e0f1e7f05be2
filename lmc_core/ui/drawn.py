"""What was drawn before: building a figure takes a tenth of a second, and most visits see figures
of results that stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import streamlit as st

from lmc_core.runs.request import hash_json

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
MOST = 64  # figures that are kept


@dataclass(frozen=True)
class WithoutArrays(Generic[T]):
    """A result under the names of its request, as `figures.panel.Stored`, whose picture needs no
    array.

    Attributes:
        request: as JSON values.
        result: the numbers.
    """

    request: Mapping[str, object]
    result: T

    def arrays(self) -> dict[str, np.ndarray]:
        """None."""
        return {}


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
