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


def test_overlapping_notes_are_found(tmp_path: Path) -> None:
    """What the contest counts as a job that two workers had at once, and what it does not."""

    def note(*names: str) -> None:
        (tmp_path / "notes" / "~".join(names)).touch()

    (tmp_path / "notes").mkdir()
    for notes in (
        ("took", "1-here", "one after another", "1.0"),
        ("gave", "1-here", "one after another", "2.0"),
        ("took", "2-there", "one after another", "2.5"),
        ("gave", "2-there", "one after another", "3.0"),
        ("took", "3-here", "killed over it", "1.0"),
        ("killed", "3-here", "", "1.5"),
        ("took", "2-there", "killed over it", "1.6"),
        ("gave", "2-there", "killed over it", "1.9"),
        ("took", "4-here", "twice at once", "1.0"),
        ("gave", "4-here", "twice at once", "2.0"),
        ("took", "5-there", "twice at once", "1.5"),
    ):
        note(*notes)
    assert contest.find_overlaps(tmp_path) == {"twice at once"}
