"""A real Slurm of one node."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmc_core import folders
from lmc_core.errors import BadInput, LmcError
from lmc_core.runs.executors import get_executor, get_queue
from lmc_core.runs.executors.slurm import Slurm, make
from lmc_core.runs.jobs import Job
from lmc_core.runs.result import Result
from tests.runs.conftest import until
from tests.runs.test_jobs import Ask

TOOL = folders.PACKAGE.parents[1] / "shared" / "tools" / "slurm-one-node"
pytest.importorskip("submitit")
real = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOOL.is_file(), reason=f"{TOOL} is not there, which starts a Slurm"),
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("apt-get"), reason="needs Debian"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm that listens on 127.0.0.1 alone."""
    place = tmp_path_factory.mktemp("slurm")
    begun = subprocess.run([TOOL, "start", place], capture_output=True, text=True, timeout=200)
    if begun.returncode:
        pytest.skip(f"no Slurm could be started: {begun.stderr[-200:]}")
    yield place
    subprocess.run(["scancel", "-u", "root"], capture_output=True, timeout=30)
    end = time.monotonic() + 20
    while time.monotonic() < end and tasks():
        time.sleep(0.2)
    subprocess.run([TOOL, "stop", place], capture_output=True, timeout=30)


def tasks() -> list[str]:
    return subprocess.run(["squeue", "-h"], capture_output=True, text=True).stdout.splitlines()


@pytest.fixture
def slurm(cluster: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    monkeypatch.setenv("LMC_IMPORTS", "tests.runs.registered")
    executor = get_executor("slurm:minutes=5,cpus=1,tasks=3")
    assert isinstance(executor, Slurm) and executor.home == home.resolve()
    return executor


def job_of(slurm: Slurm, key: str) -> Job:
    job = slurm.jobs.get(key)
    assert job is not None
    return job


class TestReal:
    pytestmark = real

    def test_a_job_is_computed_by_a_task(self, slurm: Slurm, ask: Ask) -> None:
        heard: list[str] = []
        request = ask(seconds=1.0)
        result = slurm.run(request, lambda share, words: heard.append(words))
        assert result.result["loss"] == [0.5, 2.0] and result.result["cached"] is False
        assert any(words.startswith("Slurm ") for words in heard) and "turning the crank" in heard
        job = job_of(slurm, request.key)
        assert (job.state, job.executor) == ("done", "slurm")
        assert job.node and job.worker.startswith(f"cpu:slurm {job.task} ")
        until(lambda: "is done" in Path(job.log).read_text())
        assert slurm.run(request).result["cached"] is True and request.runs() == 1
        with pytest.raises(BadInput, match="even number"):
            slurm.run(ask("wrong", mode="input"))

    def test_two_who_ask_for_many_share_them(self, slurm: Slurm, ask: Ask) -> None:
        """200 small jobs, by three tasks at the most that run at a time."""
        requests = [ask(str(number)) for number in range(200)]
        other = get_executor("slurm:minutes=5,cpus=1,tasks=2")
        other.submit_all(requests[100:])
        found = dict(slurm.run_all(requests))
        assert sorted(found) == list(range(200))
        assert all(isinstance(each, Result) for each in found.values())
        assert len(list(Path(requests[0].folder).iterdir())) == 200  # none computed twice
        assert slurm.jobs.active() == []

    def test_a_killed_task_and_a_stopped_one_go_on(self, slurm: Slurm, ask: Ask) -> None:
        killed, stopped, cancelled = ask("k", seconds=3), ask("s", seconds=4), ask("c", seconds=60)
        slurm.submit_all([killed, stopped, cancelled])
        until(lambda: (slurm.tend(), killed.runs())[1], 30)
        os.kill(job_of(slurm, killed.key).pid or 0, 9)
        until(lambda: (slurm.tend(), stopped.runs())[1], 30)
        task = job_of(slurm, stopped.key).task
        # what Slurm sends before the time limit, or to make room: the task requeues itself
        subprocess.run(["scancel", "--signal=USR2", task], check=True)
        until(lambda: job_of(slurm, stopped.key).state != "running", 30)
        # Slurm would wait for two minutes, so that a node may get well
        until(
            lambda: (
                subprocess.run(
                    ["scontrol", "update", f"job={task}", "StartTime=now"], capture_output=True
                ).returncode
                == 0
            ),
            30,
        )
        until(lambda: (slurm.tend(), cancelled.runs())[1], 60)
        slurm.cancel(cancelled.key)
        until(lambda: job_of(slurm, cancelled.key).state == "cancelled", 30)
        found = dict(slurm.run_all([killed, stopped]))
        assert isinstance(found[0], Result) and isinstance(found[1], Result)
        assert killed.runs() == 2 and stopped.runs() == 2 and cancelled.runs() == 1
        assert job_of(slurm, killed.key).tries == 1 and job_of(slurm, stopped.key).tries == 0

    def test_a_waiting_job_is_cancelled_in_the_queue_of_slurm(self, slurm: Slurm, ask: Ask) -> None:
        subprocess.run(["scontrol", "update", "partition=main", "state=down"], check=True)
        try:
            slurm.submit(ask())
            task = job_of(slurm, ask().key).task
            until(lambda: (slurm.tend(), "pending" in job_of(slurm, ask().key).message)[1], 30)
            slurm.cancel(ask().key)
            assert job_of(slurm, ask().key).state == "cancelled"
            until(lambda: not any(line.split()[0] == task for line in tasks()))
        finally:
            subprocess.run(["scontrol", "update", "partition=main", "state=up"], check=True)
        assert ask().runs() == 0

    def test_what_slurm_refuses_is_said(self, slurm: Slurm, ask: Ask) -> None:
        wrong = get_executor("slurm:partition=nowhere,minutes=5")
        with pytest.raises(LmcError, match=r"Slurm refused the jobs.*partition"):
            wrong.run(ask())

    def test_a_task_that_cannot_begin_is_said_with_its_log(
        self, slurm: Slurm, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lmc_core.runs.executors.cluster.LOOK", 0.5)
        monkeypatch.setattr("lmc_core.runs.executors.cluster.ROUNDS", 1)
        monkeypatch.setenv("LMC_IMPORTS", "no_such_module")
        with pytest.raises(LmcError, match="ended 1 times without taking this run.*no_such_module"):
            slurm.run(ask())


def test_settings_and_what_is_missing_are_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="setting of the executor slurm 'partitoin'.*'partition'"):
        get_executor("slurm:partitoin=gpu")
    with pytest.raises(BadInput, match="NAME=VALUE; 'gpu' came"):
        get_executor("slurm:gpu")
    with pytest.raises(BadInput, match="minutes expects a positive number; 'soon' came"):
        get_executor("slurm:minutes=soon")
    with pytest.raises(BadInput, match="an executor with a queue and 'inline' has none"):
        get_queue("inline")
    monkeypatch.setattr("lmc_core.runs.executors.slurm.shutil.which", lambda name: None)
    with pytest.raises(LmcError, match="sbatch is not found"):
        get_executor("slurm")
    monkeypatch.setattr("lmc_core.runs.executors.slurm.shutil.which", lambda name: name)
    assert make({"partition": "gpu", "memory": "16G"}).settings.more == (
        ("partition", "gpu"),
        ("mem", "16G"),
    )
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(LmcError, match=r"pip install 'lmc-explorer\[slurm\]'"):
        get_executor("slurm")
