from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lmc_core.errors import BadInput, Cancelled, LmcError, StoreError
from lmc_core.locks import holder
from lmc_core.runs.executors import Local
from lmc_core.runs.executors import local as executors
from lmc_core.runs.jobs import Job, lock_path
from lmc_core.runs.worker import Worker
from tests.runs.conftest import LAUNCH, until
from tests.runs.fakes import FakeRequest

Ask = Callable[..., FakeRequest]
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")


def state(local: Local, request: FakeRequest) -> str:
    job = local.jobs.get(request.key)
    return job.state if job else ""


def job_of(local: Local, request: FakeRequest) -> Job:
    job = local.jobs.get(request.key)
    assert job is not None
    return job


def computing(local: Local, request: FakeRequest) -> bool:
    local.tend()
    return request.runs() > 0


def test_a_job_is_computed_by_another_process(local: Local, ask: Ask) -> None:
    heard: list[tuple[float, str]] = []
    result = local.run(ask(seconds=0.6), lambda share, words: heard.append((share, words)))
    assert result.result["loss"] == [0.5, 2.0]
    assert result.result["cached"] is False
    assert result.arrays()["losses"].shape == (2, 3)
    assert "turning the crank" in result.log()
    assert any(words == "turning the crank" and 0 < share < 1 for share, words in heard)
    ran = next(Path(ask().folder).iterdir()).name
    assert f"-{os.getpid()}-" not in ran
    assert state(local, ask(seconds=0.6)) == "done"
    assert local.run(ask(seconds=0.6)).result["cached"] is True
    assert ask().runs() == 1


def test_a_killed_worker_loses_its_run_and_nothing_else(local: Local, ask: Ask, home: Path) -> None:
    done, slow = ask("done"), ask("slow", seconds=60)
    local.run(done)
    local.submit(slow)
    until(lambda: computing(local, slow))
    process = executors._STARTED[lock_path("cpu", home)]
    process.kill()  # not reaped: a zombie, which still answers to signal 0
    until(lambda: local.jobs.sweep() or state(local, slow) == "failed")
    job = job_of(local, slow)
    assert job.state == "failed"
    assert "killed" in job.error and "Start the run again" in job.error
    assert local.store.get(slow.key) is None
    assert local.store.get(done.key) is not None
    # The same job again, by a new worker: it begins afresh, and this time may end.
    local.submit(slow)
    until(lambda: (local.tend(), slow.runs() == 2)[1])
    assert state(local, slow) == "running"
    assert job_of(local, slow).worker != job.worker
    local.cancel(slow.key)
    until(lambda: state(local, slow) == "cancelled")
    assert local.run(ask("quick")).result["cached"] is False


def test_a_killed_run_completes_when_asked_for_again(local: Local, ask: Ask, home: Path) -> None:
    request = ask(seconds=1.5)
    local.submit(request)
    until(lambda: computing(local, request))
    executors._STARTED[lock_path("cpu", home)].kill()
    until(lambda: local.jobs.sweep() or state(local, request) == "failed")
    assert local.run(request).result["cached"] is False
    assert request.runs() == 2
    assert state(local, request) == "done"


def test_cancel_takes_at_most_a_second(local: Local, ask: Ask) -> None:
    took = []
    for name in "abc":  # the best of three, because this machine may be busy with other things
        request = ask(name, seconds=60)
        local.submit(request)
        until(lambda request=request: computing(local, request))
        local.cancel(request.key)
        took.append(until(lambda request=request: state(local, request) == "cancelled"))
        assert local.store.get(request.key) is None
        if took[-1] < 1:
            break
    assert min(took) < 1, took


def test_a_long_step_is_cancelled_too_and_ends_unheard(local: Local, ask: Ask) -> None:
    """A step that reports nothing, such as an import or a large solve, keeps nobody waiting; the
    worker goes on when it is through.
    """
    took = []
    for name in "abc":
        request = ask(name, mode="deaf", seconds=4.0)
        local.submit(request)
        until(lambda request=request: computing(local, request))
        local.cancel(request.key)
        took.append(until(lambda request=request: state(local, request) == "cancelled"))
        if took[-1] < 2:
            break
    assert min(took) < 2, took
    assert local.run(ask("next")).result["cached"] is False
    assert {state(local, ask(name, mode="deaf", seconds=4.0)) for name in "a"} == {"cancelled"}
    assert local.store.get(request.key) is None


def test_a_waiting_person_hears_of_a_cancellation(local: Local, ask: Ask) -> None:
    request = ask(seconds=60)

    def cancel_elsewhere(share: float, words: str) -> None:
        if words == "turning the crank":
            local.cancel(request.key)

    with pytest.raises(Cancelled):
        local.run(request, cancel_elsewhere)


def test_a_report_that_raises_cancels_the_job(local: Local, ask: Ask) -> None:
    request = ask(seconds=60)

    def give_up(share: float, words: str) -> None:
        if words == "turning the crank":
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        local.run(request, give_up)
    until(lambda: state(local, request) == "cancelled")


@pytest.mark.parametrize("asked", [True, False])
def test_an_interrupt_cancels_only_if_asked(local: Local, ask: Ask, asked: bool) -> None:
    local.cancel_on_interrupt = asked
    request = ask(seconds=1.0)

    def interrupt(share: float, words: str) -> None:
        if words == "turning the crank":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.run(request, interrupt)
    until(lambda: not job_of(local, request).active)
    assert state(local, request) == ("cancelled" if asked else "done")


def test_a_job_that_raises(local: Local, ask: Ask, home: Path) -> None:
    with pytest.raises(BadInput, match="Expected an even number; came 3."):
        local.run(ask(mode="input"))
    with pytest.raises(LmcError, match=r"not foreseen \(ZeroDivisionError: by nothing\)") as caught:
        local.run(ask(mode="crash"))
    log = lock_path("cpu", home).with_suffix(".log")
    assert str(log) in str(caught.value)
    assert "Traceback" in log.read_text()
    assert "Traceback" not in str(caught.value)
    assert local.run(ask()).result["loss"] == [0.5, 2.0]  # and the worker lives on


def test_a_long_step_is_no_death(local: Local, ask: Ask) -> None:
    request = ask(mode="deaf", seconds=3.0)
    local.submit(request)
    until(lambda: computing(local, request))
    first = job_of(local, request).heartbeat
    until(lambda: job_of(local, request).heartbeat != first, 2.9)
    assert local.jobs.sweep(limit=2.5) == []


def test_a_stopped_worker_says_so(local: Local, ask: Ask, home: Path) -> None:
    request = ask(seconds=60)
    local.submit(request)
    until(lambda: computing(local, request))
    process = executors._STARTED[lock_path("cpu", home)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert state(local, request) == "failed"
    assert "The worker was stopped" in job_of(local, request).error
    assert local.store.get(request.key) is None


def test_one_worker_per_device(local: Local, ask: Ask, home: Path) -> None:
    local.run(ask())
    name = holder(lock_path("cpu", home))
    assert name is not None
    assert not local.ensure_worker()
    assert Worker("cpu", home=home).serve() is False
    assert (
        subprocess.run(LAUNCH, env={**os.environ, "LMC_HOME": str(home)}, timeout=30).returncode
        == 0
    )
    assert holder(lock_path("cpu", home)) == name


def test_an_idle_worker_ends_and_is_started_again(home: Path, local: Local, ask: Ask) -> None:
    local.command = [*LAUNCH[:-1], "0.3"]
    local.run(ask("a"))
    until(lambda: holder(lock_path("cpu", home)) is None)
    local.run(ask("b"))
    assert ask("b").runs() == 1


def test_a_worker_that_does_not_start_is_an_error(local: Local, ask: Ask) -> None:
    local.command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(LmcError, match="could not be started"):
        local.run(ask())
    assert state(local, ask()) == "failed"
    assert local.jobs.active() == []


def test_the_real_worker_starts_and_ends(home: Path) -> None:
    command = [sys.executable, "-m", "lmc_core.runs.worker", "--idle", "0"]
    assert (
        subprocess.run(command, timeout=60, stderr=subprocess.STDOUT, stdout=subprocess.PIPE).stdout
        == b""
    )
    assert "is there" in (lock_path("cpu", home).with_suffix(".log")).read_text()


def test_a_worker_without_a_job_ends_at_once_when_stopped(
    local: Local, ask: Ask, home: Path
) -> None:
    local.run(ask())
    process = executors._STARTED[lock_path("cpu", home)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert holder(lock_path("cpu", home)) is None
    assert state(local, ask()) == "done"


def remove(home: Path) -> None:
    """Remove a folder into which a worker may write in the meantime."""
    for _ in range(100):
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"{home} is written again and again.")


def test_a_worker_whose_home_was_removed_ends_and_another_takes_the_next_job(
    local: Local, ask: Ask, home: Path
) -> None:
    local.run(ask("before"))
    process = executors._STARTED[lock_path("cpu", home)]
    remove(home)
    assert process.wait(10) == 0  # it would have waited for jobs for half a minute
    assert not home.exists()
    for name in ("after", "and again"):
        assert local.run(ask(name)).result["cached"] is False
        assert state(local, ask(name)) == "done"


def test_a_job_right_after_the_home_was_removed_is_done(local: Local, ask: Ask, home: Path) -> None:
    local.run(ask("before"))
    remove(home)
    assert local.run(ask("after")).result["cached"] is False


def test_a_full_disk_in_a_run_is_said(local: Local, home: Path) -> None:
    from lmc_core.runs.executors.work import explain_surprise

    said = explain_surprise(OSError(errno.ENOSPC, "No space left on device"), home)
    assert "free some, or set LMC_HOME" in str(said) and isinstance(said, StoreError)


def test_a_job_runs_on_the_threads_that_are_free_when_it_begins(
    home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int | None] = []
    monkeypatch.setattr(
        "lmc_core.runs.executors.work.use_threads", lambda count: chosen.append(count) or 1
    )
    for threads in (None, 3):
        worker = Worker(home=home, idle=0.0, threads=threads)
        worker.jobs.submit(ask(f"on {threads}"))
        assert worker.serve()
    assert chosen == [None, 3]
