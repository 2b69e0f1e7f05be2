"""The version stands in one place, and the wheel holds what is read at run time and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import lmc_core

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"] and PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "lmc_core/__init__.py"
    line = f'__version__ = "{lmc_core.__version__}"'
    assert (ROOT / "lmc_core" / "__init__.py").read_text(encoding="utf-8").count(line) == 1


def test_the_citation_has_no_version_of_its_own() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    names = {line.split(":")[0] for line in text.splitlines() if not line.startswith((" ", "-"))}
    assert {"cff-version", "message", "title", "authors", "license"} <= names
    assert "version" not in names


@pytest.mark.slow
def test_the_wheel_holds_what_is_read_at_run_time(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="it builds the wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"lmc_explorer-{lmc_core.__version__}-")
    names = set(zipfile.ZipFile(wheel).namelist())
    app = "lmc_core/_app/"
    for path in (
        "lmc_core/__init__.py",
        "lmc_core/py.typed",
        f"{app}app.py",
        f"{app}.streamlit/config.toml",
        f"{app}pages/barrier.py",
        f"{app}assets/README.md",  # licences
        f"{app}assets/zoo/vit-fashion-s0/model.safetensors",
        f"{app}assets/data/plays.txt.gz",
    ):
        assert path in names
    folders = {name.split("/")[0] for name in names}
    assert folders == {"lmc_core", f"lmc_explorer-{lmc_core.__version__}.dist-info"}
    inside = {name.removeprefix(app).split("/")[0] for name in names if name.startswith(app)}
    assert inside == {"app.py", "pages", "assets", ".streamlit"}
    assert not [name for name in names if name.endswith((".png", ".pyc", "hashes.json"))]
    assert not [name for name in names if {"tests", "docs", "screenshots"} & set(name.split("/"))]
