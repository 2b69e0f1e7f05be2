"""Types of the weights that `lmc align` and `lmc merge` write, and what rounding to them does to
the function.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lmc_core.models.forward import run
from lmc_core.models.load import load
from lmc_core.symmetry.check import relative_difference
from lmc_core.tasks import get_task
from tests import tiny
from tests.cli.conftest import Run

QUICK = ("--examples", 6, "--length", 16, "--device", "cpu")


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three tiny GPT-2 in bfloat16."""
    root = tmp_path_factory.mktemp("halves")
    for seed in range(3):
        tiny.tiny("gpt2", seed).save(root / f"s{seed}", torch.bfloat16)
        (root / f"s{seed}" / "card.json").write_text(
            json.dumps({"name": f"half-{seed}", "task": "plays", "family": "gpt2"})
        )
    return [root / f"s{seed}" for seed in range(3)]


def types(folder: Path) -> set[str]:
    return {
        str(tensor.dtype).removeprefix("torch.")
        for tensor in load_file(folder / "model.safetensors").values()
    }


def error(original: Path, written: Path) -> float:
    inputs = get_task("plays").examples("test", 8, length=32).inputs
    return relative_difference(run(load(original), inputs), run(load(written), inputs))


def test_an_aligned_checkpoint_has_its_parents_type(
    halves: list[Path], lmc: Run, tmp_path: Path
) -> None:
    a, b, _ = halves
    assert lmc("align", a, b, "--out", tmp_path / "half").code == 0
    report = json.loads((tmp_path / "half" / "report.json").read_text())
    assert (
        types(tmp_path / "half")
        == types(tmp_path / "half" / "reference")
        == {"bfloat16"}
        == {report["dtype"]}
    )
    assert report["function_error"] < 1e-5 < 1e-4 < min(report["written_errors"]) < 0.1
    assert error(b, tmp_path / "half") == pytest.approx(report["written_errors"][1], rel=2)
    words = lmc("align", a, b, "--out", tmp_path / "wide", "--dtype", "float32").out
    report = json.loads((tmp_path / "wide" / "report.json").read_text())
    assert types(tmp_path / "wide") == {"float32"} and max(report["written_errors"]) < 1e-5
    assert "as written in float32" in words and error(b, tmp_path / "wide") < 1e-5


def test_several_aligned_models_and_their_mean_too(
    halves: list[Path], lmc: Run, tmp_path: Path
) -> None:
    outcome = lmc("align", *halves, "--set", "steps=2", "--out", tmp_path / "out")
    assert outcome.code == 0 and "as written in bfloat16" in outcome.out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["written_errors"]) == 3 and report["dtype"] == "bfloat16"
    assert all(
        types(tmp_path / "out" / folder) == {"bfloat16"}
        for folder in [*report["folders"], "merged"]
    )


@pytest.mark.parametrize(
    ("asked", "expected"), [((), "bfloat16"), (("--dtype", "float32"), "float32")]
)
def test_a_merged_checkpoint_and_its_numbers(
    asked: tuple[str, ...], expected: str, halves: list[Path], lmc: Run, tmp_path: Path
) -> None:
    out = tmp_path / "merged"
    found = lmc(
        "merge",
        *halves,
        *QUICK,
        "--method",
        "average",
        "--frame",
        "universe",
        "--out",
        out,
        *asked,
        "--json",
    ).json
    card = json.loads((out / "card.json").read_text())
    assert (
        types(out) == {expected}
        and card["written"] == found["written"]
        and found["written"]["dtype"] == expected
    )
    assert load(out).digest == card["digest"]  # what was measured is what the file holds
    rounding = found["written"]["rounding"]
    assert rounding < 1e-6 if expected == "float32" else 1e-4 < rounding < 0.1
    again = lmc(
        "barrier", out, out, *QUICK, "--method", "none", "--points", 3, "--refine", 0, "--json"
    ).json
    assert again["loss"][0] == pytest.approx(card["scores"]["test"]["loss"], abs=1e-6)


def test_what_is_refused(halves: list[Path], lmc: Run, tmp_path: Path) -> None:
    lmc("align", *halves[:2], "--out", tmp_path / "out", "--dtype", "int8").refused(
        "int8", "bfloat16, float16, float32"
    )
    lmc("merge", *halves, *QUICK, "--dtype", "float16").refused("--dtype", "--out")
    asked = (
        "--method",
        "average",
        "--frame",
        "none",
        "--out",
        tmp_path / "out",
        "--dtype",
        "double",
    )
    lmc("merge", *halves, *QUICK, *asked).refused("double")
    assert not (tmp_path / "out").exists()
