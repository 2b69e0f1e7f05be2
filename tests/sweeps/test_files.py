"""The sweep files of this repository: read, and expanded without a connection."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from lmc_core.cli import main
from lmc_core.models.zoo import zoo_names
from lmc_core.runs.store import Store
from lmc_core.sweeps.cells import make_cells
from lmc_core.sweeps.expect import expect
from lmc_core.sweeps.read import read_content, read_file
from lmc_core.sweeps.record import read_record
from lmc_core.sweeps.tables import cells_table

ROOT = Path(__file__).parents[2]


def test_the_zoo() -> None:
    found = read_file(ROOT / "benchmarks/barriers.toml")
    names = {model.removeprefix("zoo:") for each in found.sets for model in each.models}
    others = ("narrow", "wide", "broad", "with")  # of other widths or optimisers
    assert names == {name for name in zoo_names() if not any(each in name for each in others)}
    assert [len(each.units) for each in found.sets] == [6, 1, 6, 3, 3, 3, 3, 1]
    assert len(found.methods) == 7 and found.cells == 26 * 7


def test_the_pairs_across_optimisers() -> None:
    found = read_file(ROOT / "benchmarks/optimisers.toml")
    pairs = {each.name: [pair for pair in each.units] for each in found.sets}
    assert pairs == {
        "images": [("zoo:vit-fashion-s0", "zoo:vit-fashion-with-adamw-s1")],
        "text": [("zoo:gpt2-plays-s0", "zoo:gpt2-plays-with-muon-s1")],
    }
    assert [each.label for each in found.methods][:3] == ["plain", "permutations", "weight"]


def test_the_shipped_sweep_is_that_of_its_file(home: Path) -> None:
    """Cells and keys, so that the command which is named for it makes the same again."""
    found = read_file(ROOT / "benchmarks/zoo.toml")
    record = read_record("barriers-of-the-zoo")
    assert record.title == found.title and record.source == ""
    # of one family and method, which is soon done
    plain = make_cells(replace(found, methods=found.methods[:1], sets=found.sets[:1]))
    keys = [cell.request.key for cell in plain if cell.request]
    known = {each.key: each for each in record.cells}
    assert len(keys) == 6 and all(known[key].method == "plain" for key in keys)
    assert len(record.cells) == found.cells == 75
    assert {each.method for each in record.cells} == {each.label for each in found.methods}


def test_columns_of_what_was_asked_and_what_came_have_names_of_their_own(home: Path) -> None:
    table = cells_table(read_record("barriers-of-the-zoo"))
    names = table.header
    assert len(set(names)) == len(names)
    assert {"steps", "steps_set"} <= set(names)


def test_ten_pythias_are_listed_without_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run asked for a connection")

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", refuse)
    found = read_file(ROOT / "benchmarks/pythia.toml")
    cells = make_cells(found, fetch=False)
    assert len(cells) == 45 * 4 and {cell.request for cell in cells} == {None}
    assert "'hf:EleutherAI/pythia-160m' is not in the local cache" in cells[0].problem
    expected = expect(cells, Store())
    assert expected.words.startswith("180 cells: 180 not fetched. They take ")
    # two models of 162 million numbers in float32 and more; learning takes more than matching
    first, learned = expected.cells[0].memory, expected.cells[7].memory
    assert expected.cells[0].memory is None or 2 * 4 * 162e6 < (first or 0) < (learned or 0)
    assert expected.memory == learned
    assert found.grid["task"] == (f"text:{ROOT / 'benchmarks/pile.txt'}",)
    assert main(["sweep", str(ROOT / "benchmarks/pythia.toml"), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("pythia-160m-seed9, learned (all)") == 9


def test_data_lies_beside_the_file(tmp_path: Path) -> None:
    tasks = ["text:a.txt", "labels:/b.csv", "plays"]
    found = read_content({"models": "vit-fashion-s*", "tasks": tasks}, tmp_path)
    assert found.grid["task"] == (f"text:{tmp_path}/a.txt", "labels:/b.csv", "plays")
