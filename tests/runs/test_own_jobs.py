"""Two machines that share a home, each with a worker of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmc_core.errors import LmcError
from lmc_core.leases import find_machine
from lmc_core.locks import FileLock
from lmc_core.runs import jobs as table
from lmc_core.runs.executors import Local, own_jobs
from lmc_core.runs.executors import local as executors
from lmc_core.runs.jobs import Job, Jobs, claims, lock_path
from tests.runs.conftest import end, python, until
from tests.runs.fakes import FakeRequest

Ask = Callable[..., FakeRequest]
OTHER = "elsewhere"

# a process that takes itself for one of another machine; `LMC_HOME` says which home
ELSEWHERE = f"""
import socket
socket.gethostname = lambda: {OTHER!r}
from lmc_core.runs.worker import main
main(["--idle", "30"])
"""


@pytest.fixture
def jobs(home: Path) -> Jobs:
    return Jobs(home / "jobs")


@contextmanager
def on(machine: str) -> Iterator[None]:
    """What is asked for meanwhile is asked for on another machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "find_machine", lambda: machine)
        yield


def ask_elsewhere(jobs: Jobs, request: FakeRequest) -> Job:
    with on(OTHER):
        return jobs.submit(request)


def claim(jobs: Jobs, home: Path) -> Job | None:
    return jobs.claim("cpu:w", "cpu", os.getpid(), includes=lambda job: own_jobs.is_own(job, home))


def test_a_worker_takes_what_was_asked_for_on_its_machine(jobs: Jobs, ask: Ask, home: Path) -> None:
    assert ask_elsewhere(jobs, ask("theirs")).machine == OTHER
    assert jobs.submit(ask("mine")).machine == find_machine()
    taken = claim(jobs, home)
    assert taken is not None and taken.key == ask("mine").key
    assert claim(jobs, home) is None


def test_jobs_of_other_machines_are_not_waited_for(jobs: Jobs, ask: Ask) -> None:
    ask_elsewhere(jobs, ask("theirs"))
    jobs.submit(ask("first"))
    jobs.submit(ask("second"))
    assert [jobs.position(ask(name).key) for name in ("theirs", "first", "second")] == [0, 0, 1]


def test_who_asks_last_has_it_on_his_machine(jobs: Jobs, ask: Ask, home: Path) -> None:
    ask_elsewhere(jobs, ask())
    assert jobs.submit(ask()).machine == find_machine()
    assert claim(jobs, home) is not None
    assert ask_elsewhere(jobs, ask()).state == "running"  # one that runs is joined


def test_a_job_whose_machine_has_no_worker_is_taken_after_a_minute(
    jobs: Jobs, ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_elsewhere(jobs, ask())
    assert claim(jobs, home) is None
    monkeypatch.setattr(own_jobs, "SILENCE", 0.0)
    with FileLock(lock_path("cpu", home, OTHER), note="cpu:theirs"):
        assert claim(jobs, home) is None
    assert claim(jobs, home) is not None


def test_a_job_over_which_a_worker_died_elsewhere_is_taken_at_once(
    jobs: Jobs, ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_elsewhere(jobs, ask())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "find_host", lambda: f"{OTHER}/1")
        assert jobs.claim("cpu:theirs", "cpu", 1) is not None
    assert [job.state for job in jobs.sweep(limit=-1.0)] == ["queued"]
    assert claim(jobs, home) is not None


def test_a_job_whose_models_lie_elsewhere_is_left(
    jobs: Jobs, ask: Ask, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_jobs, "SILENCE", 0.0)
    job = ask_elsewhere(jobs, ask())
    there = tmp_path / "model"
    job.request.update(models=[f"path:{there}"], names=["model"], digests=["0" * 64])
    assert not own_jobs.is_own(job, home)
    there.mkdir()
    assert own_jobs.is_own(job, home)


def test_no_worker_is_started_or_refused_for_another_machine(
    local: Local, ask: Ask, home: Path
) -> None:
    local.command = [sys.executable, "-c", "raise SystemExit(1)"]
    job = ask_elsewhere(local.jobs, ask("theirs"))
    local.tend()
    with pytest.raises(LmcError, match="could not be started"):
        local.run(ask("mine"))
    found = local.jobs.get(job.key)
    assert found is not None and found.state == "queued"


def test_a_graphics_card_of_another_machine_is_not_looked_for_here(
    local: Local, ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_jobs, "SILENCE", 0.0)
    local.command = [sys.executable, "-c", "raise SystemExit(1)"]
    job = ask_elsewhere(local.jobs, ask("theirs", device="cuda"))
    assert own_jobs.is_own(job, home) and not own_jobs.starts_worker(job, home)
    local.provide([job])
    assert not executors._STARTED.keys() & {lock_path("cuda", home)}
    assert own_jobs.starts_worker(ask_elsewhere(local.jobs, ask("for a CPU")), home)


@pytest.mark.skipif(sys.platform == "win32", reason="ends its worker by a signal")
def test_each_machine_has_a_worker_and_computes_its_own(local: Local, ask: Ask, home: Path) -> None:
    theirs, mine = ask("theirs", seconds=1.0), ask("mine", seconds=0.1)
    ask_elsewhere(local.jobs, theirs)
    with python(ELSEWHERE, home) as other:
        try:
            until(lambda: theirs.runs() == 1)
            assert local.run(mine).result["cached"] is False  # not after the other's
            until(lambda: (job := local.jobs.get(theirs.key)) is not None and job.state == "done")
        finally:
            end(other)
    found = [local.jobs.get(each.key) for each in (theirs, mine)]
    assert [job.node for job in found if job is not None] == [OTHER, find_machine()]
    assert lock_path("cpu", home, OTHER).exists() and lock_path("cpu", home).exists()
