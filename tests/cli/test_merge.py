"""`lmc merge`: several models made one, printed side by side or written as an ordinary
checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmc_core.cli.merge import give_settings
from lmc_core.errors import BadInput
from lmc_core.models.load import load
from tests import tiny
from tests.cli.conftest import Run

QUICK = ("--examples", 6, "--length", 16, "--device", "cpu", "--points", 1, "--resolution", 2)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("three")
    return [tiny.write(root / f"s{seed}", tiny.tiny("gpt2", seed)) for seed in range(3)]


def test_side_by_side_in_words_and_as_json(three: list[Path], lmc: Run) -> None:
    words = (
        *QUICK,
        "--method",
        "average",
        "--method",
        "ties",
        "--method",
        "ensemble",
        "--weights",
        2,
        1,
        1,
    )
    outcome = lmc(
        "merge", *three, *words, "--frame", "none", "--frame", "reference", "--set", "density=0.5"
    )
    assert outcome.code == 0, outcome.err
    for expected in (
        "0.50, 0.25, 0.25",
        "onto one model",
        "TIES *",
        "output ensemble",
        "stands in for a common ancestor",
    ):
        assert expected in outcome.out
    found = lmc(
        "merge",
        *three,
        *words,
        "--frame",
        "none",
        "--frame",
        "reference",
        "--set",
        "ties.density=0.5",
        "--json",
    ).json
    assert [each["frame"] for each in found] == ["none", "reference"] and all(
        each["cached"] for each in found
    )
    assert [row["merge"] for row in found[0]["rows"]] == ["average", "ties", "ensemble"]
    assert found[0]["rows"][1]["settings"]["density"] == 0.5


def test_one_is_written(three: list[Path], lmc: Run, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "merged"
    asked = ("merge", *three, *QUICK, "--method", "slerp", "--frame", "reference")
    outcome = lmc(*asked, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    model, card = load(out), json.loads((out / "card.json").read_text())
    assert (
        card["digest"] == model.digest
        and card["merged"]["method"] == "slerp"
        and card["merged"]["frame"] == "reference"
    )
    assert outcome.json["out"] == str(out) and [path.name for path in out.parent.iterdir()] == [
        "merged"
    ]
    lmc(*asked, "--out", out).refused("not empty")
    words = lmc(*asked, "--out", tmp_path / "again")
    assert "SLERP, onto one model" in words.out and "written" in words.out and "loss" in words.out


def test_an_ancestor_is_named_with_base(three: list[Path], lmc: Run) -> None:
    words = (
        "--method",
        "task-arithmetic",
        "--frame",
        "none",
        "--set",
        "scale=0.5",
        "--base",
        three[2],
        "--json",
    )
    found = lmc("merge", *three[:2], *QUICK, *words).json
    assert found[0]["ancestor"]["name"] == "tiny-gpt2-s2" and found[0]["models"] == [
        "tiny-gpt2-s0",
        "tiny-gpt2-s1",
    ]


def test_settings_go_to_the_methods_that_have_them() -> None:
    found = give_settings(["ties", "dare", "average"], [("density", 0.3), ("dare.scale", 1.0)])
    assert found == {
        "ties": {"density": 0.3},
        "dare": {"density": 0.3, "scale": 1.0},
        "average": {},
    }
    for setting in ("density", "ties.density"):
        with pytest.raises(BadInput, match="has a setting"):
            give_settings(["average"], [(setting, 0.3)])


def test_bad_input(three: list[Path], lmc: Run, tmp_path: Path) -> None:
    lmc("merge", three[0]).refused("Between 2 and 8 models")
    lmc("merge", *three, "--method", "blend").refused("no way to merge 'blend'")
    lmc("merge", *three, "--frame", "sky").refused("no frame 'sky'")
    lmc("merge", *three, "--weights", 1, 2).refused("One weight for each of the 3 models")
    lmc("merge", *three, "--method", "ties", "--set", "density=2", "--frame", "none").refused(
        "at most 1"
    )
    lmc("merge", *three, "--out", tmp_path / "x").refused("one --method and one --frame")
    alone = ("--method", "ensemble", "--frame", "none", *QUICK)
    lmc("merge", *three, *alone, "--out", tmp_path / "x").refused("output ensemble is several")
