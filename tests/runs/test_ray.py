"""A real Ray cluster of two nodes, in processes of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lmc_core.errors import BadInput, LmcError
from lmc_core.runs.executors import get_executor
from lmc_core.runs.executors.ray import Ray
from lmc_core.runs.result import Result
from tests.runs.conftest import until
from tests.runs.test_jobs import Ask

LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: every process listens on 127.0.0.1 alone
there = pytest.mark.skipif(find_spec("ray") is None, reason="the package ray is not there")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv(LOOPBACK, "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def crew(cluster: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Ray:
    monkeypatch.setenv("LMC_IMPORTS", "tests.runs.registered")
    executor = get_executor(f"ray:address={cluster.address}")
    assert isinstance(executor, Ray)
    return executor


@there
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_jobs_on_two_nodes_one_of_which_dies(cluster: Any, crew: Ray, ask: Ask) -> None:
    """One test, because the cluster and its first task take most of the time."""
    node = cluster.add_node(num_cpus=1)
    heard: list[str] = []
    result = crew.run(ask(seconds=0.5), lambda share, words: heard.append(words))
    assert result.result["cached"] is False and "turning the crank" in heard
    job = crew.jobs.get(ask(seconds=0.5).key)
    assert job is not None and (job.state, job.executor) == ("done", "ray")
    assert "is done" in Path(job.log).read_text()
    with pytest.raises(BadInput, match="even number"):
        crew.run(ask("wrong", mode="input"))

    requests = [ask(str(number)) for number in range(200)]
    get_executor(f"ray:address={cluster.address}").submit_all(requests[100:])
    found = dict(crew.run_all(requests))
    assert all(isinstance(found[place], Result) for place in range(200))
    assert sum(request.runs() for request in requests) == 200

    # a worker is killed, its node goes, and what ran there and what waits goes on elsewhere
    slow, cancelled = ask("slow", seconds=2), ask("cancelled", seconds=60)
    crew.submit_all([slow, ask("beside")])
    until(lambda: (crew.tend(), slow.runs())[1], 60)
    job = crew.jobs.get(slow.key)
    assert job is not None and job.pid
    cluster.remove_node(node)
    if slow.runs() == 1:
        with contextlib.suppress(ProcessLookupError):  # it was on that node
            os.kill(job.pid, 9)
    found = dict(crew.run_all([slow, ask("beside")]))
    assert all(isinstance(found[place], Result) for place in range(2)) and slow.runs() == 2
    crew.submit_all([cancelled])
    until(lambda: (crew.tend(), cancelled.runs())[1], 60)
    crew.cancel(cancelled.key)
    until(lambda: not crew.states([cancelled.key])[cancelled.key].active, 30)
    assert crew.states([cancelled.key])[cancelled.key].state == "cancelled"
    assert crew.jobs.active() == []


def test_no_cluster_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**settings: object) -> None:
        raise ConnectionError("nobody")

    fake = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", fake)
    for address in ("auto", "127.0.0.1:1"):  # where nobody listens
        with pytest.raises(LmcError, match=f"No Ray cluster answers at '{address}'; start one"):
            get_executor(f"ray:address={address}")


def test_without_the_package_it_says_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(LmcError, match=r"pip install 'lmc-explorer\[ray\]'"):
        get_executor("ray")
