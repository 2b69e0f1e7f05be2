"""Classes of transformers: a model is read as the class that it was saved as, or refused by that
class's name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from tests.networks import random_model

NAMED = [family.name for family in FAMILIES.values() if family.classes]
SMALL: dict[str, dict[str, Any]] = {
    "GPT2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 20, "n_positions": 8},
    "OPT": {
        "hidden_size": 16,
        "ffn_dim": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 20,
    },
}
DECODER = {
    "hidden_size": 16,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 20,
}
OTHERS = ["GPT2DoubleHeadsModel"]  # which is told the position that its second head reads


def saved(name: str, folder: Path) -> Path:
    """A small model of that class, with a shared table, as transformers writes it."""
    beginning = next(b for b in ("GPT2", "OPT", "Qwen2", "Llama", "Gemma2") if name.startswith(b))
    sizes = SMALL.get(beginning) or DECODER | {"num_key_value_heads": 2, "head_dim": 8}
    config = getattr(transformers, f"{beginning}Config")(
        **sizes, tie_word_embeddings=True, pad_token_id=0
    )
    torch.manual_seed(0)
    getattr(transformers, name)(config).save_pretrained(folder)
    return folder


def changed(folder: Path, **entries: Any) -> None:
    path = folder / "config.json"
    content = {
        key: value
        for key, value in (json.loads(path.read_text()) | entries).items()
        if value is not None
    }
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_of_another_class_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        BadCheckpoint, match=f"'architectures' as {name}, which is not supported.*supported are"
    ) as caught:
        load_folder(saved(name, tmp_path))
    assert any(cls in str(caught.value) for cls in ("GPT2LMHeadModel", "ForCausalLM"))


@pytest.mark.parametrize("family", NAMED)
def test_every_family_reads_its_own_classes_alone(family: str, tmp_path: Path) -> None:
    model = random_model(next(iter(FAMILIES[family].examples)), dtype=torch.float32)
    model.save(tmp_path)
    own = json.loads((tmp_path / "config.json").read_text())["architectures"]
    assert own[0] in FAMILIES[family].classes
    assert load_folder(tmp_path).digest == model.digest
    beginning = own[0].partition("For")[0]  # of two families of one kind of model the first answers
    for other in (["SomeModel"], "SomeModel", [["SomeModel"]], ["SomeModel", *own]):
        changed(tmp_path, architectures=other)
        with pytest.raises(BadCheckpoint, match=f"SomeModel.*supported are .*{beginning}"):
            load_folder(tmp_path)


@pytest.mark.parametrize("family", NAMED)
def test_classes_are_names_that_transformers_has(family: str) -> None:
    earlier = {"T5WithLMHeadModel", "LLaMAForCausalLM"}
    assert all(hasattr(transformers, cls) for cls in FAMILIES[family].classes if cls not in earlier)


def test_gpt2_without_prefix_and_without_a_class_is_the_language_model(tmp_path: Path) -> None:
    """As the first files were written, and those of openai-community/gpt2 still are."""
    model = random_model("gpt2", dtype=torch.float32)
    model.save(tmp_path)
    tensors = {
        name.removeprefix("transformer."): tensor
        for name, tensor in load_file(tmp_path / "model.safetensors").items()
    }
    save_file(tensors, tmp_path / "model.safetensors")
    for architectures in (["GPT2LMHeadModel"], [], None):
        changed(tmp_path, architectures=architectures)
        assert load_folder(tmp_path).digest == model.digest
