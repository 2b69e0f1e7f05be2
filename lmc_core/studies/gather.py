"""The results of a study, read and checked, without the places of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmc_core.errors import LmcError, StoreError
from lmc_core.figures.panel import Panel, label_stored, panels
from lmc_core.figures.redact import without_places
from lmc_core.figures.style import Theme
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.studies.study import Entry, Study


@dataclass(frozen=True)
class Shown:
    """An entry with what the store has of it.

    Attributes:
        entry: of the study.
        found: its results, in the order of its keys.
        labels: of these.
        missing: keys that are not in the store.
    """

    entry: Entry
    found: tuple[Result, ...]
    labels: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def title(self) -> str:
        """The entry's own title, else the models."""
        names = dict.fromkeys(
            " \u2192 ".join(map(str, each.result.get("models", ()))) for each in self.found
        )
        return self.entry.title or " and ".join(list(names)[:3]) or "Without results"

    def panels(self, theme: Theme = "light", height: int | None = None) -> list[Panel]:
        """Return its pictures with captions and tables."""
        return panels(self.found, self.labels, theme, height)


def gather(study: Study, store: Store) -> list[Shown]:
    """Return the entries of a study with their results, each checked against the hashes of its
    manifest.

    Raises:
        StoreError: a result is there and may not be read.
    """
    known = {key: public(found) for key in study.keys if (found := store.get(key)) is not None}
    return [
        _shown(entry, [known[key] for key in entry.keys if key in known]) for entry in study.entries
    ]


def find_missing(shown: Sequence[Shown]) -> list[str]:
    """Return the keys that the store has no result of."""
    return list(dict.fromkeys(key for each in shown for key in each.missing))


def list_results(shown: Sequence[Shown]) -> dict[str, dict[str, object]]:
    """The requests and numbers behind the pictures of a study, by key."""
    return {
        found.key: {"request": found.request, "result": found.result}
        for each in shown
        for found in each.found
    }


def is_known(found: Result) -> bool:
    """Whether this version makes such requests; a newer one may have other kinds and fields."""
    try:
        return request_from_json(found.request).key == found.key
    except (LmcError, TypeError, ValueError, AttributeError, RecursionError):
        return False


def public(found: Result) -> Result:
    """Return a result with the last name in place of every path; its key stays the same.

    Of a request that a newer version made nobody can tell here whether a path belongs to it; it is
    shown, and not taken away.

    Raises:
        StoreError: the path is part of what was asked for, so that the result cannot leave this
            machine without it.
    """
    request, result = without_places([found.request, found.result])
    if request != found.request and is_known(found) and request_from_json(request).key != found.key:
        raise StoreError(
            f"The result {found.key[:12]} belongs to a path of this machine and cannot be taken "
            "elsewhere."
        )
    return replace(found, request=request, result=result)


def _shown(entry: Entry, found: Sequence[Result]) -> Shown:
    usual = label_stored(found)
    own = dict(zip(entry.keys, entry.labels, strict=True)) if entry.labels else {}
    labels = [own.get(each.key) or name for each, name in zip(found, usual, strict=True)]
    there = {each.key for each in found}
    return Shown(
        entry, tuple(found), tuple(labels), tuple(key for key in entry.keys if key not in there)
    )
