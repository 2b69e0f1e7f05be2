"""Where requests are computed: in this process, or by this machine's detached worker.

Same requests, same store, same results.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from lmc_core import errors, folders
from lmc_core.errors import Cancelled, LmcError, StoreError, UnknownName
from lmc_core.locks import holder
from lmc_core.models.handover import HANDOVER
from lmc_core.progress import Progress, ignore
from lmc_core.runs.computation import COMPUTATIONS, rename
from lmc_core.runs.jobs import Job, Jobs, lock_path
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result
from lmc_core.runs.store import Store
from lmc_core.threads import as_given

POLL = 0.1  # seconds between two looks at a job
TEND = 1.0  # seconds between two looks after the worker


def obtain(request: Request, report: Progress, store: Store, *, fresh: bool = False) -> Result:
    """Return the result of a request: from the store, or computed and then stored.

    This is the one way to a result that all executors share. Whoever asks for the same key
    meanwhile, in this process or another, waits and gets the same result. It has the names of the
    request, whatever whoever asked before called the models and the data.

    Args:
        request: what is asked for.
        report: called with the progress; may raise `Cancelled`.
        store: where results lie.
        fresh: compute even if there is a result, and put the new one in its place; alignments,
            frames and bends that earlier runs left on disk are made anew too.
    """
    asked = datetime.now(UTC).isoformat(timespec="microseconds")

    def stored() -> Result | None:
        found = store.answer(request)
        return found if found is not None and (not fresh or found.written >= asked) else None

    if (found := stored()) is not None:
        return found
    with store.lock(
        request.key,
        waiting=lambda: report(0.0, "Waiting for another process that computes the same"),
    ):
        if (found := stored()) is not None:
            return found
        log = _Log(report)
        numbers, arrays = COMPUTATIONS[request.what].compute(request, log, fresh)
        # an alignment that was kept names the models of whoever asked for it
        numbers = rename(numbers, request.to_json())
        return store.put(request, numbers, arrays, log.text(), replace=fresh)


class _Log:
    """A report that also keeps what was said, with the seconds since the start."""

    def __init__(self, report: Progress):
        self._report = report
        self._start = time.monotonic()
        self._lines: list[str] = []
        self._last = ""

    def __call__(self, share: float, words: str) -> None:
        if words != self._last:
            self._last = words
            self._lines.append(f"{time.monotonic() - self._start:9.2f} s  {share:4.0%}  {words}")
        self._report(share, words)

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)


class Executor(Protocol):
    """Turns requests into stored results."""

    store: Store

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        """Return the result, from the store or computed now; `result["cached"]` says which.

        Args:
            request: what is asked for.
            report: called with the share done and a few words; may raise `Cancelled`.
            fresh: compute although there is a result, and put the new one in its place.

        Raises:
            LmcError: it cannot be computed, with the reason.
            Cancelled: somebody asked for it to stop.
        """
        ...

    def submit(self, request: Request, *, fresh: bool = False) -> str:
        """Ask for a result without waiting, where that is possible; returns its key."""
        ...


class Inline:
    """Computes in this process: for tests, notebooks and scripts.

    Args:
        home: folder of results; default `places.home()`.
    """

    def __init__(self, home: Path | None = None):
        self.store = Store((home if home is not None else folders.home()) / "results")

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        """See `Executor.run`."""
        try:
            return obtain(request, report, self.store, fresh=fresh)
        finally:
            HANDOVER.clear()

    def submit(self, request: Request, *, fresh: bool = False) -> str:
        """Compute now, since there is nobody else to do it; returns the key."""
        return self.run(request, fresh=fresh).key


class Local:
    """Lets this machine's worker compute, and starts it when there is none.

    Args:
        home: folder of results, jobs and locks; default `places.home()`.
        cancel_on_interrupt: whether Ctrl-C during `run` also cancels the job; otherwise the worker
            goes on with it.
        command: what starts a worker; `--device` is added.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        cancel_on_interrupt: bool = False,
        command: Sequence[str] | None = None,
    ):
        self.home = Path(home) if home is not None else folders.home()
        self.store = Store(self.home / "results")
        self.jobs = Jobs(self.home / "jobs")
        self.cancel_on_interrupt = cancel_on_interrupt
        self.command = (
            list(command) if command is not None else [sys.executable, "-m", "lmc_core.runs.worker"]
        )

    def submit(self, request: Request, *, fresh: bool = False) -> str:
        """Put a request into the table and see that a worker is there; nothing is done when the
        result exists.

        Returns:
            The key, for `jobs.get` and `store.get`. Call `tend` now and then while the job is
            active.
        """
        HANDOVER.clear()  # the worker loads its own
        if fresh or self.store.answer(request) is None:
            self.jobs.submit(request, fresh=fresh)
            self.tend()
        return request.key

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        """See `Executor.run`; waits for the worker and passes its progress on."""
        HANDOVER.clear()  # the worker loads its own
        if not fresh and (found := self.store.answer(request)) is not None:
            return found
        self.jobs.submit(request, fresh=fresh)
        try:
            job = self._wait(request.key, report)
        except Cancelled:
            self.jobs.cancel(request.key)
            raise
        except KeyboardInterrupt:
            if self.cancel_on_interrupt:
                self.jobs.cancel(request.key)
            raise
        if job.state == "cancelled":
            raise Cancelled("The run was cancelled.")
        if job.state == "failed":
            raise _error(job)
        result = self.store.answer(request)
        if result is None:
            raise StoreError(
                f"The result {request.key[:12]} was taken from {self.store.root} as soon as it "
                "was there."
            )
        result.result["cached"] = False
        return result

    def cancel(self, key: str) -> None:
        """Ask for a job to stop; a running one stops within about a second."""
        self.jobs.cancel(key)

    def tend(self) -> None:
        """Mark jobs of dead workers as failed, and start workers for jobs that wait.

        When a worker cannot be started, the jobs that wait for it are marked as failed with the
        reason.
        """
        self.jobs.sweep()
        for device in sorted({job.device for job in self.jobs.active() if job.state == "queued"}):
            try:
                self.ensure_worker(device)
            except LmcError as error:
                self.jobs.refuse(device, error)

    def ensure_worker(self, device: str = "cpu") -> bool:
        """Start a detached worker unless one is there or just starting.

        Returns:
            Whether one was started.

        Raises:
            LmcError: it cannot be started, or ended at once.
        """
        lock = lock_path(device, self.home)
        if holder(lock) is not None:
            return False
        log = lock.with_suffix(".log")
        earlier = _STARTED.get(lock)
        if earlier is not None:
            code = earlier.poll()
            if code is None:
                return False
            del _STARTED[lock]
            if code > 0:  # below zero a signal ended it, and a new one may live
                raise LmcError(
                    f"The worker could not be started (exit code {code}); the reason is at the "
                    f"end of {log}."
                )
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "ab") as output:
                _STARTED[lock] = subprocess.Popen(
                    [*self.command, "--device", device],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.home,
                    env=_environment(self.home),
                    **_DETACHED,
                )
        except OSError as error:
            raise LmcError(
                f"The worker could not be started ({error}); {self.home} must be writable."
            ) from error
        return True

    def _wait(self, key: str, report: Progress) -> Job:
        """Wait until a job ended, passing its progress on."""
        said, tended = None, -TEND
        while True:
            if time.monotonic() - tended >= TEND:
                self.tend()
                tended = time.monotonic()
            job = self.jobs.get(key)
            if job is None:
                raise StoreError(
                    f"The table of jobs {self.jobs.path} was deleted during the run; start it "
                    "again."
                )
            if not job.active:
                return job
            # Called also when there is no news, because the progress may raise Cancelled.
            news = (
                (job.progress, job.message) if job.state == "running" else (0.0, self._waiting(key))
            )
            said = news if news[1] else (news[0], said[1] if said else "Starting")
            report(*said)
            time.sleep(POLL)

    def _waiting(self, key: str) -> str:
        before = self.jobs.position(key) or 0
        return f"Waiting, {before} before this one" if before else "Waiting for the worker"


# Kept so that an ended worker is reaped, and none is started twice; workers outlive this process,
# which is meant.
_STARTED: dict[Path, subprocess.Popen[Any]] = {}

_DETACHED: dict[str, Any] = (
    {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    if sys.platform == "win32"
    else {"start_new_session": True}
)

EXECUTORS: dict[str, Callable[[], Executor]] = {"inline": Inline, "local": Local}


def get_executor(name: str) -> Executor:
    """Return a new executor.

    Args:
        name: ``inline`` or ``local``.

    Raises:
        UnknownName: there is no such executor.
    """
    if name not in EXECUTORS:
        raise UnknownName.of("executor", name, EXECUTORS)
    return EXECUTORS[name]()


def _error(job: Job) -> LmcError:
    """Return the exception of a failed job, of the class it had in the worker."""
    kind = getattr(errors, job.kind, LmcError)
    return (
        kind(job.error)
        if isinstance(kind, type) and issubclass(kind, LmcError)
        else LmcError(job.error)
    )


def _environment(home: Path) -> dict[str, str]:
    """Return the worker's environment: the same home, and the same package also when it is not
    installed.
    """
    environment = {**as_given(os.environ), "LMC_HOME": str(home)}
    package = str(folders.PACKAGE.parent)
    if package not in (*site.getsitepackages(), site.getusersitepackages()):
        path = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{package}{os.pathsep}{path}" if path else package
    return environment
