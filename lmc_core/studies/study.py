"""A study: results that belong together, in an order, with titles and notes.

It holds keys, not results: equal requests are one result, however many studies show it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lmc_core.errors import BadInput
from lmc_core.runs.result import is_key

TITLE, NOTE, LABEL = 200, 20_000, 200  # characters at the most
ENTRIES, KEYS = 200, 60  # entries of a study, results on one axis, at the most
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture of a study.

    Attributes:
        keys: of the results on one axis.
        title: above the picture; "" takes the models' names.
        note: below it, plain text.
        labels: of the lines, in the order of the keys; empty for the usual ones.
    """

    keys: tuple[str, ...]
    title: str = ""
    note: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Study:
    """A selection of results with titles and notes.

    Attributes:
        name: of its file and in addresses: lower-case letters, digits and hyphens.
        title: for people.
        note: what it is about, plain text.
        entries: its pictures, in order.
        created: ISO 8601 in UTC.
        changed: ISO 8601 in UTC.
    """

    name: str
    title: str
    note: str = ""
    entries: tuple[Entry, ...] = ()
    created: str = ""
    changed: str = ""

    @property
    def keys(self) -> list[str]:
        """Every result it shows, each once."""
        return list(dict.fromkeys(key for entry in self.entries for key in entry.keys))

    def to_json(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        content = asdict(self)
        return {
            **content,
            "entries": [
                {k: list(v) if isinstance(v, tuple) else v for k, v in e.items()}
                for e in content["entries"]
            ],
        }

    @classmethod
    def from_json(cls, content: object) -> Study:
        """The inverse of `to_json`.

        Raises:
            BadInput: it is not a study, or larger than one can be.
        """
        if not isinstance(content, Mapping) or set(content) != set(cls.__dataclass_fields__):
            raise BadInput(
                "A study has a name, title, note, entries, and the dates of its making and last "
                "change; this has not."
            )
        texts = {name: _text(content[name], limit) for name, limit in _LIMITS.items()}
        if not NAME.fullmatch(texts["name"]) or not texts["title"].strip():
            raise BadInput(
                "The name of a study is made of lower-case letters, digits and hyphens, and its "
                "title is not empty."
            )
        return cls(**texts, entries=_entries(content["entries"]))

    def with_entry(self, entry: Entry) -> Study:
        """The study with one more picture at its end.

        Raises:
            BadInput: it has as many as one can.
        """
        return replace(self, entries=_entries([asdict(each) for each in (*self.entries, entry)]))

    def without_entry(self, index: int) -> Study:
        """The study without one of its pictures."""
        return replace(self, entries=self.entries[:index] + self.entries[index + 1 :])

    def with_changed(self, index: int, **values: Any) -> Study:
        """The study with other values in one of its entries.

        Raises:
            BadInput: a value is too long.
        """
        entries = list(self.entries)
        entries[index] = replace(entries[index], **values)
        return replace(self, entries=_entries([asdict(each) for each in entries]))

    def moved(self, index: int, step: int) -> Study:
        """The study with one picture earlier (-1) or later (1), as far as that goes."""
        entries = list(self.entries)
        target = min(max(index + step, 0), len(entries) - 1)
        entries.insert(target, entries.pop(index))
        return replace(self, entries=tuple(entries))


_LIMITS = {"name": 60, "title": TITLE, "note": NOTE, "created": 40, "changed": 40}


def now() -> str:
    """Return this moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def make_name(title: str) -> str:
    """Return the name that a title gives: "ViT: two seeds" -> "vit-two-seeds"."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(name) > 50:  # whole words, as far as they fit
        name = name[:51].rpartition("-")[0].strip("-") or name[:50]
    return name or f"study-{hashlib.sha256(title.encode(errors='replace')).hexdigest()[:6]}"


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise BadInput(f"A text was expected in the study; {type(value).__name__} came.")
    if len(value) > limit:
        raise BadInput(
            f"At most {limit:,} characters fit there; {len(value):,} came. Shorten the text."
        )
    return value


def _entries(content: object) -> tuple[Entry, ...]:
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise BadInput("The entries of a study are a list.")
    if len(content) > ENTRIES:
        raise BadInput(
            f"A study has at most {ENTRIES} pictures; {len(content):,} came. Begin another study."
        )
    return tuple(_entry(each) for each in content)


def _entry(content: object) -> Entry:
    if not isinstance(content, Mapping) or set(content) != set(Entry.__dataclass_fields__):
        raise BadInput("An entry of a study has keys, title, note and labels; this one has not.")
    keys, labels = content["keys"], content["labels"]
    lists = all(isinstance(each, list | tuple) for each in (keys, labels))
    if (
        not lists
        or not 1 <= len(keys) <= KEYS
        or not all(isinstance(key, str) and is_key(key) for key in keys)
    ):
        raise BadInput(
            f"An entry of a study names 1 to {KEYS} results by their keys, 8 to 64 hexadecimal "
            "digits each."
        )
    if len(set(keys)) != len(keys) or len(labels) not in (0, len(keys)):
        raise BadInput(
            "An entry of a study names each result once, and labels all of them or none."
        )
    return Entry(
        keys=tuple(keys),
        title=_text(content["title"], TITLE),
        note=_text(content["note"], NOTE),
        labels=tuple(_text(label, LABEL) for label in labels),
    )
