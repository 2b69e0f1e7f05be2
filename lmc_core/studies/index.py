"""Every stored result as a row that can be searched and filtered; deleting one so that it can be
brought back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmc_core.errors import LmcError
from lmc_core.figures.panel import headline, kind_name, name_setting
from lmc_core.figures.redact import without_places
from lmc_core.runs.result import Result, is_key
from lmc_core.runs.store import Store, list_folders

SAID = (  # fields a row is made of
    "models",
    "references",
    "task",
    "split",
    "examples",
    "method",
    "classes",
    "largest",
    "date",
    "form",
    "price",
    "augmented",
)
KEPT = 3600.0  # seconds for which a deleted result can be brought back


@dataclass(frozen=True)
class Row:
    """What the table says of a result.

    Attributes:
        key: of the result.
        what: which computation, such as "barrier".
        kind: the same for people.
        models: names.
        task: it was measured on.
        split: of its data.
        examples: how many.
        method: as requested, such as "weight".
        setting: method and classes in words.
        number: what came out, with error and unit.
        value: the same as a number, for sorting; None where it is none.
        date: of the computation, ISO 8601.
        shipped: whether it came with the app.
        imported: whether it came out of an archive.
    """

    key: str
    what: str
    kind: str
    models: tuple[str, ...]
    task: str
    split: str
    examples: int | None
    method: str
    setting: str
    number: str
    value: float | None
    date: str
    shipped: bool
    imported: bool = False

    @property
    def source(self) -> str:
        """Where it came from, in a word or two."""
        return "the app" if self.shipped else "an archive" if self.imported else "here"

    @property
    def between(self) -> str:
        """The models in one text."""
        return " \u2192 ".join(self.models) if len(self.models) == 2 else ", ".join(self.models)

    def has(self, words: str, note: str = "") -> bool:
        """Whether every word occurs somewhere in what the table says, or in a note."""
        said = (
            self.key,
            self.kind,
            self.between,
            self.task,
            self.split,
            self.method,
            self.setting,
            self.number,
            self.date,
            note,
        )
        text = " ".join(said).casefold()
        return all(word in text for word in words.casefold().split())


def make_row(found: Result) -> Row:
    """Return the row of a stored result; what an unknown kind of result does not say stays
    empty.
    """
    what = str(found.request.get("what", ""))
    number, value = headline(what, found.result)
    plain = {name: value for name, value in found.result.items() if name in SAID}
    request, result = without_places([found.request, plain])
    examples = result.get("examples")
    return Row(
        key=found.key,
        what=what,
        kind=kind_name(what),
        models=tuple(str(name) for name in result.get("models") or request.get("names") or ()),
        task=str(result.get("task", "")),
        split=str(result.get("split", "")),
        examples=examples if isinstance(examples, int) else None,
        method=str(result.get("method", "")),
        setting=name_setting(what, result),
        number=number,
        value=value,
        date=str(result.get("date") or found.written),
        shipped=found.shipped,
        imported=found.imported,
    )


def rows(store: Store) -> list[Row]:
    """Return the rows of all results, newest first; what cannot be read as a result is left out."""
    found = []
    for entry in store.list():
        with contextlib.suppress(LmcError, LookupError, TypeError, ValueError, AttributeError):
            found.append(make_row(entry))
    return found


def chosen(
    table: Sequence[Row],
    words: str = "",
    notes: Mapping[str, str] | None = None,
    **fields: str | None,
) -> list[Row]:
    """Return the rows that hold all words and have the given fields.

    Args:
        table: all rows.
        words: to be found anywhere, in any order.
        notes: by key; searched as well.
        fields: names of `Row` with the value wanted, None for any; ``models`` takes one model's
            name.
    """
    wanted = {name: value for name, value in fields.items() if value}
    known = notes or {}
    return [
        row
        for row in table
        if all(
            value in row.models if name == "models" else getattr(row, name) == value
            for name, value in wanted.items()
        )
        and row.has(words, known.get(row.key, ""))
    ]


def stamp(store: Store) -> tuple[tuple[str, int], ...]:
    """Return something that changes whenever a result is added, replaced or deleted, without
    reading any.
    """
    found = []
    for parent in (store.root, store.shipped):
        with contextlib.suppress(OSError):
            found += [(str(parent), parent.stat().st_mtime_ns)]
            found += [
                (entry.name, entry.stat().st_mtime_ns)
                for entry in os.scandir(parent)
                if is_key(entry.name)
            ]
    return tuple(sorted(found))


def measure_size(store: Store) -> int:
    """Return the bytes that this person's own results take."""
    total = 0
    for folder in list_folders(store.root):
        with contextlib.suppress(OSError):
            total += sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    return total


def remove(store: Store, key: str) -> bool:
    """Take a result of this person's own out of the store; False when there is none (shipped ones
    stay).

    For an hour `restore` brings it back; what was deleted earlier than that goes for good now.
    """
    empty(store)
    if not is_key(key):
        return False
    aside = _aside(store) / key
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(store.root / key, aside)
        os.utime(aside)  # a renamed folder keeps its time
    except OSError:
        return False
    return True


def restore(store: Store, key: str) -> bool:
    """Bring a deleted result back; False when it is gone, or was computed again meanwhile."""
    try:
        os.rename(_aside(store) / key, store.root / key)
    except OSError:
        return False
    return True


def empty(store: Store, age: float = KEPT) -> None:
    """Delete for good what was taken out longer ago than `age` seconds."""
    for folder in list_folders(_aside(store)):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > age:
                shutil.rmtree(folder, ignore_errors=True)


def _aside(store: Store) -> Path:
    return store.root / ".deleted"
