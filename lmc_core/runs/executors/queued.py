"""What all executors share that put jobs into the table and let others compute them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lmc_core import errors, folders
from lmc_core.errors import Cancelled, LmcError, StoreError
from lmc_core.models.handover import HANDOVER
from lmc_core.progress import Progress, ignore
from lmc_core.runs.executors.executor import Finished
from lmc_core.runs.jobs import Job, Jobs
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store

POLL = 0.1  # seconds between two looks at a job
EACH = 0.002  # the same for each of many
TEND = 1.0  # seconds between two looks after the workers
LATE = 15.0  # seconds until another machine's result is seen on a file system of a network


class Queued:
    """Puts jobs into the table and sees that somebody computes them.

    Args:
        home: folder of results, jobs and locks; default `folders.home()`.
        cancel_on_interrupt: whether Ctrl-C during `run` also cancels the job; otherwise the workers
            go on with it.
    """

    name = ""

    def __init__(self, home: Path | None = None, *, cancel_on_interrupt: bool = False):
        self.home = Path(home) if home is not None else folders.home()
        self.store = Store(self.home / "results")
        self.jobs = Jobs(self.home / "jobs")
        self.cancel_on_interrupt = cancel_on_interrupt

    def provide(self, waiting: Sequence[Job]) -> None:
        """See that somebody computes these jobs; called again and again while they wait.

        Where nobody can be had for them, they are marked as failed with the reason.
        """
        raise NotImplementedError

    def expect(self, references: Sequence[str], device: str) -> None:
        """Get ready for questions about some models; nothing by default."""

    def is_dead(self, job: Job) -> bool:
        """Whether the worker of a running job is known to have ended, besides what the table can
        tell.
        """
        return False

    def submit(self, request: Request, *, fresh: bool = False) -> str:
        """Put a request into the table and see that somebody computes it; nothing is done when the
        result exists.

        Returns:
            The key, for `jobs.get` and `store.get`. Call `tend` now and then while the job is
            active.
        """
        return self.submit_all([request], fresh=fresh)[0]

    def submit_all(self, requests: Sequence[Request], *, fresh: bool = False) -> list[str]:
        """The same of many requests at once."""
        HANDOVER.clear()  # the workers load their own
        left = [each for each in requests if fresh or self.store.answer(each) is None]
        for request in left:
            self.jobs.submit(request, fresh=fresh, executor=self.name)
        if left:
            self.tend()
        return [request.key for request in requests]

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        """See `Executor.run`; waits for the worker and passes its progress on."""
        HANDOVER.clear()  # the workers load their own
        if not fresh and (found := self.store.answer(request)) is not None:
            return found
        self.jobs.submit(request, fresh=fresh, executor=self.name)
        with _Leaving(self, [request.key]):
            job = self._wait(request.key, report)
        outcome = self._collect(request, job)
        if isinstance(outcome, LmcError):
            raise outcome
        return outcome

    def run_all(
        self, requests: Sequence[Request], report: Progress = ignore, *, fresh: bool = False
    ) -> Iterator[Finished]:
        """See `Executor.run_all`; what runs goes on when nobody takes what comes of it."""
        HANDOVER.clear()
        left: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            if not fresh and (found := self.store.answer(request)) is not None:
                yield place, found
            else:
                left.setdefault(request.key, []).append(place)
        for places in left.values():
            self.jobs.submit(requests[places[0]], fresh=fresh, executor=self.name)
        tended = -TEND
        with _Leaving(self, left):
            while left:
                if time.monotonic() - tended >= TEND:
                    self.tend()
                    tended = time.monotonic()
                jobs = {key: self._get(key) for key in left}
                for key, job in jobs.items():
                    if not job.active:
                        for place in left.pop(key):
                            yield place, self._collect(requests[place], job)
                _tell(report, len(requests), left, jobs)
                if left:
                    time.sleep(POLL + EACH * len(left))

    def cancel(self, key: str) -> None:
        """Ask for a job to stop; a running one stops within about a second."""
        self.jobs.cancel(key)

    def states(self, keys: Iterable[str]) -> dict[str, Job]:
        """Return the jobs of keys, of those that there are."""
        return {key: job for key in keys if (job := self.jobs.get(key)) is not None}

    def tend(self) -> None:
        """Look after jobs of dead workers, and see that somebody computes what waits."""
        self.jobs.sweep(is_dead=self.is_dead)
        waiting = [
            job for job in self.jobs.active() if job.state == "queued" and job.executor == self.name
        ]
        if waiting:
            self.provide(waiting)

    def _get(self, key: str) -> Job:
        job = self.jobs.get(key)
        if job is None:
            raise StoreError(
                f"The table of jobs {self.jobs.path} was deleted during the run; start it again."
            )
        return job

    def _collect(self, request: Request, job: Job) -> Result | LmcError:
        """What came of a job that ended."""
        if job.state == "cancelled":
            return Cancelled("The run was cancelled.")
        if job.state == "failed":
            return _error(job)
        end = time.monotonic() + (LATE if job.remote else 0.0)
        while (found := self.store.answer(request)) is None and time.monotonic() < end:
            time.sleep(POLL)
        if found is None:
            return StoreError(
                f"The result {request.key[:12]} was taken from {self.store.root} as soon as it "
                "was there."
            )
        found.result["cached"] = False
        return found

    def _wait(self, key: str, report: Progress) -> Job:
        """Wait until a job ended, passing its progress on."""
        said, tended = None, -TEND
        while True:
            if time.monotonic() - tended >= TEND:
                self.tend()
                tended = time.monotonic()
            job = self._get(key)
            if not job.active:
                return job
            # Called also when there is no news, because the progress may raise Cancelled.
            news = (
                (job.progress, job.message)
                if job.state == "running"
                else (0.0, job.message or self._waiting(key))
            )
            said = news if news[1] else (news[0], said[1] if said else "Starting")
            report(*said)
            time.sleep(POLL)

    def _waiting(self, key: str) -> str:
        before = self.jobs.position(key) or 0
        return f"Waiting, {before} before this one" if before else "Waiting for the worker"


class _Leaving:
    """Cancels what is not done where whoever waits gives up."""

    def __init__(self, executor: Queued, keys: Iterable[str]):
        self._executor, self._keys = executor, keys

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        stops = self._executor.cancel_on_interrupt and kind is KeyboardInterrupt
        if stops or kind is not None and issubclass(kind, Cancelled):
            for key in list(self._keys):
                self._executor.cancel(key)


def _tell(report: Progress, count: int, left: dict[str, list[int]], jobs: dict[str, Job]) -> None:
    """How far many jobs are together."""
    still = [jobs[key] for key in left]
    done = count - sum(map(len, left.values()))
    running = sum(job.state == "running" for job in still)
    share = (done + sum(job.progress * len(left[job.key]) for job in still)) / max(count, 1)
    words = f"{done} of {count} done, {running} running, {len(still) - running} waiting"
    report(min(share, 1.0), words)


def _error(job: Job) -> LmcError:
    """Return the exception of a failed job, of the class it had in the worker."""
    kind = getattr(errors, job.kind, LmcError)
    return (
        kind(job.error)
        if isinstance(kind, type) and issubclass(kind, LmcError)
        else LmcError(job.error)
    )
