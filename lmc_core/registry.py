"""Named things of one kind: families, methods, ways to merge, tasks, kinds of computation."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, ValuesView
from functools import partial
from importlib import import_module
from operator import attrgetter
from typing import Any, Generic, TypeVar

from lmc_core.errors import BadInput, UnknownName

T = TypeVar("T")


def resolve(place: str) -> object:
    """The thing at a place, "package.module:NAME"."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def import_later(place: str) -> Callable[..., Any]:
    """Return a function that imports another when it is called first, and calls it.

    What is listed without its work (a method on a page that only reads results) so needs nothing
    heavy.

    Args:
        place: of the function, "package.module:NAME".
    """
    return partial(_call, place)


def _call(place: str, *args: object, **named: object) -> object:
    function = resolve(place)
    assert callable(function)
    return function(*args, **named)


class Registry(Generic[T]):
    """A table of things by their names, in the order in which they were added.

    It reads like a mapping (`registry["ties"]`, `"ties" in registry`, `registry.items()`), and
    `add` puts further things in, also from outside the package.
    """

    def __init__(
        self, kind: str, things: Iterable[T] = (), name: Callable[[T], str] = attrgetter("name")
    ) -> None:
        """Make a table.

        Args:
            kind: what it holds, in the singular, for messages ("method").
            things: what it holds from the start.
            name: gives a thing's name; by default its attribute `name`.
        """
        self.kind = kind
        self._name = name
        self._things: dict[str, T] = {}
        for thing in things:
            self.add(thing)

    def add(self, thing: T, replace: bool = False) -> T:
        """Add a thing under its name and return it, so that this also serves as a decorator.

        Args:
            thing: with a name.
            replace: whether it may take the place of another of that name.

        Raises:
            BadInput: if the name is taken.
        """
        name = self._name(thing)
        if name in self._things and not replace:
            raise BadInput(f"There is a {self.kind} {name!r} already; choose another name.")
        self._things[name] = thing
        return thing

    def remove(self, name: str) -> T:
        """Take the thing of that name out and return it.

        Raises:
            UnknownName: if there is none.
        """
        thing = self[name]
        del self._things[name]
        return thing

    def get(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
            UnknownName: if there is none; the message gives the names there are.
        """
        if name not in self._things:
            raise UnknownName.of(self.kind, name, self._things)
        return self._things[name]

    __getitem__ = get

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def keys(self) -> KeysView[str]:
        """The names, in order."""
        return self._things.keys()

    def values(self) -> ValuesView[T]:
        """The things, in order."""
        return self._things.values()

    def items(self) -> ItemsView[str, T]:
        """Names and things, in order."""
        return self._things.items()

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}: {', '.join(self._things)})"
