"""What a person should know beside the numbers: models that hold the same, files that disagree."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import GPT2LMHeadModel

from tests.cli.conftest import Run

Pair = tuple[Path, Path]
QUICK = ("--examples", 6, "--length", 16, "--device", "cpu")
SAME = "A and B hold the same weights."


@pytest.fixture
def copy(tiny_gpt2_pair: Pair, tmp_path: Path) -> Path:
    """A copy of the first model, with shards of the second beside its single file."""
    folder = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "copy")
    GPT2LMHeadModel.from_pretrained(tiny_gpt2_pair[1]).save_pretrained(
        folder, max_shard_size="12KB"
    )
    shutil.copy(tiny_gpt2_pair[0] / "model.safetensors", folder)
    return folder


COMMANDS = {
    "barrier": ("--method", "none", "--points", 3, "--refine", 0, *QUICK),
    "group": ("--method", "none", *QUICK),
    "merge": ("--method", "average", "--frame", "none", "--points", 1, *QUICK),
    "align": ("--device", "cpu"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_it(
    command: str, copy: Path, tiny_gpt2_pair: Pair, lmc: Run, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "out") if command == "align" else ()
    outcome = lmc(command, tiny_gpt2_pair[0], copy, *COMMANDS[command], *out)
    assert outcome.code == 0, outcome.err
    assert (
        "note" in outcome.out
        and SAME in outcome.out
        and "copy holds model.safetensors and the shards" in outcome.out
    )
    if command != "align":
        found = lmc(command, tiny_gpt2_pair[0], copy, *COMMANDS[command], "--json").json
        found = found[0] if command == "merge" else found
        assert (
            found["notes"][-1] == SAME
            and len(found["notes"]) == 2
            and found["same"][0]["same"] == 28
        )
    else:
        assert json.loads((tmp_path / "out" / "report.json").read_text())["same"][0]["same"] == 28


def test_nothing_is_said_where_there_is_nothing(tiny_gpt2_pair: Pair, lmc: Run) -> None:
    outcome = lmc("barrier", *tiny_gpt2_pair, *COMMANDS["barrier"])
    assert outcome.code == 0 and "note" not in outcome.out
    assert not lmc("barrier", *tiny_gpt2_pair, *COMMANDS["barrier"], "--json").json["notes"]


def test_show_says_which_files_were_read(copy: Path, lmc: Run) -> None:
    assert "model.safetensors was read" in lmc("show", copy).out
