"""Pointers of Git LFS: a few lines of text that stand in a repository for a file that was not
fetched.
"""

from __future__ import annotations

from pathlib import Path

from lmc_core.errors import BadCheckpoint

FIRST = b"version https://git-lfs.github.com/spec/"


def is_pointer(path: Path) -> bool:
    """Whether a file is such a pointer."""
    try:
        with path.open("rb") as file:
            return file.read(len(FIRST)) == FIRST
    except OSError:
        return False


def require_no_pointer(path: Path) -> None:
    """Refuse a pointer, with the command that fetches what it points to.

    Raises:
        BadCheckpoint: if it is one.
    """
    if is_pointer(path):
        raise BadCheckpoint(
            f"{path.parent.name}/{path.name} is a Git LFS pointer of {path.stat().st_size:,} "
            "bytes, not the weights; run "
            "`git lfs pull` in that folder, or fetch the file again."
        )
