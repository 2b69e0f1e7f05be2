"""The list of faults that the tests are tried with fits the tree."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_place_of_a_mutant_is_there_once_and_the_result_parses() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "mutate.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_a_hundred_mutants_with_ten_in_every_area_of_the_mathematics() -> None:
    mutants = tomllib.loads((ROOT / "scripts" / "mutants.toml").read_text(encoding="utf-8"))[
        "mutant"
    ]
    areas = [mutant["area"] for mutant in mutants]
    assert len(mutants) >= 100
    assert all(
        areas.count(area) >= 10
        for area in ("symmetry", "matching", "paths", "merging", "tasks", "runs")
    )
