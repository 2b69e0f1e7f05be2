"""`lmc barrier`: one JSON object, tables, files, the store."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmc_core.models.zoo import zoo
from lmc_core.runs.executors import local as executors
from lmc_core.runs.store import Store
from tests.cli.conftest import Run

QUICK = ("--examples", 8, "--points", 4, "--refine", 2)
Pair = tuple[Path, Path]

# every field that the command promises, with its type
FIELDS = {
    "key": str,
    "models": list,
    "task": str,
    "method": str,
    "classes": dict,
    "lam": list,
    "loss": list,
    "chord": list,
    "barrier": float,
    "barrier_stderr": float,
    "barrier_lam": float,
    "midpoint_loss": float,
    "function_error": float,
    "objective": list,
    "seconds": dict,
    "cached": bool,
}


@pytest.mark.parametrize(("fixture", "task", "score"), [
    ("tiny_gpt2_pair", "plays", "perplexity"),
    ("tiny_vit_pair", "fashion-mnist", "accuracy"),
])  # fmt: skip
def test_json_holds_every_promised_field(
    fixture: str, task: str, score: str, request: pytest.FixtureRequest, lmc: Run
):
    a, b = request.getfixturevalue(fixture)
    outcome = lmc("barrier", a, b, *QUICK, "--json")
    assert outcome.code == 0 and outcome.err == ""
    result = outcome.json
    for name, kind in FIELDS.items():
        assert type(result[name]) is kind, name
    assert result["task"] == task
    assert len(result["lam"]) == 6 and result["lam"] == sorted(result["lam"])
    assert result["lam"][0] == 0 and result["lam"][-1] == 1
    for name in ("loss", "chord", score):
        assert len(result[name]) == 6 and all(math.isfinite(value) for value in result[name])
    assert {"align", "evaluate"} == set(result["seconds"])
    assert result["classes"] == {
        "heads": "permutation",
        "query-key": "invertible",
        "residual": "orthogonal",
        "units": "permutation",
        "value-output": "invertible",
    }
    assert 0 <= result["function_error"] < 1e-5
    assert result["objective"] == sorted(result["objective"])
    top = result["lam"].index(result["barrier_lam"])
    assert result["barrier"] == pytest.approx(result["loss"][top] - result["chord"][top], abs=1e-9)


def test_the_same_request_again_is_read_from_the_store(tiny_gpt2_pair: Pair, lmc: Run, home: Path):
    first = lmc("barrier", *tiny_gpt2_pair, *QUICK, "--json").json
    second = lmc("barrier", *tiny_gpt2_pair, *QUICK, "--json").json
    assert (first["cached"], second["cached"]) == (False, True)
    assert first | {"cached": True} == second
    assert [entry.key for entry in Store(home / "results").list() if not entry.shipped] == [
        first["key"]
    ]


def test_no_alignment_has_no_classes_and_no_function_error(tiny_gpt2_pair: Pair, lmc: Run):
    result = lmc("barrier", *tiny_gpt2_pair, *QUICK, "--method", "none", "--json").json
    assert (result["method"], result["classes"], result["function_error"], result["objective"]) == (
        "none",
        {},
        None,
        [],
    )


def test_classes_can_be_lowered(tiny_gpt2_pair: Pair, lmc: Run):
    chosen = (
        "--class",
        "all=orthogonal",
        "--class",
        "residual=none",
        "--class",
        "query-key=invertible",
    )
    result = lmc("barrier", *tiny_gpt2_pair, *QUICK, *chosen, "--json").json
    assert result["classes"] == {
        "heads": "permutation",
        "query-key": "invertible",
        "residual": "none",
        "units": "permutation",
        "value-output": "orthogonal",
    }


def test_options_reach_the_request(tiny_vit_pair: Pair, lmc: Run):
    chosen = ("--split", "validation", "--task", "fashion-mnist", "--device", "cpu", "--json")
    result = lmc("barrier", *tiny_vit_pair, *QUICK, *chosen, "--seed", 3).json
    assert (result["split"], result["seed"], result["examples"], result["device"]) == (
        "validation",
        3,
        8,
        "cpu",
    )
    other = lmc("barrier", *tiny_vit_pair, *QUICK, *chosen, "--seed", 4).json
    assert other["key"] != result["key"] and other["loss"] != result["loss"]


def test_words_have_units(tiny_gpt2_pair: Pair, lmc: Run):
    outcome = lmc("barrier", *tiny_gpt2_pair, *QUICK)
    assert outcome.code == 0
    for words in (
        "tiny-gpt2-s0 → tiny-gpt2-s1",
        "plays, test split, 8 examples",
        "nats per character",
        "perplexity",
        "relative",
    ):
        assert words in outcome.out
    # the fact, and the row of the table
    assert sum(line.startswith("barrier ") for line in outcome.out.splitlines()) == 2


def test_words_say_how_sure_the_maximum_is(tiny_vit_pair: Pair, lmc: Run):
    outcome = lmc(
        "barrier",
        *tiny_vit_pair,
        "--examples",
        40,
        "--points",
        5,
        "--refine",
        0,
        "--method",
        "none",
    )
    facts = {line.split("  ")[0].strip(): line for line in outcome.out.splitlines()}
    assert (
        "above the chord" in facts["midpoint"]
        and "did not choose the place" in facts["cross-fitted"]
    )
    assert "95 % for the whole curve" in facts["band"] and "zero" in facts["band"]
    assert all(word in facts["drop"] for word in ("in points: at most", "half way", "cross-fitted"))


def test_json_says_how_sure_the_maximum_is(tiny_gpt2_pair: Pair, lmc: Run):
    result = lmc(
        "barrier", *tiny_gpt2_pair, "--examples", 40, "--points", 5, "--refine", 0, "--json"
    ).json
    for name in (
        "midpoint_excess",
        "midpoint_excess_stderr",
        "barrier_crossfit",
        "barrier_crossfit_stderr",
        "excess_factor",
    ):
        assert math.isfinite(result[name]), name
    assert (
        type(result["at_zero"]) is bool
        and len(result["excess_low"]) == len(result["excess_high"]) == 5
    )


def test_csv_and_html(tiny_vit_pair: Pair, lmc: Run, tmp_path: Path):
    table, page = tmp_path / "curve.csv", tmp_path / "figure.html"
    result = lmc("barrier", *tiny_vit_pair, *QUICK, "--json", "--csv", table, "--html", page).json
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {
        "lam",
        "loss",
        "loss_stderr",
        "chord",
        "excess",
        "excess_stderr",
        "excess_low",
        "excess_high",
        "accuracy",
    } <= set(rows[0])
    for name in ("lam", "loss", "chord", "accuracy"):
        assert [float(row[name]) for row in rows] == result[name]
    text = page.read_text()
    assert text.startswith("<!doctype html>") and "tiny-vit-s0" in text
    data = text.split('id="results">')[1].split("</script>")[0]
    assert json.loads(data)[0]["key"] == result["key"]


@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_targets_are_checked_before_anything_is_computed(
    option: str, tiny_vit_pair: Pair, lmc: Run, tmp_path: Path, home: Path
):
    lmc("barrier", *tiny_vit_pair, *QUICK, option, tmp_path / "nowhere" / "file").refused(
        option, "no folder"
    )
    lmc("barrier", *tiny_vit_pair, *QUICK, option, tmp_path).refused(option, "is a folder")
    assert not home.exists()


def test_relative_folders_work_in_a_worker(
    tiny_gpt2_pair: Pair, lmc: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tiny_gpt2_pair[0].parent)
    inline = lmc("barrier", "./s0", "path:s1", *QUICK, "--json").json
    assert [
        Path(reference.removeprefix("path:")).is_absolute() for reference in inline["references"]
    ] == [True, True]


@pytest.fixture
def workers() -> Iterator[None]:
    """End the workers that a test started."""
    yield
    for process in executors._STARTED.values():
        process.terminate()
        process.wait(30)
    executors._STARTED.clear()


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_local_executor_gives_the_same_numbers(
    tiny_gpt2_pair: Pair, lmc: Run, home: Path, monkeypatch: pytest.MonkeyPatch
):
    local = lmc("barrier", *tiny_gpt2_pair, *QUICK, "--executor", "local", "--json")
    assert local.code == 0, local.err
    monkeypatch.setenv("LMC_HOME", str(home.with_name("other")))
    inline = lmc("barrier", *tiny_gpt2_pair, *QUICK, "--json").json
    assert local.json["key"] == inline["key"]
    assert local.json["loss"] == pytest.approx(inline["loss"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    not {"vit-fashion-s0", "vit-fashion-s1"} <= set(zoo()), reason="the zoo is not there"
)
def test_a_pair_of_the_zoo(lmc: Run):
    """Aligning two trained models lowers their barrier."""
    sizes = ("--examples", 128, "--points", 5, "--refine", 0, "--json")
    plain = lmc("barrier", "vit-fashion-s0", "zoo:vit-fashion-s1", "--method", "none", *sizes).json
    aligned = lmc("barrier", "vit-fashion-s0", "zoo:vit-fashion-s1", *sizes).json
    assert plain["models"] == ["vit-fashion-s0", "vit-fashion-s1"]
    assert aligned["barrier"] < 0.5 * plain["barrier"]
    assert aligned["loss"][0] == pytest.approx(plain["loss"][0], rel=1e-4)
