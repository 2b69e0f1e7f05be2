"""How many threads a computation should have: as many as there are cores that nobody else uses.

Threads that wait for each other at the end of every small operation lose far more than they gain
where one of them has no core of its own: under a quota of a container, which `os.cpu_count` does
not know, and beside other work (see docs/LOG.md).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

MOST_THREADS = 8  # small models get slower with more
LOOK = 0.2  # seconds for which the other processes are watched
CHOSEN = ("LMC_THREADS", "OMP_NUM_THREADS")  # by a person, the first that is set
LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

# what the process found in its environment before `use_threads` changed it
_GIVEN: dict[str, str | None] = {}


def threads(
    environment: Mapping[str, str] | None = None, root: Path = Path("/"), look: float = LOOK
) -> int:
    """Return how many threads to use now.

    Args:
        environment: whose `LMC_THREADS` or `OMP_NUM_THREADS` is taken where it is a number; by
            default that of the process.
        root: of the file system that tells of quotas and of other processes.
        look: seconds for which these are watched; 0 for not.
    """
    environment = os.environ if environment is None else environment
    for name in CHOSEN:
        if (asked := environment.get(name, "").strip()).isdigit() and int(asked) > 0:
            return int(asked)
    there = cores(root)
    if there == 1:
        return 1
    return max(1, min(MOST_THREADS, there - round(busy(root, look))))


def cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use: its affinity, and what the quotas of its groups
    leave of it, rounded down.
    """
    there = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, int(min([there, *quotas(root)])))


def quotas(root: Path = Path("/")) -> Iterator[float]:
    """Yield the cores that every control group around this process allows it (Linux cgroup v2 and
    v1); nothing elsewhere.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = (line.split(":", 2) + ["", ""])[:3]
        if controllers == "":  # version 2
            for folder in _upwards(root / "sys/fs/cgroup", place):
                if (found := _numbers(folder / "cpu.max")) is not None:
                    yield found[0] / found[1]
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "sys/fs/cgroup" / "cpu", place):
                quota, period = (
                    _numbers(folder / f"cpu.cfs_{name}_us", 1) for name in ("quota", "period")
                )
                if quota is not None and period is not None and quota[0] > 0:
                    yield quota[0] / period[0]


def busy(root: Path = Path("/"), seconds: float = LOOK) -> float:
    """Return how many cores other processes use, watched for a moment; 0 where the system does not
    tell.
    """
    if seconds <= 0 or (before := _spent(root)) is None:
        return 0.0
    begun, own = time.monotonic(), time.process_time()
    time.sleep(seconds)
    after, passed = _spent(root), time.monotonic() - begun
    if after is None:
        return 0.0
    return max(0.0, (after - before - (time.process_time() - own)) / passed)


def use_threads(count: int | None = None) -> int:
    """Set how many threads torch uses, without loading it, and return how many these are.

    Args:
        count: default: what `threads` says.
    """
    count = threads(as_given(os.environ)) if count is None else count
    for name in LIBRARIES:
        _GIVEN.setdefault(name, os.environ.get(name))
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    return count


def as_given(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what `use_threads` put there: no choice of a person, and none
    of another process.
    """
    found = {name: value for name, value in environment.items() if name not in _GIVEN}
    return found | {name: value for name, value in _GIVEN.items() if value is not None}


def _upwards(root: Path, place: str) -> Iterator[Path]:
    """The folder of a control group and all around it; in a container the names outside of it mean
    nothing inside.
    """
    names = [name for name in place.split("/") if name not in ("", "..")]
    for count in range(len(names), -1, -1):
        yield root.joinpath(*names[:count])


def _numbers(path: Path, count: int = 2) -> list[float] | None:
    """The first numbers in a file; None where it does not hold so many, as in "max 100000"."""
    try:
        found = [float(word) for word in path.read_text().split()[:count]]
    except (OSError, ValueError):
        return None
    return found if len(found) == count and found[-1] > 0 or count == 1 and found else None


def _spent(root: Path) -> float | None:
    """Seconds that all cores together have worked since the machine started; None where nobody
    says.
    """
    try:
        user, nice, system, _, _, *interrupts = map(
            int, (root / "proc/stat").read_text().split("\n", 1)[0].split()[1:8]
        )
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
