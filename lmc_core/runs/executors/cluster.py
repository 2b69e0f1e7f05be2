"""What executors share whose cluster has a queue of its own: jobs are given to it once, their
states there are shown, and those that it loses are given to it again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from lmc_core.errors import BadInput, LmcError
from lmc_core.leases import Lease
from lmc_core.runs.executors.queued import Queued
from lmc_core.runs.jobs import Job

LOOK = 5.0  # seconds between two looks at the cluster's own queue
SETTLE = 2.0  # seconds until the cluster's queue shows what was given to it
ROUNDS = 3  # times that a job is given to the cluster, whose workers end without taking it
TAIL = 300  # characters of a log that are shown

V = TypeVar("V", int, float)
_LOOKS: dict[tuple[str, Path], tuple[float, Mapping[str, str] | None]] = {}
_SEEN: dict[str, float] = {}  # task -> when this process saw it first


class Cluster(Queued):
    """Gives jobs to a cluster and looks after them."""

    def send(self, device: str, jobs: Sequence[Job]) -> Mapping[str, tuple[str, str]]:
        """Give jobs of one kind of device to the cluster.

        Returns:
            Key -> what the cluster calls its task, and the path of the task's log.

        Raises:
            LmcError: the cluster refuses them.
        """
        raise NotImplementedError

    def look(self) -> Mapping[str, str]:
        """Return what the cluster has of this person: task -> its state there, in words.

        Raises:
            LmcError: it does not answer.
        """
        raise NotImplementedError

    def provide(self, waiting: Sequence[Job]) -> None:
        """See `Queued.provide`."""
        known = self._look()
        left = [job for job in waiting if job.task and known is not None and self._lost(job, known)]
        for job in waiting:
            said = (known or {}).get(job.task, "")
            message = f"{self.name.capitalize()} {job.task}: {said}"
            if said and job.message != message:
                note = self.jobs.find_note(job.key)
                self.jobs.note(job.key, job.task, message, job.log, int(note.get("round", 1)))
        fresh = [job for job in waiting if not job.task]
        if not fresh and not left:
            return
        lease = Lease(self.home / "workers" / f"{self.name}.lease")
        if not lease.acquire(timeout=0.0):  # another process is at it
            return
        try:
            self._give(fresh, left)
        finally:
            lease.release()

    def _give(self, fresh: Sequence[Job], lost: Sequence[Job]) -> None:
        """Give jobs to the cluster, unless somebody did so meanwhile or it lost them too often."""
        before = {job.key: job.task for job in (*fresh, *lost)}
        by_device: dict[str, list[Job]] = {}
        rounds: dict[str, int] = {}
        for key, task in before.items():
            job = self.jobs.get(key)
            if job is None or job.state != "queued" or job.task != task:
                continue
            rounds[key] = int(self.jobs.find_note(key).get("round", 0)) + 1
            if rounds[key] > ROUNDS:
                self.jobs.give_up(key, LmcError(self._explain(job)))
            else:
                by_device.setdefault(job.device, []).append(job)
        for device, jobs in by_device.items():
            try:
                sent = self.send(device, jobs)
            except LmcError as error:
                for job in jobs:
                    self.jobs.give_up(job.key, error)
                continue
            for key, (task, log) in sent.items():
                message = f"{self.name.capitalize()} {task}: waiting"
                self.jobs.note(key, task, message, log, rounds[key])

    def is_dead(self, job: Job) -> bool:
        """Whether the cluster knows the task of a job no longer."""
        known = self._look() if job.executor == self.name and job.task else None
        return known is not None and self._lost(job, known)

    def _lost(self, job: Job, known: Mapping[str, str]) -> bool:
        """Whether the cluster does not have a task that it had long enough ago to show it."""
        seen = _SEEN.setdefault(f"{job.key} {job.task} {job.worker}", time.monotonic())
        looked = _LOOKS[self.name, self.home][0]
        return looked - seen > SETTLE and job.task not in known

    def _look(self) -> Mapping[str, str] | None:
        """What the cluster has, as of a few seconds ago; None where it does not answer."""
        name = self.name, self.home
        if name not in _LOOKS or time.monotonic() - _LOOKS[name][0] > LOOK:
            begun = time.monotonic()
            try:
                found = self.look()
            except LmcError:
                found = None
            _LOOKS[name] = begun, found
        return _LOOKS[name][1]

    def _explain(self, job: Job) -> str:
        """Why a job is given up that no worker took."""
        try:
            end = " ".join(Path(job.log).read_text(errors="replace").split())[-TAIL:]
        except OSError:
            end = ""
        said = (
            f"the end of its log {job.log}: {end}" if end else f"its log is {job.log or 'absent'}"
        )
        return (
            f"{self.name.capitalize()} {job.task} ended {ROUNDS} times without taking this run; "
            f"{said}."
        )


def read_number(settings: Mapping[str, str], name: str, default: V, kind: type[V]) -> V:
    """Return a setting that is a positive number."""
    try:
        value = kind(settings.get(name, default))
    except ValueError:
        value = kind(0)
    if value <= 0:
        raise BadInput(f"{name} expects a positive number; {settings[name]!r} came.")
    return value


def group(keys: Iterable[str], most: int) -> list[list[str]]:
    """Divide keys among at most so many tasks, the first of each in order."""
    parts: list[list[str]] = []
    for number, key in enumerate(keys):
        if number < most:
            parts.append([])
        parts[number % most].append(key)
    return parts
