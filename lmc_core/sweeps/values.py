"""Values of the entries of a sweep file: texts, patterns, and what is varied."""

from __future__ import annotations

from collections.abc import Iterable

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts, shown
from lmc_core.runs.request import Scalar

# entry of the file -> argument of `make_request` or `make_group_request`, in the order of a row
GRID = {
    "tasks": "task",
    "splits": "split",
    "examples": "examples",
    "seeds": "seed",
    "length": "length",
    "points": "points",
    "refine": "refine",
    "resolution": "resolution",
}
TEXTS = ("tasks", "splits")
OF_PAIRS, OF_GROUPS = ("points", "refine"), ("resolution",)
EVERY = "all"  # of the examples


def unknown(place: str, kind: str, name: object, known: Iterable[str]) -> UnknownName:
    """The error for a name that is not there, with the entry that has it."""
    return UnknownName(f"{place}: {UnknownName.of(kind, str(name), known)}")


def read_text(place: str, value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{place} should be a text; {shown(value)} came.")
    return value.strip()


def read_values(key: str, value: object) -> tuple[Scalar, ...]:
    """The values of an entry of the grid, each once."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise BadInput(f"{key} is an empty list; give a value, or leave it out.")
    found: list[Scalar] = []
    for each in values:
        if key in TEXTS:
            found.append(read_text(key, each))
        elif key == "examples" and each == EVERY:
            found.append(None)
        elif isinstance(each, int) and not isinstance(each, bool):
            require_counts(**{GRID.get(key, key): each})
            found.append(each)
        else:
            raise BadInput(f"{key} should be a whole number; {shown(each)} came.")
    return tuple(dict.fromkeys(found))


def read_list(place: str, value: object) -> list[str]:
    """A pattern, or a list of patterns."""
    if isinstance(value, str) and value:
        return [value]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise BadInput(
            f"{place} should be a pattern of models or a list of them; {shown(value)} came."
        )
    return value
