"""Names with words of training tools around them: which are taken away, and which are a network's
own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MixtralConfig,
    MixtralForCausalLM,
)

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.files.prefixes import forms, removed
from lmc_core.models.load import file_notes, load
from tests.networks import CONFIGURATIONS, random_model

Rename = Callable[[str], str]
SIZES: dict[str, Any] = {
    "vocab_size": 31, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 16,
}  # fmt: skip


def front(words: str) -> Rename:
    return lambda name: words + name


def inside(words: str) -> Rename:
    """The words behind the number of each layer, as where layers are wrapped one by one."""
    parts = ("layers.0.", "layers.1.", "h.0.", "h.1.", "blocks.0.", "blocks.1.")

    def rename(name: str) -> str:
        for part in parts:
            name = name.replace(part, part + words)
        return name

    return rename


FORMS: dict[str, tuple[Rename, set[str]]] = {
    "DataParallel": (front("module."), {"module"}),
    "compiled": (front("_orig_mod."), {"_orig_mod"}),
    "Lightning": (front("model."), {"model"}),
    "Lightning with a net": (front("net."), {"net"}),
    "both ways": (front("module._orig_mod."), {"module", "_orig_mod"}),
    "the other order": (front("_orig_mod.module."), {"module", "_orig_mod"}),
    "three": (front("model._forward_module.module."), {"model", "_forward_module", "module"}),
    "twice": (front("model.model."), {"model"}),
    "FSDP": (inside("_fsdp_wrapped_module."), {"_fsdp_wrapped_module"}),
    "FSDP with checkpoints": (
        inside("_fsdp_wrapped_module._checkpoint_wrapped_module."),
        {"_fsdp_wrapped_module", "_checkpoint_wrapped_module"},
    ),
    "layers compiled": (inside("_orig_mod."), {"_orig_mod"}),
    "layers in parallel": (inside("module."), {"module"}),
    "in front and inside": (
        lambda name: "module." + inside("_orig_mod.")(name),
        {"module", "_orig_mod"},
    ),
}


def renamed(source: Path, folder: Path, rename: Rename) -> Path:
    shutil.copytree(source, folder)
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {rename(name): tensor for name, tensor in tensors.items()}, folder / "model.safetensors"
    )
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A Llama, whose own names begin with "model.", one without a head, and a mixture whose experts
    are stacked when read.
    """
    root = tmp_path_factory.mktemp("wrapped")
    torch.manual_seed(0)
    made = {
        "llama": LlamaForCausalLM(LlamaConfig(**SIZES)),
        "tied": LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
        "mixture": MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=3)),
    }
    for name, model in made.items():
        model.save_pretrained(root / name)
    return {name: root / name for name in made}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["gpt2", "vit", "llama", "tied", "mixture"])
def test_wrapped_names_are_read(
    kind: str,
    form: str,
    folders: dict[str, Path],
    tiny_gpt2_pair: Any,
    tiny_vit_pair: Any,
    tmp_path: Path,
) -> None:
    source = {"gpt2": tiny_gpt2_pair[0], "vit": tiny_vit_pair[0], **folders}[kind]
    rename, words = FORMS[form]
    wrapped = renamed(source, tmp_path / "mine", rename)
    before, model = load(source), load(wrapped)
    assert model.digest == before.digest and before.notes == ()
    (note,) = model.notes
    assert all(f"'{word}.'" in note for word in words) and note.count("'") == 2 * len(words)
    assert file_notes(wrapped) == model.notes


@pytest.mark.parametrize(
    "family", [name for name in FAMILIES if name != "beit_timm"]
)  # whose example is refused when it is read first
@pytest.mark.parametrize("words", ["module._orig_mod.", "model."])
def test_every_family(family: str, words: str, tmp_path: Path) -> None:
    model = random_model(
        next(n for n, (owner, _) in CONFIGURATIONS.items() if owner == family), dtype=torch.float32
    )
    model.save(tmp_path / "plain")
    before, after = (
        load(tmp_path / "plain"),
        load(renamed(tmp_path / "plain", tmp_path / "mine", front(words))),
    )
    assert after.digest == before.digest == model.digest
    # a body's own prefix may be what was put in front
    assert not before.notes and len(after.notes) <= 1


def test_an_encoder_of_old_whose_configuration_names_no_kind(tmp_path: Path) -> None:
    import json

    from transformers import BertConfig, BertForMaskedLM

    sizes: dict[str, Any] = {
        "vocab_size": 31,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 20,
    }
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(tmp_path / "bert")
    content = json.loads((tmp_path / "bert" / "config.json").read_text())
    (tmp_path / "bert" / "config.json").write_text(
        json.dumps(
            {
                key: value
                for key, value in content.items()
                if key not in ("model_type", "architectures")
            }
        )
    )
    wrapped = renamed(tmp_path / "bert", tmp_path / "mine", front("module.model."))
    assert load(wrapped).digest == load(tmp_path / "bert").digest


def test_a_body_without_its_prefix_is_no_wrapper(tmp_path: Path) -> None:
    """The names of a body alone lack "model."; nothing is said to have been taken away."""
    torch.manual_seed(0)
    whole = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))
    whole.save_pretrained(tmp_path / "whole")
    bare = renamed(tmp_path / "whole", tmp_path / "bare", lambda name: name.removeprefix("model."))
    assert load(bare).digest == load(tmp_path / "whole").digest and load(bare).notes == ()
    assert isinstance(whole.model, LlamaModel)


def test_what_does_not_fit_without_wrappers_either_is_named_as_it_is_in_the_file(
    tiny_gpt2_pair: Any, tmp_path: Path
) -> None:
    wrapped = renamed(tiny_gpt2_pair[0], tmp_path / "mine", front("module."))
    tensors = load_file(wrapped / "model.safetensors")
    lost = tensors.pop("module.transformer.h.1.mlp.c_fc.weight")
    save_file(tensors, wrapped / "model.safetensors")
    with pytest.raises(
        BadCheckpoint, match="'transformer.h.1.mlp.c_fc.weight' of a GPT2LMHeadModel is missing"
    ):
        load(wrapped)
    save_file(
        tensors | {"module.transformer.h.1.mlp.c_fc.weight": lost[:, :-1].contiguous()},
        wrapped / "model.safetensors",
    )
    with pytest.raises(
        BadCheckpoint, match="'module.transformer.h.1.mlp.c_fc.weight' was expected with shape"
    ):
        load(wrapped)


def test_two_networks_in_one_file(tiny_vit_pair: Any, tmp_path: Path) -> None:
    """Lightning keeps the running mean beside the network: with permission the network alone is
    read.
    """
    folder = shutil.copytree(tiny_vit_pair[0], tmp_path / "mine")
    tensors = load_file(folder / "model.safetensors")
    both = {f"model.{name}": tensor for name, tensor in tensors.items()}
    both |= {f"ema_model.{name}": tensor + 1 for name, tensor in tensors.items()}
    save_file(both, folder / "model.safetensors")
    with pytest.raises(
        BadCheckpoint, match=rf"holds {len(tensors)} tensors .*'ema_model\..*--ignore-extra"
    ):
        load(folder)
    model = load(folder, ignore_extra=True)
    assert model.digest == load(tiny_vit_pair[0]).digest and len(model.notes) == 2


def test_two_names_never_become_one() -> None:
    names = ["model.a.weight", "a.weight", "_orig_mod.b", "b"]
    for form in forms(names):
        assert len(set(form.values())) == len(names)
    assert [removed(form) for form in forms(["model.x", "model.y"])] == [[], ["model"]]
    assert list(forms([])) == [{}] and list(forms(["model"])) == [{"model": "model"}]
