"""Studies on disk: one small JSON file each, under `LMC_HOME/studies`.

Every change takes a lock, reads what is there now, and renames a finished file into its place:
writers of several processes lose nothing of each other, and a kill or a full disk leaves the file
as it was. Studies that ship with the app are looked up second and only read.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lmc_core import folders
from lmc_core.errors import BadInput, StoreError, UnknownName
from lmc_core.leases import Lease
from lmc_core.runs.result import to_bytes
from lmc_core.runs.store import StoreWarning
from lmc_core.studies.files import clean, write_error, write_file
from lmc_core.studies.study import NAME, Entry, Study, make_name, now

LARGEST = 2**23  # bytes of a study's file, far above what a study can be


class Studies:
    """A folder of studies.

    Args:
        root: the folder; default `studies` in `places.home()`. Created by the first write.
        shipped: folder of read-only studies; default `studies` in `places.assets()`.
    """

    def __init__(self, root: Path | None = None, shipped: Path | None = None):
        self.root = Path(root) if root is not None else folders.home() / "studies"
        self.shipped = Path(shipped) if shipped is not None else folders.assets() / "studies"

    def list(self) -> list[Study]:
        """Return the studies, the last changed first; a file that is not a study gives a
        `StoreWarning` and is left out.
        """
        found: dict[str, Study] = {}
        for folder in (self.root, self.shipped):
            for name in _names(folder):
                if name not in found and (study := _read(folder, name)) is not None:
                    found[name] = study
        return sorted(found.values(), key=lambda study: (study.changed, study.name), reverse=True)

    def get(self, name: str) -> Study:
        """Return a study by its name.

        Raises:
            UnknownName: there is none.
        """
        study = self._find(name)
        if study is None:
            raise UnknownName.of("study", name[:80], [each.name for each in self.list()])
        return study

    def find(self, text: str) -> Study:
        """Return a study by its name or its title.

        Raises:
            UnknownName: there is none.
            BadInput: several have that title.
        """
        if (study := self._find(text)) is not None:
            return study
        titled = [each for each in self.list() if each.title.casefold() == text.casefold()]
        if len(titled) > 1:
            raise BadInput(
                f"{len(titled)} studies have the title {text!r}; give a name: "
                f"{', '.join(s.name for s in titled)}."
            )
        return titled[0] if titled else self.get(text)

    def is_shipped(self, name: str) -> bool:
        """Whether a study came with the app and was not changed here."""
        return (
            NAME.fullmatch(name) is not None
            and not self._path(name).is_file()
            and (self.shipped / f"{name}.json").is_file()
        )

    def create(self, title: str, note: str = "", entries: tuple[Entry, ...] = ()) -> Study:
        """Begin a study; its name comes from the title, with a number where that is taken.

        Raises:
            BadInput: the title is empty or a text too long.
            StoreError: it cannot be written.
        """
        moment = now()
        study = Study(
            name=make_name(title),
            title=title.strip(),
            note=note,
            entries=entries,
            created=moment,
            changed=moment,
        )
        return self.add(study)

    def add(self, study: Study) -> Study:
        """Store a study that exists elsewhere; one that is here already, equal in everything, stays
        the only one.

        Returns:
            What is stored now; another name where a different study has this one.

        Raises:
            BadInput: it is not a study.
            StoreError: it cannot be written.
        """
        study = Study.from_json(study.to_json())
        with self._locked():
            name, number = study.name, 1
            while (there := self._find(name)) is not None or self._path(name).exists():
                if there is not None and replace(there, name=study.name) == study:
                    return there
                number += 1
                name = f"{study.name[:54].rstrip('-')}-{number}"
            return self._write(replace(study, name=name))

    def update(self, name: str, change: Callable[[Study], Study]) -> Study:
        """Change a study as it is now, which may be other than what the caller read.

        Args:
            name: of the study.
            change: takes what is stored and returns what should be; a shipped study is copied by
                its first change.

        Raises:
            UnknownName: it was deleted.
            BadInput: the change is not admissible; nothing is written.
            StoreError: it cannot be written; the stored one is what it was.
        """
        with self._locked():
            before = self.get(name)
            after = replace(change(before), name=before.name, created=before.created, changed=now())
            return self._write(Study.from_json(after.to_json()))

    def delete(self, name: str) -> Study | None:
        """Remove a study and return it, for `add` to bring back; None when there is none of this
        person's own.
        """
        with self._locked():
            study = _read(self.root, name) if NAME.fullmatch(name) else None
            if study is not None:
                self._path(name).unlink(missing_ok=True)
            return study

    def _find(self, name: str) -> Study | None:
        if NAME.fullmatch(name) is None:
            return None
        return _read(self.root, name) or _read(self.shipped, name)

    def _path(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def _write(self, study: Study) -> Study:
        clean(self.root)
        write_file(self._path(study.name), to_bytes(study.to_json()))
        return study

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error) from error
        with Lease(self.root / ".lease"):
            yield


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.stem for path in folder.glob("*.json") if NAME.fullmatch(path.stem))
    except OSError:
        return []


def _read(folder: Path, name: str) -> Study | None:
    """Read a study; None when it is absent or, with a warning, when it is not one."""
    path = folder / f"{name}.json"
    try:
        if os.path.getsize(path) > LARGEST:
            raise ValueError("too large")
        return replace(Study.from_json(json.loads(path.read_bytes())), name=name)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, BadInput):
        warnings.warn(
            f"The file of the study {name!r} is damaged and left out.", StoreWarning, stacklevel=3
        )
        return None
    except OSError as error:
        raise StoreError(
            f"The study {name!r} cannot be read ({error.strerror}); check its permissions."
        ) from error
