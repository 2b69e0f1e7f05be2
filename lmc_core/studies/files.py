"""Small files that are whole or absent: written beside their place and renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from pathlib import Path

from lmc_core.errors import StoreError

LEFTOVER_AGE = 3600.0  # seconds after which a temporary file cannot belong to a living writer


def write_file(path: Path, data: bytes) -> None:
    """Put data into a file, whole or not at all.

    Raises:
        StoreError: the disk is full or the folder cannot be written; the file is then what it was
            before.
    """
    draft = path.with_name(f".tmp-{secrets.token_hex(6)}-{path.name[:40]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise write_error(error) from error


def clean(folder: Path, age: float = LEFTOVER_AGE) -> None:
    """Remove the temporary files of writers that were interrupted longer ago than `age` seconds."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".tmp-*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > age:
                    path.unlink()


def write_error(error: OSError) -> StoreError:
    """What a person can do about a file that cannot be written; without its place, which pages
    never show.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            "No space is left for studies; free some, or set LMC_HOME to a folder elsewhere."
        )
    return StoreError(
        f"Studies cannot be written ({error.strerror or type(error).__name__}); make the folder of "
        "results writable, or set LMC_HOME to another one."
    )
