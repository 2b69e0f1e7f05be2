"""`lmc report`: pages, folders and archives of studies, and taking archives in, without the app and
without torch.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmc_core import folders
from lmc_core.cli import main
from lmc_core.figures import drawing
from lmc_core.runs.store import Store
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry
from tests.cli.conftest import Run
from tests.studies.conftest import RESULTS, keep


@pytest.fixture
def keys(home: Path) -> list[str]:
    return [keep(Store(home / "results", home / "none"), result) for result in RESULTS["vit"]]


@pytest.fixture
def study(keys: list[str]):
    return Studies().create(
        "Two seeds", "What is left.", (Entry(keys=tuple(keys), note="All in one."),)
    )


def test_the_list(lmc: Run, study):
    assert "two-seeds" in [row["name"] for row in lmc("report", "--list", "--json").json]
    assert "Two seeds" in lmc("report").out


def test_no_study_yet(lmc: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(folders, "assets", lambda: tmp_path)
    assert "There is no study yet" in lmc("report", "--list").out


def test_what_is_in_a_study(lmc: Run, study, keys: list[str]):
    said = lmc("report", "two seeds").out
    assert "All in one." in said and f"{keys[0][:12]}  Plain average: 1.83 \u00b1 0.02 nats" in said


def test_the_page(lmc: Run, study, tmp_path: Path):
    done = lmc("report", "two-seeds", "--html", tmp_path / "study.html", "--json")
    assert done.code == 0 and done.json["html"] == str(tmp_path / "study.html")
    text = (tmp_path / "study.html").read_text()
    found = re.search(
        r'<script type="application/json" id="results">(.*?)</script>', text, re.DOTALL
    )
    assert found and set(json.loads(found[1])["results"]) == set(study.keys)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_archive_and_import(lmc: Run, study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = tmp_path / "study.zip"
    assert lmc("report", "two-seeds", "--archive", archive).code == 0
    monkeypatch.setenv("LMC_HOME", str(tmp_path / "other"))
    assert (
        "Imported the study 'two-seeds' with 3 new results. Every hash was right."
        in lmc("report", "--import", archive).out
    )
    assert lmc("report", "--import", archive, "--json").json["added"] == []
    archive.write_bytes(archive.read_bytes()[:-5])
    lmc("report", "--import", archive).refused("not the whole of it")


def test_results_are_put_into_a_study(lmc: Run, keys: list[str], tmp_path: Path):
    assert (
        lmc("report", "New one", "--add", keys[0][:10], keys[1][:10], "--note", "first").code == 0
    )
    assert lmc("report", "new-one", "--add", keys[2]).code == 0
    found = Studies().get("new-one")
    assert [entry.keys for entry in found.entries] == [
        tuple(keys[:2]),
        (keys[2],),
    ] and found.entries[0].note == "first"
    lmc("report", "New one", "--add", "zzzz").refused("No results have a key")


def test_a_folder_for_a_paper(lmc: Run, study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = []

    def draw(figures, endings, width, dpi, report):
        drawn.append((len(figures), width, dpi))
        return [{ending: b"picture" for ending in endings} for _ in figures]

    monkeypatch.setattr("lmc_core.studies.paper.draw_images", draw)
    monkeypatch.setattr("lmc_core.studies.paper.missing_tools", lambda: "")
    assert lmc("report", "two-seeds", "--folder", tmp_path / "paper").code == 0
    names = sorted(path.name for path in (tmp_path / "paper").iterdir())
    stem = "01-barrier-vit-fashion-s0-vit-fashion-s1"
    assert names == sorted(
        [
            *(f"{stem}.{e}" for e in ("csv", "pdf", "png", "svg")),
            f"{stem}-summary.csv",
            "captions.md",
            "results.json",
        ]
    )
    assert drawn == [(1, 643, 300)]  # 170 mm at 96 pixels to the inch
    captions = (tmp_path / "paper" / "captions.md").read_text()
    assert (
        "**Figure 1.** Loss and accuracy along the straight line" in captions
        and "All in one." in captions
    )
    lmc("report", "two-seeds", "--folder", tmp_path / "paper").refused("new or empty folder")


@pytest.mark.parametrize(
    ("spec", "paths", "words"), [(None, "", "kaleido is missing"), (True, "", "browser is missing")]
)
def test_missing_tools_are_said_plainly(
    spec, paths, words, lmc: Run, study, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(drawing.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(drawing.shutil, "which", lambda name: None)
    lmc("report", "two-seeds", "--folder", tmp_path / "paper").refused(words)
    assert not (tmp_path / "paper").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no study 'nobody'"),
        (["--html", "x.html"], "needs the name of a study"),
        (["two-seeds", "--html", "/nowhere/x.html"], "there is no folder"),
        (["two-seeds", "--import", "x.zip"], "stands alone"),
        (["--import", "nowhere.zip"], "there is no file"),
        (["two-seeds", "--theme", "pink"], "invalid choice"),
    ],
)
def test_what_makes_no_sense(arguments: list[str], words: str, lmc: Run, study):
    lmc("report", *arguments).refused(words)


def test_read_only_is_for_the_app(lmc: Run, study):
    lmc("--read-only", "report", "--list").refused("--read-only is for the app")


def test_neither_torch_nor_streamlit_is_needed(study, home: Path, tmp_path: Path):
    code = (
        "import sys\nfrom lmc_core.cli import main\n"
        f"assert main(['report', 'two-seeds', '--html', {str(tmp_path / 'x.html')!r}]) == 0\n"
        "print([name for name in ('torch', 'transformers', 'timm', 'streamlit') if name in "
        "sys.modules])"
    )
    environment = {**os.environ, "LMC_HOME": str(home), "PYTHONPATH": str(folders.PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]" and (tmp_path / "x.html").stat().st_size > 10**6


def test_a_full_disk_leaves_no_half_page(
    study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    def full(self, data):
        raise OSError(28, "No space left on device", str(self))

    target = tmp_path / "x.html"
    target.write_text("before")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["report", "two-seeds", "--html", str(target)]) == 1
    assert target.read_text() == "before" and "No space left" in capsys.readouterr().err


@pytest.mark.parametrize("read_only", [True, False])
def test_the_flag_reaches_the_server(read_only: bool, monkeypatch: pytest.MonkeyPatch):
    from lmc_core.server import launch

    seen = []

    class Server:
        def __init__(self, arguments, stdout, env):
            seen.append((env or os.environ).get("LMC_READ_ONLY"))

        def wait(self):
            return 0

        def poll(self):
            return 0

    monkeypatch.delenv("LMC_READ_ONLY", raising=False)
    monkeypatch.setattr(launch.subprocess, "Popen", Server)
    assert launch.launch(browser=False, read_only=read_only) == 0
    assert seen == ["1" if read_only else None]
    assert "--server.maxUploadSize=200" in launch.command(1)
