"""A row of the table of jobs, and how it is read from the files of a job."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from lmc_core import folders
from lmc_core.leases import find_host, find_machine
from lmc_core.runs.jobs.files import ACTIVE, ENDED, Asked, JobFolder, State, Told, quoted

LOCAL = "local"  # the executor of this machine's own worker


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
        machine: where it was asked for, as `leases.find_machine` names it; "" where nobody knows.
    """

    key: str
    request: dict[str, object] = field(repr=False)
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
    machine: str = ""

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE

    @property
    def node(self) -> str:
        """Name of the worker's machine; "" before there is one."""
        return self.host.partition("/")[0]

    @property
    def workers(self) -> tuple[str, str, str]:
        """Which workers take it."""
        return name_workers(self.executor, self.device, self.machine)

    @property
    def remote(self) -> bool:
        """Whether it is not for this machine's own worker, or another machine has it."""
        return self.executor != LOCAL or self.host not in ("", find_host())


def name_workers(executor: str, device: str, machine: str) -> tuple[str, str, str]:
    """Which workers take a job: an executor's for a kind of device; of the local one those of the
    machine where it was asked for.
    """
    return executor, device, machine if executor == LOCAL else ""


@lru_cache(maxsize=4096)
def read_asked(folder: Path, name: str) -> Asked:
    """What was asked; its file never changes."""
    return cast(Asked, JobFolder(folder).read(name))


def read_job(folder: JobFolder, state: State, names: frozenset[str]) -> Job:
    """The row of a job.

    Raises:
        FileNotFoundError: its state changed meanwhile.
    """
    asked = read_asked(folder.path, f"asked~{state.generation}")
    told: Told = {}
    heartbeat = None
    if state.name == "running":
        own = f"progress~{state.generation}~{quoted(state.actor)}"
        told = {**folder.read_told(own), "worker": state.actor}
        heartbeat = os.stat(folder.path / own).st_mtime
    elif state.name in ENDED:
        told = folder.read_told(f"outcome~{state.generation}~{quoted(state.actor)}")
    elif f"task~{state.generation}" in names:
        told = folder.read_told(f"task~{state.generation}")
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
        machine=asked.get("machine", ""),
    )


def lock_path(device: str, home: Path | None = None, machine: str = "") -> Path:
    """Return the lock file of the worker of a device on a machine, this one unless another is
    named; its log lies beside it, with the ending `.log`.
    """
    home = home if home is not None else folders.home()
    return home / "workers" / f"{machine or find_machine()}.{device}.lock"
