"""Computing one job after another from the table, in whatever process an executor has for it.

A result is stored before its job is marked done, so a worker can die at any moment and costs
nothing but the run it was in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

from lmc_core import folders
from lmc_core.errors import Cancelled, LmcError, Paused, StoreError
from lmc_core.locks import ELSEWHERE, NO_SPACE
from lmc_core.runs.computation import COMPUTATIONS, request_from_json
from lmc_core.runs.executors.executor import obtain
from lmc_core.runs.executors.own_jobs import find_models, is_own
from lmc_core.runs.jobs import LOCAL, Job, Jobs
from lmc_core.runs.store import Store
from lmc_core.threads import use_threads

BEAT = 0.75  # seconds between signs of life
GRACE = 0.5  # seconds that a run has to stop by itself before it counts as cancelled
REPORT = 0.2  # seconds between two writes of progress
IN_TURN = 8  # waiting jobs at the most that are computed by turns
SETTLED = 5.0  # seconds for which the cores are taken to be as free as they were found
IMPORTS = "LMC_IMPORTS"  # modules that workers import first, such as those that add a computation

log = logging.getLogger("lmc.worker")


class Stop(BaseException):
    """The process was asked to end; not an Exception, so that no computation catches it."""


class Work:
    """Takes jobs and computes them.

    Args:
        name: of the worker, "<device>:<unique>".
        device: ``cpu``, ``cuda`` or ``mps``.
        home: folder of results, jobs and locks; default `folders.home()`.
        threads: of torch; default: before every job, as many as there are cores that nobody else
            uses then. Watching takes 0.2 s, so small jobs that follow each other share it.
        executor: whose jobs it takes.
        log_file: that it writes.
        task: what its executor calls it.
    """

    def __init__(
        self,
        name: str,
        device: str,
        home: Path | None = None,
        threads: int | None = None,
        executor: str = LOCAL,
        log_file: Path | str = "",
        task: str = "",
    ):
        home = home if home is not None else folders.home()
        self.name, self.device, self.threads = name, device, threads
        self.executor, self.log_file, self.task = executor, log_file, task
        self.jobs = Jobs(home / "jobs")
        self.store = Store(home / "results")
        self._watched = -SETTLED
        self._count = 1
        self._stopping = False
        self._computing = False

    def claim(self, key: str | None = None) -> Job | None:
        """Take the job of a key, or the oldest one that waits; None where there is none."""
        return self.jobs.claim(
            self.name,
            self.device,
            os.getpid(),
            executor=self.executor,
            key=key,
            log=str(self.log_file),
            task=self.task,
            includes=self._includes if self.executor == LOCAL else None,
        )

    def _waits_here(self, job: Job) -> bool:
        """Whether this worker would take a job."""
        kind = job.state, job.device, job.executor
        return kind == ("queued", self.device, self.executor) and self._includes(job)

    def _includes(self, job: Job) -> bool:
        return is_own(job, self.store.root.parent)

    def serve(self, key: str, goes_on: Callable[[], bool] = lambda: False) -> int:
        """Compute the job of a key if it still waits, and then others while `goes_on` says so.

        Returns:
            How many were computed.
        """
        count = 0
        job = self.claim(key)
        while job is not None or (goes_on() and (job := self.claim()) is not None):
            self.do(job)
            job, count = None, count + 1
        return count

    def do(self, job: Job) -> None:
        """Compute one job and mark how it ended."""
        if time.monotonic() - self._watched > SETTLED:
            self._count = use_threads(self.threads)
            self._watched = time.monotonic()
        log.info("job %s begins on %d threads", job.key[:12], self._count)
        try:
            with self._reporting(job) as report:
                content = find_models(job.request, self.store.root.parent)
                obtain(request_from_json(content), report, self.store, fresh=job.fresh)
        except Paused as pause:
            log.info("job %s waits for %s", job.key[:12], pause.behind[:12])
            self.jobs.step_back(job.key, self.name, pause.behind)
        except Cancelled:
            log.info("job %s was cancelled", job.key[:12])
            self.jobs.stopped(job.key, self.name)
        except Stop:
            log.info("job %s was stopped", job.key[:12])
            self.jobs.fail(
                job.key,
                self.name,
                LmcError("The worker was stopped in the middle of this run. Start it again."),
            )
        except LmcError as error:
            log.info("job %s failed: %s", job.key[:12], error)
            self.jobs.fail(job.key, self.name, error)
        except Exception as error:
            log.exception("job %s failed", job.key[:12])
            self.jobs.fail(job.key, self.name, explain_surprise(error, self.log_file))
        except BaseException:  # a cluster takes the place back and gives it again
            log.info("job %s waits again", job.key[:12])
            self.jobs.stopped(job.key, self.name)
            raise
        else:
            log.info("job %s is done", job.key[:12])
            self.jobs.finish(job.key, self.name)

    @contextlib.contextmanager
    def _reporting(self, job: Job) -> Iterator[_Reporter]:
        """Beat in the background while the body computes, and let a signal interrupt it."""
        reporter = _Reporter(self.jobs, job.key, self.name, lambda: self._find_last_quick(job))
        beating = threading.Thread(target=reporter.beat, name="heartbeat", daemon=True)
        beating.start()
        try:
            self._computing = True
            if self._stopping:
                raise Stop
            yield reporter
        finally:
            self._computing = False
            reporter.ended.set()
            beating.join()

    def _find_last_quick(self, job: Job) -> str:
        """The key of the last of the jobs that wait next and give a first answer in seconds; "" for
        none, and where so many wait that whole results are wanted rather than first answers.
        """
        # a fresh one would begin again; a cluster would be asked for another place
        if job.fresh or job.executor != LOCAL:
            return ""
        waiting = (each for each in self.jobs.active() if self._waits_here(each))
        quick = [each.key for each in takewhile(lambda each: is_quick(each.request), waiting)]
        return quick[-1] if 0 < len(quick) <= IN_TURN else ""


def is_quick(request: Mapping[str, Any]) -> bool:
    """Whether the run of a request, as JSON values, gives a first answer in seconds, refines it and
    may be paused meanwhile.
    """
    what = str(request.get("what"))
    return what in COMPUTATIONS and COMPUTATIONS[what].early and request.get("learn") is None


class _Reporter:
    """The report a computation calls: writes progress, not too often, and raises when the job
    should stop, or pause so that a waiting one gives its first answer.
    """

    def __init__(self, jobs: Jobs, key: str, worker: str, find_next: Callable[[], str]):
        self._find_next = find_next
        self.ended = threading.Event()
        self._stop = threading.Event()
        self._jobs, self._key, self._worker = jobs, key, worker
        self._written = -REPORT

    def __call__(self, share: float, words: str) -> None:
        now = time.monotonic()
        if now - self._written >= REPORT:
            self._written = now
            with contextlib.suppress(StoreError):  # progress is not worth failing for
                if self._jobs.report(self._key, self._worker, share, words):
                    self._stop.set()
        if self._stop.is_set():
            raise Cancelled("The run was cancelled.")

    def pause(self) -> None:
        """Raise `Paused` where another job is to have its turn."""
        behind = ""
        with contextlib.suppress(StoreError):
            behind = self._find_next()
        if behind:
            raise Paused("Another run gives its first answer.", behind)

    def beat(self) -> None:
        """Give signs of life until the job ended, also while one step takes long.

        Where somebody asked for it to stop, the job is cancelled soon, even if the step that runs
        cannot be broken off: it ends unheard, and the worker goes on with the next job.
        """
        while not self.ended.wait(BEAT):
            with contextlib.suppress(StoreError):
                if self._jobs.beat(self._key, self._worker):
                    self._stop.set()
                    if not self.ended.wait(GRACE):
                        self._jobs.stopped(self._key, self._worker)


def import_additions() -> None:
    """Import the modules that `LMC_IMPORTS` names, separated by commas."""
    for name in filter(None, os.environ.get(IMPORTS, "").split(",")):
        try:
            import_module(name.strip())
        except ImportError as error:
            raise LmcError(
                f"{IMPORTS} names {name!r}, which cannot be imported: {error}"
            ) from error


def explain_surprise(error: Exception, log_file: Path | str) -> LmcError:
    """Return what is said of an error that nobody expected."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return StoreError(f"No space is left on a disk that this run writes to; {ELSEWHERE}.")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return LmcError(
            "The memory did not suffice for this run; ask for fewer examples or points."
        )
    text = " ".join(str(error).split())[:200]
    return LmcError(
        "The run failed in a way that was not foreseen "
        f"({type(error).__name__}{': ' + text if text else ''}); "
        f"the details are in {log_file}."
    )
