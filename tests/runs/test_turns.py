"""Runs that give a first answer take turns, so that all first answers are there soon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmc_core.errors import Cancelled
from lmc_core.progress import ignore, offer_pause, part
from lmc_core.runs.executors.work import IN_TURN, Work, is_quick
from lmc_core.runs.jobs import Job, Jobs
from lmc_core.runs.requests.barrier import BarrierRequest
from tests.runs.fakes import FakeRequest

Ask = Callable[..., FakeRequest]
NAME = "cpu:w"


@pytest.fixture
def jobs(home: Path) -> Jobs:
    return Jobs(home / "jobs")


def work(home: Path) -> list[str]:
    """Compute all that waits; returns the names of the jobs in the order in which they ran."""
    worker, names = Work(NAME, "cpu", home, threads=1), list[str]()
    while (job := worker.claim()) is not None:
        names.append(job.request["name"])
        worker.do(job)
    return names


def read(jobs: Jobs, request: FakeRequest) -> Job:
    job = jobs.get(request.key)
    assert job is not None
    return job


def test_runs_take_turns_until_all_are_done(jobs: Jobs, ask: Ask, home: Path) -> None:
    asked = [ask(name, mode="turns", seconds=0.02) for name in "abc"]
    for request in asked:
        jobs.submit(request)
    assert work(home) == [*"abc", *"abc", *"abc"]
    assert {read(jobs, request).state for request in asked} == {"done"}
    assert jobs.active() == [] and not any((home / "jobs" / "open").iterdir())


def test_what_learns_long_waits_for_the_others(jobs: Jobs, ask: Ask, home: Path) -> None:
    """No first answer and no refinement that was asked for before waits for a long run."""
    quick = [ask(name, mode="turns", seconds=0.02) for name in "ab"]
    for request in (*quick, ask("slow", learn=400), ask("c")):
        jobs.submit(request)
    assert work(home) == [*"ab", *"ab", *"ab", "slow", "c"]


def test_progress_does_not_fall_when_a_run_goes_on(jobs: Jobs, ask: Ask) -> None:
    for name in "ab":
        jobs.submit(ask(name))
    first = jobs.claim(NAME, "cpu", 1)
    assert first is not None
    jobs.report(first.key, NAME, 0.4, "measuring")
    jobs.step_back(first.key, NAME, ask("b").key)
    waiting = read(jobs, ask("a"))
    assert (waiting.state, waiting.progress) == ("queued", 0.4)
    assert [job.key for job in jobs.active()] == [ask("b").key, ask("a").key]
    assert jobs.position(ask("a").key) == 1
    second = jobs.claim(NAME, "cpu", 1)
    assert second is not None and second.key == ask("b").key
    jobs.finish(second.key, NAME)
    again = jobs.claim(NAME, "cpu", 1)
    assert again is not None and (again.key, again.progress) == (first.key, 0.4)
    jobs.report(first.key, NAME, 0.0, "loading the models")
    assert read(jobs, ask("a")).progress == 0.4
    jobs.report(first.key, NAME, 0.6, "measuring")
    assert read(jobs, ask("a")).progress == 0.6


def test_a_run_that_steps_back_can_be_cancelled(jobs: Jobs, ask: Ask) -> None:
    for name in "ab":
        jobs.submit(ask(name))
    job = jobs.claim(NAME, "cpu", 1)
    assert job is not None
    jobs.cancel(job.key)
    jobs.step_back(job.key, NAME, ask("b").key)
    assert read(jobs, ask("a")).state == "cancelled"
    jobs.submit(ask("c"))
    other = jobs.claim(NAME, "cpu", 1)
    assert other is not None
    jobs.step_back(other.key, NAME, ask("c").key)
    jobs.cancel(other.key)  # while it waits
    assert read(jobs, ask("b")).state == "cancelled"
    assert [job.key for job in jobs.active()] == [ask("c").key]


def test_fresh_runs_and_long_queues_do_not_pause(jobs: Jobs, ask: Ask, home: Path) -> None:
    """A fresh run would begin again; of many, whole results are wanted."""
    jobs.submit(ask("a", mode="turns", seconds=0.02), fresh=True)
    jobs.submit(ask("b", mode="turns", seconds=0.02))
    assert work(home) == ["a", "b"]
    for number in range(IN_TURN + 2):
        jobs.submit(ask(f"n{number}", mode="turns", seconds=0.02))
    assert work(home)[:2] == ["n0", "n1"]
    for name in ("x", "y"):
        jobs.submit(ask(name, mode="turns", seconds=0.02), executor="slurm")
    cluster = Work(NAME, "cpu", home, threads=1, executor="slurm")
    assert cluster.serve(ask("x", mode="turns", seconds=0.02).key, lambda: True) == 2


def test_which_runs_are_quick() -> None:
    words = {"models": ("a", "b"), "names": ("a", "b"), "digests": ("x", "y"), "task": "plays"}
    barrier = BarrierRequest.from_json({**words, "what": "barrier", "method": "weight"})
    assert is_quick(barrier.to_json())
    assert not is_quick({**barrier.to_json(), "learn": 400})
    assert not is_quick({"what": "alignment"}) and not is_quick({"what": "unknown"})


def test_nobody_is_asked_who_cannot_pause() -> None:
    offer_pause(part(ignore, 0.0, 0.5))

    class Stopper:
        def __call__(self, share: float, words: str) -> None:
            pass

        def pause(self) -> None:
            raise Cancelled("The run was cancelled.")

    with pytest.raises(Cancelled):
        offer_pause(part(part(Stopper(), 0.0, 0.5), 0.1, 0.2))
