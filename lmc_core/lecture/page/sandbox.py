"""What the steps of the lecture measure, kept by numbers and words, never by weights."""

from __future__ import annotations

from typing import TypeVar, cast

import streamlit as st

from lmc_core import elsewhere
from lmc_core.lecture.measured import (
    Averages,
    Heads,
    Positions,
    Routed,
    Stretched,
    Tilted,
    Turned,
    Units,
    Wander,
)

T = TypeVar("T")
FIRST = "Waking a small network, once"


@st.cache_resource(show_spinner=FIRST)
def _wake(network: str, *args: object) -> None:
    """Have a network read."""
    elsewhere.call("lmc_core.lecture.live:wake", network, *args)


def _ask(kind: type[T], name: str, *args: object) -> T:
    """What a function of `lecture.live` answers."""
    return cast(T, elsewhere.call(f"lmc_core.lecture.live:{name}", *args))


@st.cache_data(show_spinner=False)
def labels() -> list[str]:
    """Names of the classes of clothing."""
    return _ask(list[str], "labels")


@st.cache_data(show_spinner=False)
def text() -> str:
    """The window of text that the mixture reads."""
    _wake("mixture")
    return _ask(str, "text")


@st.cache_data(show_spinner=False)
def strongest() -> list[int]:
    """The units that say and hear most, in their own order."""
    _wake("images", False)
    return _ask(list[int], "strongest")


@st.cache_data(show_spinner=False, max_entries=512)
def units(i: int, j: int, rows: bool, columns: bool) -> Units:
    """Units i and j exchanged, wholly or by half."""
    _wake("images", False)
    return _ask(Units, "units", i, j, rows, columns)


@st.cache_data(show_spinner=False, max_entries=64)
def draw(number: int) -> Wander:
    """The permutations of one draw."""
    _wake("images", False)
    return _ask(Wander, "draw", number)


@st.cache_data(show_spinner=False)
def orders() -> float:
    """Decimal logarithm of the number of permutations."""
    _wake("images", False)
    return _ask(float, "orders")


@st.cache_data(show_spinner=False, max_entries=64)
def turned(degrees: float) -> Turned:
    """The stream turned by an angle."""
    _wake("images", True)
    return _ask(Turned, "turned", degrees)


@st.cache_data(show_spinner=False, max_entries=64)
def heads(i: int, j: int, outputs: bool) -> Heads:
    """Heads i and j exchanged."""
    _wake("images", False)
    return _ask(Heads, "heads", i, j, outputs)


@st.cache_data(show_spinner=False, max_entries=64)
def stretched(strength: float, follow: bool) -> Stretched:
    """The queries of a head stretched."""
    _wake("images", True)
    return _ask(Stretched, "stretched", strength, follow)


@st.cache_data(show_spinner="Turning the stream by ten angles, once")
def tilted() -> Tilted:
    """The stream turned within, and out of, what LayerNorm keeps."""
    _wake("images", True)
    return _ask(Tilted, "tilted")


@st.cache_data(show_spinner="Running eleven networks on the line, once")
def line() -> Averages:
    """The networks on the line between two."""
    return _ask(Averages, "line")


@st.cache_data(show_spinner="Training a small network, once")
def positions(form: str) -> Positions:
    """A network on the way to its projection."""
    return _ask(Positions, "positions", form)


@st.cache_data(show_spinner=False, max_entries=64)
def routed(i: int, j: int, follow: bool) -> Routed:
    """Experts i and j exchanged."""
    _wake("mixture")
    return _ask(Routed, "routed", i, j, follow)
