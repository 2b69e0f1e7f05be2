"""`lmc align`: an ordinary checkpoint that needs nothing of this project, with the outputs of the
original.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lmc_core.models.load import load
from lmc_core.symmetry.alignment import Alignment
from tests.cli.conftest import Run

Pair = tuple[Path, Path]
TRANSFORMERS = """
import sys, torch
from transformers import AutoModelForCausalLM
def logits(folder, x):
    return AutoModelForCausalLM.from_pretrained(folder).eval()(x).logits
x = torch.randint(81, (4, 32), generator=torch.Generator().manual_seed(0))
"""
TIMM = """
import sys, timm, torch
def logits(folder, x):
    return timm.create_model("local-dir:" + folder, pretrained=True).eval()(x)
x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
"""
COMPARE = """
with torch.no_grad():
    for original, moved in zip(sys.argv[1::2], sys.argv[2::2]):
        before, after = logits(original, x), logits(moved, x)
        assert (after - before).abs().max() <= 1e-5 * before.abs().max(), (after - before).abs().max()
        assert before.flatten(1).std() > 0.01
assert not any(name.startswith("lmc_core") for name in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixture", "script"), [("tiny_gpt2_pair", TRANSFORMERS), ("tiny_vit_pair", TIMM)]
)
def test_the_checkpoint_loads_in_its_own_library(
    fixture: str, script: str, request: pytest.FixtureRequest, lmc: Run, tmp_path: Path
):
    a, b = request.getfixturevalue(fixture)
    out = tmp_path / "aligned"
    outcome = lmc("align", a, b, "--out", out)
    assert outcome.code == 0 and outcome.err == ""
    assert "outputs changed by" in outcome.out
    arguments = [str(path) for path in (b, out, a, out / "reference")]
    done = subprocess.run(
        [sys.executable, "-c", script + COMPARE, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_the_report_and_the_alignment(tiny_gpt2_pair: Pair, lmc: Run, tmp_path: Path):
    out = tmp_path / "deep" / "aligned"
    outcome = lmc(
        "align", *tiny_gpt2_pair, "--out", out, "--class", "residual=permutation", "--json"
    )
    report = json.loads((out / "report.json").read_text())
    assert outcome.json == report | {"out": str(out)}
    assert report["classes"]["residual"] == "permutation" and report["task"] == "plays"
    assert 0 <= report["function_error"] < 1e-5 and report["seconds"] > 0
    assert report["objective"][-1] >= report["objective_before"]
    moved = load(out)
    assert set(Alignment.load(out / "alignment.safetensors").elements) == set(moved.layout.spaces)
    assert moved.card["task"] == "plays" and moved.name == "tiny-gpt2-s1 onto tiny-gpt2-s0"
    assert [path.name for path in out.parent.iterdir()] == ["aligned"]  # no draft is left


def test_the_line_to_the_reference_is_that_of_the_barrier(
    tiny_vit_pair: Pair, lmc: Run, tmp_path: Path
):
    quick = ("--examples", 16, "--points", 3, "--refine", 0, "--json")
    lmc("align", *tiny_vit_pair, "--out", tmp_path / "aligned")
    direct = lmc("barrier", *tiny_vit_pair, *quick).json
    written = lmc(
        "barrier",
        tmp_path / "aligned" / "reference",
        tmp_path / "aligned",
        "--method",
        "none",
        *quick,
    ).json
    assert written["loss"] == pytest.approx(direct["loss"], rel=1e-5)


def test_an_existing_folder_is_replaced_only_by_force(
    tiny_vit_pair: Pair, lmc: Run, tmp_path: Path
):
    out = tmp_path / "aligned"
    out.mkdir()
    assert lmc("align", *tiny_vit_pair, "--out", out).code == 0  # empty
    (out / "mark").write_text("")
    lmc("align", *tiny_vit_pair, "--out", out).refused("not empty", "--force")
    assert (out / "mark").exists()
    assert lmc("align", *tiny_vit_pair, "--out", out, "--force").code == 0
    assert not (out / "mark").exists() and (out / "model.safetensors").exists()


def test_force_spares_what_the_command_did_not_write(tiny_vit_pair: Pair, lmc: Run, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years")
    lmc("align", *tiny_vit_pair, "--out", tmp_path, "--force").refused("something else")
    assert (tmp_path / "thesis.txt").exists()
    lmc("align", *tiny_vit_pair, "--out", tmp_path / "thesis.txt").refused("is a file")
    lmc("align", *tiny_vit_pair, "--out", tmp_path / "thesis.txt" / "aligned").refused(
        "not a folder"
    )


def test_a_model_that_is_read_is_not_replaced(tiny_vit_pair: Pair, lmc: Run, tmp_path: Path):
    out = tmp_path / "aligned"
    lmc("align", *tiny_vit_pair, "--out", out)
    before = (out / "model.safetensors").read_bytes()
    lmc("align", tiny_vit_pair[0], out, "--out", out, "--force").refused("would replace")
    assert (out / "model.safetensors").read_bytes() == before


def test_a_failed_write_leaves_what_was_there(
    tiny_vit_pair: Pair, lmc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "aligned"
    lmc("align", *tiny_vit_pair, "--out", out)
    before = (out / "report.json").read_bytes()

    def full(self: Alignment, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Alignment, "save", full)
    lmc("align", *tiny_vit_pair, "--out", out, "--force").refused("No space left", code=1)
    assert (out / "report.json").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"aligned", "home"}


def test_moved_weights_are_float32(tiny_gpt2_pair: Pair, lmc: Run, tmp_path: Path):
    lmc("align", *tiny_gpt2_pair, "--out", tmp_path / "aligned")
    assert {tensor.dtype for tensor in load(tmp_path / "aligned").state.values()} == {torch.float32}
