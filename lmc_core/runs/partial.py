"""What a computation has so far, kept beside the results while it runs: others look at it, and a
later run goes on from it.

    unfinished/<key>.npz      the arrays, and the facts about them as JSON

                      <key>.pt       what a method has learned so far, written by it

A file is written under another name and renamed, so that whoever reads it finds it whole. It goes
when the result is there, or when nobody has asked for the rest of it for as long as jobs are
remembered. What came with the app lies in `early` among its assets, and is only read.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lmc_core import folders
from lmc_core.atomic import look_anew, new_file
from lmc_core.runs.result import is_key

EVERY = 1.0  # seconds between two writes
FACTS = "facts"


class Unfinished:
    """The unfinished arrays of a request.

    Args:
        key: of the request.
    """

    def __init__(self, key: str):
        if not is_key(key):
            raise ValueError(f"not a key: {key!r}")
        self.path: Path = folders.home() / "unfinished" / f"{key}.npz"
        self.shipped: Path = folders.assets() / "early" / f"{key}.npz"
        self._written = -math.inf

    @property
    def due(self) -> bool:
        """Whether it is time for another write."""
        return time.monotonic() - self._written >= EVERY

    def read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The facts and the arrays by name; None when there are none, or they cannot be read."""
        if not self.path.exists():
            look_anew(self.path.parent)
        found = _read(self.path)
        return _read(self.shipped) if found is None else found

    def write(
        self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray], now: bool = False
    ) -> None:
        """Keep what there is, at most once a second unless `now`; a full disk is no reason to
        fail.
        """
        if not now and not self.due:
            return
        self._written = time.monotonic()
        with contextlib.suppress(OSError), new_file(self.path) as draft, open(draft, "wb") as file:
            said = {FACTS: np.array(json.dumps(dict(facts)))}
            np.savez(file, **said, **arrays)  # type: ignore[arg-type]

    def remove(self) -> None:
        """Take it away."""
        self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        return json.loads(str(arrays.pop(FACTS))), arrays
    # zipfile, zlib, ValueError, OSError, KeyError: what cannot be read is not there
    except Exception:
        return None


def ship(key: str, folder: Path) -> int:
    """Copy what a request has so far to a folder, compressed; returns the bytes, 0 for none."""
    found = Unfinished(key).read()
    if found is None:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    said = {FACTS: np.array(json.dumps(found[0]))}
    np.savez_compressed(folder / f"{key}.npz", **said, **found[1])  # type: ignore[arg-type]
    return (folder / f"{key}.npz").stat().st_size


def prune(folder: Path, age: float) -> None:
    """Remove what was left unfinished and never gone on with; what cannot be removed stays.

    Args:
        folder: of unfinished files.
        age: seconds since a file was last written; a run that goes on writes its own again and
            again.
    """
    oldest = time.time() - age
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):  # gone meanwhile, or another person's
                if path.is_file() and path.stat().st_mtime < oldest:
                    path.unlink()
