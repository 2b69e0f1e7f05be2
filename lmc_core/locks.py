"""Locks on files that the operating system releases when their holder dies.

A process number says nothing about life: a zombie still answers, and numbers are used again. A lock
ends with its process, however that ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from lmc_core.errors import StoreError

if sys.platform == "win32":
    import msvcrt

    # Windows forbids others to read locked bytes, so the locked byte lies far behind the content
    _FAR = 1 << 30

    def _try(handle: int, shared: bool) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try(handle: int, shared: bool) -> None:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
POLL = 0.05  # seconds between two tries
ELSEWHERE = "free some, or set LMC_HOME to a folder elsewhere"
_HELD = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise explain_refusal(path.parent, error) from error


def explain_refusal(folder: Path, error: OSError) -> StoreError:
    """Say why no lock can be created in a folder, and what to do."""
    if error.errno in NO_SPACE:
        return StoreError(f"No space is left in {folder}; {ELSEWHERE}.")
    return StoreError(
        f"Cannot create a lock in {folder} ({error.strerror or error}); "
        "make that folder writable, or set LMC_HOME to another one."
    )


def _locked(handle: int, path: Path, shared: bool = False) -> bool:
    """Try to lock an open file; False when somebody else holds it."""
    try:
        _try(handle, shared)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise StoreError(
            f"The file system of {path.parent} does not support locks ({error.strerror or error}); "
            "set LMC_HOME to a folder on a local disk."
        ) from error
    return True


class Exclusive(ABC):
    """Something that one holder has at a time, and that others may wait for."""

    @property
    @abstractmethod
    def held(self) -> bool:
        """Whether it is held and others can see that: its file may have been removed meanwhile."""

    @property
    @abstractmethod
    def _taken(self) -> bool:
        """Whether it was taken and not given back."""

    @abstractmethod
    def release(self) -> None:
        """Give it back."""

    @abstractmethod
    def _take(self) -> bool:
        """Try once to take it."""

    def acquire(
        self, timeout: float | None = 0.0, waiting: Callable[[], None] | None = None
    ) -> bool:
        """Take it.

        Args:
            timeout: seconds to go on trying; None for ever.
            waiting: called at every further try; may raise to give up.

        Returns:
            Whether it is held now.

        Raises:
            StoreError: nobody can take it where it is.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._take():
            if end is not None and time.monotonic() >= end:
                return False
            if waiting is not None:
                waiting()
            time.sleep(POLL)
        return True

    def __enter__(self) -> Self:
        if not self._taken:
            self.acquire(timeout=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class FileLock(Exclusive):
    """An exclusive lock on a file, between processes and between threads.

    Args:
        path: of the file; its folder is created.
        note: written into the file once it is held, for others to read with `holder`.
    """

    def __init__(self, path: Path, note: str = ""):
        self.path = path
        self.note = note
        self._handle: int | None = None

    def _take(self) -> bool:
        handle = _open(self.path)
        try:
            if not _locked(handle, self.path) or not self._same_file(handle):
                os.close(handle)
                return False
            if self.note:
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
                os.write(handle, self.note.encode())
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        self._handle = handle
        return True

    def _same_file(self, handle: int) -> bool:
        """Whether the path still names the locked file; its last holder may have removed it
        meanwhile.
        """
        if sys.platform == "win32":
            return True
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        except OSError:
            return False

    @property
    def _taken(self) -> bool:
        return self._handle is not None

    @property
    def held(self) -> bool:
        """Whether it is held and its file is there for others to see."""
        return self._handle is not None and self._same_file(self._handle)

    def release(self, remove: bool = False) -> None:
        """Give the lock back; with `remove` also delete its file."""
        if self._handle is None:
            return
        if remove and sys.platform != "win32":  # Windows cannot delete an open file
            self.path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None


def holder(path: Path) -> str | None:
    """Return the note of whoever holds the lock on `path`, or None when nobody does."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        # Shared, so that two who ask at the same moment do not take each other for the holder.
        if _locked(handle, path, shared=True):
            return None
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, 4096).decode(errors="replace")
    finally:
        os.close(handle)
