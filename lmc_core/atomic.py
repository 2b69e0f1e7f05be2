"""Files and folders that others find whole or not at all: written under another name, then renamed.

A draft lies beside its place, so that the renaming is one step of the file system. Its name begins
with a dot; what an interrupted writer leaves behind is no file of that name.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A draft that takes the place of a file when the body ends, and is gone when it fails.

    Args:
        path: of the file; its folder is created, and what lies there is replaced.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file in one step.

    Raises:
        OSError: it cannot be written; what lay there before stays.
    """
    with new_file(path) as draft:
        draft.write_bytes(content)


def look_anew(folder: Path) -> None:
    """Have seen what other machines put into a folder meanwhile.

    A file system of a network remembers what it did not find, NFS for 30 to 60 s. When the folder
    is opened it asks its server whether that still holds, of a folder that it did not find either
    when the one around that is opened.
    """
    try:
        os.close(os.open(folder, os.O_RDONLY))
    except FileNotFoundError:
        if folder.parent != folder:
            look_anew(folder.parent)
    except OSError:  # a system that opens no folders
        pass


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes its name when the body ends, and is gone when it fails.

    Args:
        path: of the folder; the folder around it is created.

    Raises:
        OSError: it cannot be written, or there is one of that name that is not empty.
    """
    draft = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        draft.mkdir(parents=True)
        yield draft
        os.rename(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
