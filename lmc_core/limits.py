"""How large numbers may be that a person asks for, checked before anything is allocated or begun.

A count that is a slip of the keyboard would fill the memory or run for years, and a setting that is
no number would spread over every weight without a word. The limits lie far above what is of use;
where less is possible, or where a lower limit has a reason, it is checked with that reason where it
belongs.
"""

from __future__ import annotations

import math
from dataclasses import fields
from types import NoneType
from typing import cast, get_args, get_origin, get_type_hints

from lmc_core.errors import BadInput, UnknownName

# What a number of that name may be at the most, in a setting, a request or an option of the command
# line.
MOST: dict[str, float] = {
    "points": 1001,  # of a curve, each of which is a model
    "refine": 1000,
    "resolution": 129,  # along a side
    "shown": 1001,
    "steps": 100_000,
    "batch": 65_536,
    "checks": 100_000,
    "patience": 100_000,
    "rounds": 10_000,
    "scout_rounds": 10_000,
    "max_rounds": 10_000,
    "tokens": 10**8,
    "examples": 10**9,  # there are never so many, and then all are taken
    "learn": 10**9,
    "length": 2**20,  # tokens of a window
    "draws": 10_000,
    "windows": 10**6,  # of generated text
    "threads": 1024,
    "seed": 2**31 - 1,  # generators are seeded by its multiples, as 64-bit numbers
    "starts": 2**31 - 1,
    "rate": 100,  # radians, or a length in the space of parameters
    "rows_rate": 100,
    "seconds": 1e7,  # a third of a year
    "idle": 1e9,
}
LEAST = {"seed": 0, "starts": 0}
ANY = 1e9  # the most that a number of another name may be, up or down


def require_counts(**counts: int | None) -> None:
    """Refuse counts that are no whole numbers, or more than anyone can mean; None stands for what
    is usual.

    Args:
        counts: by name, as in `MOST`.

    Raises:
        BadInput: with the name.
    """
    for name, value in counts.items():
        if value is not None:
            _require(name, value, (int,))


def require_numbers(**values: float | None) -> None:
    """The same for numbers that need not be whole: they should be finite."""
    for name, value in values.items():
        if value is not None:
            _require(name, value, (int, float))


def require_settings(settings: object) -> None:
    """Refuse a value of a dataclass that is not of the kind its field says, not among its choices
    (`settings.choice`), not finite, or out of all proportion.

    Args:
        settings: any frozen dataclass of numbers, texts, switches and tuples of these.

    Raises:
        BadInput: with the name of the field.
    """
    hints = get_type_hints(type(settings))
    for field in fields(cast(type, type(settings))):
        value, hint = getattr(settings, field.name), hints[field.name]
        if get_origin(hint) is tuple:
            if not isinstance(value, list | tuple) or not value:
                raise BadInput(f"{field.name} should be a list of values; {shown(value)} came.")
            kinds = [
                kind
                for part in get_args(hint)
                if part is not Ellipsis
                for kind in get_args(part) or (part,)
            ]
            for each in value:
                _require(field.name, each, tuple(kinds))
        else:
            _require(field.name, value, get_args(hint) or (hint,))
        choices = field.metadata.get("choices")
        if choices and value not in choices:
            raise UnknownName.of(field.metadata["noun"], str(value), choices)


def shown(value: object) -> str:
    """A value as it came, in so few characters that it fits into a sentence."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of about {value.bit_length() * 3 // 10} digits"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


NOUNS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    NoneType: "None",
}


def _require(name: str, value: object, kinds: tuple[type, ...]) -> None:
    """Refuse a value of none of these kinds, or one that is not finite, or too large."""
    taken = (*kinds, int) if float in kinds else kinds
    if type(value) is bool and bool not in kinds or not isinstance(value, taken):
        nouns = " or ".join(
            NOUNS.get(kind, str(kind)) for kind in kinds if kind is not int or float not in kinds
        )
        raise BadInput(f"{name} should be {nouns}; {shown(value)} came.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        most = MOST.get(name, ANY)
        least = LEAST.get(name, -most)
        if value != value or value in (math.inf, -math.inf):
            raise BadInput(f"{name} should be a finite number; {value} came.")
        if value > most:
            raise BadInput(f"{name} should be at most {_limit(most)}; {shown(value)} came.")
        if value < least:
            raise BadInput(f"{name} should be {_limit(least)} or more; {shown(value)} came.")


def _limit(value: float) -> str:
    return f"{int(value):,}"
