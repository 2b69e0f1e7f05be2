"""Results on disk, found by the key of their request.

A result is a folder named by its key (see `result.py`). It is written to a temporary folder beside
its place and renamed, so a folder with a key's name is always whole; if its files no longer match
the manifest it is taken away and computed again. Results that ship with the app are looked up
second and only read. A result is shown under the names it was asked for last, and its numbers
follow from its arrays (see `computation.py`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lmc_core import folders
from lmc_core.atomic import look_anew
from lmc_core.errors import StoreError
from lmc_core.leases import Lease, find_right
from lmc_core.locks import ELSEWHERE, NO_SPACE
from lmc_core.look import PRODUCT
from lmc_core.runs.computation import SUMMARY, named_as, restate
from lmc_core.runs.request import DEVICES, Request, find_key
from lmc_core.runs.result import (
    ASKED,
    Damaged,
    Foreign,
    Result,
    digest,
    encode,
    is_key,
    read,
    read_names,
    to_bytes,
)

# seconds after which a temporary folder cannot belong to a living writer
LEFTOVER_AGE = 24 * 3600.0

FOREIGN = (
    f"was written by a newer version of {PRODUCT} and stays as it is; update this one to see it"
)


class StoreWarning(UserWarning):
    """A stored result is damaged and will be computed again."""


class Store:
    """A folder of results.

    Args:
        root: the folder; default `results` in `places.home()`. Created by the first write.
        shipped: folder of read-only results; default `results` in `places.assets()`.

    Attributes:
        foreign: how many folders `list` left out last, because a newer version laid them out
            otherwise.
    """

    def __init__(self, root: Path | None = None, shipped: Path | None = None):
        self.root = Path(root) if root is not None else folders.home() / "results"
        self.shipped = Path(shipped) if shipped is not None else folders.assets() / "results"
        self.foreign = 0

    def get(self, key: str) -> Result | None:
        """Return the result of a key after checking the hash of every file, or None.

        A damaged result gives a `StoreWarning`, is removed, and counts as absent. Numbers that were
        made by other formulas than today's are recomputed from the arrays.

        Raises:
            StoreError: the folder is there but may not be read.
        """
        if not is_key(key):
            return None
        if not (self.root / key).is_dir():
            look_anew(self.root)
        for folder, shipped in ((self.root / key, False), (self.shipped / key, True)):
            try:
                found = read(folder, shipped, check=True)
            except Damaged as damage:
                warnings.warn(
                    f"The stored result {key[:12]} in {folder.parent} is damaged ({damage}); it "
                    "will be computed again.",
                    StoreWarning,
                    stacklevel=2,
                )
                if not shipped:
                    self._discard(folder, damaged_only=True)
                continue
            except Foreign:
                warnings.warn(
                    f"The result {key[:12]} in {folder.parent} {FOREIGN}.",
                    StoreWarning,
                    stacklevel=2,
                )
                continue
            if found is not None:
                return _as_asked(restate(found))
        return None

    def find_on_any_device(self, key: str) -> Result | None:
        """Return what there is to show for a key: its own result, else a shipped one that differs
        in the device alone.

        What ships was computed on a processor. A page that is opened on a machine with a graphics
        card would begin empty, although what it asks for is there but for rounding; so pages look a
        second time, and the result says on which device it was computed. A run that a person starts
        is never answered so: who asks for a device gets that device.

        Raises:
            StoreError: a result is there and may not be read.
        """
        found = self.get(key)
        if found is None and (twin := _find_twins(self.shipped).get(key)) is not None:
            found = self.get(twin)
        return found

    def answer(self, request: Request) -> Result | None:
        """Return the result of a request under the names that the request has, or None; who looks
        later reads these names too.

        Raises:
            StoreError: the result is there and may not be read.
        """
        found = self.get(request.key)
        return None if found is None else self.name(found, request)

    def name(self, found: Result, request: Request, keep: bool = True) -> Result:
        """Return a result under the names that a request of its key has.

        Args:
            found: the result.
            request: that it answers.
            keep: whether lists and studies show these names from now on. What ships with the app
                keeps its own.
        """
        asked = request.to_json()
        named = named_as(found, asked)
        if keep and named is not found and not found.shipped:
            draft = found.folder / f".{ASKED}-{secrets.token_hex(4)}"
            # no space, or deleted meanwhile: the names of before are no reason to fail
            with contextlib.suppress(OSError):
                draft.write_bytes(to_bytes(read_names(asked)))
                os.replace(draft, found.folder / ASKED)
                return named
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        return named

    def put(
        self,
        request: Request,
        result: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        log: str = "",
        *,
        replace: bool = False,
    ) -> Result:
        """Store a result, whole or not at all.

        Args:
            request: what was asked for.
            result: the numbers; values of numpy become plain ones.
            arrays: by name; no objects.
            log: what the computation said.
            replace: put it in the place of an older one; otherwise the first writer of a key wins.

        Returns:
            The result that is in the store now.

        Raises:
            StoreError: the disk is full or the folder cannot be written; nothing half-written is
                left.
        """
        key = request.key
        if not is_key(key):
            raise ValueError(f"not a key: {key!r}")
        written = datetime.now(UTC).isoformat(timespec="microseconds")
        files = encode(request.to_json(), result, arrays, log)
        hashes = {name: digest(data) for name, data in files.items()}
        manifest = {"key": key, "written": written, "summary": SUMMARY, "files": hashes}
        files["manifest.json"] = to_bytes(manifest)
        draft = self.root / f".tmp-{key[:16]}-{secrets.token_hex(6)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.clean()
            draft.mkdir()
            for name, data in files.items():
                _write(draft / name, data)
            _sync_folder(draft)
            if replace:
                self._discard(self.root / key)
            won = self._move(draft, key)
            _sync_folder(self.root)
        except OSError as error:
            raise _write_error(self.root, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        if not won and (earlier := self.get(key)) is not None:
            return earlier
        content = {**json.loads(files["result.json"]), "cached": False}
        return Result(
            key,
            json.loads(files["request.json"]),
            content,
            self.root / key,
            written,
            summary=SUMMARY,
        )

    def adopt(self, folder: Path, key: str) -> bool:
        """Take over a finished folder that lies in the store's own and was checked, such as one out
        of an archive.

        Args:
            folder: with all files of a result.
            key: of its request.

        Returns:
            Whether it was taken; False when the key has a result already, and then the folder stays
            where it is.

        Raises:
            StoreError: the store cannot be written.
        """
        try:
            for name in folder.iterdir():
                with open(name, "rb+") as file:
                    os.fsync(file.fileno())
            _sync_folder(folder)
            won = self._move(folder, key)
            _sync_folder(self.root)
        except OSError as error:
            raise _write_error(self.root, error) from error
        return won

    def list(self, limit: int | None = None) -> list[Result]:
        """Return the results, newest first, without checking hashes or reading arrays; `get` does
        both.

        The numbers are right all the same: what was computed here follows from its arrays, and what
        came out of an archive was made to when it was imported. Only numbers that an earlier
        version wrote may differ from those of `get`.

        Folders that a newer version laid out otherwise are left out; `foreign` counts them. Names
        inside of the numbers that one kind alone has are those of before.

        Args:
            limit: at most so many.
        """
        found: dict[str, Result] = {}
        self.foreign = 0
        for parent, shipped in ((self.root, False), (self.shipped, True)):
            for folder in list_folders(parent):
                try:
                    entry = read(folder, shipped, check=False)
                except (Damaged, StoreError):
                    continue
                except Foreign:
                    self.foreign += 1
                    continue
                if entry is not None:
                    found.setdefault(entry.key, _as_asked(entry, inside=False))
        return sorted(found.values(), key=lambda entry: entry.written, reverse=True)[:limit]

    def delete(self, key: str) -> bool:
        """Remove a result; False when there is none of this person's own (shipped ones stay)."""
        return is_key(key) and (self.root / key).is_dir() and self._discard(self.root / key)

    @contextlib.contextmanager
    def lock(self, key: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the right to compute a key; others who ask for it wait.

        Args:
            key: of the request.
            waiting: called now and then while somebody else holds it; may raise to give up.

        Raises:
            StoreError: the store's folder cannot be written.
        """
        lease = Lease(find_right(self.root, key))
        lease.acquire(timeout=None, waiting=waiting)
        try:
            yield
        finally:
            lease.release()

    def clean(self, age: float = LEFTOVER_AGE) -> None:
        """Remove what interrupted writers left behind.

        Args:
            age: seconds since the last change; younger folders may belong to a living writer.
        """
        with contextlib.suppress(OSError):
            for folder in self.root.glob(".tmp-*"):
                with contextlib.suppress(OSError):
                    if time.time() - folder.stat().st_mtime > age:
                        shutil.rmtree(folder, ignore_errors=True)

    def _move(self, draft: Path, key: str) -> bool:
        """Rename a finished draft to its key; False when another writer was first."""
        for last in (False, True):
            try:
                os.rename(draft, self.root / key)
                return True
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                # a damaged one is gone after this, and the second try succeeds
                if last or self.get(key) is not None:
                    return False
        return False

    def _discard(self, folder: Path, damaged_only: bool = False) -> bool:
        """Move a folder out of the way in one step, then delete it; False when nothing was
        deleted.
        """
        aside = self.root / f".tmp-old-{folder.name[:16]}-{secrets.token_hex(6)}"
        try:
            os.rename(folder, aside)
        except OSError:
            return False
        # a writer may have replaced the damaged result between the look and the move
        if damaged_only:
            with contextlib.suppress(Damaged, Foreign, StoreError, OSError):
                read(aside, False, check=True, key=folder.name)
                os.rename(aside, folder)
                return False
        shutil.rmtree(aside, ignore_errors=True)
        return True


@lru_cache(maxsize=4)
def _find_twins(shipped: Path) -> dict[str, str]:
    """Keys that shipped requests have on other devices -> their keys."""
    found: dict[str, str] = {}
    for entry in Store(shipped, shipped).list():
        if find_key(entry.request) == entry.key:  # else of another version
            found |= {
                find_key({**entry.request, "device": device}): entry.key
                for device in DEVICES
                if device != entry.request["device"]
            }
    return found


def _as_asked(found: Result, inside: bool = True) -> Result:
    """The result under the names it was asked for last; a file that says something else says
    nothing. For `inside` see `computation.named_as`.
    """
    if found.shipped:
        return found
    try:
        asked = json.loads((found.folder / ASKED).read_bytes())
    except (OSError, ValueError):
        return found
    return named_as(found, asked, inside) if isinstance(asked, dict) else found


def list_folders(parent: Path) -> list[Path]:
    """The folders of results in a folder; none where it cannot be read."""
    try:
        return [folder for folder in parent.iterdir() if is_key(folder.name)]
    except OSError:
        return []


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_error(root: Path, error: OSError) -> StoreError:
    if error.errno in NO_SPACE:
        return StoreError(f"No space is left for results in {root}; {ELSEWHERE}.")
    return StoreError(
        f"Results cannot be written to {root} ({error.strerror or error}); "
        "make that folder writable, or set LMC_HOME to another one."
    )
