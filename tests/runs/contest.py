"""Submitters and workers that begin at once, of which workers are killed at any moment.

    python -m tests.runs.contest FOLDER SEED

Prints how many submitters were left, computations begun, workers killed, jobs left, entries left in
`open`, and jobs that two living workers had at once.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from lmc_core.leases import find_start
from lmc_core.runs.executors.work import Work
from lmc_core.runs.jobs import Jobs
from lmc_core.runs.store import Store
from tests.runs import fakes

JOBS, SUBMITTERS, WORKERS, LIMIT = 30, 2, 3, 60.0


def begin(act, *arguments: object) -> int:
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


def work(home: Path, folder: Path, number: int) -> None:
    worker = Work(f"cpu:{number}-{os.getpid()}", "cpu", home, threads=1, executor="toy")
    while True:
        worker.jobs.sweep()
        job = worker.claim()
        if job is None:
            time.sleep(0.01)
            continue
        mark = folder / "held" / job.key
        if mark.exists() and find_start(int(mark.read_text() or 0)) is not None:
            (folder / "twice" / job.key).touch()  # somebody who lives has it too
        mark.write_text(str(os.getpid()))
        worker.do(job)
        mark.write_text("")


def main(folder: Path, seed: int) -> int:
    fakes.register()
    home, chance = folder / "home", random.Random(seed)
    for name in ("ran", "held", "twice"):
        (folder / name).mkdir(parents=True)
    submitters = {begin(submit, home, folder, seed + number) for number in range(SUBMITTERS)}
    workers = [begin(work, home, folder, number) for number in range(WORKERS)]
    killed, end = 0, time.monotonic() + LIMIT
    while submitters and time.monotonic() < end:
        # kills keep pace with the work, so that a fast machine sees as many as a slow one
        if killed and len(os.listdir(folder / "ran")) < 2 * killed:
            time.sleep(0.005)
            submitters = {pid for pid in submitters if os.waitpid(pid, os.WNOHANG) == (0, 0)}
            continue
        time.sleep(chance.uniform(0, 0.05))
        victim = chance.randrange(WORKERS)
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
    for pid in (*workers, *submitters):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    began = len(list((folder / "ran").iterdir()))
    listed = len(os.listdir(home / "jobs" / "open"))
    twice = len(list((folder / "twice").iterdir()))
    print(len(submitters), began, killed, left, listed, twice)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2])))
