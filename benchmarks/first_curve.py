"""How long a person waits for the first curves of a pair that nobody asked about before, in seconds.

    python benchmarks/first_curve.py                    # a pair of every family of the zoo
    python benchmarks/first_curve.py --cold gpt2-plays  # without a worker that is ready

Each pair is asked about as the page Barrier does at first: the plain average, weight matching with
permutations alone, and with the largest classes, on all examples of the test split at 25 points;
from the second model to the first, as first answers the other way come with the app. A worker in a
home of its own computes them; the clock runs from the question until there is a first curve to
draw, which is on so many examples at so many points, of each of the three. Then the jobs are
cancelled, and the time is taken until none runs. "Cold" counts the start of the worker and its
imports; otherwise the worker was told of the models when the page was opened, and is ready.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from lmc_core.locks import holder
from lmc_core.runs.executors import Local
from lmc_core.runs.jobs import lock_path
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.partial import Unfinished
from lmc_core.runs.remembered import read_kinds
from lmc_core.runs.requests.barrier import BarrierRequest
from lmc_core.ui.setting import PLAIN, all_classes, only_permutations

PAIRS = (
    "gpt2-plays",
    "gpt2-austen",
    "llama-plays",
    "neox-plays",
    "mixtral-plays",
    "qwen-moe-plays",
    "vit-hf-fashion",
    "vit-fashion",
)
LIMIT = 180.0  # seconds that a first curve may take


def main() -> int:
    """Measure and print one row for each pair."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", nargs="*", default=PAIRS)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--pause", type=float, default=12.0, help="seconds to get ready in")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPU cores; load average {os.getloadavg()[0]:.1f}\n")
    print("pair           plain, permutations, all classes: waited, worked; until cancelled")
    found = []
    for pair in options.pairs:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LMC_HOME"] = folder
            try:
                found.append(measure(pair, Path(folder), options.cold, options.pause))
            finally:
                end(Path(folder))
    print(f"median of the last of three: {statistics.median(found):.1f} s")
    return 0


def ask(pair: str) -> list[BarrierRequest]:
    """What the page Barrier asks for at first."""
    a, b = f"{pair}-s1", f"{pair}-s0"
    largest = {kind: space["largest"] for kind, space in read_kinds(a).items()}
    settings = (PLAIN, only_permutations(largest), all_classes(largest))
    return [
        make_request(a, b, method=each.method, classes=dict(each.classes) or None, device="cpu")
        for each in dict.fromkeys(settings)
    ]


def measure(pair: str, home: Path, cold: bool, pause: float) -> float:
    """Print the row of a pair; returns the seconds until all first curves were there."""
    requests, local = ask(pair), Local(home)
    if not cold:
        local.expect(requests[0].models, "cpu")
        time.sleep(pause)
    begin, before = time.monotonic(), spent(home)
    local.submit_all(requests)
    seen: dict[str, float] = {}
    worked: dict[str, float] = {}
    first = ""
    while len(seen) < len(requests) and time.monotonic() - begin < LIMIT:
        local.tend()
        for request in requests:
            if request.key not in seen and (kept := Unfinished(request.key).read()) is not None:
                seen[request.key] = time.monotonic() - begin
                worked[request.key] = spent(home) - before
                facts = kept[0]
                first = first or (
                    f"{facts['examples']} of {facts['there']} examples, {len(facts['lam'])} points"
                )
        time.sleep(0.05)
    stopped = time.monotonic()
    for request in requests:
        local.cancel(request.key)
    while local.jobs.active():
        local.tend()
        time.sleep(0.02)
    ended = time.monotonic() - stopped
    print(
        f"{pair:<15}{row(requests, seen)} s{row(requests, worked)} s   {ended:6.2f} s   {first}",
        flush=True,
    )
    return max(seen.values(), default=float("nan"))


def row(requests: Sequence[BarrierRequest], seconds: dict[str, float]) -> str:
    """Seconds of each request; a dash where there was no curve."""
    return "".join(
        f"{seconds[each.key]:7.1f}" if each.key in seconds else f"{'-':>7}" for each in requests
    )


def spent(home: Path) -> float:
    """Processor seconds of the worker; 0 while there is none."""
    name = holder(lock_path("cpu", home))
    try:
        times = psutil.Process(int(str(name).partition(":")[2].partition("-")[0])).cpu_times()
    except (ValueError, psutil.Error):
        return 0.0
    return times.user + times.system


def end(home: Path) -> None:
    """Let the worker end, which it does when its lock is gone."""
    lock = lock_path("cpu", home)
    lock.unlink(missing_ok=True)
    for _ in range(100):
        if holder(lock) is None:
            break
        time.sleep(0.1)
    time.sleep(1.0)


if __name__ == "__main__":
    raise SystemExit(main())
