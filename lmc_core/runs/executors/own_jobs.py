"""Which jobs of the local executor this machine computes, where machines share a home."""

from __future__ import annotations

from pathlib import Path

from lmc_core.errors import BadInput
from lmc_core.leases import SILENCE, Silence, find_machine
from lmc_core.locks import holder
from lmc_core.runs.executors.contents import find_models
from lmc_core.runs.jobs import LOCAL, Job, lock_path

_WAITING = Silence()


def starts_worker(job: Job, home: Path) -> bool:
    """Whether a waiting job of the local executor is a reason to start a worker on this machine: if
    it computes the job, and that was asked for here or needs no more than a CPU. Of what else other
    machines have, such as a graphics card, nobody has said that this one has it too.
    """
    return is_own(job, home) and (job.machine in ("", find_machine()) or job.device == "cpu")


def is_own(job: Job, home: Path) -> bool:
    """Whether this machine computes a waiting job of the local executor.

    It does if the job was asked for here. One that was asked for elsewhere belongs to the machine
    that it was asked on, unless a worker there died over it, or this process has seen it wait for a
    minute without a living one there, and its models are here. Where a file system of a network
    does not show locks to other machines, a worker there looks like none; then two machines share
    what waits.

    Args:
        job: that waits.
        home: folder of results, jobs and locks.
    """
    if job.executor != LOCAL or job.machine in ("", find_machine()):
        return True
    mark = f"{home}/{job.key}"
    if holder(lock_path(job.device, home, job.machine)) is not None:
        _WAITING.forget(mark)
        return False
    if job.tries == 0 and _WAITING.measure(mark, job.created) < SILENCE:
        return False
    try:
        find_models(job.request, home)
    except BadInput:
        return False
    return True
