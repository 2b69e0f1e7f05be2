"""Sweeps of tiny models: what is computed, what is taken from the store, and what fails."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core import make_request, run
from lmc_core.cli import main
from lmc_core.errors import BadInput, Cancelled, FunctionChanged
from lmc_core.intervals.pairs import over_pairs
from lmc_core.progress import Progress, ignore
from lmc_core.runs.executors import Inline, Local
from lmc_core.runs.executors.local import _STARTED
from lmc_core.runs.request import Request
from lmc_core.runs.result import Result
from lmc_core.sweeps.cells import make_cells
from lmc_core.sweeps.pictures import alternative_text, spread_figure, write_figure
from lmc_core.sweeps.read import read_content
from lmc_core.sweeps.run import read_sweep, sweep
from lmc_core.sweeps.tables import cells_table, latex, list_cells, markdown, rows_table

FEW = {"examples": 6, "points": 3, "refine": 0, "device": "cpu"}


class Watched(Inline):
    """Computes here, counts what it computes, and fails or stops where it is told to."""

    def __init__(self, fails: int | None = None, stops: int = 10**9) -> None:
        super().__init__()
        self.fails, self.stops = fails, stops
        self.computed: list[str] = []
        self.failed = 0

    def run(self, request: Request, report: Progress = ignore, *, fresh: bool = False) -> Result:
        if len(self.computed) >= self.stops:
            raise Cancelled("stopped")
        if request.to_json()["seed"] == self.fails and "tiny-vit-s2" in request.model_names:
            self.failed += 1
            raise RuntimeError("no room") if self.failed % 2 else FunctionChanged("moved")
        found = super().run(request, report, fresh=fresh)
        if not found.result["cached"]:
            self.computed.append(request.key)
        return found


SHORT = {"max_rounds": 1, "scout_rounds": 1}


def content(folder: Path, **more: object) -> dict[str, Any]:
    methods = {"plain": "none", "weight": {"classes": ["all", "permutations"], **SHORT}}
    return {"models": f"{folder}/s*", "methods": methods, **FEW, **more}


def test_every_cell_is_an_ordinary_request(seeds: Path) -> None:
    found = sweep(content(seeds))
    assert (len(found.cells), found.count("stored"), found.failures) == (9, 9, [])
    assert [row.label for row in found.rows] == ["plain", "weight", "weight, permutations"]
    references = [str(seeds / f"s{k}") for k in (0, 1)]
    alone = run(make_request(*references, method="weight", settings=SHORT, **FEW))
    (cell,) = (c for c in found.cells if c.key == alone.key)
    assert cell.height == pytest.approx(alone.numbers["barrier"], abs=1e-6)
    assert cell.stderr == pytest.approx(alone.numbers["barrier_stderr"], abs=1e-6)
    assert alone.numbers["cached"] and cell.models == ("tiny-vit-s0", "tiny-vit-s1")
    row = found.rows[1]
    cells = found.list_cells(row)
    values = [cell.height or 0.0 for cell in cells]
    expected = over_pairs([cell.models for cell in cells], values)
    assert row.height.value == pytest.approx(expected.value)
    assert row.height.over_models == pytest.approx(expected.over_models)
    shares = [cell.of_plain or 0.0 for cell in cells]
    assert row.of_plain and row.of_plain.value == pytest.approx(sum(shares) / 3)
    names, matrix = found.matrix(row)
    assert names == [f"tiny-vit-s{k}" for k in range(3)] and matrix[0][0] is None
    assert matrix[1][2] == matrix[2][1] == pytest.approx(values[2])
    assert read_sweep("sweep") == found and "9 of 9 stored" in found._repr_html_()


def plain(folder: Path) -> dict[str, Any]:
    """A sweep of nine cells that takes a second."""
    return content(folder, methods=["none"], seeds=[0, 1, 2])


def test_a_stopped_sweep_goes_on_where_it_was(seeds: Path) -> None:
    first = Watched(stops=4)
    with pytest.raises(Cancelled):
        sweep(plain(seeds), first)
    record = read_sweep("sweep")
    assert len(first.computed) == record.count("stored") == 4 and record.count("missing") == 5
    seen = sweep(plain(seeds), only_stored=True)
    assert (seen.count("stored"), seen.count("missing")) == (4, 5)
    assert [(row.units, row.missing) for row in seen.rows] == [(2, 5)]
    second = Watched()
    assert sweep(plain(seeds), second).count("stored") == 9
    assert len(second.computed) == 5 and not set(first.computed) & set(second.computed)
    third = Watched()
    assert sweep(plain(seeds), third).count("stored") == 9 and third.computed == []


def test_a_cell_that_fails_is_listed_and_stops_no_other(seeds: Path) -> None:
    found = sweep(plain(seeds), Watched(fails=1))
    assert (found.count("stored"), found.count("failed")) == (7, 2)
    assert {cell.reason for cell in found.failures} == {"moved", "RuntimeError: no room"}
    assert {c.models[1] for c in found.failures} == {"tiny-vit-s2"}
    assert [(row.units, row.missing) for row in found.rows] == [(3, 2)]
    again = Watched()
    assert not sweep(plain(seeds), again).failures and len(again.computed) == 2


def test_what_cannot_be_asked_for_is_said_before_anything_is_computed(
    seeds: Path, tiny_gpt2_pair: tuple[Path, Path]
) -> None:
    watched = Watched()
    mixed = content(seeds) | {"models": [f"{seeds}/s0", str(tiny_gpt2_pair[0])]}
    with pytest.raises(
        BadInput, match="s0 → s0, plain: tiny-vit-s0 is a vit .* 2 more cells cannot"
    ):
        sweep(mixed, watched)
    with pytest.raises(BadInput, match="no split 'dev'"):
        sweep(content(seeds, splits="dev"), watched)
    with pytest.raises(BadInput, match="weight.*learns from no examples"):
        sweep(content(seeds, methods={"weight": {"learn": 12}}), watched)
    with pytest.raises(BadInput, match="units=orthogonal is not admissible"):
        sweep(content(seeds, methods={"weight": {"classes": {"units": "orthogonal"}}}), watched)
    assert watched.computed == []


def test_seeds_are_averaged_within_their_pair(seeds: Path) -> None:
    found = sweep(plain(seeds))
    (row,) = found.rows
    assert row.units == 3 and row.options == {} and len(found.list_cells(row)) == 9
    by_pair: dict[tuple[str, ...], list[float]] = {}
    for cell in found.cells:
        by_pair.setdefault(cell.models, []).append(cell.height or 0.0)
    means = [sum(values) / 3 for values in by_pair.values()]
    expected = over_pairs(list(by_pair), means)
    assert row.height.value == pytest.approx(expected.value)
    assert row.height.over_models == pytest.approx(expected.over_models)
    assert len({value for values in by_pair.values() for value in values}) == 9


def test_groups_and_a_reference(seeds: Path) -> None:
    shared = {"examples": 8, "resolution": 2, "device": "cpu"}
    found = sweep(
        {
            "models": f"{seeds}/s*",
            "groups": "all",
            "methods": {"plain": "none", "reference": {}},
            **shared,
        }
    )
    assert [row.units for row in found.rows] == [1, 1] and found.noun == "groups"
    plain, reference = found.rows
    assert plain.of_plain is None and plain.height.over_models is None
    assert reference.of_plain and reference.of_plain.value == pytest.approx(
        reference.height.value / plain.height.value
    )
    assert (reference.function_error or 1) < 1e-4 and plain.height.over_examples
    one = sweep(content(seeds, reference=f"{seeds}/s1", methods=["none"]))
    assert [cell.models[0] for cell in one.cells] == ["tiny-vit-s1"] * 2
    low, high = sorted(cell.height or 0.0 for cell in one.cells)
    assert one.rows[0].height.over_models == pytest.approx((high - low) / 2)
    assert one.reference == "s1"


def test_tables_and_pictures(seeds: Path, tmp_path: Path) -> None:
    found = sweep(content(seeds, title="A & B", methods={"plain": "none", "weight": SHORT}))
    columns, rows = list_cells(found, interval=False)
    heads = [column.name for column in columns]
    assert heads[:5] == ["method", "classes", "pairs", "barrier, nats", "of plain"]
    assert rows[0][:3] == ["plain", "", "3 of 3"] and rows[0][4] == "1"
    assert all(re.fullmatch(r"−?[\d.]+ ± [\d.]+", row[3]) for row in rows)
    text = latex(found)
    assert text.startswith("% A \\& B: ") and text.count(r"\\") == 3
    assert r"\toprule" in text and r" \pm " in text and text.count("&") >= 3 * (len(heads) - 1)
    assert markdown(found, interval=True).count("\n") == 4
    table = list(csv.DictReader(io.StringIO(rows_table(found).csv())))
    assert float(table[1]["height_stderr"]) == pytest.approx(found.rows[1].height.stderr)
    assert float(table[1]["of_plain"]) == pytest.approx(found.rows[1].of_plain.value)  # type: ignore[union-attr]
    matrices: Any = found.figure()
    spread: Any = spread_figure(found, "dark")
    assert [trace.name for trace in matrices.data] == ["barrier"] * 2
    assert matrices.data[1].z[0][2] == found.list_cells(found.rows[1])[1].height
    assert {trace.zmax for trace in matrices.data} == {
        max(cell.height or 0.0 for cell in found.cells)
    }
    assert [len(trace.x) for trace in spread.data] == [3, 1, 3, 1]
    assert spread.data[3].error_x.array[0] == found.rows[1].height.stderr
    assert spread.data[0].marker.color != spread.data[2].marker.color
    assert "over pairs: plain" in alternative_text(found)
    write_figure(found, tmp_path / "matrices.html")
    assert "Plotly.newPlot" in (tmp_path / "matrices.html").read_text()
    with pytest.raises(BadInput, match=r"ends in .svg, .*'a.gif' came"):
        write_figure(found, tmp_path / "a.gif")
    cells = list(csv.DictReader(io.StringIO(cells_table(found).csv())))
    assert len(cells) == 6 and {cell["examples"] for cell in cells} == {"6"}
    assert cells[0]["key"] == found.cells[0].key and cells[0]["of_plain"] == ""


def test_the_command(seeds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f'models = "{seeds}/s*"\nexamples = 8\npoints = 3\nrefine = 0\ndevice = "cpu"\n'
        '[methods]\nplain = "none"\nweight = { max_rounds = 1, scout_rounds = 1 }\n'
    )

    def lmc(*words: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["sweep", *map(str, words)]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    asked = json.loads(lmc(path, "--dry-run", "--json"))
    assert [cell["state"] for cell in asked["cells"]] == ["new"] * 6 and asked["memory"] > 0
    assert asked["seconds"] > 0 and asked["cells"][0]["seconds"] > 0
    assert "6 cells: 6 new." in lmc(path, "--dry-run")
    assert (
        lmc("--list").splitlines()[-1].startswith("barriers-of-the-zoo ")
    )  # that comes with the app
    assert "2 cells, 2 stored." not in lmc(path, "--only-stored", "--only", "plain")
    said = lmc(path, "--latex", tmp_path / "a.tex", "--csv", tmp_path / "a.csv")
    assert "6 cells, 6 stored." in said and "Recorded as mine." in said
    assert "toprule" in (tmp_path / "a.tex").read_text()
    content = json.loads(lmc(path, "--json"))
    assert [row["method"] for row in content["rows"]] == ["plain", "weight"]
    assert json.loads(lmc("mine", "--only-stored", "--json"))["rows"] == content["rows"]
    assert "6 cells: 6 stored." in lmc(path, "--dry-run")
    assert "9 cells" in lmc(path, "--with", "seeds=[0,1,2]", "--only", "plain", "--dry-run")
    assert lmc(path, "--only-stored", "--table", "cells").count("tiny-vit-s0") == 4
    assert "mine" in lmc("--list")
    for words in (
        ("nothing",),
        (path, "--only", "magic"),
        (path, "--with", "points"),
        (path, "--with", "methods.plain.steps=3"),
        (),
    ):
        assert lmc(*words, code=2).startswith("lmc: ")


def test_a_device_of_other_machines_need_not_be_here(seeds: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    spec = read_content(content(seeds, methods=["none", "weight"], device="cuda"))
    here, there = make_cells(spec), make_cells(spec, elsewhere=True)
    assert all("not available on this machine" in cell.problem for cell in here)
    assert {cell.request.device for cell in there if cell.request} == {"cuda"}
    on_cpu = make_cells(replace(spec, device="cpu"))
    assert len({cell.request.key for cell in (*there, *on_cpu) if cell.request}) == 12


@pytest.mark.slow
def test_on_a_queue(seeds: Path) -> None:
    """All cells are submitted at once; what fails in the worker is listed with its reason."""
    command = [sys.executable, "-m", "lmc_core.runs.worker", "--idle", "1"]
    local = Local(command=command)
    asked = content(seeds, methods=["none"], seeds=[0, 1])
    told: list[str] = []
    found = sweep(asked, local, lambda share, words: told.append(words))
    assert found.count("stored") == 6 and any("of 6 done" in words for words in told)
    assert len(local.states([cell.key for cell in found.cells])) == 6
    first = Watched()
    assert sweep(asked, first).rows == found.rows and first.computed == []
    for process in _STARTED.values():
        process.wait(timeout=120)
    _STARTED.clear()
