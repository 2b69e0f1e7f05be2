"""Whether files are still what they were when something read from them was kept in memory."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

# Bytes up to which the content itself is compared: SHA-256 of 32 MiB takes 0.05 s, of a model of
# the zoo 0.005 s. That is about what reading them takes; what keeping a model saves is its layout,
# its digest and the check of its values. Sizes and times alone do not tell a file that was written
# again within a tick of the clock, or was given back its time by whatever copied it.
HASHED = 2**25


def stamp(paths: Iterable[Path]) -> tuple[str, ...]:
    """Something that changes whenever one of the files does.

    Of small files it is the name and the SHA-256 of the content. Of large ones it is size, number
    and both times; the time of the last change of state cannot be set by anybody, and moves with
    every write.

    Args:
        paths: of the files, which exist.
    """
    stats = {path: path.stat() for path in paths}
    small = sum(stat.st_size for stat in stats.values()) <= HASHED
    found = []
    for path, stat in stats.items():
        words = f"{stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        # what cannot be read is refused where it is read for its content
        with contextlib.suppress(OSError):
            words = hashlib.sha256(path.read_bytes()).hexdigest() if small else words
        found.append(f"{path.name} {words}")
    return tuple(found)
