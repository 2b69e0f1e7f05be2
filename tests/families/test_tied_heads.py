"""Heads that share the token table, in every family: a stored copy that is another matrix is
refused, never dropped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from tests.networks import CONFIGURATIONS, random_model

STRUCTURES = {
    name: (found := FAMILIES[family]).structure(found.config(raw))
    for name, (family, raw) in CONFIGURATIONS.items()
}
TIED = {name: each.rewrite.tied for name, each in STRUCTURES.items() if each.rewrite.tied}
HEADS = {
    name: block.parameter
    for name, each in STRUCTURES.items()
    if (block := each.layout.by_name.get("head.weight"))
}
UNTIED = {
    name: head
    for name, head in HEADS.items()
    if name not in TIED and not name.startswith(("t5", "mt5", "umt5"))
}


def written(name: str, folder: Path) -> dict[str, Tensor]:
    random_model(name, dtype=torch.float32).save(folder)
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in tensors.items()},
        folder / "model.safetensors",
    )


@pytest.mark.parametrize("name", TIED)
def test_a_stored_head_that_differs_is_refused_by_every_family(name: str, tmp_path: Path) -> None:
    tensors, tie = written(name, tmp_path), TIED[name]
    rewrite(tmp_path, tensors | {tie.head: tensors[tie.table] + 1e-3})
    with pytest.raises(
        BadCheckpoint,
        match=f"'{tie.head}' differs from '{tie.table}'.*set tie_word_embeddings to false",
    ):
        load_folder(tmp_path)


@pytest.mark.parametrize("name", TIED)
def test_a_copy_of_the_table_is_the_table_and_so_is_a_head_alone(name: str, tmp_path: Path) -> None:
    tensors, tie = written(name, tmp_path), TIED[name]
    before = load_folder(tmp_path)
    rewrite(tmp_path, tensors | {tie.head: tensors[tie.table]})
    assert load_folder(tmp_path).digest == before.digest
    table = tensors.pop(tie.table)
    rewrite(tmp_path, tensors | {tie.head: table})
    assert load_folder(tmp_path).digest == before.digest


@pytest.mark.parametrize("name", UNTIED)  # of a T5 it is the table, as transformers has it
def test_a_head_of_its_own_that_is_not_stored_is_refused(name: str, tmp_path: Path) -> None:
    tensors, head = written(name, tmp_path), UNTIED[name]
    gone = [key for key in tensors if key in (head, head.replace("lm_head", "embed_out"))]
    assert len(gone) == 1
    del tensors[gone[0]]
    rewrite(tmp_path, tensors)
    with pytest.raises(
        BadCheckpoint,
        match=f"'{head}' (is not stored, .*tie_word_embeddings=false|of a .* is missing)",
    ):
        load_folder(tmp_path)


def test_a_masked_models_second_bias_that_differs_is_refused(tmp_path: Path) -> None:
    tensors = written("bert", tmp_path)
    rewrite(
        tmp_path, tensors | {"cls.predictions.decoder.bias": tensors["cls.predictions.bias"] + 1}
    )
    with pytest.raises(
        BadCheckpoint, match=r"'cls.predictions.decoder.bias' differs.*tie_word_embeddings"
    ):
        load_folder(tmp_path)


def test_a_silent_configuration_has_the_familys_default(tmp_path: Path) -> None:
    """GPT-2's is tied: a configuration that says nothing and a head that differs are refused
    too.
    """
    tensors = written("gpt2", tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    del content["tie_word_embeddings"]
    path.write_text(json.dumps(content))
    assert load_folder(tmp_path).family.name == "gpt2"
    rewrite(tmp_path, tensors | {"lm_head.weight": 2 * tensors["transformer.wte.weight"]})
    with pytest.raises(BadCheckpoint, match="tie_word_embeddings"):
        load_folder(tmp_path)
    content["tie_word_embeddings"] = False
    path.write_text(json.dumps(content))
    assert torch.equal(
        load_folder(tmp_path).state["lm_head.weight"], 2 * tensors["transformer.wte.weight"]
    )


def test_t5_refuses_stacks_whose_tables_differ(tmp_path: Path) -> None:
    tensors = written("t5", tmp_path)
    rewrite(tmp_path, tensors | {"decoder.embed_tokens.weight": 2 * tensors["shared.weight"]})
    with pytest.raises(BadCheckpoint, match="both stacks of a T5 read one table"):
        load_folder(tmp_path)
