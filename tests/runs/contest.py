"""Submitters and workers that begin at once, of which workers are killed at any moment.

    python -m tests.runs.contest FOLDER SEED [MACHINES]

Prints how many submitters were left, computations begun, workers killed, jobs left, entries left in
`open`, and jobs that two living workers had at once. Each of several machines that share the folder
runs this; they begin together, each kills workers of its own, and what is printed is of all of them.
Their clocks have to agree to a few milliseconds. `scripts/nfs_check.sh` does this over NFS.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from lmc_core.leases import find_host
from lmc_core.runs.executors.work import Work
from lmc_core.runs.jobs import Jobs
from lmc_core.runs.jobs.files import quoted
from lmc_core.runs.store import Store
from tests.runs import fakes

JOBS, SUBMITTERS, WORKERS, LIMIT = 30, 2, 3, 60.0
CLOCKS = 0.01  # seconds that clocks of machines may differ by


def begin(act: Callable[..., None], *arguments: object) -> int:
    """Run a function in a forked process; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        act(*arguments)
    finally:
        os._exit(0)


def ask(folder: Path) -> list[fakes.FakeRequest]:
    ran = str(folder / "ran")
    return [fakes.FakeRequest(str(number), ran, seconds=0.05) for number in range(JOBS)]


def submit(home: Path, folder: Path, seed: int) -> None:
    """Ask for everything, in an order of its own, until all of it is there."""
    jobs, store, requests = Jobs(home / "jobs"), Store(home / "results"), ask(folder)
    random.Random(seed).shuffle(requests)
    while missing := [each for each in requests if store.get(each.key) is None]:
        for request in missing:
            jobs.submit(request, executor="toy")
        time.sleep(0.05)


def note(folder: Path, what: str, pid: int, key: str = "") -> None:
    """Leave a file that says when a process took a job, gave it back, or was killed."""
    names = (what, f"{pid}-{quoted(find_host())}", key, f"{time.time():.6f}")
    (folder / "notes" / "~".join(names)).touch()


def work(home: Path, folder: Path, number: int) -> None:
    worker = Work(f"cpu:{number}-{os.getpid()}", "cpu", home, threads=1, executor="toy")
    while True:
        worker.jobs.sweep()
        job = worker.claim()
        if job is None:
            time.sleep(0.01)
            continue
        note(folder, "took", os.getpid(), job.key)
        worker.do(job)
        note(folder, "gave", os.getpid(), job.key)


def find_overlaps(folder: Path) -> set[str]:
    """Jobs that two living workers had at once, by their notes."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    gave: dict[tuple[str, str], list[float]] = defaultdict(list)
    killed: dict[str, float] = {}
    for name in os.listdir(folder / "notes"):
        what, process, key, moment = name.split("~")
        if what == "killed":
            killed[process] = float(moment)
        else:
            (took if what == "took" else gave)[key, process].append(float(moment))
    held: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (key, process), begun in took.items():
        ends = sorted([*gave[key, process], killed.get(process, float("inf"))])
        for start in begun:
            held[key].append((start, next((end for end in ends if end >= start), start)))
    return {
        key
        for key, spans in held.items()
        if any(a[1] > b[0] + CLOCKS for a, b in itertools.pairwise(sorted(spans)))
    }


def meet(folder: Path, name: str, machines: int, end: float) -> None:
    """Wait until every machine is here."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / quoted(find_host())).touch()
    while len(os.listdir(folder / name)) < machines and time.monotonic() < end:
        time.sleep(0.01)


def main(folder: Path, seed: int, machines: int = 1) -> int:
    fakes.register()
    home, chance = folder / "home", random.Random(seed)
    for name in ("ran", "notes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + LIMIT * machines**2
    meet(folder, "ready", machines, end)
    submitters = {begin(submit, home, folder, seed + number) for number in range(SUBMITTERS)}
    workers = [begin(work, home, folder, number) for number in range(WORKERS)]
    killed = 0
    while submitters and time.monotonic() < end:
        # kills keep pace with the work, so that a fast machine sees as many as a slow one
        if killed and len(os.listdir(folder / "ran")) < 2 * killed * machines:
            time.sleep(0.005)
            submitters = {pid for pid in submitters if os.waitpid(pid, os.WNOHANG) == (0, 0)}
            continue
        time.sleep(chance.uniform(0, 0.05))
        victim = chance.randrange(WORKERS)
        note(folder, "killed", workers[victim])
        os.kill(workers[victim], signal.SIGKILL)
        killed += 1
        if chance.random() < 0.5:  # others see a zombie for a while
            time.sleep(0.02)
        os.waitpid(workers[victim], 0)
        workers[victim] = begin(work, home, folder, WORKERS + killed)
        submitters = {pid for pid in submitters if os.waitpid(pid, os.WNOHANG) == (0, 0)}
    time.sleep(0.5)  # what the last ones hold is given back
    jobs, left = Jobs(home / "jobs"), 1
    while left and time.monotonic() < end:
        jobs.sweep()
        left = len(jobs.active())
        time.sleep(0.05)
    meet(folder, "over", machines, end)
    for pid in (*workers, *submitters):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    began = len(os.listdir(folder / "ran"))
    listed = len(os.listdir(home / "jobs" / "open"))
    killed = sum(name.startswith("killed") for name in os.listdir(folder / "notes"))
    twice = len(find_overlaps(folder))
    print(len(submitters), began, killed, left, listed, twice)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
