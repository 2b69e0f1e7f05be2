"""What the steps of the lecture show of small shipped networks, which are read once.

The page asks for it by name (`lecture.page.sandbox`), so that its process needs no torch.
"""

from __future__ import annotations

from functools import lru_cache

from lmc_core.lecture import positions as lecture_positions
from lmc_core.lecture import random_walk
from lmc_core.lecture.averages import averages
from lmc_core.lecture.exchange import exchange_heads, exchange_units
from lmc_core.lecture.experts import exchange_experts
from lmc_core.lecture.measured import (
    ANGLES,
    DRAW,
    SHOWN,
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
from lmc_core.lecture.plane import stretch_plane
from lmc_core.lecture.rotation import tilt_stream, turn_stream
from lmc_core.lecture.sandbox import Live
from lmc_core.models.load import load
from lmc_core.tasks import get_task

IMAGES, MIXTURE = "zoo:vit-fashion-narrow-s0", "zoo:mixtral-plays-s0"
PAIR = ("zoo:vit-fashion-s0", "zoo:vit-fashion-s1")
FEW, MORE, WINDOW = 8, 100, 64  # images of a function check, images of an accuracy, characters
BLOCK, MIXED = 3, 1  # of the Vision Transformer, of the mixture


@lru_cache
def images(canonical: bool) -> Live:
    """The narrow Vision Transformer, as it was trained or in canonical form."""
    make = Live.canonical if canonical else Live.of
    return make(load(IMAGES), get_task("fashion-mnist").examples("test", FEW))


@lru_cache
def mixture() -> Live:
    """The mixture of experts, on one window of text."""
    return Live.of(load(MIXTURE), get_task("plays").examples("test", 2, length=WINDOW).first(1))


def wake(network: str, *args: object) -> None:
    """Read a network, by the name of the function that holds it."""
    {"images": images, "mixture": mixture}[network](*args)


def labels() -> list[str]:
    """Names of the classes of clothing."""
    return [name.split("/")[0].strip() for name in get_task("fashion-mnist").labels]


def text() -> str:
    """The window of text that the mixture reads."""
    alphabet = get_task("plays").alphabet
    assert alphabet is not None
    return "".join(alphabet()[int(token)] for token in mixture().examples.inputs[0])


def strongest() -> list[int]:
    """The units that say and hear most, in their own order."""
    live = images(False)
    heard, said = (live.block(f"blocks.{BLOCK}.{part}.weight") for part in ("up", "down"))
    return (heard.norm(dim=1) * said.norm(dim=0)).topk(SHOWN).indices.sort().values.tolist()


def units(i: int, j: int, rows: bool, columns: bool) -> Units:
    """Units i and j exchanged, wholly or by half."""
    return exchange_units(images(False), BLOCK, i, j, rows, columns)


def draw(number: int) -> Wander:
    """The permutations of one draw."""
    return random_walk.wander(images(False), DRAW, number)


def orders() -> float:
    """Decimal logarithm of the number of permutations."""
    return random_walk.orders(images(False))


def turned(degrees: float) -> Turned:
    """The stream turned by an angle."""
    return turn_stream(images(True), degrees)


def heads(i: int, j: int, outputs: bool) -> Heads:
    """Heads i and j exchanged."""
    return exchange_heads(images(False), BLOCK, i, j, outputs)


def stretched(strength: float, follow: bool) -> Stretched:
    """The queries of a head stretched."""
    return stretch_plane(images(True), BLOCK, 0, strength, follow)


def tilted() -> Tilted:
    """The stream turned within, and out of, what LayerNorm keeps."""
    return tilt_stream(images(True), ANGLES)


def line() -> Averages:
    """The networks on the line between two."""
    return averages(load(PAIR[0]), load(PAIR[1]), get_task("fashion-mnist").examples("test", MORE))


def positions(form: str) -> Positions:
    """A network on the way to its projection."""
    return lecture_positions.positions(form)


def routed(i: int, j: int, follow: bool) -> Routed:
    """Experts i and j exchanged."""
    return exchange_experts(mixture(), MIXED, i, j, follow)
