"""A single file of weights beside an index with shards: which was read, and what is said where the
two disagree.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from lmc_core.errors import BadCheckpoint
from lmc_core.models.cache import load_warm
from lmc_core.models.describe import describe
from lmc_core.models.load import file_notes, load

Pair = tuple[Path, Path]


def both(single: Path, shards: Path, folder: Path) -> Path:
    """The single file of one model beside the shards of another."""
    GPT2LMHeadModel.from_pretrained(shards).save_pretrained(folder, max_shard_size="12KB")
    shutil.copy(single / "model.safetensors", folder)
    return folder


def test_it_is_said_which_of_two_that_disagree_was_read(
    tiny_gpt2_pair: Pair, tmp_path: Path
) -> None:
    old, new = tiny_gpt2_pair
    folder = both(old, new, tmp_path / "mine")
    model = load(folder)
    assert model.digest == load(old).digest
    (note,) = model.notes
    assert (
        "mine holds model.safetensors and the shards of model.safetensors.index.json, which "
        "disagree" in note
    )
    assert "model.safetensors was read" in note
    assert describe(str(folder))["notes"] == list(model.notes) == list(file_notes(folder))
    tokens = torch.arange(20)[None]
    with torch.no_grad():  # what transformers reads is what is said
        assert torch.equal(
            GPT2LMHeadModel.from_pretrained(folder).eval()(tokens).logits,
            model.module()(tokens).logits,
        )


def test_nothing_is_said_of_two_that_agree(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    folder = both(tiny_gpt2_pair[0], tiny_gpt2_pair[0], tmp_path / "mine")
    assert load(folder).notes == () == file_notes(folder) == file_notes(tiny_gpt2_pair[0])


def test_a_shard_that_changes_is_noticed_in_a_model_kept_warm(
    tiny_gpt2_pair: Pair, tmp_path: Path
) -> None:
    folder = both(tiny_gpt2_pair[0], tiny_gpt2_pair[0], tmp_path / "mine")
    assert load_warm(str(folder)).notes == ()
    both(tiny_gpt2_pair[0], tiny_gpt2_pair[1], folder)
    assert len(load_warm(str(folder)).notes) == 1


def test_a_missing_shard_is_said_beside_a_single_file_and_refused_without_one(
    tiny_gpt2_pair: Pair, tmp_path: Path
) -> None:
    folder = both(tiny_gpt2_pair[0], tiny_gpt2_pair[1], tmp_path / "mine")
    next(folder.glob("model-*.safetensors")).unlink()
    (note,) = load(folder).notes
    assert (
        "cannot be followed" in note
        and "is missing from mine" in note
        and "model.safetensors was read" in note
    )
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match="is missing"):
        load(folder)


def test_pickles_are_compared_too(tiny_gpt2_pair: Pair, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_gpt2_pair[0], tmp_path / "mine")
    models = [load(each).state for each in tiny_gpt2_pair]
    (folder / "model.safetensors").unlink()
    torch.save(dict(models[0]), folder / "pytorch_model.bin")
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(
        json.dumps({"weight_map": dict.fromkeys(models[0], "pytorch_model-00001-of-00001.bin")})
    )
    for state, notes in ((models[0], 0), (models[1], 1)):
        torch.save(dict(state), folder / "pytorch_model-00001-of-00001.bin")
        assert len(load(folder, allow_pickle=True).notes) == notes
