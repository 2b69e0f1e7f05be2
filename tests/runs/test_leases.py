from __future__ import annotations

import errno
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lmc_core import leases
from lmc_core.errors import StoreError
from lmc_core.leases import Lease, Silence, find_start
from tests.runs.conftest import python


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "x.lease"), Lease(tmp_path / "x.lease")
    assert first.acquire() and first.held
    assert not second.acquire(timeout=0.1) and not second.held
    first.release()
    assert second.acquire() and not first.held
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_who_gives_back_late_takes_nothing_from_the_next(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "x.lease"), Lease(tmp_path / "x.lease")
    first.acquire()
    assert first._mine is not None
    first._mine.unlink()  # as somebody does who takes it for dead
    assert not first.held and second.acquire()
    first.release()
    assert second.held and not first.acquire()
    second.release()


def test_threads_that_begin_at_once_hold_it_one_after_another(tmp_path: Path) -> None:
    start, inside, most = threading.Barrier(8), [], []

    def act() -> None:
        start.wait()
        for _ in range(5):
            with Lease(tmp_path / "x.lease"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_holder_lets_go_though_its_process_is_not_reaped(tmp_path: Path) -> None:
    path = tmp_path / "x.lease"
    process = python(
        "import time\nfrom pathlib import Path\nfrom lmc_core.leases import Lease\n"
        f"lease = Lease(Path({str(path)!r}))\nlease.acquire()\nprint('held', flush=True)\n"
        "time.sleep(60)",
        tmp_path,
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        assert not Lease(path).acquire() and find_start(process.pid)
        process.kill()
        assert Lease(path).acquire(timeout=5)  # no wait() before this: the zombie must not count


def test_a_holder_elsewhere_counts_as_dead_when_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of whoever waits: the other machine's may say anything."""
    monkeypatch.setattr(leases, "SILENCE", 0.4)
    here, there = Lease(tmp_path / "x.lease"), Lease(tmp_path / "x.lease")
    monkeypatch.setattr(leases, "find_host", lambda: "there")
    there.acquire()
    monkeypatch.setattr(leases, "find_host", lambda: "here")
    assert there._mine is not None
    for number in range(4):  # it lives
        os.utime(there._mine, (number, number))
        assert not here.acquire(timeout=0.15)
    assert here.acquire(timeout=5)
    assert not there.held
    here.release()


def test_what_a_server_says_in_passing_is_no_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder elsewhere keeps its lease while its file cannot be read, unless that lasts."""
    monkeypatch.setattr(leases, "SILENCE", 0.4)
    here, there = Lease(tmp_path / "x.lease"), Lease(tmp_path / "x.lease")
    monkeypatch.setattr(leases, "find_host", lambda: "there")
    there.acquire()
    monkeypatch.setattr(leases, "find_host", lambda: "here")

    def refuse(path: Path) -> int:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(leases, "read_change", refuse)
    assert not here.acquire() and there.held
    assert here.acquire(timeout=5) and not there.held
    here.release()


def test_silence_begins_with_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: now[0])
    silence = Silence()
    assert silence.measure("a", 1) == 0.0
    now[0] = 107.0
    assert silence.measure("a", 1) == 7.0 and silence.measure("b", 1) == 0.0
    assert silence.measure("a", 0) == 0.0  # also when its clock was set back
    silence.forget("b")
    now[0] = 110.0
    assert silence.measure("a", 0) == 3.0 and silence.measure("b", 1) == 0.0


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise InterruptedError

    with Lease(tmp_path / "x.lease"), pytest.raises(InterruptedError):
        Lease(tmp_path / "x.lease").acquire(timeout=None, waiting=give_up)


def test_a_place_without_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="LMC_HOME"):
        Lease(tmp_path / "file" / "x.lease").acquire()
