"""`lmc group` and `lmc align A B C`: several models in one frame, and their mean, as ordinary
checkpoints.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lmc_core.models.forward import function_error
from lmc_core.models.load import load
from lmc_core.symmetry.alignment import Alignment
from tests import tiny
from tests.cli.conftest import Run

QUICK = (
    "--set",
    "steps=4",
    "--set",
    "batch=2",
    "--set",
    "rounds=1",
    "--learn",
    24,
    "--length",
    16,
    "--device",
    "cpu",
)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("three")
    return [tiny.write(root / f"s{seed}", tiny.tiny("gpt2", seed)) for seed in range(3)]


def test_every_model_and_the_mean_are_ordinary_checkpoints(
    three: list[Path], lmc: Run, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "frame"
    outcome = lmc("align", *three, "--method", "universe", *QUICK, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads((out / "report.json").read_text())
    assert outcome.json == report | {"out": str(out)}
    assert (
        report["cycle_error"] < 1e-10
        and max(report["function_errors"]) < 1e-5
        and report["found"]["steps"] == 4
    )
    inputs = torch.randint(81, (4, 16), generator=torch.Generator().manual_seed(0))
    aligned = [load(out / folder) for folder in report["folders"]]
    for original, model, folder in zip(three, aligned, report["folders"], strict=True):
        assert function_error(load(original), model, inputs) < 1e-5
        assert model.card["task"] == "plays" and model.name.endswith("(aligned)")
        assert set(Alignment.load(out / folder / "alignment.safetensors").elements) == set(
            model.layout.spaces
        )
    merged = load(out / "merged")
    assert merged.card["name"] == "mean of tiny-gpt2-s0, tiny-gpt2-s1, tiny-gpt2-s2"
    for name, tensor in merged.state.items():
        assert torch.allclose(
            tensor, torch.stack([m.state[name] for m in aligned]).mean(0), atol=1e-6
        )
    assert [path.name for path in out.parent.iterdir()] == ["frame"]  # no draft is left
    lmc("align", *three, "--out", out).refused("not empty", "--force")
    assert lmc("align", *three, "--method", "reference", "--out", out, "--force").code == 0
    text = lmc("align", *three, "--method", "reference", "--out", tmp_path / "again").out
    assert "maps around a cycle" in text and "merged" in text
    lmc("align", out / "merged", *three[1:], "--out", out, "--force").refused("would replace")


def test_a_method_for_pairs_takes_two_models_and_one_for_groups_two_as_well(
    three: list[Path], lmc: Run, tmp_path: Path
) -> None:
    lmc("align", *three, "--method", "weight", "--out", tmp_path / "x").refused(
        "3 came", "reference or universe"
    )
    lmc("align", *three, "--method", "magic", "--out", tmp_path / "x").refused("no method 'magic'")
    assert lmc("align", *three[:2], "--method", "reference", "--out", tmp_path / "two").code == 0
    assert (tmp_path / "two" / "merged" / "model.safetensors").is_file()
    quick = (
        "--set",
        "steps=4",
        "--set",
        "batch=2",
        "--learn",
        24,
        "--length",
        16,
        "--device",
        "cpu",
    )
    outcome = lmc(
        "align", *three[:2], "--method", "learned", *quick, "--out", tmp_path / "pair", "--json"
    )
    assert outcome.json["found"]["steps"] == 4 and (tmp_path / "pair" / "reference").is_dir()


def test_the_result_is_said_in_words_and_as_json(three: list[Path], lmc: Run) -> None:
    words = ("--examples", 6, "--resolution", 2, *QUICK)
    outcome = lmc("group", *three, *words)
    assert outcome.code == 0, outcome.err
    for expected in (
        "above the mean of the models",
        "simplex",
        "maps around a cycle",
        "4 steps",
        "Loss, and excess half way",
    ):
        assert expected in outcome.out
    found = lmc("group", *three, *words, "--json").json
    assert found["cached"] and found["method"] == "universe" and len(found["losses"]) == 3
    plain = lmc(
        "group", *three, "--method", "none", "--examples", 6, "--resolution", 2, "--length", 16
    )
    assert "plain average" in plain.out and "computed earlier" not in plain.out
    listed = lmc("results")
    assert listed.code == 0 and len(lmc("results", "--json").json) >= 2


def test_bad_input(three: list[Path], lmc: Run) -> None:
    lmc("group", three[0]).refused("Between 2 and 8 models")
    lmc("group", *three, "--method", "weight").refused("method for several models")
    lmc("group", *three, "--method", "none", "--set", "steps=3").refused("no effect")
    lmc("group", *three, "--set", "steps=soon").refused("steps should be a whole number")
    lmc("group", *three, "--resolution", 1, "--method", "none").refused("resolution")
