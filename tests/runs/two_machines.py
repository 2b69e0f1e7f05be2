"""Two machines with one home: what one sees of the other's job, and what becomes of it when that
machine is gone.

    python -m tests.runs.two_machines FOLDER hold SECONDS    # computes one job of so many seconds
    python -m tests.runs.two_machines FOLDER watch SECONDS   # looks at it until it ended
    python -m tests.runs.two_machines FOLDER take SECONDS    # works until it is done, begun before or not

`watch` begins before the job is asked for, and looks at what is not there. It prints how long after
the beginning it sees the job, by how many seconds what it sees is behind, at most and on average, and
how long after the end it sees the end and the result. `take` prints how often the job was begun, and after how many
seconds it began it itself. The clocks have to agree. `scripts/nfs_check.sh` does this over NFS.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from lmc_core.runs.executors.work import Work
from lmc_core.runs.jobs import Jobs
from lmc_core.runs.store import Store
from tests.runs import fakes

LOOK = 0.2  # seconds between two looks


def began(folder: Path) -> float:
    """When the job was begun last, in seconds since 1970; waits for its first beginning."""
    while not (names := os.listdir(folder / "ran")):
        time.sleep(LOOK)
    return max(int(Path(name).stem.rpartition("-")[2]) for name in names) / 1e9


def hold(folder: Path, request: fakes.FakeRequest) -> None:
    """Ask for the job, and compute it."""
    worker = Work(f"cpu:{os.getpid()}", "cpu", folder / "home", threads=1, executor="toy")
    worker.jobs.submit(request, executor="toy")
    worker.serve(request.key)


def watch(folder: Path, request: fakes.FakeRequest) -> None:
    """Compare what the table says with what the clock says."""
    jobs, store, behind = Jobs(folder / "home" / "jobs"), Store(folder / "home" / "results"), []
    store.get(request.key)
    while (job := jobs.get(request.key)) is None or job.state == "queued":
        time.sleep(LOOK)
    seen = time.time()
    start = began(folder)
    seen_end = seen_result = 0.0
    while not (seen_end and seen_result):
        job, now = jobs.get(request.key), time.time()
        if job is not None and job.state == "running" and now - start < request.seconds:
            behind.append(now - start - job.progress * request.seconds)
        if not seen_end and job is not None and job.state == "done":
            seen_end = now
        if not seen_result and store.get(request.key) is not None:
            seen_result = now
        time.sleep(LOOK)
    end = start + request.seconds
    mean = sum(behind) / len(behind)
    print(
        f"{seen - start:.2f} {max(behind):.2f} {mean:.2f} {seen_end - end:.2f} {seen_result - end:.2f}"
    )


def take(folder: Path, request: fakes.FakeRequest) -> None:
    """Work until the job is done, by whomever."""
    worker = Work(f"cpu:{os.getpid()}", "cpu", folder / "home", threads=1, executor="toy")
    while (job := worker.jobs.get(request.key)) is None or job.state == "queued":
        time.sleep(LOOK)
    begun = time.time()
    while (job := worker.jobs.get(request.key)) is not None and job.state in ("queued", "running"):
        worker.jobs.sweep()
        if worker.serve(request.key):
            break
        time.sleep(LOOK)
    job = worker.jobs.get(request.key)
    count = len(list((folder / "ran").iterdir()))
    print(count, None if job is None else job.state, f"{began(folder) - begun:.1f}")


def main(folder: Path, role: str, seconds: float) -> int:
    fakes.register()
    (folder / "ran").mkdir(parents=True, exist_ok=True)
    request = fakes.FakeRequest("one", str(folder / "ran"), seconds=seconds)
    {"hold": hold, "watch": watch, "take": take}[role](folder, request)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
