"""What the steps of the lecture measure, kept by numbers and words, never by weights."""

from __future__ import annotations

import streamlit as st

from lmc_core.lecture import positions as lecture_positions
from lmc_core.lecture import random_walk
from lmc_core.lecture.averages import Averages, averages
from lmc_core.lecture.exchange import Heads, Units, exchange_heads, exchange_units
from lmc_core.lecture.experts import Routed, exchange_experts
from lmc_core.lecture.plane import Stretched, stretch_plane
from lmc_core.lecture.positions import Positions
from lmc_core.lecture.random_walk import Wander
from lmc_core.lecture.rotation import Tilted, Turned, tilt_stream, turn_stream
from lmc_core.lecture.sandbox import Live
from lmc_core.models.load import load
from lmc_core.tasks import get_task

IMAGES, MIXTURE = "zoo:vit-fashion-narrow-s0", "zoo:mixtral-plays-s0"
PAIR = ("zoo:vit-fashion-s0", "zoo:vit-fashion-s1")
FEW, MORE, WINDOW = 8, 100, 64  # images of a function check, images of an accuracy, characters
BLOCK, MIXED = 3, 1  # of the Vision Transformer, of the mixture
SHOWN = 12  # units that are drawn
DRAW = 10  # permutations drawn at once
ANGLES = [float(angle) for angle in range(0, 91, 10)]
FIRST = "Waking a small network, once"


@st.cache_resource(show_spinner=FIRST)
def images(canonical: bool) -> Live:
    """The narrow Vision Transformer, as it was trained or in canonical form."""
    make = Live.canonical if canonical else Live.of
    return make(load(IMAGES), get_task("fashion-mnist").examples("test", FEW))


@st.cache_resource(show_spinner=FIRST)
def mixture() -> Live:
    """The mixture of experts, on one window of text."""
    return Live.of(load(MIXTURE), get_task("plays").examples("test", 2, length=WINDOW).first(1))


@st.cache_data(show_spinner=False)
def labels() -> list[str]:
    """Names of the classes of clothing."""
    return [name.split("/")[0].strip() for name in get_task("fashion-mnist").labels]


@st.cache_data(show_spinner=False)
def text() -> str:
    """The window of text that the mixture reads."""
    alphabet = get_task("plays").alphabet
    assert alphabet is not None
    return "".join(alphabet()[int(token)] for token in mixture().examples.inputs[0])


@st.cache_data(show_spinner=False)
def strongest() -> list[int]:
    """The units that say and hear most, in their own order."""
    live = images(False)
    heard, said = (live.block(f"blocks.{BLOCK}.{part}.weight") for part in ("up", "down"))
    return (heard.norm(dim=1) * said.norm(dim=0)).topk(SHOWN).indices.sort().values.tolist()


@st.cache_data(show_spinner=False, max_entries=512)
def units(i: int, j: int, rows: bool, columns: bool) -> Units:
    """Units i and j exchanged, wholly or by half."""
    return exchange_units(images(False), BLOCK, i, j, rows, columns)


@st.cache_data(show_spinner=False, max_entries=64)
def draw(number: int) -> Wander:
    """The permutations of one draw."""
    return random_walk.wander(images(False), DRAW, number)


@st.cache_data(show_spinner=False)
def orders() -> float:
    """Decimal logarithm of the number of permutations."""
    return random_walk.orders(images(False))


@st.cache_data(show_spinner=False, max_entries=64)
def turned(degrees: float) -> Turned:
    """The stream turned by an angle."""
    return turn_stream(images(True), degrees)


@st.cache_data(show_spinner=False, max_entries=64)
def heads(i: int, j: int, outputs: bool) -> Heads:
    """Heads i and j exchanged."""
    return exchange_heads(images(False), BLOCK, i, j, outputs)


@st.cache_data(show_spinner=False, max_entries=64)
def stretched(strength: float, follow: bool) -> Stretched:
    """The queries of a head stretched."""
    return stretch_plane(images(True), BLOCK, 0, strength, follow)


@st.cache_data(show_spinner="Turning the stream by ten angles, once")
def tilted() -> Tilted:
    """The stream turned within, and out of, what LayerNorm keeps."""
    return tilt_stream(images(True), ANGLES)


@st.cache_data(show_spinner="Running eleven networks on the line, once")
def line() -> Averages:
    """The networks on the line between two."""
    return averages(load(PAIR[0]), load(PAIR[1]), get_task("fashion-mnist").examples("test", MORE))


@st.cache_data(show_spinner="Training a small network, once")
def positions(form: str) -> Positions:
    """A network on the way to its projection."""
    return lecture_positions.positions(form)


@st.cache_data(show_spinner=False, max_entries=64)
def routed(i: int, j: int, follow: bool) -> Routed:
    """Experts i and j exchanged."""
    return exchange_experts(mixture(), MIXED, i, j, follow)
