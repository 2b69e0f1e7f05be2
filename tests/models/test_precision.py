"""Types and sizes of files that are written: those of the parents, or as asked; in shards above a
limit.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lmc_core.errors import BadInput, UnknownName
from lmc_core.matching.pair import align_pair
from lmc_core.models.common import untied
from lmc_core.models.forward import run
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.models.precision import type_words
from lmc_core.symmetry.check import relative_difference
from tests import tiny
from tests.networks import random_inputs, random_model

NAMES = ("gpt2", "bert", "t5", "mixtral", "opt-norms-behind")


def stored(folder: Path) -> set[torch.dtype]:
    return {
        tensor.dtype for path in folder.glob("*.safetensors") for tensor in load_file(path).values()
    }


def in_bf16(name: str, folder: Path, seed: int = 0) -> Model:
    random_model(name, seed, dtype=torch.float32).save(folder, "bfloat16")
    return load_folder(folder)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_aligned_has_the_type_of_its_parent(name: str, tmp_path: Path) -> None:
    a, b = (in_bf16(name, tmp_path / str(seed), seed) for seed in (0, 1))
    assert stored(tmp_path / "0") == {torch.bfloat16}
    pair = align_pair(a, b, random_inputs(a))
    assert {tensor.dtype for tensor in pair.b.state.values()} == {torch.float32}
    pair.b.save(tmp_path / "moved")
    assert stored(tmp_path / "moved") == {torch.bfloat16}
    pair.b.save(tmp_path / "wide", torch.float32)
    assert stored(tmp_path / "wide") == {torch.float32}
    again = load_folder(tmp_path / "wide")
    assert again.digest == pair.b.digest
    inputs = random_inputs(a)
    narrow = relative_difference(run(b, inputs), run(load_folder(tmp_path / "moved"), inputs))
    wide = relative_difference(run(b, inputs), run(again, inputs))
    assert wide < 1e-5 < narrow < 0.5


def test_types_of_their_own_stay_each(tmp_path: Path) -> None:
    model = random_model("gpt2", dtype=torch.float32)
    mixed = {n: t if n.endswith("bias") else t.bfloat16() for n, t in model.state.items()}
    model.with_state(mixed).save(tmp_path / "a")
    again = load_folder(tmp_path / "a")
    assert (
        {n: t.dtype for n, t in again.state.items()}
        == {n: t.dtype for n, t in mixed.items()}
        == dict(again.stored)
    )
    wide = untied(again.with_state({n: 2 * t.float() for n, t in again.state.items()}))
    assert wide.types()["lm_head.weight"] == torch.bfloat16  # which it shared, and most have
    wide.save(tmp_path / "b")
    found = load_folder(tmp_path / "b").stored
    assert {n: found[n] for n in mixed} == dict(again.stored) and type_words(
        again.stored.values()
    ) == "bfloat16 and float32"


def test_a_model_of_timm_keeps_its_type_too(tmp_path: Path) -> None:
    model = tiny.tiny("vit")
    model.save(tmp_path / "half", "float16")
    again = load_folder(tmp_path / "half")
    again.with_state({n: t.float() for n, t in again.state.items()}).save(
        tmp_path / "again", shard=1000
    )
    assert (
        stored(tmp_path / "again") == {torch.float16}
        and load_folder(tmp_path / "again").digest == again.digest
    )
    assert len(list((tmp_path / "again").glob("*.safetensors"))) == 1  # timm reads one file


def test_a_model_made_in_memory_is_written_as_it_is(tmp_path: Path) -> None:
    model = random_model("gpt2")
    assert {tensor.dtype for tensor in model.state.values()} == {torch.float64}
    model.save(tmp_path)
    assert stored(tmp_path) == {torch.float32}


@pytest.mark.parametrize(
    "name",
    ["gpt2", "gpt2-untied", "mixtral", "t5", "t5-1.1", "bert", "bert-untied-relu", "roberta"],
)
def test_large_ones_are_written_in_shards_with_an_index(name: str, tmp_path: Path) -> None:
    model = random_model(name, dtype=torch.float32)
    model.save(tmp_path, shard=10_000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = {path.name for path in tmp_path.glob("*.safetensors")}
    assert len(files) > 1 and set(index["weight_map"].values()) == files
    again = load_folder(tmp_path)
    assert again.digest == model.digest and again.notes == ()
    if model.family.name in ("gpt2", "mixtral"):
        tokens = random_inputs(model)
        with torch.no_grad():
            theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()(tokens).logits
        assert relative_difference(run(model, tokens), theirs) < 1e-5


def test_one_file_below_the_limit(tmp_path: Path) -> None:
    random_model("gpt2", dtype=torch.float32).save(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]


def test_types_that_are_refused(tmp_path: Path) -> None:
    model = random_model("gpt2", dtype=torch.float32)
    with pytest.raises(UnknownName, match="int8.*bfloat16, float16, float32"):
        model.save(tmp_path, "int8")
    large = model.with_state({**model.state, "transformer.wte.weight": 1e5 * torch.ones(31, 24)})
    with pytest.raises(
        BadInput,
        match="'transformer.wte.weight' has values up to 1e.05, and float16 holds none above",
    ):
        large.save(tmp_path, torch.float16)
    assert not list(tmp_path.iterdir())
