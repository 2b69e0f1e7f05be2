"""Throughput of many small jobs: in this process, by this machine's worker, on Ray and on Slurm.

    python benchmarks/executors.py                       # the executors that are there
    python benchmarks/executors.py --jobs 200 --executor inline --executor "slurm:tasks=2,cpus=1"

A job computes nothing and stores a small result, so that what is measured is what an executor costs:
seconds for all jobs of one `run_all`, from asking to the last result, the first start of a worker
included and, in a second column, with the workers warm where the executor keeps them; seconds a job
beyond those in this process; and the ratio of the throughputs. One run, one executor after another;
the processor time of this process is given beside, since other work on the machine moves the rest.
Nothing is asserted. Ray is started with two nodes for the time of the run where no cluster answers.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lmc_core.errors import LmcError
from lmc_core.progress import Progress
from lmc_core.runs.computation import COMPUTATIONS, Computation
from lmc_core.runs.executors import Executor, get_executor


@dataclass(frozen=True)
class Nothing:
    """A request for nothing much."""

    number: str
    device: str = "cpu"
    what: str = "nothing"
    model_names = ()

    def to_json(self) -> dict[str, object]:
        """See `Request`."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Nothing:
        """See `Request`."""
        return cls(str(content["number"]))

    @property
    def key(self) -> str:
        """See `Request`."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()


def compute(request: Nothing, report: Progress, refresh: bool) -> tuple[dict, dict]:
    """Compute nothing much."""
    report(1.0, "done")
    return {"number": request.number, "cached": False}, {"losses": np.zeros(10, np.float32)}


COMPUTATIONS.add(Computation("nothing", Nothing, compute), replace=True)


@contextlib.contextmanager
def ray_cluster(wanted: bool) -> Iterator[str]:
    """The address of a Ray cluster of two nodes of one core, on 127.0.0.1 alone."""
    if not wanted:
        yield ""
        return
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1)
    try:
        yield str(cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()


def measure(executor: Executor, name: str, jobs: int) -> tuple[float, float, float]:
    """Seconds of all jobs, of as many once more, and of this process meanwhile."""
    taken, spent = [], time.process_time()
    for turn in range(2):
        requests = [Nothing(f"{name} {turn} {number}") for number in range(jobs)]
        begun = time.perf_counter()
        wrong = [each for _, each in executor.run_all(requests) if isinstance(each, LmcError)]
        taken.append(time.perf_counter() - begun)
        if wrong:
            raise wrong[0]
    return taken[0], taken[1], time.process_time() - spent


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--executor", action="append", help="as after `lmc --executor`; repeatable")
    options = parser.parse_args()
    here = ["inline", "local"]
    here += ["slurm:tasks=2,cpus=1,minutes=10"] * bool(shutil.which("sbatch"))
    here += ["ray"] * (find_spec("ray") is not None)
    chosen = options.executor or here
    home = Path(tempfile.mkdtemp(prefix="lmc-executors-"))
    os.environ |= {"LMC_HOME": str(home), "LMC_IMPORTS": "benchmarks.executors"}
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    rows, base = [], None
    with ray_cluster("ray" in chosen) as address:
        for text in chosen:
            executor = get_executor(f"ray:address={address}" if text == "ray" else text)
            cold, warm, own = measure(executor, text, options.jobs)
            base = base or warm
            more = 1000 * (warm - base) / options.jobs
            rows.append((text, cold, warm, options.jobs / warm, base / warm, more, own))
    print(f"| {options.jobs} jobs | first s | again s | jobs/s | ratio | ms more a job | own s |")
    print("|---|---|---|---|---|---|---|")
    for text, cold, warm, rate, ratio, more, own in rows:
        print(
            f"| {text} | {cold:.1f} | {warm:.1f} | {rate:.0f} | {ratio:.2f} | {more:.1f} |"
            f" {own:.1f} |"
        )
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
