"""The page of sweeps, from a record alone."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lmc_core.sweeps.record import choose_name, list_sweeps, read_record, write_record
from lmc_core.sweeps.result import CellResult, Mean, Row, SweepResult
from lmc_core.ui.pages import script

MODELS = ("m-s0", "m-s1", "m-s2")


def record(name: str, title: str, failed: int = 0) -> SweepResult:
    """A sweep of three models by two methods, written by hand."""
    cells, rows = [], []
    for method, height in (("plain", 2.0), ("weight", 0.4)):
        for number, models in enumerate(combinations(MODELS, 2)):
            gone = number < failed
            cells.append(
                CellResult(
                    set="",
                    models=models,
                    references=models,
                    method=method,
                    matcher="none" if method == "plain" else method,
                    classes="" if method == "plain" else "all",
                    chosen={},
                    settings={},
                    options={"points": 5},
                    key=f"{len(cells):064x}",
                    state="failed" if gone else "stored",
                    reason="The weights in /home/me/secret/m are gone." if gone else "",
                    height=None if gone else height + number / 10,
                    stderr=None if gone else 0.01,
                )
            )
        mean = Mean(height, 0.05, 0.2, 0.04, 0.03, 0.02)
        rows.append(
            Row(
                set="",
                method=method,
                classes=cells[-1].classes,
                options={},
                units=3 - failed,
                models=3,
                missing=failed,
                height=mean,
                of_plain=None if method == "plain" else Mean(0.2, 0.01),
                score=Mean(10.0, 1.0),
                score_name="accuracy",
                unit="nats",
                align_seconds=1.0,
                evaluate_seconds=2.0,
                steps=None,
                moved=None,
                function_error=None,
            )
        )
    written = f"2026-11-29T0{failed}:00:00+00:00"
    found = SweepResult(name, title, False, "", "", tuple(cells), tuple(rows), written)
    write_record(found)
    return found


def page(**parameters: str) -> AppTest:
    at = AppTest.from_file(str(script("sweeps")), default_timeout=60)
    for name, value in parameters.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception, at.exception[0].message
    return at


def test_without_a_sweep_it_shows_the_shipped_one_and_how_to_begin_another(home: Path) -> None:
    at = page()
    (shipped,) = list_sweeps()
    assert at.header[0].value == shipped.title and not at.warning
    assert shipped.count("stored") == len(shipped.cells) > 0 and shipped.source == ""
    assert len(at.get("plotly_chart")) == 2
    assert at.code[1].value == "lmc sweep vit.toml" and "[methods]" in at.code[0].value


def test_a_sweep_of_ones_own_stands_before_the_shipped_one(home: Path) -> None:
    (shipped,) = list_sweeps()
    assert choose_name(shipped.name, "own.toml") == f"{shipped.name}-2"
    record("own", "Own")
    assert [each.name for each in list_sweeps()] == ["own", shipped.name]
    record(shipped.name, "In its place")
    assert {each.title for each in list_sweeps()} == {"In its place", "Own"}
    assert read_record(shipped.name).title == "In its place"


def test_without_any_record_it_says_how_to_begin_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmc_core.sweeps.record.shipped_folder", lambda: home / "none")
    at = page()
    assert at.code[1].value == "lmc sweep vit.toml" and not at.header


def test_a_sweep_is_chosen_and_shown(home: Path) -> None:
    record("first", "First")
    record("second", "Second", failed=1)
    at = page()
    assert at.header[0].value == "Second" and "second" in at.query_params["sweep"]
    (warned, *_) = [each.value for each in at.warning]
    assert warned.startswith("Failed: m-s0 → m-s1, plain") and "/home" not in warned
    assert "6 cells: 4 stored, 2 failed" in at.sidebar.markdown[0].value
    at = page(sweep="first")
    assert at.header[0].value == "First" and not at.warning
    table = at.table[0].value
    assert list(table.index.names) == ["method", "classes"]
    assert list(table["barrier, nats"]) == [
        "2.000\u00a0\u00b1\u00a00.050",
        "0.400\u00a0\u00b1\u00a00.050",
    ]
    assert len(at.get("plotly_chart")) == 2 and len(at.dataframe[0].value) == 6
    assert [each.proto.label for each in at.get("download_button")][-4:] == [
        "CSV",
        "LaTeX",
        "Markdown",
        "JSON",
    ]
