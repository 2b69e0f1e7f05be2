"""A folder that a newer version wrote stops no other: it is shown as far as it can be, or left out
with a sentence.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmc_core.cli import main
from lmc_core.runs.result import digest, to_bytes
from lmc_core.runs.store import Store, StoreWarning
from lmc_core.studies.archive import write_archive
from lmc_core.studies.gather import gather
from lmc_core.studies.html import study_html
from lmc_core.studies.index import rows
from lmc_core.studies.store import Studies
from lmc_core.studies.study import Entry, Study
from tests.studies.conftest import RESULTS, keep

Change = Callable[[Any], Any]
NEWER: dict[str, tuple[str, Change]] = {
    "an unknown field": ("request.json", lambda content: {**content, "novel": 1}),
    "an unknown kind": ("request.json", lambda content: {**content, "what": "novelty"}),
    "no kind": ("request.json", lambda content: {"schema": 9}),
    "other entries": ("result.json", lambda content: {"schema": 9}),
    "other values": (
        "result.json",
        lambda content: {**content, "lam": {"from": 0}, "barrier": {"value": 1}},
    ),
    "models of another form": (
        "result.json",
        lambda content: {**content, "models": [{"name": "a"}]},
    ),
    "no names at all": ("result.json", lambda content: [1]),
}
LEFT_OUT = ("models of another form", "no names at all")


def rewrite(folder: Path, name: str, change: Change) -> None:
    """Change a file of a result and its hash, as another version would have written it."""
    (folder / name).write_bytes(to_bytes(change(json.loads((folder / name).read_bytes()))))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][name] = digest((folder / name).read_bytes())
    (folder / "manifest.json").write_bytes(to_bytes(manifest))


@pytest.fixture
def own(home: Path) -> tuple[Store, Study]:
    """Two results of models in folders, one study of both."""
    store = Store(home / "results")
    keys = [
        keep(store, result, models=("path:/home/me/a", "path:/home/me/b"))
        for result in RESULTS["vit"][:2]
    ]
    return store, Studies(home / "studies").create("Both", entries=(Entry(keys=tuple(keys)),))


@pytest.mark.parametrize("what", NEWER)
def test_the_others_are_shown_all_the_same(
    own: tuple[Store, Study], what: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    store, study = own
    new, old = study.keys
    rewrite(store.root / new, *NEWER[what])
    before = {path.name: path.read_bytes() for path in (store.root / new).iterdir()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # which the next test looks at
        assert old in {row.key for row in rows(store)}
        (shown,) = gather(study, store)
        assert old in {found.key for found in shown.found} and (new in shown.missing) == (
            what in LEFT_OUT
        )
        assert RESULTS["vit"][1]["models"][0] in study_html(study, store)[0]
        for arguments in (
            ["results"],
            ["results", "--json"],
            ["report", "both"],
            ["report", "--list"],
        ):
            assert main(arguments) == 0, capsys.readouterr().err
            if arguments[0] == "results" or arguments == ["report", "both"]:
                assert old[:12] in capsys.readouterr().out
        assert (
            main(
                [
                    "report",
                    "both",
                    "--html",
                    str(tmp_path / "x.html"),
                    "--archive",
                    str(tmp_path / "x.zip"),
                ]
            )
            == 0
        )
        assert "/home/me" not in (tmp_path / "x.html").read_text()
        assert old not in write_archive(study, store, io.BytesIO())
    assert {path.name: path.read_bytes() for path in (store.root / new).iterdir()} == before


def test_what_is_left_out_is_said_and_stays(
    own: tuple[Store, Study], capsys: pytest.CaptureFixture[str]
):
    store, study = own
    rewrite(store.root / study.keys[0], *NEWER["no names at all"])
    with pytest.warns(StoreWarning, match="newer version of LMC Explorer and stays as it is"):
        assert store.get(study.keys[0]) is None
    store.list()
    assert store.foreign == 1 and (store.root / study.keys[0]).is_dir()
    assert main(["results"]) == 0
    assert "1 more was written by a newer version" in capsys.readouterr().out


def test_what_cannot_be_drawn_has_a_sentence(own: tuple[Store, Study]):
    store, study = own
    rewrite(store.root / study.keys[0], *NEWER["other entries"])
    (shown,) = gather(study, store)
    panels = shown.panels()
    assert [panel.figure is None for panel in panels] == [True, False]
    assert "newer version" in panels[0].caption
