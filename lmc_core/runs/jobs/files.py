"""How one job lies on disk, and the single steps by which it changes.

    jobs/all/<key>/<state>~<generation>~<tries>~<actor>   empty; its name is the state
                   asked~<generation>                     what was asked, JSON
                   progress~<generation>~<worker>         how far it is, JSON; its change is the
                                                          sign of life
                   outcome~<generation>~<actor>           how it ended, JSON
                   cancel~<generation>                    somebody wants it to stop
                   cancelling~<generation>                its worker, or who found that dead, obeys
                   fresh~<generation>                     to be computed although there is a result
                   task~<generation>                      where its executor has it waiting, JSON
    jobs/open/<created>~<device>~<executor>~<key>~<generation>   names what waits or runs, in order

A job changes its state by the renaming of one file, whose old name says from which state, which
submission and which worker: a step that comes too late finds no such file and changes nothing. So
no step needs a lock, and a process that is killed or held up between two of them leaves nothing
that others cannot go on with, on a local disk and on a file system of a network, whose server does
such a renaming as one step. What stands in `open` is made before a job is there and removed after
it ended; that only says where to look.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict, cast
from urllib.parse import quote, unquote

from lmc_core.atomic import look_anew, write_file

ACTIVE = ("queued", "running")
ENDED = ("done", "failed", "cancelled")
RANK = ("gone", *ACTIVE, *ENDED)  # a file that is being renamed may be listed under both names
# what renaming a folder onto one that is not empty gives; or that it was done already
TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT, *([errno.EACCES] if os.name == "nt" else [])}
TRIES = 50  # of a look that meets such a change
# what a file server may answer where another machine replaced or removed what is being read
PASSING = {errno.ESTALE, errno.EBADF, errno.EIO}


class Asked(TypedDict):
    """What was asked of a job, as its file says it."""

    key: NotRequired[str]  # in the table of an earlier version alone
    request: dict[str, object]
    device: str
    executor: str
    fresh: bool
    created: float
    machine: NotRequired[str]  # where it was asked for, as `leases.find_machine` names it


class Told(TypedDict, total=False):
    """What workers and executors say of a job, as its files say it; see `job.Job`."""

    share: float
    least: float  # that is shown, of a run that goes on from an earlier one
    message: str
    error: str
    kind: str
    worker: str
    pid: int | None
    host: str
    start: str | None  # of the process
    log: str
    task: str
    by: str  # the executor whose worker has it
    round: int
    started: float | None
    finished: float | None


def quoted(text: str) -> str:
    """A text as a part of a file's name."""
    return quote(text, safe="").replace("~", "%7E")


@dataclass(frozen=True)
class State:
    """What the name of a job's state says.

    Attributes:
        name: ``queued``, ``running``, ``done``, ``failed``, ``cancelled``, or ``gone`` while it is
            being forgotten.
        generation: which submission of its key.
        tries: how many workers died over it.
        actor: who runs or ended it.
    """

    name: str
    generation: str
    tries: int = 0
    actor: str = ""

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}~{self.generation}~{self.tries}~{quoted(self.actor)}"

    @classmethod
    def parse(cls, file: str) -> State | None:
        """The state of a file's name; None for files of other kinds."""
        parts = file.split("~")
        if len(parts) != 4 or parts[0] not in RANK or not parts[2].isdigit():
            return None
        return cls(parts[0], parts[1], int(parts[2]), unquote(parts[3]))

    def runs(self, worker: str) -> bool:
        """Whether this worker runs it."""
        return (self.name, self.actor) == ("running", worker)


@dataclass(frozen=True)
class Listed:
    """An entry of `open`."""

    created: str
    device: str
    executor: str
    key: str
    generation: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return "~".join((self.created, self.device, self.executor, self.key, self.generation))

    @classmethod
    def make(cls, created: float, device: str, executor: str, key: str, generation: str) -> Listed:
        """The entry of a job that was asked for at a time in seconds since 1970."""
        return cls(f"{int(created * 1e6):017d}", quoted(device), quoted(executor), key, generation)

    @classmethod
    def parse(cls, file: str) -> Listed | None:
        """The entry of a file's name; None for other files."""
        parts = file.split("~")
        return cls(*parts) if len(parts) == 5 and not file.startswith(".") else None


class JobFolder:
    """The folder of one key.

    Args:
        path: of the folder; it need not be there.
    """

    def __init__(self, path: Path):
        self.path = path

    def look(self) -> tuple[State | None, frozenset[str]]:
        """The state, None where there is no job, and the names of all files.

        Raises:
            OSError: the folder is there and cannot be read.
        """
        for attempt in range(TRIES):
            try:
                names = frozenset(os.listdir(self.path))
            except FileNotFoundError:
                if attempt == 0:
                    look_anew(self.path.parent)
                    continue
                return None, frozenset()
            except OSError as error:
                if error.errno not in PASSING or attempt == TRIES - 1:
                    raise
                time.sleep(0.0005 * attempt)
                continue
            found = [state for name in names if (state := State.parse(name)) is not None]
            if len(found) == 1 or (not names and attempt > 2):
                return found[0] if found else None, names
            # no file system says what a listing shows of a file that is renamed meanwhile
            time.sleep(0.0005 * attempt)
        return max(found, key=lambda state: RANK.index(state.name), default=None), names

    def move(self, before: State, after: State) -> bool:
        """Change the state in one step; False when it is another one by now."""
        try:
            os.rename(self.path / before.file, self.path / after.file)
        except FileNotFoundError:
            # a server whose answer was lost is asked again, and then has done it already
            unique = bool(after.actor) or after.generation != before.generation
            return unique and (self.path / after.file).exists()
        return True

    def create(self, state: State, files: Mapping[str, Mapping[str, object]]) -> bool:
        """Make the folder with a first state; False when there is something in it already.

        Args:
            state: a new one.
            files: name -> content.
        """
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        inner = JobFolder(draft)
        try:
            draft.mkdir(parents=True)
            for name, content in files.items():
                inner.write(name, content)
            (draft / state.file).touch()
            if os.name == "nt":  # where nothing is renamed onto an empty folder
                with contextlib.suppress(OSError):
                    self.path.rmdir()
            try:
                os.rename(draft, self.path)
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
        finally:
            inner.clear()
        return (self.path / f"asked~{state.generation}").exists()

    def clear(self, keep: frozenset[str] = frozenset()) -> None:
        """Remove all files but those to keep, and the folder when it is empty then."""
        with contextlib.suppress(OSError):
            self.remove(*(frozenset(os.listdir(self.path)) - keep))
            if not keep:
                self.path.rmdir()

    def read(self, name: str) -> dict[str, object]:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read, with a number among `PASSING` where it may be read later.
            ValueError: it is damaged.
        """
        content = json.loads((self.path / name).read_bytes())
        if not isinstance(content, dict):
            raise ValueError(name)
        return content

    def read_told(self, name: str) -> Told:
        """What a worker or an executor wrote; raises as `read`."""
        return cast(Told, self.read(name))

    def write(self, name: str, content: Mapping[str, object]) -> None:
        """Write a file, whole or not at all; never makes the folder anew."""
        if self.path.is_dir():
            write_file(self.path / name, json.dumps(dict(content)).encode())

    def mark(self, name: str) -> None:
        """Make an empty file."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).touch()

    def remove(self, *names: str) -> None:
        """Remove files that are there."""
        for name in names:
            with contextlib.suppress(OSError):
                (self.path / name).unlink()


def obey_cancel(folder: JobFolder, state: State) -> bool:
    """Whether somebody wants a run to stop, who from now on cannot take that back."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(
            folder.path / f"cancel~{state.generation}",
            folder.path / f"cancelling~{state.generation}",
        )
    return (folder.path / f"cancelling~{state.generation}").exists()
