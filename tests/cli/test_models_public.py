"""The catalogue, models of the hub's cache, and pickles, as they are typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lmc_core.models.load import load
from tests.cli.conftest import Run
from tests.models.fake_hub import cached

Pair = tuple[Path, Path]
QUICK = ("--examples", 8, "--points", 3, "--refine", 0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "hub"


@pytest.fixture
def pickles(tiny_gpt2_pair: Pair, tmp_path: Path) -> list[Path]:
    """The two tiny models, their weights as pickles."""
    folders = []
    for source in tiny_gpt2_pair:
        folder = shutil.copytree(source, tmp_path / source.name)
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        folders.append(folder)
    return folders


def test_the_catalogue(lmc: Run) -> None:
    rows = lmc("models", "--public", "--json").json
    assert {
        "name",
        "references",
        "parameters",
        "bytes",
        "memory",
        "family",
        "data",
        "pickle",
    } <= rows[0].keys()
    out = lmc("models", "--public").out
    for words in (
        "hf:google/multiberts-seed_0",
        "timm:vit_small_patch16_224.augreg_in1k",
        "354,823,168",
        "1.42 GB",
        "--allow-pickle",
    ):
        assert words in out
    assert all(row["name"] in out for row in rows)


def test_pickles_need_permission(
    pickles: list[Path], tiny_gpt2_pair: Pair, tmp_path: Path, lmc: Run
) -> None:
    lmc("show", pickles[0]).refused("--allow-pickle", "pytorch_model.bin")
    shown = lmc("show", pickles[0], "--allow-pickle", "--json").json
    assert shown["digest"] == load(tiny_gpt2_pair[0]).digest
    lmc("barrier", *pickles, *QUICK).refused("--allow-pickle")
    allowed = lmc("barrier", *pickles, *QUICK, "--allow-pickle", "--json").json
    plain = lmc("barrier", *tiny_gpt2_pair, *QUICK, "--json").json
    assert allowed["loss"] == plain["loss"] and allowed["key"] == plain["key"] and plain["cached"]
    done = lmc("align", *pickles, "--out", tmp_path / "out", "--allow-pickle")
    assert done.code == 0, done.err
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["references"][0].startswith(
        "pickle:path:"
    )


def test_models_of_the_cache(tiny_gpt2_pair: Pair, cache: Path, lmc: Run) -> None:
    for name, source in zip("ab", tiny_gpt2_pair, strict=True):
        cached(cache, f"org/{name}", source)
    assert lmc("show", "hf:org/a", "--json").json["reference"] == "hf:org/a"
    assert lmc("barrier", "hf:org/a", "hf:org/b", *QUICK, "--json").json["task"] == "plays"
    lmc("show", "hf:org/c").refused("hf download org/c", "HF_HUB_OFFLINE")
    lmc("barrier", "hf:org/a", "hf:org/c").refused("hf download org/c")
    lmc("show", "timm:vit_small_patch16_224.augreg_in1k").refused(
        "timm/vit_small_patch16_224.augreg_in1k"
    )
