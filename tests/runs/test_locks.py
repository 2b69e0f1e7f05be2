from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from lmc_core.errors import StoreError
from lmc_core.locks import FileLock, holder
from tests.runs.conftest import python


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    first, second = FileLock(path, "first"), FileLock(path, "second")
    assert holder(path) is None
    assert first.acquire()
    assert holder(path) == "first"
    assert not second.acquire(timeout=0.1)
    first.release()
    assert holder(path) is None
    assert second.acquire()
    assert holder(path) == "second"
    second.release()


@pytest.mark.skipif(sys.platform == "win32", reason="shared locks are those of Unix")
def test_two_who_ask_at_once_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "x.lock"
    path.write_text("left by an earlier holder")
    with path.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as `holder` does for a moment
        assert holder(path) is None


def test_a_removed_file_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    first, second = FileLock(path), FileLock(path)
    first.acquire()
    first.release(remove=True)
    assert not path.exists()
    assert second.acquire()
    assert not first.acquire()
    second.release()


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise InterruptedError

    with FileLock(tmp_path / "x.lock"), pytest.raises(InterruptedError):
        FileLock(tmp_path / "x.lock").acquire(timeout=None, waiting=give_up)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_holder_lets_go_though_its_process_is_not_reaped(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    process = python(
        "import time\nfrom pathlib import Path\nfrom lmc_core.locks import FileLock\n"
        f"lock = FileLock(Path({str(path)!r}), 'other')\nlock.acquire()\nprint('held', "
        "flush=True)\ntime.sleep(60)",
        tmp_path,
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        assert holder(path) == "other"
        process.kill()
        assert FileLock(path).acquire(timeout=5)  # no wait() before this: the zombie must not count


def test_a_place_without_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="LMC_HOME"):
        FileLock(tmp_path / "file" / "x.lock").acquire()
