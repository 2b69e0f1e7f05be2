"""Settings of a method: a frozen dataclass with a default for everything, whose fields say what
they may be, and values for some of them as a person gives them.

Each class checks itself when it is made, so that what makes no sense is refused before anything is
read.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_settings

S = TypeVar("S")


def choice(default: str, choices: Iterable[str], noun: str) -> Any:
    """A field of a settings class that is one of several words; `require_settings` checks it.

    Args:
        default: one of them.
        choices: all of them, in the order in which they are offered.
        noun: what such a word names, for the message about another ("criterion of a soup").
    """
    return field(default=default, metadata={"choices": tuple(choices), "noun": noun})


def find_choices(kind: type, name: str) -> tuple[str, ...]:
    """What a setting may be, for one that is one of several words; () for others."""
    return next(each for each in fields(kind) if each.name == name).metadata.get("choices", ())


def configure(noun: str, kind: type[S], values: Mapping[str, object] | None) -> S:
    """The settings of that class with some values changed.

    Args:
        noun: whose settings they are, such as "method weight".
        kind: a frozen dataclass with a default for everything.
        values: by name.

    Raises:
        UnknownName: for a name that they do not have.
        BadInput: for a value that makes no sense.
    """
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  (a dataclass)
    for name in values or {}:
        if name not in known:
            raise UnknownName.of(f"setting of the {noun}", name, sorted(known))
    try:
        chosen = kind(**(values or {}))
    except TypeError as error:
        raise BadInput(f"A setting of the {noun} is of the wrong type ({error}).") from error
    require_settings(chosen)  # also where the class does not check itself
    return chosen


def explain_settings(kind: type) -> dict[str, str]:
    """Setting -> what its class's docstring says of it."""
    found: dict[str, str] = {}
    # what a class inherits is explained where it comes from
    for part in reversed(kind.__mro__):
        name = ""
        for line in textwrap.dedent(
            (part.__doc__ or "").partition("Attributes:")[2].strip("\n")
        ).splitlines():
            head, colon, rest = line.partition(":")
            if colon and not line.startswith(" "):
                name = head.strip()
                found[name] = rest.strip()
            elif name:
                found[name] += f" {line.strip()}"
    return {each.name: found.get(each.name, "").replace("``", "") for each in fields(kind)}


@dataclass(frozen=True)
class Configurable(Generic[S]):
    """A way to do something, which has a name and settings.

    Attributes:
        name: how it is asked for.
        title: how it is called in figures.
        sentence: what it does.
        source: author, year, arXiv number.
        settings: a frozen dataclass with a default for everything.
    """

    name: str
    title: str
    sentence: str
    source: str
    settings: type[S]

    def configured(self, values: Mapping[str, object] | None = None) -> S:
        """The settings with some values changed.

        Raises:
            UnknownName: for a name that they do not have.
            BadInput: for a value that makes no sense.
        """
        return configure(f"method {self.name}", self.settings, values)
