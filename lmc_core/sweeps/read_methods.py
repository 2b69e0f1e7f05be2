"""The methods of a sweep file, with their settings and classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import cast

from lmc_core.errors import BadInput
from lmc_core.limits import shown
from lmc_core.matching.method import Method
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.runs.request import Scalar
from lmc_core.sweeps.classes import ALL, ClassChoice, read_classes
from lmc_core.sweeps.spec import MethodChoice
from lmc_core.sweeps.values import read_list, read_text, read_values, unknown

NONE = "none"
OWN = ("method", "classes", "learn")  # entries of a method that are no settings of it


def read_methods(content: Mapping[str, object], grouped: bool) -> Iterator[MethodChoice]:
    """The methods with their classes and settings, one for each combination."""
    given = content.get("methods", ["universe" if grouped else "weight"])
    shared = read_classes("classes", content.get("classes", ALL))
    learn = read_values("learn", content["learn"]) if "learn" in content else (None,)
    if isinstance(given, str | list):
        given = {name: name for name in read_list("methods", given)}
    if not isinstance(given, Mapping) or not given:
        raise BadInput(
            "methods should be a list of names or a table NAME = { method = ..., SETTING = ... }; "
            f"{shown(given)} came."
        )
    for label, definition in given.items():
        place = f"methods.{label}"
        own = {"method": definition} if isinstance(definition, str) else definition
        if not isinstance(own, Mapping):
            raise BadInput(f"{place} should be a name or a table; {shown(definition)} came.")
        name = read_text(place, own.get("method", label))
        if name == NONE:
            if extra := sorted(set(own) - {"method"}):
                raise BadInput(f"{place} moves nothing, so that {extra[0]} has no effect.")
            yield MethodChoice(label, NONE)
            continue
        yield from _combine(place, label, name, own, shared, learn, grouped)


def _combine(
    place: str,
    label: str,
    name: str,
    own: Mapping[str, object],
    shared: list[ClassChoice],
    learn: tuple[Scalar, ...],
    grouped: bool,
) -> Iterator[MethodChoice]:
    """One method with every combination of its settings and classes.

    Args:
        place: of its entry, for messages.
        label: of its entry.
        name: of the method.
        own: its entry.
        shared: classes of the sweep, for methods that name none.
        learn: likewise.
        grouped: whether the method is one for several models.
    """
    methods = MANY_METHODS if grouped else METHODS
    if name not in methods:
        raise unknown(place, "method", name, (NONE, *methods))
    chosen = methods[name]
    configured = chosen.configured
    classes = read_classes(f"{place}.classes", own["classes"]) if "classes" in own else shared
    takes = chosen.uses_data if isinstance(chosen, Method) else True
    counts = read_values("learn", own["learn"]) if "learn" in own else learn if takes else (None,)
    values = {
        key: _list_values(f"{place}.{key}", value) for key, value in own.items() if key not in OWN
    }
    for combination in product(*values.values()):
        settings = dict(zip(values, combination, strict=True))
        try:
            configured(settings)
        except BadInput as error:
            raise type(error)(f"{place}: {error}") from error
        several = [f"{key} {settings[key]}" for key in values if len(values[key]) > 1]
        for count in counts:
            taught = [f"learn {count}"] if len(counts) > 1 else []
            words = ", ".join([label, *several, *taught])
            for choice in classes:
                yield MethodChoice(
                    words, name, choice, tuple(sorted(settings.items())), cast("int | None", count)
                )


def _list_values(place: str, value: object) -> list[Scalar]:
    """The values of a setting, each once."""
    found: dict[Scalar, None] = {}
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, str | int | float):
            raise BadInput(f"{place} should be a value or a list of values; {shown(each)} came.")
        found[each] = None
    if not found:
        raise BadInput(f"{place} is an empty list; give a value, or leave it out.")
    return list(found)
