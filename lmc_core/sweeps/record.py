"""Records of sweeps on disk: one file each, `LMC_HOME/sweeps/NAME.json`, and shipped ones.

A record says which cells a sweep has, by which keys their results are found in the store, and the
table of means. It is written when a sweep begins and while its cells are computed, whole or not at
all, and read without anything that computes. A shipped one has all numbers; its results are not in
the store.
"""

from __future__ import annotations

import json
from pathlib import Path

from lmc_core import folders
from lmc_core.atomic import write_file
from lmc_core.errors import BadInput, StoreError, UnknownName
from lmc_core.runs.result import to_bytes
from lmc_core.studies.study import NAME, make_name
from lmc_core.sweeps.result import SweepResult


def records_folder() -> Path:
    """Where the records of sweeps lie."""
    return folders.home() / "sweeps"


def shipped_folder() -> Path:
    """Where the records lie that come with the app."""
    return folders.assets() / "sweeps"


def write_record(found: SweepResult) -> Path:
    """Write the record of a sweep in one step.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    path = records_folder() / f"{found.name}.json"
    try:
        write_file(path, to_bytes(found.to_json()))
    except OSError as error:
        raise StoreError(
            f"The record of the sweep cannot be written to {path.parent} "
            f"({error.strerror or error}); make that folder writable, or set LMC_HOME."
        ) from error
    return path


def choose_name(wanted: str, source: str) -> str:
    """A name for the record of a sweep: the wanted one, with a number where another file has it."""
    name, number = make_name(wanted), 1
    while (there := _read(name)) is not None and there.source != source:
        number += 1
        name = f"{make_name(wanted)[:54]}-{number}"
    return name


def list_sweeps() -> list[SweepResult]:
    """All records, the last written first, shipped ones at the end; what is damaged is left out."""
    found: list[SweepResult] = []
    for folder in (records_folder(), shipped_folder()):
        read = [_read_in(folder, path.stem) for path in folder.glob("*.json")]
        taken = {each.name for each in found}
        new = [each for each in read if each is not None and each.name not in taken]
        found += sorted(new, key=lambda each: each.written, reverse=True)
    return found


def read_record(name: str) -> SweepResult:
    """The record of a sweep by its name.

    Raises:
        UnknownName: there is none.
    """
    found = _read(name)
    if found is None:
        raise UnknownName.of("sweep", name[:80], [each.name for each in list_sweeps()])
    return found


def _read(name: str) -> SweepResult | None:
    own = _read_in(records_folder(), name)
    return _read_in(shipped_folder(), name) if own is None else own


def _read_in(folder: Path, name: str) -> SweepResult | None:
    if NAME.fullmatch(name) is None:
        return None
    try:
        content = json.loads((folder / f"{name}.json").read_bytes())
        return SweepResult.from_json(content) if isinstance(content, dict) else None
    except (OSError, ValueError, BadInput):
        return None
