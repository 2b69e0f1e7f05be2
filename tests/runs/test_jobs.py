from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmc_core.errors import BadInput, StoreError
from lmc_core.leases import Lease, find_right
from lmc_core.locks import FileLock
from lmc_core.runs.jobs import Jobs
from lmc_core.runs.jobs.files import JobFolder
from lmc_core.runs.jobs.job import Job, lock_path, read_asked
from tests.runs.fakes import FakeRequest

Ask = Callable[..., FakeRequest]


@pytest.fixture
def jobs(home: Path) -> Jobs:
    return Jobs(home / "jobs")


def state(jobs: Jobs, request: FakeRequest) -> str:
    job = jobs.get(request.key)
    assert job is not None
    return job.state


def claimed(jobs: Jobs, request: FakeRequest, worker: str = "cpu:w") -> Job:
    jobs.submit(request)
    job = jobs.claim(worker, "cpu", 1)
    assert job is not None and job.key == request.key
    return job


def test_life_of_a_job(jobs: Jobs, ask: Ask) -> None:
    request = ask()
    job = jobs.submit(request)
    assert (job.state, job.progress, job.active) == ("queued", 0.0, True)
    assert FakeRequest.from_json(job.request) == request
    job = jobs.claim("cpu:w", "cpu", 7)
    assert job is not None and (job.state, job.worker, job.pid) == ("running", "cpu:w", 7)
    assert jobs.claim("cpu:v", "cpu", 8) is None
    assert not jobs.report(request.key, "cpu:w", 0.5, "half")
    job = jobs.get(request.key)
    assert job is not None and (job.progress, job.message) == (0.5, "half")
    jobs.finish(request.key, "cpu:w")
    job = jobs.get(request.key)
    assert job is not None and (job.state, job.progress, job.active) == ("done", 1.0, False)
    assert (
        job.finished is not None
        and job.started is not None
        and job.finished >= job.started >= job.created
    )
    assert jobs.active() == []
    assert [entry.key for entry in jobs.recent()] == [request.key]


def test_equal_requests_are_one_job(jobs: Jobs, ask: Ask) -> None:
    first = jobs.submit(ask())
    assert jobs.submit(ask()) == first
    claimed(jobs, ask())
    assert jobs.submit(ask()).state == "running"
    assert len(jobs.active()) == 1


@pytest.mark.parametrize("end", ["failed", "cancelled", "done"])
def test_an_ended_job_can_be_asked_for_again(jobs: Jobs, ask: Ask, end: str) -> None:
    request = ask()
    claimed(jobs, request)
    jobs.report(request.key, "cpu:w", 0.5, "half")
    if end == "failed":
        jobs.fail(request.key, "cpu:w", BadInput("no"))
    elif end == "cancelled":
        jobs.cancel(request.key)
        jobs.stopped(request.key, "cpu:w")
    else:
        jobs.finish(request.key, "cpu:w")
    assert state(jobs, request) == end
    job = jobs.submit(request)
    assert (job.state, job.progress, job.message, job.error, job.cancel) == (
        "queued",
        0.0,
        "",
        "",
        False,
    )
    assert (job.worker, job.started, job.finished) == ("", None, None)


def test_the_queue_is_in_order_and_per_device(jobs: Jobs, ask: Ask) -> None:
    for name in "abc":
        jobs.submit(ask(name))
    jobs.submit(ask("g", device="cuda"))
    assert [jobs.position(ask(name).key) for name in "abc"] == [0, 1, 2]
    assert jobs.position(ask("g", device="cuda").key) == 0
    job = jobs.claim("cpu:w", "cpu", 1)
    assert job is not None and job.key == ask("a").key
    assert [jobs.position(ask(name).key) for name in "abc"] == [None, 1, 2]
    assert [job.request["name"] for job in jobs.active()] == ["a", "b", "c", "g"]
    job = jobs.claim("cuda:w", "cuda", 2)
    assert job is not None and job.request["name"] == "g"
    assert jobs.position("0" * 64) is None


def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs, ask: Ask) -> None:
    jobs.submit(ask())
    jobs.cancel(ask().key)
    assert state(jobs, ask()) == "cancelled"
    assert jobs.claim("cpu:w", "cpu", 1) is None


def test_a_running_job_hears_of_its_cancellation(jobs: Jobs, ask: Ask) -> None:
    claimed(jobs, ask())
    jobs.cancel(ask().key)
    assert state(jobs, ask()) == "running"
    assert jobs.report(ask().key, "cpu:w", 0.1, "")
    assert jobs.beat(ask().key, "cpu:w")


def test_asking_again_during_a_cancellation_keeps_the_job(jobs: Jobs, ask: Ask) -> None:
    claimed(jobs, ask())
    jobs.cancel(ask().key)
    jobs.submit(ask())
    jobs.stopped(ask().key, "cpu:w")  # the worker had heard of it already
    assert state(jobs, ask()) == "queued"


def test_a_worker_that_lost_its_job_changes_nothing(jobs: Jobs, ask: Ask) -> None:
    claimed(jobs, ask())
    for act in (
        lambda: jobs.finish(ask().key, "cpu:other"),
        lambda: jobs.fail(ask().key, "cpu:other", BadInput("no")),
        lambda: jobs.stopped(ask().key, "cpu:other"),
    ):
        act()
        assert state(jobs, ask()) == "running"
    assert jobs.report(ask().key, "cpu:other", 0.9, "mine")  # and is told to stop
    job = jobs.get(ask().key)
    assert job is not None and job.progress == 0


def test_fresh_is_kept_for_a_waiting_job(jobs: Jobs, ask: Ask) -> None:
    assert not jobs.submit(ask()).fresh
    assert jobs.submit(ask(), fresh=True).fresh
    assert jobs.submit(ask()).fresh


def test_sweep_finds_a_worker_without_lock(jobs: Jobs, ask: Ask, home: Path) -> None:
    claimed(jobs, ask())
    with FileLock(lock_path("cpu", home), note="cpu:w"):
        assert jobs.sweep() == []
    assert [job.key for job in jobs.sweep()] == [ask().key]
    job = jobs.get(ask().key)
    assert job is not None and job.state == "failed"
    assert "killed" in job.error and "Start the run again" in job.error


def test_sweep_is_not_fooled_by_the_next_worker(jobs: Jobs, ask: Ask, home: Path) -> None:
    claimed(jobs, ask(), worker="cpu:dead")
    with FileLock(lock_path("cpu", home), note="cpu:alive"):
        assert len(jobs.sweep()) == 1


def test_sweep_finds_a_silent_worker(jobs: Jobs, ask: Ask, home: Path) -> None:
    claimed(jobs, ask())
    with FileLock(lock_path("cpu", home), note="cpu:w"):
        time.sleep(0.3)
        assert jobs.sweep(limit=60) == []
        jobs.beat(ask().key, "cpu:w")
        assert jobs.sweep(limit=0.25) == []
        time.sleep(0.3)
        assert "no sign of life" in jobs.sweep(limit=0.25)[0].error


def test_a_cancelled_job_of_a_dead_worker_is_cancelled(jobs: Jobs, ask: Ask) -> None:
    claimed(jobs, ask())
    jobs.cancel(ask().key)
    jobs.sweep()
    assert state(jobs, ask()) == "cancelled"


def test_many_at_once(jobs: Jobs, ask: Ask) -> None:
    """Submitters and workers in threads that all begin with no file: every job is claimed exactly
    once.
    """
    names = [str(number) for number in range(12)]
    start, taken, errors = threading.Barrier(8), [], []

    def act(number: int) -> None:
        start.wait()
        try:
            for name in names:
                jobs.submit(ask(name))
            while (job := jobs.claim(f"cpu:{number}", "cpu", number)) is not None:
                taken.append(job.key)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(taken) == sorted(ask(name).key for name in names)


@pytest.mark.parametrize(
    ("code", "free", "words"),
    [
        (errno.ENOSPC, 2**30, "no space is left there: free some, or set LMC_HOME"),
        (errno.EDQUOT, 2**30, "no space is left there: free some, or set LMC_HOME"),
        (errno.EIO, 0, "no space is left there: free some, or set LMC_HOME"),
        (errno.EROFS, 2**30, "make its folder writable, or set LMC_HOME"),
    ],
)
def test_an_error_says_what_helps(
    code: int, free: int, words: str, jobs: Jobs, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*values: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("lmc_core.runs.jobs.files.write_file", fail)
    monkeypatch.setattr(
        "lmc_core.runs.jobs.table.shutil.disk_usage", lambda path: SimpleNamespace(free=free)
    )
    with pytest.raises(StoreError, match=words):
        jobs.submit(ask())
    assert jobs.active() == [] and jobs.get(ask().key) is None
    monkeypatch.undo()
    assert jobs.submit(ask()).state == "queued"  # nothing that was left is in the way


def test_unusable_files_are_clear_errors(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    for path in (tmp_path / "file", tmp_path / "file" / "jobs"):
        with pytest.raises(StoreError, match="table of jobs"):
            Jobs(path).submit(ask())
    newer = sqlite3.connect(tmp_path / "jobs.sqlite")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="another version.*update LMC Explorer, or set LMC_HOME"):
        Jobs(tmp_path / "jobs").active()
    (tmp_path / "jobs.sqlite").write_text("not a table of jobs, but long enough for one " * 40)
    with pytest.raises(StoreError, match="delete the file .results are kept elsewhere"):
        Jobs(tmp_path / "jobs").active()


def test_the_table_of_earlier_versions_is_taken_over(jobs: Jobs, ask: Ask, home: Path) -> None:
    home.mkdir()
    old = sqlite3.connect(home / "jobs.sqlite")
    old.execute("PRAGMA journal_mode = WAL")
    old.execute(
        "CREATE TABLE jobs (key TEXT PRIMARY KEY, request TEXT, device TEXT, fresh INTEGER,"
        "state TEXT, progress REAL, message TEXT, error TEXT, kind TEXT, worker TEXT, pid INTEGER,"
        "cancel INTEGER, created REAL, started REAL, heartbeat REAL, finished REAL)"
    )
    states = ("failed", "queued", "running", "done", "queued", "cancelled")
    for number, state in enumerate(states):
        request, created = ask(str(number)), time.time() - 60 + number
        row = (request.key, json.dumps(request.to_json()), "cpu", int(number == 4), state, 0.5, "m")
        more = ("no", "BadInput", "cpu:w", 7, 0, created, created, created, created + 9)
        old.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * 16)})", (*row, *more))
    old.commit()
    old.execute("PRAGMA user_version = 1")
    assert (home / "jobs.sqlite-wal").exists()  # another process has it open
    assert [job.request["name"] for job in jobs.active()] == ["1", "2", "4"]
    assert [job.fresh for job in jobs.active()] == [False, False, True]
    assert [job.state for job in jobs.recent()] == ["cancelled", "done", "failed"]
    failed = jobs.get(ask("0").key)
    assert failed is not None and (failed.error, failed.kind, failed.progress) == (
        "no",
        "BadInput",
        0.5,
    )
    assert FakeRequest.from_json(failed.request) == ask("0")
    assert not (home / "jobs.sqlite").exists() and (home / "jobs.sqlite.old").exists()
    old.close()
    assert len(jobs.active()) == 3


def test_what_a_killed_submitter_left_is_in_nobodys_way(jobs: Jobs, ask: Ask) -> None:
    """Before the last of its steps nothing was asked for; after it, all of it."""
    key = ask().key
    (jobs.path / "open").mkdir(parents=True)
    (jobs.path / "open" / f"{1:017d}~cpu~local~{key}~aaaa").touch()
    folder = jobs.path / "all" / key
    folder.mkdir(parents=True)
    (folder / "asked~aaaa").write_text("{}")
    assert jobs.get(key) is None and jobs.active() == []
    assert jobs.claim("cpu:w", "cpu", 1) is None
    assert jobs.submit(ask()).state == "queued" and len(jobs.active()) == 1
    assert claimed(jobs, ask()).state == "running"
    jobs.finish(key, "cpu:w")
    assert [path.name for path in folder.iterdir() if "aaaa" in path.name] == []


def test_a_job_whose_file_is_damaged_can_be_asked_for_again(jobs: Jobs, ask: Ask) -> None:
    jobs.submit(ask())
    (asked,) = (jobs.path / "all" / ask().key).glob("asked~*")
    asked.write_bytes(b"")  # as after a loss of power
    read_asked.cache_clear()
    assert jobs.get(ask().key) is None and jobs.active() == []
    assert jobs.submit(ask()).state == "queued" and len(jobs.active()) == 1


def elsewhere(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for part in ("job", "claims", "care"):
        monkeypatch.setattr(f"lmc_core.runs.jobs.{part}.find_host", lambda: f"{name}/1")


def test_a_job_of_a_dead_machine_goes_to_another_one(
    jobs: Jobs, ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock says nothing: what counts is that no new sign of life is seen."""
    elsewhere(monkeypatch, "there")
    claimed(jobs, ask())
    (progress,) = (jobs.path / "all" / ask().key).glob("progress~*")
    os.utime(progress, (1e9, 1e9))
    elsewhere(monkeypatch, "here")
    job = jobs.get(ask().key)
    assert job is not None and job.node == "there" and job.remote
    assert jobs.sweep(limit=0.2) == []
    time.sleep(0.3)
    for died in (1, 2):
        assert [(job.state, job.tries) for job in jobs.sweep(limit=0.2)] == [("queued", died)]
        assert jobs.report(ask().key, "cpu:w", 0.5, "late")  # its worker is told to stop
        elsewhere(monkeypatch, f"there {died}")
        assert jobs.claim("cpu:w", "cpu", 1) is not None
        elsewhere(monkeypatch, "here")
        assert jobs.sweep(limit=0.2) == []
        time.sleep(0.3)
    (job,) = jobs.sweep(limit=0.2)
    assert job.state == "failed" and "was begun 3 times" in job.error


@pytest.mark.parametrize("pid", [os.getpid(), os.getpid() + 1], ids=["its own", "of another"])
def test_who_takes_a_job_of_a_dead_machine_does_not_wait_for_its_lease(
    jobs: Jobs, ask: Ask, home: Path, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    """The lease of that worker goes with the job; that of another process stays."""
    right = find_right(home / "results", ask().key)
    there, here = Lease(right), Lease(right)
    elsewhere(monkeypatch, "there")
    monkeypatch.setattr("lmc_core.leases.find_host", lambda: "there/1")
    jobs.submit(ask())
    assert jobs.claim("cpu:w", "cpu", pid) is not None and there.acquire()
    elsewhere(monkeypatch, "here")
    monkeypatch.setattr("lmc_core.leases.find_host", lambda: "here/1")
    assert jobs.sweep() == [] and not here.acquire()
    assert [job.state for job in jobs.sweep(is_dead=lambda job: True)] == ["queued"]
    assert here.acquire() == (pid == os.getpid())


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EBADF, errno.EIO])
def test_what_a_file_server_says_in_passing_is_asked_again(
    jobs: Jobs, ask: Ask, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """NFS says so of a file that another machine replaces while it is read, and of its folder."""
    request = ask()
    claimed(jobs, request)
    read, listed = JobFolder.read, os.listdir
    left = {"read": 2, "list": 2}

    def fail(what: str) -> None:
        left[what] -= 1
        if left[what] >= 0:
            raise OSError(number, os.strerror(number))

    def reading(folder: JobFolder, name: str) -> dict[str, object]:
        if name.startswith("progress"):
            fail("read")
        return read(folder, name)

    def listing(path: Path) -> list[str]:
        if Path(path).name == request.key:
            fail("list")
        return listed(path)

    monkeypatch.setattr(JobFolder, "read", reading)
    monkeypatch.setattr(os, "listdir", listing)
    assert state(jobs, request) == "running"
    assert left["read"] < 0 and left["list"] < 0
    monkeypatch.setattr("lmc_core.runs.jobs.files.TRIES", 4)
    left["list"] = 1000  # it lasts
    with pytest.raises(StoreError, match="cannot be used"):
        jobs.get(request.key)


def test_a_step_that_comes_too_late_changes_nothing(jobs: Jobs, ask: Ask) -> None:
    """A process that was held up between a look and its step finds another state."""
    request = ask()
    claimed(jobs, request)
    folder = JobFolder(jobs.path / "all" / request.key)
    state, names = folder.look()
    assert state is not None
    jobs.finish(request.key, "cpu:w")
    jobs.submit(request)
    assert not folder.move(state, replace(state, name="queued", actor=""))
    assert not jobs._close(folder, state, names, "failed", {"error": "late"})
    job = jobs.get(request.key)
    assert job is not None and (job.state, job.error) == ("queued", "")


def test_ended_jobs_are_forgotten_after_a_month(
    jobs: Jobs, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, waiting, new = ask("old"), ask("waiting"), ask("new")
    claimed(jobs, old)
    jobs.finish(old.key, "cpu:w")
    jobs.submit(waiting)
    later = time.time() + 31 * 24 * 3600
    monkeypatch.setattr("lmc_core.runs.jobs.care.time.time", lambda: later)
    jobs.submit(new)
    assert jobs.get(old.key) is None and state(jobs, waiting) == state(jobs, new) == "queued"


def test_what_was_left_unfinished_goes_with_the_jobs(jobs: Jobs, ask: Ask, home: Path) -> None:
    month = 30 * 24 * 3600
    folder = home / "unfinished"
    (folder / "a folder").mkdir(parents=True)
    ages = {
        "old.npz": month + 60,
        "old.pt": 2 * month,
        ".old.7.part": month + 60,
        "young.npz": month - 3600,
        "new.pt": 0,
    }
    for name, age in ages.items():
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    jobs.submit(ask())
    assert sorted(path.name for path in folder.iterdir()) == ["a folder", "new.pt", "young.npz"]


def test_without_anything_unfinished_there_is_nothing_to_prune(
    jobs: Jobs, ask: Ask, home: Path
) -> None:
    jobs.submit(ask())
    assert not (home / "unfinished").exists() and state(jobs, ask()) == "queued"
