"""The table of jobs: requests that wait, run, or have run, in plain files that processes share,
also those of several machines (see `files`).
"""

from __future__ import annotations

import contextlib
import itertools
import time

from lmc_core.leases import find_machine
from lmc_core.runs.jobs.care import RETRIES, Care
from lmc_core.runs.jobs.claims import Claims
from lmc_core.runs.jobs.files import ACTIVE, Asked, Told
from lmc_core.runs.jobs.job import LOCAL, Job, lock_path, name_workers
from lmc_core.runs.request import Request

__all__ = ["LOCAL", "RETRIES", "Job", "Jobs", "lock_path"]

PATIENCE, POLL = 200, 0.01  # looks at a job that is being cancelled, and seconds between them


class Jobs(Claims, Care):
    """The table of jobs: asking, beside what workers do and what is looked after.

    Args:
        path: of its folder; default `jobs` in `folders.home()`. Created by the first use.
    """

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
            asked: Asked = {
                "request": request.to_json(),
                "device": request.device,
                "executor": executor,
                "fresh": fresh,
                "created": time.time(),
                "machine": find_machine(),
            }
            return self._submit(request.key, asked)

    def _submit(self, key: str, asked: Asked) -> Job:
        folder = self._folder(key)
        wanted = name_workers(asked["executor"], asked["device"], asked.get("machine", ""))
        for attempt in itertools.count():
            state, names = folder.look()
            job = None if state is None or state.name not in ACTIVE else self.get(key)
            waits = state is not None and state.name == "queued"
            moves = waits and job is not None and job.workers != wanted  # to other workers
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
            if moves and job is not None:
                asked = {**asked, "fresh": asked["fresh"] or job.fresh}
            if self._put(folder, state, names, asked) and (job := self.get(key)) is not None:
                return job
        raise AssertionError("the loop ends by returning")

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

    def find_note(self, key: str) -> Told:
        """What `note` recorded of a job; empty for nothing."""
        folder = self._folder(key)
        state, names = folder.look()
        name = f"task~{state.generation}" if state is not None else ""
        with contextlib.suppress(OSError, ValueError):
            return folder.read_told(name) if name in names else {}
        return {}
