"""The folder of all jobs, and the steps by which one waits, is put back, or ends."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from lmc_core import folders
from lmc_core.errors import StoreError
from lmc_core.locks import ELSEWHERE, NO_SPACE
from lmc_core.runs.jobs.files import (
    ACTIVE,
    ENDED,
    PASSING,
    Asked,
    JobFolder,
    Listed,
    State,
    Told,
    quoted,
)
from lmc_core.runs.jobs.job import Job, read_asked, read_job
from lmc_core.runs.jobs.old_table import read_old_table

LATE = 3600.0  # seconds after which what somebody began to write will not be finished
ROOM = 2**16  # bytes without which nothing can be written


class Table:
    """The folder of all jobs.

    Args:
        path: of it; default `jobs` in `folders.home()`. Created by the first use.
    """

    def __init__(self, path: Path | None = None):
        self.path = Path(path) if path is not None else folders.home() / "jobs"
        self.open = self.path / "open"

    # looking

    def get(self, key: str) -> Job | None:
        """Return the job of a key, or None."""
        with self._errors():
            self._adopt_old()
            folder = self._folder(key)
            for attempt in range(20):
                state, names = folder.look()
                if state is None or state.name == "gone":
                    return None
                try:
                    return read_job(folder, state, names)
                except OSError as error:  # it went on meanwhile
                    if error.errno not in (errno.ENOENT, *PASSING):
                        raise
                    time.sleep(0.0005 * attempt)
                except (ValueError, KeyError, TypeError):  # damaged, as by a loss of power
                    return None
        return None

    def active(self) -> list[Job]:
        """Return the jobs that run or wait, in the order in which they are done."""
        found: dict[str, Job] = {}
        for entry in self._list_open():
            job = self.get(entry.key)
            if job is not None and job.active:
                found.setdefault(job.key, job)
            else:
                with self._errors():
                    self._drop(entry, self._folder(entry.key).look()[0])
        return sorted(found.values(), key=lambda job: job.state == "queued")

    def recent(self, limit: int | None = 20) -> list[Job]:
        """Return the jobs that ended, the last one first."""
        with self._errors():
            keys = [path.name for path in self._list_folders()]
        ended = [job for key in keys if (job := self.get(key)) is not None and not job.active]
        return sorted(ended, key=lambda job: job.finished or 0.0, reverse=True)[:limit]

    def position(self, key: str) -> int | None:
        """Return how many jobs for the same workers come before this waiting one; None when it
        does not wait.
        """
        job = self.get(key)
        if job is None or job.state != "queued":
            return None
        before = [other.key for other in self.active() if other.workers == job.workers]
        return before.index(key) if key in before else None

    # steps

    def _put(
        self, folder: JobFolder, before: State | None, names: frozenset[str], asked: Asked
    ) -> bool:
        """Queue what was asked in place of an ended job or none; False when another was faster."""
        state = State("queued", secrets.token_hex(6))
        own = f"asked~{state.generation}"
        entry = _list(folder, state, asked)
        self.open.mkdir(parents=True, exist_ok=True)
        (self.open / entry.file).touch()
        if before is None:
            put = folder.create(state, {own: asked})
            if not put:
                folder.remove(*names)  # what was left of a job that somebody forgot
        else:
            folder.write(own, asked)
            put = folder.move(before, state)
        if put:
            (self.open / entry.file).touch()  # somebody may have taken it for left over
            old = () if before is None else _belonging(names, before.generation)
            if before is not None and before.name == "queued":
                self._unlist(folder, before)
            folder.remove(*old)
        else:
            folder.remove(own)
            (self.open / entry.file).unlink(missing_ok=True)
        return put

    def _put_back(self, folder: JobFolder, state: State, died: int) -> bool:
        after = State("queued", state.generation, state.tries + died)
        put = folder.move(state, after)
        if put:
            folder.remove(f"progress~{state.generation}~{quoted(state.actor)}")
        return put

    def _close(
        self, folder: JobFolder, state: State, names: frozenset[str], name: str, said: Told
    ) -> bool:
        """End a job; False when its state is another one by now."""
        actor = f"{state.actor} {secrets.token_hex(4)}"
        after = State(name, state.generation, state.tries, actor)
        own = f"outcome~{state.generation}~{quoted(actor)}"
        begun = self._read(folder, f"progress~{state.generation}~{quoted(state.actor)}")
        worker = state.actor if name != "cancelled" else ""
        folder.write(own, {**begun, **said, "worker": worker, "finished": time.time()})
        if not folder.move(state, after):
            folder.remove(own)
            return False
        self._unlist(folder, state)
        marks = ("cancel", "cancelling", "fresh", "task")  # some may be newer than the look
        names |= {f"{kind}~{state.generation}" for kind in marks}
        done_with = _belonging(names, state.generation)
        folder.remove(*(each for each in done_with if not each.startswith("asked")))
        return True

    # files

    def _folder(self, key: str) -> JobFolder:
        return JobFolder(self.path / "all" / key)

    def _list_folders(self) -> list[Path]:
        try:
            return [path for path in (self.path / "all").iterdir() if path.name[0] != "."]
        except FileNotFoundError:
            return []

    def _list_open(self) -> list[Listed]:
        """What may wait or run, the oldest first."""
        with self._errors():
            self._adopt_old()
            try:
                names = sorted(os.listdir(self.open))
            except FileNotFoundError:
                return []
        return [entry for name in names if (entry := Listed.parse(name)) is not None]

    def _drop(self, entry: Listed, state: State | None) -> None:
        """Remove an entry whose job ended; one that another may be about to make stays for a
        while.
        """
        path = self.open / entry.file
        with contextlib.suppress(FileNotFoundError):
            ended = state is not None and state.generation == entry.generation
            if ended and state is not None and state.name in ACTIVE:
                return
            if ended or time.time() - path.stat().st_mtime > LATE:
                path.unlink()

    def _unlist(self, folder: JobFolder, state: State) -> None:
        """Remove the entry of what a job was, once it is that no longer."""
        with contextlib.suppress(OSError, ValueError):
            asked = read_asked(folder.path, f"asked~{state.generation}")
            (self.open / _list(folder, state, asked).file).unlink(missing_ok=True)

    @staticmethod
    def _read(folder: JobFolder, name: str) -> Told:
        with contextlib.suppress(OSError, ValueError):
            return folder.read_told(name)
        return {}

    def _adopt_old(self) -> None:
        """Take over the jobs of the table that earlier versions kept."""
        old = self.path.with_name("jobs.sqlite")
        if not old.exists():
            return
        for asked, name, outcome in read_old_table(old):
            folder = self._folder(asked.get("key", ""))
            if folder.look()[0] is not None:  # taken over before, or asked for again
                continue
            if name in ENDED:
                state = State(name, secrets.token_hex(6), 0, "old")
                own = f"asked~{state.generation}", f"outcome~{state.generation}~old"
                folder.create(state, {own[0]: asked, own[1]: outcome})
            else:
                self._put(folder, None, frozenset(), asked)
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{old}{ending}", f"{old}.old{ending}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what went wrong with a file, and what to do."""
        try:
            yield
        except OSError as error:
            full = error.errno in NO_SPACE or self._is_full()
            advice = (
                f"no space is left there: {ELSEWHERE}"
                if full
                else "make its folder writable, or set LMC_HOME to another folder"
            )
            raise StoreError(
                f"The table of jobs {self.path} cannot be used ({error}); {advice}."
            ) from error

    def _is_full(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < ROOM
        except OSError:
            return False


def _list(folder: JobFolder, state: State, asked: Asked) -> Listed:
    fields = asked["created"], asked["device"], asked["executor"]
    return Listed.make(*fields, folder.path.name, state.generation)


def _belonging(names: frozenset[str], generation: str) -> list[str]:
    """The files of a submission but its state and how it ended."""
    kinds = ("asked", "progress", "cancel", "cancelling", "fresh", "task")
    return [
        name
        for name in names
        if name.split("~")[0] in kinds and name.split("~")[1:2] == [generation]
    ]
