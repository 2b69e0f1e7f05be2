"""The worker: its own process, one per kind of device, that takes jobs from the table until it has
been idle for a while.

    python -m lmc_core.runs.worker --device cpu --idle 600

A result is stored before its job is marked done, so a worker can die at any moment and costs
nothing but the run it was in.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import logging.handlers
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from lmc_core import folders
from lmc_core.errors import Cancelled, LmcError, StoreError
from lmc_core.format import PlainFormatter
from lmc_core.locks import ELSEWHERE, NO_SPACE, FileLock
from lmc_core.runs.computation import request_from_json
from lmc_core.runs.executors import obtain
from lmc_core.runs.jobs import Job, Jobs, lock_path
from lmc_core.runs.store import Store
from lmc_core.threads import use_threads

BEAT = 1.0  # seconds between signs of life
REPORT = 0.2  # seconds between two writes of progress
POLL = 0.2  # seconds between two looks for a job

log = logging.getLogger("lmc.worker")


class _Stop(BaseException):
    """The process was asked to end; not an Exception, so that no computation catches it."""


class Worker:
    """Takes jobs of one kind of device and computes them.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``.
        idle: seconds without a job after which it ends.
        home: folder of results, jobs and locks; default `places.home()`.
        threads: of torch; default: before every job, as many as there are cores that nobody else
            uses then.
    """

    def __init__(
        self,
        device: str = "cpu",
        idle: float = 600.0,
        home: Path | None = None,
        threads: int | None = None,
    ):
        home = home if home is not None else folders.home()
        self.device = device
        self.idle = idle
        self.name = f"{device}:{os.getpid()}-{secrets.token_hex(4)}"
        self.jobs = Jobs(home / "jobs")
        self.store = Store(home / "results")
        self.lock = FileLock(lock_path(device, home), note=self.name)
        self.threads = threads
        self._stopping = False
        self._computing = False
        self._lost = False

    def serve(self) -> bool:
        """Work until idle or stopped.

        Returns:
            False when another worker of this device is there already.
        """
        served = False
        # Others look at the lock for a moment to see whether it is held; that must not keep a
        # worker from starting.
        while self.lock.acquire(timeout=1.0):
            served = True
            try:
                self._serve()
            finally:
                self.lock.release()
            if self._lost:
                break
            # A job that came between the last look and the release saw a living worker and started
            # none.
            if self._stopping or not any(
                job.state == "queued" and job.device == self.device for job in self.jobs.active()
            ):
                break
        return served

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End after this; the current job is marked as failed. A handler of signals."""
        self._stopping = True
        if self._computing:
            raise _Stop

    def _serve(self) -> None:
        log.info("worker %s is there", self.name)
        idle_since = time.monotonic()
        while not self._stopping:
            # whoever looks sees no worker, and takes every job of this one for that of a dead one
            if not self.lock.held:
                log.info("worker %s ends: %s was removed", self.name, self.lock.path)
                self._lost = True
                break
            try:
                self.jobs.sweep()
                job = self.jobs.claim(self.name, self.device, os.getpid())
                if job is not None:
                    self._do(job)
                    idle_since = time.monotonic()
                    continue
            except StoreError as error:  # of the table: it may be writable again in a moment
                log.error("%s", error)
            if time.monotonic() - idle_since > self.idle:
                break
            time.sleep(POLL)
        log.info("worker %s ends", self.name)

    def _do(self, job: Job) -> None:
        """Compute one job and mark how it ended."""
        log.info("job %s begins on %d threads", job.key[:12], use_threads(self.threads))
        try:
            with self._reporting(job) as report:
                obtain(request_from_json(job.request), report, self.store, fresh=job.fresh)
        except Cancelled:
            log.info("job %s was cancelled", job.key[:12])
            self.jobs.stopped(job.key, self.name)
        except _Stop:
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
            self.jobs.fail(job.key, self.name, _surprise(error, self.lock.path.with_suffix(".log")))
        else:
            log.info("job %s is done", job.key[:12])
            self.jobs.finish(job.key, self.name)

    @contextlib.contextmanager
    def _reporting(self, job: Job) -> Iterator[_Reporter]:
        """Beat in the background while the body computes, and let a signal interrupt it."""
        reporter = _Reporter(self.jobs, job.key, self.name)
        beating = threading.Thread(target=reporter.beat, name="heartbeat", daemon=True)
        beating.start()
        try:
            self._computing = True
            if self._stopping:
                raise _Stop
            yield reporter
        finally:
            self._computing = False
            reporter.ended.set()
            beating.join()


class _Reporter:
    """The report a computation calls: writes progress, not too often, and raises when the job
    should stop.
    """

    def __init__(self, jobs: Jobs, key: str, worker: str):
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

    def beat(self) -> None:
        """Give signs of life until the job ended, also while one step takes long."""
        while not self.ended.wait(BEAT):
            with contextlib.suppress(StoreError):
                if self._jobs.beat(self._key, self._worker):
                    self._stop.set()


def _surprise(error: Exception, log_file: Path) -> LmcError:
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


def _log_to(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=1_000_000, backupCount=1, encoding="utf-8"
    )
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    return handler


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker in this process; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="lmc worker", description="Compute the jobs of one kind of device."
    )
    parser.add_argument(
        "--device", default="cpu", choices=("cpu", "cuda", "mps"), help="kind of device"
    )
    parser.add_argument(
        "--idle", type=float, default=600.0, help="end after so many seconds without a job"
    )
    parser.add_argument(
        "--threads", type=int, help="threads of torch; default: the cores that nobody else uses"
    )
    options = parser.parse_args(arguments)
    worker = Worker(options.device, options.idle, threads=options.threads)
    try:
        handler = _log_to(worker.lock.path.with_suffix(".log"))
    except OSError as error:
        print(
            f"lmc worker: cannot write to {worker.lock.path.parent} ({error.strerror or error})",
            file=sys.stderr,
        )
        return 1
    # what kills the interpreter itself goes where the detached worker's errors go
    if sys.stderr is not None:
        with contextlib.suppress(ValueError, OSError):
            faulthandler.enable()
    before = {
        number: signal.signal(number, worker.stop) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        worker.serve()
    except LmcError as error:
        log.error("%s", error)
        print(f"lmc worker: {error}", file=sys.stderr)
        return 1
    finally:
        for number, action in before.items():
            signal.signal(number, action)
        log.removeHandler(handler)
        handler.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
