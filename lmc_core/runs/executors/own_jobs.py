"""Which jobs of the local executor this machine computes, where machines share a home, and where
the models of a request lie on it: named by content.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lmc_core.errors import BadInput
from lmc_core.leases import SILENCE, Silence, find_host, find_machine
from lmc_core.locks import holder
from lmc_core.runs.jobs import LOCAL, Job, lock_path

_WAITING = Silence()
DIGITS = 12  # of a digest, that name a folder


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


def find_models(content: Mapping[str, object], home: Path) -> dict[str, object]:
    """Return a request whose folders of models are those of this machine.

    A folder that is not here under the path that was asked for is looked for as
    `models/<digest>` in the folder of results, by the whole digest or its first twelve digits.
    Whoever computes compares the digest with that of the files. References of the zoo and the hub
    mean the same everywhere.

    Args:
        content: a request as JSON values.
        home: folder of results.

    Raises:
        BadInput: a model is in neither place.
    """
    found = dict(content)
    names = [content.get(name) for name in ("models", "names", "digests")]
    if not all(isinstance(each, list) for each in names):
        return found
    references, said, digests = (cast("list[str]", each) for each in names)
    here = list(references)
    for place, (reference, name, digest) in enumerate(zip(references, said, digests, strict=True)):
        kind, _, path = reference.partition(":")
        if kind != "path" or "+" in path or Path(path).exists():
            continue
        kept = [home / "models" / each for each in (digest, digest[:DIGITS])]
        there = next((folder for folder in kept if folder.is_dir()), None)
        if there is None:
            raise BadInput(
                f"The machine {find_host().partition('/')[0]} does not have {name}: there is no "
                f"folder {path}, and none {kept[-1]}, where its files may be put for all machines."
            )
        here[place] = f"path:{there}"
    return {**found, "models": here}
