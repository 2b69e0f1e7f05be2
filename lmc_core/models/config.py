"""Configurations: what the `config.json` of a checkpoint says, or what of it a family's function
depends on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar, Union

from lmc_core.errors import BadCheckpoint

T = TypeVar("T", int, str)

# what a JSON file can hold
Json = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]  # noqa: UP007


class Config(dict[str, Json]):
    """The entries of a configuration, with readers that say which type is expected.

    Each reader raises `KeyError` for an entry that is not there and `BadCheckpoint`, naming the
    entry, for a value of another type.
    """

    def size(self, name: str) -> int:
        """An entry that is an integer: a width, a number of layers, a token."""
        value = self[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(name, "an integer", value)
        return value

    def optional_size(self, name: str) -> int | None:
        """An entry that is an integer where it is there and not null."""
        return None if self.get(name) is None else self.size(name)

    def sizes(self, *names: str) -> tuple[int, ...]:
        """Several entries that are integers."""
        return tuple(self.size(name) for name in names)

    def number(self, name: str) -> float:
        """An entry that is a number."""
        value = self[name]
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong(name, "a number", value)
        return value

    def optional_number(self, name: str, usual: float) -> float:
        """An entry that is a number; `usual` where it is not there or null."""
        return usual if self.get(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        """Whether an entry that is true or false is true."""
        return bool(self[name])

    def text(self, name: str) -> str:
        """An entry that is a word."""
        value = self[name]
        if not isinstance(value, str):
            raise wrong(name, "a word", value)
        return value

    def entries(self, name: str, kind: type[T]) -> list[T]:
        """An entry that is a list of integers or of words."""
        value = self[name]
        if not isinstance(value, list | tuple):
            raise wrong(name, "a list", value)
        found = [each for each in value if isinstance(each, kind)]
        if len(found) < len(value):
            raise wrong(name, f"a list of {kind.__name__}", value)
        return found

    def part(self, name: str) -> Config:
        """An entry that is a configuration by itself."""
        value = self[name]
        if not isinstance(value, Mapping):
            raise wrong(name, "an object", value)
        return Config(value)

    def class_name(self, usual: str = "") -> str:
        """The class that it names first under `architectures`.

        Args:
            usual: the class where it names none.
        """
        named = self.get("architectures")
        return str(named[0]) if isinstance(named, list | tuple) and named else usual

    # narrower than that of a dictionary: the result stays a configuration
    def __or__(self, other: Mapping[str, Json]) -> Config:  # type: ignore[override]
        return Config({**self, **other})


def wrong(name: str, wanted: str, value: Json) -> BadCheckpoint:
    """The refusal of an entry that is no such thing."""
    return BadCheckpoint(f"The configuration should give {name!r} as {wanted}; it gives {value!r}.")


def require_sizes(config: Mapping[str, Json], *names: str) -> None:
    """Raise `BadCheckpoint` unless each of the names is a positive integer of the configuration."""
    for name in names:
        value = config.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**24:
            raise wrong(name, "a positive integer", value)


def require_divides(config: Config, part: str, whole: str) -> None:
    """Raise `BadCheckpoint` unless `part` divides `whole`."""
    if config.size(whole) % config.size(part):
        raise BadCheckpoint(f"{part} = {config[part]} should divide {whole} = {config[whole]}.")
