"""Whether JSON content is of a declared type; for tests of the `TypedDict`s of results."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict


def misfits(value: Any, wanted: Any, place: str = "") -> Iterator[str]:
    """What is wrong with a value, by the place where it lies."""
    if wanted is Any or wanted is object:
        return
    origin, parts = get_origin(wanted), get_args(wanted)
    if origin is NotRequired:
        yield from misfits(value, parts[0], place)
    elif origin in (Union, types.UnionType):
        if all(any(misfits(value, part, place)) for part in parts):
            yield f"{place}: {value!r:.60} is none of {wanted}"
    elif is_typeddict(wanted):
        if not isinstance(value, dict):
            yield f"{place}: {value!r:.60} is no {wanted.__name__}"
            return
        hints = get_type_hints(wanted, include_extras=True)
        yield from (f"{place}.{name}: not declared" for name in value.keys() - hints.keys())
        needed = {
            name
            for name in hints
            if wanted.__total__ and get_origin(hints[name]) is not NotRequired
        }
        yield from (f"{place}.{name}: missing" for name in needed - value.keys())
        for name in value.keys() & hints.keys():
            yield from misfits(value[name], hints[name], f"{place}.{name}")
    elif origin is list:
        if not isinstance(value, list):
            yield f"{place}: {value!r:.60} is no list"
            return
        for number, each in enumerate(value):
            yield from misfits(each, parts[0], f"{place}[{number}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{place}: {value!r:.60} is no dictionary"
            return
        for name, each in value.items():
            yield from misfits(each, parts[1], f"{place}.{name}")
    elif wanted is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{place}: {value!r:.60} is no number"
    elif wanted is int:
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{place}: {value!r:.60} is no whole number"
    elif wanted is type(None) or wanted is None:
        if value is not None:
            yield f"{place}: {value!r:.60} is not None"
    elif not isinstance(value, wanted):
        yield f"{place}: {value!r:.60} is no {wanted}"
