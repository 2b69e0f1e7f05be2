from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmc_core import folders
from lmc_core.runs.computation import COMPUTATIONS
from lmc_core.runs.executors import Local
from lmc_core.runs.executors import local as executors
from lmc_core.runs.store import Store
from tests.runs import fakes

LAUNCH = [sys.executable, "-m", "tests.runs.launch", "--idle", "30"]


@pytest.fixture(autouse=True)
def _fake_computation() -> Iterator[None]:
    fakes.register()
    yield
    COMPUTATIONS.remove("fake")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("LMC_HOME", str(folder))
    # the tests themselves are not installed
    monkeypatch.setenv("PYTHONPATH", str(folders.PACKAGE.parent))
    return folder


@pytest.fixture
def store(home: Path, tmp_path: Path) -> Store:
    return Store(home / "results", tmp_path / "shipped")


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., fakes.FakeRequest]:
    folder = tmp_path / "ran"
    folder.mkdir()

    def make(name: str = "a", **values: object) -> fakes.FakeRequest:
        return fakes.FakeRequest(name, str(folder), **values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def local(home: Path) -> Iterator[Local]:
    executor = Local(home, command=LAUNCH)
    yield executor
    for lock, process in list(executors._STARTED.items()):
        if home in lock.parents:
            end(process)
            del executors._STARTED[lock]


def end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(happened: Callable[[], object], seconds: float = 20.0) -> float:
    """Wait until something is so; returns the seconds it took."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < seconds, "it did not happen"
        time.sleep(0.02)
    return time.monotonic() - start


def python(code: str, home: Path) -> subprocess.Popen[bytes]:
    """Start another process that knows the fake computation."""
    environment = {**os.environ, "LMC_HOME": str(home), "PYTHONPATH": str(folders.PACKAGE.parent)}
    code = f"from tests.runs import fakes\nfakes.register()\n{code}"
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
