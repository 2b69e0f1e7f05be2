"""Controls of the slides as data: what can be set, what it is called, and what it is at first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal["switch", "slider", "choice", "list"]
Setting = Mapping[str, str]  # value of each control by its name


@dataclass(frozen=True)
class Control:
    """One control of a slide.

    Attributes:
        name: in the address.
        label: for people.
        kind: how it looks.
        values: what it can be, as written in the address.
        labels: of the values.
        start: the value at first.
        help: one sentence, or nothing.
        needs: name of a switch without which it cannot be used, or nothing.
    """

    name: str
    label: str
    kind: Kind
    values: tuple[str, ...]
    labels: tuple[str, ...]
    start: str
    help: str = ""
    needs: str = ""


def switch(name: str, label: str, start: bool = False, help: str = "", needs: str = "") -> Control:
    """On or off, 1 or 0 in the address."""
    return Control(name, label, "switch", ("0", "1"), ("off", "on"), str(int(start)), help, needs)


def slider(
    name: str,
    label: str,
    values: Sequence[float],
    start: float,
    shown: Callable[[float], str] = "{:g}".format,
    help: str = "",
) -> Control:
    """One of some numbers in order."""
    words = tuple(str(value) for value in values)
    return Control(name, label, "slider", words, tuple(map(shown, values)), str(start), help)


def choice(name: str, label: str, choices: Mapping[str, str], help: str = "") -> Control:
    """One of a few named values; the first at first."""
    values = tuple(choices)
    return Control(name, label, "choice", values, tuple(choices.values()), values[0], help)


def pair(what: str, count: int, start: tuple[int, int]) -> tuple[Control, Control]:
    """Two of `count` things, which are numbered from 1."""
    numbers = tuple(str(k + 1) for k in range(count))
    first, second = (
        Control(name, f"{what} {name.upper()}", "list", numbers, numbers, str(k))
        for name, k in zip("ab", start, strict=True)
    )
    return first, second


def settings(controls: Sequence[Control]) -> Iterator[dict[str, str]]:
    """Yield every combination of the values of some controls."""
    names = [control.name for control in controls]
    for values in product(*(control.values for control in controls)):
        yield dict(zip(names, values, strict=True))
