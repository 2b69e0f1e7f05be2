from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmc_core import folders
from lmc_core.runs.jobs import Jobs
from lmc_core.runs.store import Store
from tests.runs import contest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_is_lost_or_computed_twice_though_workers_are_killed(tmp_path: Path) -> None:
    """Two processes ask for the same jobs, three take them, and one of these is killed after every second
    beginning, at any step of theirs. A computation may only begin again where a worker was killed over it.
    """
    environment = {**os.environ, "PYTHONPATH": str(folders.PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.runs.contest", str(tmp_path / "contest"), "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    waiting, began, killed, left, listed, twice = map(int, done.stdout.split())
    assert waiting == left == twice == 0
    assert killed > 5 and contest.JOBS <= began <= contest.JOBS + killed
    home = tmp_path / "contest" / "home"
    store, jobs = Store(home / "results"), Jobs(home / "jobs")
    keys = [request.key for request in contest.ask(tmp_path / "contest")]
    assert all(store.get(key) is not None for key in keys)
    assert {job.key for job in jobs.recent(None)} == set(keys)
    assert listed <= killed  # what stands in `open` and has ended goes with the next look
    for key in keys:  # each has one state, and none has two
        names = [path.name for path in (home / "jobs" / "all" / key).iterdir()]
        assert (
            sum(
                name.split("~")[0] in ("queued", "running", "done", "failed", "cancelled")
                for name in names
            )
            == 1
        )
