"""Threads: what a person asked for, else the cores that affinity and quotas leave, less those that
others use.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmc_core import threads as module
from lmc_core.threads import MOST_THREADS, as_given, busy, cores, quotas, threads, use_threads


def system(root: Path, **files: str) -> Path:
    """A file system with some files; `__` in a name is a slash, `_DOT_` a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(32)), raising=False)


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({}, []),
        (
            {"proc__self__cgroup": "0::/\n", "sys__fs__cgroup__cpu_DOT_max": "150000 100000\n"},
            [1.5],
        ),
        ({"proc__self__cgroup": "0::/\n", "sys__fs__cgroup__cpu_DOT_max": "max 100000\n"}, []),
        ({"proc__self__cgroup": "0::/\n", "sys__fs__cgroup__cpu_DOT_max": "nonsense\n"}, []),
        (
            {
                "proc__self__cgroup": "0::/a/b\n",
                "sys__fs__cgroup__a__b__cpu_DOT_max": "max 100000\n",
                "sys__fs__cgroup__a__cpu_DOT_max": "300000 100000\n",
            },
            [3.0],
        ),
        (
            {
                "proc__self__cgroup": "0::/../outside\n",
                "sys__fs__cgroup__cpu_DOT_max": "50000 100000\n",
            },
            [0.5],
        ),
        (
            {
                "proc__self__cgroup": "4:memory:/x\n3:cpu,cpuacct:/docker/x\n",
                "sys__fs__cgroup__cpu__cpu_DOT_cfs_quota_us": "400000\n",
                "sys__fs__cgroup__cpu__cpu_DOT_cfs_period_us": "100000\n",
            },
            [4.0],
        ),
        (
            {
                "proc__self__cgroup": "3:cpu:/\n",
                "sys__fs__cgroup__cpu__cpu_DOT_cfs_quota_us": "-1\n",
                "sys__fs__cgroup__cpu__cpu_DOT_cfs_period_us": "100000\n",
            },
            [],
        ),
    ],
)
def test_quotas_of_control_groups(
    files: dict[str, str], allowed: list[float], tmp_path: Path, many: None
) -> None:
    root = system(tmp_path, **files)
    assert list(quotas(root)) == allowed
    assert cores(root) == max(1, int(min([32, *allowed])))
    assert threads({}, root, 0) == min(MOST_THREADS, cores(root))


def test_the_affinity_counts_without_any_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert cores(tmp_path) == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS, Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores(tmp_path) == 7


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"LMC_THREADS": "5", "OMP_NUM_THREADS": "3"}, 5),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"LMC_THREADS": "none", "OMP_NUM_THREADS": "12"}, 12),
        ({"LMC_THREADS": "0"}, MOST_THREADS),
        ({"OMP_NUM_THREADS": "4,2"}, MOST_THREADS),
    ],
)
def test_what_a_person_asks_for_counts_first(
    environment: dict[str, str], count: int, tmp_path: Path, many: None
) -> None:
    assert threads(environment, tmp_path, 0) == count


@pytest.mark.parametrize(("used", "count"), [(0.2, 4), (0.8, 3), (2.6, 1), (9.0, 1)])
def test_cores_that_others_use_are_left_to_them(
    used: float, count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)), raising=False)
    monkeypatch.setattr(module, "busy", lambda root, look: used)
    assert threads({}, tmp_path) == count


def test_other_work_is_seen_and_ones_own_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    clock = [100.0]
    own = [10.0]
    system(tmp_path, proc__stat=f"cpu {1000 * ticks} 0 0 5 5 0 0 0 0 0\ncpu0 1 2 3\n")

    # meanwhile others use 1.5 cores, and this process half of one
    def sleep(seconds: float) -> None:
        clock[0] += seconds
        own[0] += 0.5 * seconds
        work = round((1000 + 2 * seconds) * ticks)
        system(tmp_path, proc__stat=f"cpu {work - 7} 3 2 900 900 1 1 0 0 0\ncpu0 1 2 3\n")

    monkeypatch.setattr(module.time, "sleep", sleep)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module.time, "process_time", lambda: own[0])
    assert busy(tmp_path, 10.0) == pytest.approx(1.5, abs=0.01)
    assert busy(tmp_path / "nowhere", 10.0) == 0.0 and busy(tmp_path, 0) == 0.0


def test_torch_is_told_whether_it_is_loaded_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import os, sys
from lmc_core.threads import use_threads
assert use_threads(1) == 1 and "torch" not in sys.modules
import torch
print(torch.get_num_threads(), os.environ["OMP_NUM_THREADS"])
torch.set_num_threads(2)
print(use_threads(1), torch.get_num_threads())
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.split() == ["1", "1", "1", "1"]
    monkeypatch.setenv("LMC_THREADS", "6")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(module, "_GIVEN", {})
    assert use_threads() == 6 and os.environ["OMP_NUM_THREADS"] == "6"
    # what was set so is not taken for a person's choice, neither the next time nor by a worker that
    # is started
    given = as_given(os.environ)
    assert (given["OMP_NUM_THREADS"], given["LMC_THREADS"]) == ("1", "6")
    monkeypatch.delenv("LMC_THREADS")
    assert use_threads() == 1
    monkeypatch.setattr(module, "_GIVEN", {"OMP_NUM_THREADS": None})
    assert "OMP_NUM_THREADS" not in as_given(os.environ)
