"""What becomes of jobs whose workers died, or that nobody can run, or that ended long ago."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lmc_core.errors import LmcError
from lmc_core.leases import Silence, find_host, find_right, find_start, take_from
from lmc_core.locks import holder
from lmc_core.runs.jobs.files import ENDED, JobFolder, State, Told, obey_cancel
from lmc_core.runs.jobs.job import LOCAL, Job, lock_path
from lmc_core.runs.jobs.table import LATE, Table
from lmc_core.runs.partial import prune

# seconds that ended jobs stay, and what they left unfinished; results stay in the store
REMEMBERED = 30 * 24 * 3600.0
HEARTBEAT_LIMIT = 60.0  # seconds without a sign of life after which a running job counts as dead
TIDY = 600.0  # seconds between two looks for what may be forgotten
RETRIES = 2  # times that a job goes to another worker after one died over it

_SILENCE = Silence()
_TIDIED: dict[Path, float] = {}


class Care(Table):
    """Looking after the jobs of others."""

    def give_up(self, key: str, error: LmcError) -> None:
        """Mark a waiting job as failed."""
        with self._errors():
            folder = self._folder(key)
            state, names = folder.look()
            if state is not None and state.name == "queued":
                said: Told = {"error": str(error), "kind": type(error).__name__}
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
                if state is None or not state.runs(job.worker):
                    continue
                # here a lease ends with its process
                if job.pid is not None and job.host != find_host():
                    take_from(find_right(self.path.parent / "results", job.key), job.host, job.pid)
                if obey_cancel(folder, state):
                    done = self._close(folder, state, names, "cancelled", {})
                elif job.remote and state.tries < RETRIES:
                    done = self._put_back(folder, state, 1)
                else:
                    said: Told = {"error": reason, "kind": "LmcError"}
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
