"""The file of the container: a linter reads it, and what it must keep to is looked up in it."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINTER = Path(sysconfig.get_path("scripts")) / "hadolint"


def lint(file: Path) -> subprocess.CompletedProcess[str]:
    if not LINTER.exists():
        if os.environ.get("CI"):
            pytest.fail("hadolint is missing; the extra `dev` brings it.")
        pytest.skip("hadolint is not installed")
    command = [str(LINTER), "--no-color", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def instructions(stage: int) -> list[tuple[str, str]]:
    """Name and arguments of the instructions of one stage; the last is -1."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    starts = [i for i, (name, _) in enumerate(lines) if name == "FROM"]
    ends = [*starts[1:], len(lines)]
    return [(name, " ".join(rest.split())) for name, rest in lines[starts[stage] : ends[stage]]]


def last(stage: int, name: str) -> str:
    return [rest for each, rest in instructions(stage) if each == name][-1]


def test_the_linter_has_nothing_to_say() -> None:
    done = lint(ROOT / "Dockerfile")
    assert done.returncode == 0 and done.stdout == "", done.stdout


def test_the_linter_would(tmp_path: Path) -> None:
    worse = tmp_path / "Dockerfile"
    text = (ROOT / "Dockerfile").read_text()
    worse.write_text(text.replace("USER 10001:10001", "USER root"))
    done = lint(worse)
    assert done.returncode == 1 and "Last USER should not be root" in done.stdout


def test_who_runs_has_a_number_and_one_place_to_write() -> None:
    assert last(-1, "USER") == "10001:10001"
    assert last(-1, "VOLUME") == last(-1, "WORKDIR") == "/data"
    settings = dict(pair.split("=", 1) for pair in last(-1, "ENV").split())
    assert settings["LMC_HOME"] == "/data" and settings["LMC_ADDRESS"] == "0.0.0.0"
    inside = {settings[name] for name in ("LMC_HOME", "LMC_ROOTS", "HF_HOME")}
    assert all(path == "/data" or path.startswith("/data/") for path in inside)
    assert settings["HOME"] == "/tmp" and settings["PYTHONDONTWRITEBYTECODE"] == "1"
    assert '"lmc", "app"' in last(-1, "ENTRYPOINT") and "_stcore/health" in last(-1, "HEALTHCHECK")


def test_nothing_but_what_is_needed_gets_in() -> None:
    copied = [
        name
        for what, rest in instructions(0)
        if what in ("COPY", "ADD")
        for name in rest.split()[:-1]
    ]
    project = (ROOT / "pyproject.toml").read_text()
    assert all((ROOT / name).exists() for name in copied) and "." not in copied
    for name in ("lmc_core", "pages", "assets", ".streamlit"):  # of the wheel
        assert name in copied and f'"{name}"' in project
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {rule[1:].split("/")[0] for rule in rules if rule.startswith("!")}
    assert rules[1] == "*" and allowed == set(copied)
    assert [rest for what, rest in instructions(-1) if what in ("COPY", "ADD")] == [
        "--from=build /opt/lmc /opt/lmc"
    ]
    words = re.compile(r"token|secret|password|key=", re.IGNORECASE)
    assert not [rest for stage in (0, -1) for _, rest in instructions(stage) if words.search(rest)]
