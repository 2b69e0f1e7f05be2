"""Where the lecture is: step, question or answer, notes. It lives in the address, with what is set
in the step's picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from lmc_core.lecture.steps import STEPS
from lmc_core.ui import address
from lmc_core.ui.options import Option

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")
KEY = "lecture"
PLACE, NOTES = f"{KEY}_place", f"{KEY}_notes"
LAST = 2 * len(STEPS) - 1


def prepare() -> None:
    """Take over what the address says, once."""
    if PLACE not in st.session_state:
        wanted = st.query_params.get("step", "1")
        step = min(max(int(wanted), 1), len(STEPS)) if wanted.isdecimal() and len(wanted) < 4 else 1
        st.session_state[PLACE] = 2 * (step - 1) + int(st.query_params.get("answer") == "1")
    if NOTES not in st.session_state:
        st.session_state[NOTES] = st.query_params.get("notes") == "1"


def where() -> tuple[int, bool]:
    """Number of the step, from 0, and whether its answer is shown."""
    place = st.session_state[PLACE]
    return place // 2, bool(place % 2)


def turn(direction: str) -> None:
    """Go on or back by one: a question, its answer, the next question."""
    go(st.session_state[PLACE] + (1 if direction == "next" else -1))


def go(place: int) -> None:
    """Go to a place; a new step begins afresh, so what the address says of the old one is
    dropped.
    """
    place = min(max(place, 0), LAST)
    if place // 2 != st.session_state[PLACE] // 2:
        st.query_params.clear()
    st.session_state[PLACE] = place


def remember(values: dict[str, str]) -> None:
    """Write the state into the address."""
    step, answered = where()
    shown = {
        "step": str(step + 1),
        "answer": "1" if answered else None,
        "notes": "1" if st.session_state[NOTES] else None,
    }
    address.write({**shown, **values})


class Controls:
    """The controls of one step; `values` are what the address says of them."""

    def __init__(self, step: str):
        self.page = f"{KEY}_{step}"
        self.values: dict[str, str] = {}

    def toggle(
        self,
        label: str,
        name: str,
        default: bool = False,
        help: str | None = None,
        disabled: bool = False,
    ) -> bool:
        """A switch."""
        key = f"{self.page}_{name}"
        if key not in st.session_state:
            said = {"1": True, "0": False}
            st.session_state[key] = said.get(st.query_params.get(name, ""), default)
        chosen = st.toggle(label, key=key, help=help, disabled=disabled)
        self.values[name] = str(int(chosen))
        return chosen

    def choose(self, option: Option[T], where: DeltaGenerator | None = None) -> T:
        """One of some choices."""
        chosen = option.show(self.page, where)
        self.values[option.name] = str(chosen)
        return chosen

    def slider(
        self,
        label: str,
        name: str,
        options: Sequence[T],
        default: T,
        shown: Callable[[T], str] = str,
    ) -> T:
        """A slider over some choices."""
        return self.choose(Option(name, label, options, default, shown=shown))

    def choice(
        self,
        label: str,
        name: str,
        options: Sequence[T],
        default: T,
        shown: Callable[[T], str] = str,
    ) -> T:
        """Buttons of which one is pressed."""
        return self.choose(Option(name, label, options, default, None, "buttons", shown))

    def pair(self, what: str, count: int, default: tuple[int, int]) -> tuple[int, int]:
        """Two lists side by side, for two of `count` things, which are numbered from 1."""
        numbers = range(1, count + 1)
        a, b = (
            self.choose(
                Option(name, f"{what} {name.upper()}", numbers, first, None, "list"), column
            )
            for column, name, first in zip(st.columns(2), "ab", default, strict=True)
        )
        return a - 1, b - 1
