"""The table of jobs as versions up to 0.2 kept it, one SQLite file; read once, then taken over."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from lmc_core.errors import StoreError
from lmc_core.look import PRODUCT
from lmc_core.runs.jobs.files import Asked, Told

VERSION = 1
FIELDS = ("share", "message", "error", "kind", "worker", "pid", "started", "finished")


def read_old_table(path: Path) -> list[tuple[Asked, str, Told]]:
    """Return the jobs of an old table: what was asked, with its key; the state; how it ended.

    What ran when the table was taken over waits again: where its worker of the version before
    finishes it, the next one finds the result in the store.

    Raises:
        StoreError: the file is no table, or that of another version.
    """
    try:
        return list(_read(path))
    except (sqlite3.Error, ValueError) as error:
        advice = (
            f"update {PRODUCT}, or set LMC_HOME to another folder"
            if isinstance(error, ValueError)
            else "delete the file (results are kept elsewhere)"
        )
        raise StoreError(f"The table of jobs {path} cannot be used ({error}); {advice}.") from error


def _read(path: Path) -> Iterator[tuple[Asked, str, Told]]:
    with contextlib.closing(sqlite3.connect(path, timeout=5.0)) as connection:
        connection.row_factory = sqlite3.Row
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:  # made, and never written
            return
        if version != VERSION:
            raise ValueError("it was written by another version")
        for row in connection.execute("SELECT *, progress AS share FROM jobs ORDER BY created"):
            asked: Asked = {
                "key": row["key"],
                "request": json.loads(row["request"]),
                "device": row["device"],
                "executor": "local",
                "fresh": bool(row["fresh"]),
                "created": row["created"],
            }
            state = row["state"] if row["state"] != "running" else "queued"
            yield asked, state, cast(Told, {name: row[name] for name in FIELDS})
