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
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from lmc_core import folders
from lmc_core.errors import LmcError, StoreError
from lmc_core.format import PlainFormatter
from lmc_core.locks import FileLock
from lmc_core.runs.executors.work import Stop, Work, import_additions, log
from lmc_core.runs.jobs import lock_path
from lmc_core.runs.warm import Expectations

POLL = 0.2  # seconds between two looks for a job
UNASKED = 180.0  # seconds after which a worker ends that got ready and was asked for nothing


class Worker(Work):
    """Takes jobs of one kind of device and computes them.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``.
        idle: seconds without a job after which it ends.
        home: folder of results, jobs and locks; default `folders.home()`.
        threads: see `Work`.
    """

    def __init__(
        self,
        device: str = "cpu",
        idle: float = 600.0,
        home: Path | None = None,
        threads: int | None = None,
    ):
        home = home if home is not None else folders.home()
        name = f"{device}:{os.getpid()}-{secrets.token_hex(4)}"
        self.lock = FileLock(lock_path(device, home), note=name)
        super().__init__(name, device, home, threads, log_file=self.lock.path.with_suffix(".log"))
        self.idle = idle
        self.expected = Expectations(device, home)
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
            if self._stopping or not any(self._waits_here(job) for job in self.jobs.active()):
                break
        return served

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End after this; the current job is marked as failed. A handler of signals."""
        self._stopping = True
        if self._computing:
            raise Stop

    def _serve(self) -> None:
        log.info("worker %s is there", self.name)
        idle_since, limit = time.monotonic(), min(self.idle, UNASKED)
        while not self._stopping:
            # whoever looks sees no worker, and takes every job of this one for that of a dead one
            if not self.lock.held:
                log.info("worker %s ends: %s was removed", self.name, self.lock.path)
                self._lost = True
                break
            try:
                self.jobs.sweep()
                job = self.claim()
                if job is not None:
                    self.do(job)
                    idle_since, limit = time.monotonic(), self.idle
                    continue
                if self.expected.meet():
                    continue
            except StoreError as error:  # of the table: it may be writable again in a moment
                log.error("%s", error)
            if time.monotonic() - idle_since > limit:
                break
            time.sleep(POLL)
        log.info("worker %s ends", self.name)


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
        import_additions()
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
