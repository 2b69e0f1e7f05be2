"""Where the lecture is: step, question or answer, notes. It lives in the address, with what is set
in the step's picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from lmc_core.lecture.steps import STEPS
from lmc_core.ui import address

T = TypeVar("T")
Shown = Callable[[Any], str]  # how an option is written
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
        self.step = step
        self.values: dict[str, str] = {}

    def _key(self, name: str) -> str:
        return f"{KEY}_{self.step}_{name}"

    def toggle(self, label: str, name: str, default: bool = False, **more: Any) -> bool:
        """A switch."""
        key = self._key(name)
        if key not in st.session_state:
            st.session_state[key] = {"1": True, "0": False}.get(
                st.query_params.get(name, ""), default
            )
        chosen = st.toggle(label, key=key, **more)
        self.values[name] = str(int(chosen))
        return chosen

    def slider(
        self, label: str, name: str, options: Sequence[T], default: T, shown: Shown = str
    ) -> T:
        """A slider over some options."""
        address.prepare(self._key(name), name, options, default)
        chosen = st.select_slider(label, options, key=self._key(name), format_func=shown)
        self.values[name] = str(chosen)
        return chosen

    def choice(
        self,
        label: str,
        name: str,
        options: Sequence[T],
        default: T,
        shown: Shown = str,
        **more: Any,
    ) -> T:
        """Buttons of which one is pressed."""
        address.prepare(self._key(name), name, options, default)
        chosen = st.segmented_control(
            label,
            options,
            key=self._key(name),
            format_func=shown,
            required=True,
            width="stretch",
            **more,
        )
        self.values[name] = str(chosen)
        return chosen  # type: ignore[return-value]  (one of the options)

    def pair(self, what: str, count: int, default: tuple[int, int]) -> tuple[int, int]:
        """Two select boxes side by side, for two of `count` things, which are numbered from 1."""
        numbers = list(range(1, count + 1))
        found = []
        for column, name, first in zip(st.columns(2), "ab", default, strict=True):
            address.prepare(self._key(name), name, numbers, first)
            found.append(
                column.selectbox(f"{what} {name.upper()}", numbers, key=self._key(name)) - 1
            )
            self.values[name] = str(found[-1] + 1)
        return found[0], found[1]
