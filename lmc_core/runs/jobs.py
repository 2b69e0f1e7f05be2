"""The table of jobs: requests that wait, run, or have run, in plain files that processes share,
also those of several machines (see `job_files`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lmc_core import folders
from lmc_core.errors import LmcError, StoreError
from lmc_core.leases import Silence, find_host, find_start
from lmc_core.locks import ELSEWHERE, NO_SPACE, holder
from lmc_core.runs.job_files import ACTIVE, ENDED, JobFolder, Listed, State, quoted
from lmc_core.runs.old_jobs import read_old_table
from lmc_core.runs.partial import prune
from lmc_core.runs.request import Request

# seconds that ended jobs stay, and what they left unfinished; results stay in the store
REMEMBERED = 30 * 24 * 3600.0
HEARTBEAT_LIMIT = 60.0  # seconds without a sign of life after which a running job counts as dead
TIDY = 600.0  # seconds between two looks for what may be forgotten
LATE = 3600.0  # seconds after which what somebody began to write will not be finished
PATIENCE, POLL = 200, 0.01  # looks at a job that is being cancelled, and seconds between them
RETRIES = 2  # times that a job goes to another worker after one died over it
LOCAL = "local"  # the executor of this machine's own worker
ROOM = 2**16  # bytes without which nothing can be written

_SILENCE = Silence()
_TIDIED: dict[Path, float] = {}


@dataclass(frozen=True)
class Job:
    """A row of the table; times are seconds since 1970.

    Attributes:
        key: of the request, and of the result once it is done.
        request: as JSON values.
        device: kind of device it waits for.
        fresh: compute although there is a result.
        state: ``queued``, ``running``, ``done``, ``failed`` or ``cancelled``.
        progress: share done, in [0, 1].
        message: what is being done, or of a waiting one, what it waits for.
        error: why it failed, in a sentence or two.
        kind: name of the exception's class in `lmc_core.errors`.
        worker: who runs it, "<device>:<unique>".
        pid: process number of the worker.
        cancel: whether somebody asked for it to stop.
        created: when it was asked for.
        started: when a worker took it.
        heartbeat: last sign of life.
        finished: when it ended.
        executor: name of the executor that was asked for it.
        host: machine of the worker, as `leases.find_host` names it.
        log: path of a file with what the worker says; "" for none.
        task: what the executor calls it, such as the number of a Slurm job; "" for nothing.
        tries: how many workers died over it.
    """

    key: str
    request: dict[str, Any] = field(repr=False)
    device: str
    fresh: bool
    state: str
    progress: float
    message: str
    error: str
    kind: str
    worker: str
    pid: int | None
    cancel: bool
    created: float
    started: float | None
    heartbeat: float | None
    finished: float | None
    executor: str = LOCAL
    host: str = ""
    log: str = ""
    task: str = ""
    tries: int = 0

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE

    @property
    def node(self) -> str:
        """Name of the worker's machine; "" before there is one."""
        return self.host.partition("/")[0]

    @property
    def remote(self) -> bool:
        """Whether it is not for this machine's own worker, or another machine has it."""
        return self.executor != LOCAL or self.host not in ("", find_host())


class Jobs:
    """The table of jobs.

    Args:
        path: of its folder; default `jobs` in `folders.home()`. Created by the first use.
    """

    def __init__(self, path: Path | None = None):
        self.path = Path(path) if path is not None else folders.home() / "jobs"
        self.open = self.path / "open"
        self._facts: dict[tuple[str, str], dict[str, Any]] = {}  # of what this process claimed

    # asking

    def submit(self, request: Request, *, fresh: bool = False, executor: str = LOCAL) -> Job:
        """Ask for a computation; an equal one that waits or runs is joined.

        Look into the store first: a job that is done is queued again, because its result may have
        been deleted. The worker looks there too, so asking once too often costs nothing.

        Args:
            request: what to compute.
            fresh: compute although there is a result.
            executor: whose workers take it.
        """
        with self._errors():
            self._adopt_old()
            self._tidy()
            asked = {
                "request": request.to_json(),
                "device": request.device,
                "executor": executor,
                "fresh": fresh,
                "created": time.time(),
            }
            return self._submit(request.key, asked)

    def _submit(self, key: str, asked: Mapping[str, Any]) -> Job:
        folder = self._folder(key)
        for attempt in itertools.count():
            state, names = folder.look()
            job = None if state is None or state.name not in ACTIVE else self.get(key)
            waits = state is not None and state.name == "queued"
            moves = waits and job is not None and job.executor != asked["executor"]
            if state is not None and job is not None and not moves:
                if f"cancelling~{state.generation}" in names and attempt < PATIENCE:
                    time.sleep(POLL)  # it will be ended in a moment
                    continue
                # Whoever asks again for a run that was being cancelled wants it after all.
                folder.remove(f"cancel~{state.generation}")
                if asked["fresh"] and state.name == "queued":
                    folder.mark(f"fresh~{state.generation}")
                if (job := self.get(key)) is not None and job.active:
                    return job
                continue
            if moves and job is not None:  # to the workers of another executor
                asked = {**asked, "fresh": asked["fresh"] or job.fresh}
            if self._put(folder, state, names, asked) and (job := self.get(key)) is not None:
                return job
        raise AssertionError("the loop ends by returning")

    def _put(
        self, folder: JobFolder, before: State | None, names: frozenset[str], asked: Any
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

    def cancel(self, key: str) -> None:
        """Ask for a job to stop: a waiting one is cancelled at once, a running one at its next
        report.
        """
        with self._errors():
            folder = self._folder(key)
            while True:
                state, names = folder.look()
                if state is None or state.name not in ACTIVE:
                    return
                if state.name == "running":
                    folder.mark(f"cancel~{state.generation}")
                    if folder.look()[0] == state:
                        return
                elif self._close(folder, state, names, "cancelled", {}):
                    return

    def note(self, key: str, task: str, message: str, log: str = "", round: int = 0) -> None:
        """Record where a waiting job waits.

        Args:
            key: of the job.
            task: what its executor calls it.
            message: what it waits for.
            log: path of the file that its worker will write.
            round: how often it was given to the executor's cluster.
        """
        content = {"task": task, "message": message, "log": log, "round": round}
        with self._errors():
            folder = self._folder(key)
            state, _ = folder.look()
            if state is not None and state.name in ACTIVE:
                folder.write(f"task~{state.generation}", content)

    def find_note(self, key: str) -> dict[str, Any]:
        """What `note` recorded of a job; empty for nothing."""
        folder = self._folder(key)
        state, names = folder.look()
        name = f"task~{state.generation}" if state is not None else ""
        with contextlib.suppress(OSError, ValueError):
            return folder.read(name) if name in names else {}
        return {}

    # working

    def claim(
        self,
        worker: str,
        device: str,
        pid: int,
        *,
        executor: str = LOCAL,
        key: str | None = None,
        log: str = "",
        task: str = "",
    ) -> Job | None:
        """Take the oldest waiting job of a kind of device, or None; no two workers get the same
        one.

        Args:
            worker: who takes it.
            device: kind of device.
            pid: its process number.
            executor: whose jobs it takes.
            key: of the one job to take, whatever its device and executor.
            log: path of the file that it writes.
            task: what its executor calls it.
        """
        facts = {
            "pid": pid,
            "host": find_host(),
            "start": find_start(pid),
            "log": log,
            "task": task,
            "by": executor,
        }
        wanted = quoted(device), quoted(executor)
        with self._errors():
            self._adopt_old()
            for entry in self._list_open() if key is None else [None]:
                if entry is not None and (entry.device, entry.executor) != wanted:
                    continue
                folder = self._folder(str(key) if entry is None else entry.key)
                state, _ = folder.look()
                if state is None or state.name != "queued":
                    if entry is not None:
                        self._drop(entry, state)
                    continue
                if (job := self._take(folder, state, worker, facts)) is not None:
                    return job
        return None

    def _take(
        self, folder: JobFolder, state: State, worker: str, facts: Mapping[str, Any]
    ) -> Job | None:
        own = f"progress~{state.generation}~{quoted(worker)}"
        share = float(self._read(folder, f"task~{state.generation}").get("share", 0.0))
        begun = {**facts, "share": share, "least": share, "message": "", "started": time.time()}
        folder.write(own, begun)  # first, so that nobody sees a running job without a sign of life
        if not folder.move(state, State("running", state.generation, state.tries, worker)):
            folder.remove(own)
            return None
        self._facts[folder.path.name, worker] = begun
        job = self.get(folder.path.name)
        return job if job is not None and job.worker == worker else None

    def report(self, key: str, worker: str, share: float, message: str) -> bool:
        """Record progress and a sign of life.

        Returns:
            Whether to stop: somebody asked for it, or the job is no longer this worker's.
        """
        return self._sign(key, worker, {"share": min(max(float(share), 0), 1), "message": message})

    def beat(self, key: str, worker: str) -> bool:
        """Record a sign of life; returns the same as `report`."""
        return self._sign(key, worker, None)

    def _sign(self, key: str, worker: str, said: Mapping[str, Any] | None) -> bool:
        with self._errors():
            folder, (state, names) = self._folder(key), self._folder(key).look()
            if not _runs(state, worker):
                return True
            assert state is not None
            own = f"progress~{state.generation}~{quoted(worker)}"
            if said is None:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(folder.path / own)
            else:
                facts = self._facts.get((key, worker)) or self._read(folder, own)
                share = max(float(facts.get("least", 0.0)), said["share"])
                folder.write(own, {**facts, **said, "share": share})
            return f"cancel~{state.generation}" in names

    def finish(self, key: str, worker: str) -> None:
        """Mark a job as done; its result must be in the store already."""
        self._end(key, worker, "done", {"share": 1.0})

    def fail(self, key: str, worker: str, error: LmcError) -> None:
        """Mark a job as failed, with the reason."""
        self._end(key, worker, "failed", {"error": str(error), "kind": type(error).__name__})

    def stopped(self, key: str, worker: str) -> None:
        """Mark a job as cancelled, or put it back if somebody asked for it again meanwhile."""
        self._end(key, worker, None, {})

    def step_back(self, key: str, worker: str, behind: str) -> None:
        """Let a run wait again, with what it has so far, behind another waiting job.

        Args:
            key: of the job.
            worker: that runs it.
            behind: key of the other.
        """
        with self._errors():
            folder = self._folder(key)
            state, names = folder.look()
            self._facts.pop((key, worker), None)
            if state is None or not _runs(state, worker):
                return
            if _obey_cancel(folder, state):
                self._close(folder, state, names, "cancelled", {})
                return
            own = self._read(folder, f"progress~{state.generation}~{quoted(worker)}")
            folder.write(f"task~{state.generation}", {"share": own.get("share", 0.0)})
            entries = self._list_open()
            before = [each for each in entries if each.key == behind]
            mine = [each for each in entries if each.key == key]
            if before and mine:
                moment = f"{int(before[-1].created) + 1:0{len(before[-1].created)}d}"
                later = replace(mine[0], created=moment)
                (self.open / later.file).touch()
                for each in mine:
                    (self.open / each.file).unlink(missing_ok=True)
            self._put_back(folder, state, 0)

    def _end(self, key: str, worker: str, name: str | None, said: Mapping[str, Any]) -> None:
        """End what a worker runs; with no name as cancelled, where that was asked for, else as
        waiting again.
        """
        with self._errors():
            folder = self._folder(key)
            state, names = folder.look()
            self._facts.pop((key, worker), None)
            if state is None or not _runs(state, worker):
                return
            if name is not None:
                self._close(folder, state, names, name, said)
            elif _obey_cancel(folder, state):
                self._close(folder, state, names, "cancelled", said)
            else:
                self._put_back(folder, state, 0)

    def _put_back(self, folder: JobFolder, state: State, died: int) -> bool:
        after = State("queued", state.generation, state.tries + died)
        put = folder.move(state, after)
        if put:
            folder.remove(f"progress~{state.generation}~{quoted(state.actor)}")
        return put

    def _close(
        self,
        folder: JobFolder,
        state: State,
        names: frozenset[str],
        name: str,
        said: Mapping[str, Any],
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

    # looking after

    def refuse(self, device: str, error: LmcError, executor: str = LOCAL) -> None:
        """Mark every waiting job of a kind of device as failed: no worker can be had for them."""
        for job in self.active():
            if (job.state, job.device, job.executor) == ("queued", device, executor):
                self.give_up(job.key, error)

    def give_up(self, key: str, error: LmcError) -> None:
        """Mark a waiting job as failed."""
        with self._errors():
            folder = self._folder(key)
            state, names = folder.look()
            if state is not None and state.name == "queued":
                said = {"error": str(error), "kind": type(error).__name__}
                self._close(folder, state, names, "failed", said)

    def sweep(
        self, limit: float = HEARTBEAT_LIMIT, is_dead: Callable[[Job], bool] = lambda job: False
    ) -> list[Job]:
        """Put running jobs of dead workers back, or mark them as failed, with a reason.

        A worker of this machine is dead when its process is; any is when this process has seen no
        new sign of life for `limit` seconds, by its own clock. A job of this
        machine's own worker is not begun again by itself, since what ended it was most often a
        want of memory; others are, at most `RETRIES` times.

        Args:
            limit: seconds.
            is_dead: what else is known of a job's worker.

        Returns:
            The jobs that were put back or marked.
        """
        swept = []
        for job in self.active():
            if job.state != "running":
                continue
            reason = self._find_death(job, limit, is_dead)
            if not reason:
                continue
            with self._errors():
                folder = self._folder(job.key)
                state, names = folder.look()
                if state is None or not _runs(state, job.worker):
                    continue
                if _obey_cancel(folder, state):
                    done = self._close(folder, state, names, "cancelled", {})
                elif job.remote and state.tries < RETRIES:
                    done = self._put_back(folder, state, 1)
                else:
                    said = {"error": reason, "kind": "LmcError"}
                    done = self._close(folder, state, names, "failed", said)
            _SILENCE.forget(f"{self.path}/{job.key}/{job.worker}")
            if done and (now := self.get(job.key)) is not None:
                swept.append(now)
        return swept

    def _find_death(self, job: Job, limit: float, is_dead: Callable[[Job], bool]) -> str:
        """Why the worker of a running job counts as dead; "" for a living one."""
        mark = f"{self.path}/{job.key}/{job.worker}"
        silence, ended = _SILENCE.measure(mark, job.heartbeat), False
        if job.host == find_host():
            lock = lock_path(job.worker.partition(":")[0], self.path.parent)
            ended = (
                holder(lock) != job.worker
                if job.executor == LOCAL
                else find_start(job.pid or 0) is None
            )
        again = "" if job.tries == 0 else f" It was begun {job.tries + 1} times."
        if ended or is_dead(job):
            place = f" on {job.node}" if job.remote else ""
            return (
                f"The worker (process {job.pid}{place}) ended in the middle of this run: it was "
                f"killed, crashed, or ran out of memory.{again} Start the run again."
            )
        if silence > limit:
            return (
                f"The worker (process {job.pid}) gave no sign of life for {silence:.0f} s.{again} "
                "Start the run again."
            )
        return ""

    def release(self, prefix: str) -> None:
        """Put back what workers hold whose name begins so, and of whom is known that they ended."""
        for job in self.active():
            if job.state == "running" and job.worker.startswith(prefix):
                self.sweep(is_dead=lambda job: job.worker.startswith(prefix))
                return

    # looking

    def get(self, key: str) -> Job | None:
        """Return the job of a key, or None."""
        with self._errors():
            self._adopt_old()
            folder = self._folder(key)
            for _ in range(20):
                state, names = folder.look()
                if state is None or state.name == "gone":
                    return None
                try:
                    return _read_job(folder, state, names)
                except FileNotFoundError:  # it went on meanwhile
                    continue
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
        """Return how many jobs of the same device come before this waiting one; None when it does
        not wait.
        """
        job = self.get(key)
        if job is None or job.state != "queued":
            return None
        rivals = [other for other in self.active() if other.executor == job.executor]
        before = [other.key for other in rivals if other.device == job.device]
        return before.index(key) if key in before else None

    # folders

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
            asked = _read_asked(folder.path, f"asked~{state.generation}")
            (self.open / _list(folder, state, asked).file).unlink(missing_ok=True)

    @staticmethod
    def _read(folder: JobFolder, name: str) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return folder.read(name)
        return {}

    def _tidy(self) -> None:
        """Forget what ended long ago, now and then."""
        now = time.time()
        if now - _TIDIED.get(self.path, 0.0) < TIDY:
            return
        _TIDIED[self.path] = now
        prune(self.path.parent / "unfinished", REMEMBERED)
        for path in self._list_folders():
            folder, old = JobFolder(path), State("gone", "")
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime < REMEMBERED:
                    continue
            state, _ = folder.look()
            if state is None or state.name in (*ENDED, "gone"):
                if state is not None and not folder.move(state, old):
                    continue
                folder.clear(frozenset({old.file}))
                folder.clear()
        with contextlib.suppress(OSError):
            for path in (self.path / "all").glob(".*"):
                if now - path.stat().st_mtime > LATE:
                    shutil.rmtree(path, ignore_errors=True)

    def _adopt_old(self) -> None:
        """Take over the jobs of the table that earlier versions kept."""
        old = self.path.with_name("jobs.sqlite")
        if not old.exists():
            return
        for asked, name, outcome in read_old_table(old):
            folder = self._folder(str(asked["key"]))
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


def _list(folder: JobFolder, state: State, asked: Mapping[str, Any]) -> Listed:
    fields = asked["created"], asked["device"], asked["executor"]
    return Listed.make(*fields, folder.path.name, state.generation)


def _obey_cancel(folder: JobFolder, state: State) -> bool:
    """Whether somebody wants a run to stop, who from now on cannot take that back."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(
            folder.path / f"cancel~{state.generation}",
            folder.path / f"cancelling~{state.generation}",
        )
    return (folder.path / f"cancelling~{state.generation}").exists()


def _runs(state: State | None, worker: str) -> bool:
    return state is not None and (state.name, state.actor) == ("running", worker)


def _belonging(names: frozenset[str], generation: str) -> list[str]:
    """The files of a submission but its state and how it ended."""
    kinds = ("asked", "progress", "cancel", "cancelling", "fresh", "task")
    return [
        name
        for name in names
        if name.split("~")[0] in kinds and name.split("~")[1:2] == [generation]
    ]


@lru_cache(maxsize=4096)
def _read_asked(folder: Path, name: str) -> Mapping[str, Any]:
    """What was asked; its file never changes."""
    return JobFolder(folder).read(name)


def _read_job(folder: JobFolder, state: State, names: frozenset[str]) -> Job:
    """The row of a job.

    Raises:
        FileNotFoundError: its state changed meanwhile.
    """
    asked = _read_asked(folder.path, f"asked~{state.generation}")
    told: dict[str, Any] = {}
    heartbeat = None
    if state.name == "running":
        own = f"progress~{state.generation}~{quoted(state.actor)}"
        told = {**folder.read(own), "worker": state.actor}
        heartbeat = os.stat(folder.path / own).st_mtime
    elif state.name in ENDED:
        told = folder.read(f"outcome~{state.generation}~{quoted(state.actor)}")
    elif f"task~{state.generation}" in names:
        told = folder.read(f"task~{state.generation}")
    return Job(
        key=folder.path.name,
        request=dict(asked["request"]),
        device=str(asked["device"]),
        fresh=bool(asked["fresh"]) or f"fresh~{state.generation}" in names,
        state=state.name,
        progress=float(told.get("share", 0.0)),
        message=str(told.get("message", "")),
        error=str(told.get("error", "")),
        kind=str(told.get("kind", "")),
        worker=str(told.get("worker", "")),
        pid=told.get("pid"),
        cancel=f"cancel~{state.generation}" in names,
        created=float(asked["created"]),
        started=told.get("started"),
        heartbeat=heartbeat,
        finished=told.get("finished"),
        executor=str(told.get("by") or asked["executor"]),
        host=str(told.get("host", "")),
        log=str(told.get("log", "")),
        task=str(told.get("task", "")),
        tries=state.tries,
    )


def lock_path(device: str, home: Path | None = None) -> Path:
    """Return the lock file of a device's worker; its log lies beside it, with the ending `.log`."""
    return (home if home is not None else folders.home()) / "workers" / f"{device}.lock"
