"""The executor that lets this machine's detached worker compute."""

from __future__ import annotations

import contextlib
import os
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmc_core import folders
from lmc_core.errors import LmcError
from lmc_core.locks import holder
from lmc_core.runs.executors.own_jobs import starts_worker
from lmc_core.runs.executors.queued import Queued
from lmc_core.runs.jobs import LOCAL, Job, lock_path
from lmc_core.runs.warm import expect
from lmc_core.threads import as_given


class Local(Queued):
    """Lets this machine's worker compute, and starts it when there is none.

    Args:
        home: folder of results, jobs and locks; default `folders.home()`.
        cancel_on_interrupt: see `Queued`.
        command: what starts a worker; `--device` is added.
    """

    name = LOCAL

    def __init__(
        self,
        home: Path | None = None,
        *,
        cancel_on_interrupt: bool = False,
        command: Sequence[str] | None = None,
    ):
        super().__init__(home, cancel_on_interrupt=cancel_on_interrupt)
        self.command = (
            list(command) if command is not None else [sys.executable, "-m", "lmc_core.runs.worker"]
        )

    def provide(self, waiting: Sequence[Job]) -> None:
        """Start workers of the devices that jobs wait for, if this machine is to compute them."""
        own = [job for job in waiting if starts_worker(job, self.home)]
        for device in sorted({job.device for job in own}):
            try:
                self.ensure_worker(device)
            except LmcError as error:
                for job in own:
                    if job.device == device:
                        self.jobs.give_up(job.key, error)

    def expect(self, references: Sequence[str], device: str) -> None:
        """Start the worker before it is asked for anything, and let it read models meanwhile."""
        expect(references, device, self.home)
        with contextlib.suppress(LmcError):  # who asks for a result is told why
            self.ensure_worker(device)

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
                    env=make_environment(self.home),
                    **_DETACHED,
                )
        except OSError as error:
            raise LmcError(
                f"The worker could not be started ({error}); {self.home} must be writable."
            ) from error
        return True


# Kept so that an ended worker is reaped, and none is started twice; workers outlive this process,
# which is meant.
_STARTED: dict[Path, subprocess.Popen[Any]] = {}

_DETACHED: dict[str, Any] = (
    {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    if sys.platform == "win32"
    else {"start_new_session": True}
)


def make_environment(home: Path) -> dict[str, str]:
    """Return a worker's environment: the same home, and the same package also when it is not
    installed.
    """
    environment = {**as_given(os.environ), "LMC_HOME": str(home)}
    package = str(folders.PACKAGE.parent)
    if package not in (*site.getsitepackages(), site.getusersitepackages()):
        path = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{package}{os.pathsep}{path}" if path else package
    return environment
