"""Jobs that workers take, and what they say of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lmc_core.errors import LmcError
from lmc_core.leases import find_host, find_start
from lmc_core.runs.jobs.files import JobFolder, State, Told, obey_cancel, quoted
from lmc_core.runs.jobs.job import LOCAL, Job
from lmc_core.runs.jobs.table import Table


class Claims(Table):
    """What a worker does with a job: takes it, reports, and ends it or steps back."""

    def __init__(self, path: Path | None = None):
        super().__init__(path)
        self._facts: dict[tuple[str, str], Told] = {}  # of what this process claimed

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
        includes: Callable[[Job], bool] | None = None,
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
            includes: which of the waiting ones to take; default all.
        """
        facts: Told = {
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
                if includes is not None:
                    waiting = self.get(folder.path.name)
                    if waiting is None or not includes(waiting):
                        continue
                if (job := self._take(folder, state, worker, facts)) is not None:
                    return job
        return None

    def _take(self, folder: JobFolder, state: State, worker: str, facts: Told) -> Job | None:
        own = f"progress~{state.generation}~{quoted(worker)}"
        share = float(self._read(folder, f"task~{state.generation}").get("share", 0.0))
        begun: Told = {
            **facts,
            "share": share,
            "least": share,
            "message": "",
            "started": time.time(),
        }
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

    def _sign(self, key: str, worker: str, said: Told | None) -> bool:
        with self._errors():
            folder, (state, names) = self._folder(key), self._folder(key).look()
            if state is None or not state.runs(worker):
                return True
            own = f"progress~{state.generation}~{quoted(worker)}"
            if said is None:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(folder.path / own)
            else:
                facts = self._facts.get((key, worker)) or self._read(folder, own)
                share = max(float(facts.get("least", 0.0)), said.get("share", 0.0))
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
            if state is None or not state.runs(worker):
                return
            if obey_cancel(folder, state):
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

    def _end(self, key: str, worker: str, name: str | None, said: Told) -> None:
        """End what a worker runs; with no name as cancelled, where that was asked for, else as
        waiting again.
        """
        with self._errors():
            folder = self._folder(key)
            state, names = folder.look()
            self._facts.pop((key, worker), None)
            if state is None or not state.runs(worker):
                return
            if name is not None:
                self._close(folder, state, names, name, said)
            elif obey_cancel(folder, state):
                self._close(folder, state, names, "cancelled", said)
            else:
                self._put_back(folder, state, 0)
