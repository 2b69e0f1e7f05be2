"""`--ignore-extra` on every command that takes models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.cli.commands import parse
from tests.cli.conftest import Run

Pair = tuple[Path, Path]
QUICK = ("--examples", 6, "--length", 16, "--device", "cpu")
COMMANDS = {
    "show": (),
    "barrier": ("--method", "none", "--points", 3, "--refine", 0, *QUICK),
    "group": ("--method", "none", *QUICK),
    "merge": ("--method", "average", "--frame", "none", "--points", 1, *QUICK),
    "align": ("--device", "cpu"),
    "plane": ("--resolution", 3, *QUICK),
}


@pytest.fixture
def folder(tiny_gpt2_pair: Pair, tmp_path: Path) -> Path:
    copy = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "mine")
    save_file(
        load_file(copy / "model.safetensors") | {"v_head.weight": torch.ones(1, 16)},
        copy / "model.safetensors",
    )
    return copy


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_it(
    command: str, folder: Path, tiny_gpt2_pair: Pair, lmc: Run, tmp_path: Path
) -> None:
    models = (folder,) if command == "show" else (folder, tiny_gpt2_pair[1])
    out = ("--out", tmp_path / "out") if command == "align" else ()
    lmc(command, *models, *COMMANDS[command], *out).refused("'v_head.weight'", "--ignore-extra")
    outcome = lmc(command, *models, *COMMANDS[command], *out, "--ignore-extra")
    assert outcome.code == 0, outcome.err
    assert "1 tensor without a place" in outcome.out and "'v_head.weight'" in outcome.out


def test_both_permissions_go_to_every_model() -> None:
    found = parse(["merge", "a", "b", "--base", "c", "--allow-pickle", "--ignore-extra"])
    assert found.models == ["extra:pickle:a", "extra:pickle:b"] and found.base == "extra:pickle:c"
    assert parse(["merge", "a", "b", "--ignore-extra"]).base == "mean"
    assert parse(["align", "a", "b", "c", "--out", "x", "--ignore-extra"]).more == ["extra:c"]
