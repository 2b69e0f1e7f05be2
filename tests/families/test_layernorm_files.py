"""ViT and DeiT of transformers, GPT-NeoX, OPT: files that are written and read, and configurations
that are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.spaces import choose_classes
from tests.networks import CONFIGURATIONS, random_inputs, random_model

EXAMPLES = [
    name for name, (family, _) in CONFIGURATIONS.items() if family in ("vit_hf", "gpt_neox", "opt")
]


def forms(model: Model) -> dict[str, Model]:
    """A model as it is, rewritten, and moved by a random element of the largest classes, in
    float32.
    """
    classes = choose_classes(model.layout.spaces)
    rewritten = canonical(model, classes)
    alignment = Alignment.random(rewritten.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = rewritten.with_state(alignment.apply(rewritten.layout, rewritten.state))
    return {"original": model, "rewritten": in_float32(rewritten), "moved": in_float32(moved)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_written_is_read_by_transformers_and_here(name: str, tmp_path: Path) -> None:
    model = random_model(name, dtype=torch.float32)
    inputs = random_inputs(model)
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    reader: Any = getattr(transformers, type(model.module()).__name__)
    expected = model.family.outputs(model.module(), inputs)
    for form, each in forms(model).items():
        each.save(tmp_path / form)
        again = load_folder(tmp_path / form)
        assert again.config == each.config
        assert again.state.keys() == each.state.keys()
        assert all(torch.equal(again.state[n], t) for n, t in each.state.items())
        module, report = reader.from_pretrained(tmp_path / form, output_loading_info=True)
        assert not any(report.values()), report
        assert (
            module.config.architectures == [type(module).__name__] == [type(each.module()).__name__]
        )
        with torch.no_grad():
            assert relative_difference(expected, model.family.outputs(module.eval(), inputs)) < 1e-5


Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def with_buffers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    at = "gpt_neox.layers.0.attention"
    mask = torch.ones(1, 1, 12, 12, dtype=torch.bool).tril()
    return tensors | {
        f"{at}.bias": mask,
        f"{at}.masked_bias": torch.tensor(-1e9),
        f"{at}.rotary_emb.inv_freq": torch.ones(2),
    }


def renamed(pattern: str, replacement: str) -> Change:
    return lambda tensors: {
        re.sub(pattern, replacement, name): tensor for name, tensor in tensors.items()
    }


def with_copy(name: str, original: str, factor: float = 1.0) -> Change:
    return lambda tensors: tensors | {name: factor * tensors[original]}


def in_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that a future version may write."""
    return FAMILIES["vit_hf"].from_disk(tensors, {"architectures": ["ViTForImageClassification"]})


def with_pretraining(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return tensors | {
        "vit.pooler.dense.weight": torch.ones(24, 24),
        "vit.embeddings.mask_token": torch.ones(1, 1, 24),
    }


ON_DISK: dict[str, tuple[str, Change]] = {
    "constants of old checkpoints": ("gpt_neox", with_buffers),
    "the head's name in memory": ("gpt_neox", renamed("^embed_out", "lm_head")),
    "a copy of the shared table": (
        "gpt_neox-sequential-tied",
        with_copy("embed_out.weight", "gpt_neox.embed_in.weight"),
    ),
    "without a prefix": ("opt", renamed(r"^model\.", "")),
    "a copy of OPT's table": (
        "opt",
        with_copy("lm_head.weight", "model.decoder.embed_tokens.weight"),
    ),
    "names in memory": ("vit_hf", in_memory),
    "parts of the pretraining": ("vit_hf", with_pretraining),
}


@pytest.mark.parametrize("name", ON_DISK)
def test_names_on_disk(name: str, tmp_path: Path) -> None:
    example, change = ON_DISK[name]
    model = random_model(example, dtype=torch.float32)
    model.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    changed = change(dict(tensors))
    assert changed.keys() != tensors.keys()
    save_file(
        {n: t.contiguous().clone() for n, t in changed.items()},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    again = load_folder(tmp_path)
    assert again.state.keys() == model.state.keys()
    assert all(torch.equal(again.state[n], t) for n, t in model.state.items())


def test_a_head_that_is_no_copy_is_refused(tmp_path: Path) -> None:
    model = random_model("opt", dtype=torch.float32)
    model.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    changed = with_copy("lm_head.weight", "model.decoder.embed_tokens.weight", 2.0)(tensors)
    save_file(changed, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadCheckpoint, match="tie_word_embeddings"):
        load_folder(tmp_path)


# family, what a file says, what is read from it
SETTINGS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "old rotary settings": (
        "gpt_neox",
        {"rotary_pct": 0.5, "rotary_emb_base": 500},
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 500,
                "partial_rotary_factor": 0.5,
            }
        },
    ),
    "settings of other families": (
        "gpt_neox",
        {"rope_theta": 500, "partial_rotary_factor": 0.5},
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.25,
            }
        },
    ),
    "labels by name": (
        "vit_hf",
        {"model_type": "vit", "id2label": {"0": "cat", "1": "dog", "2": "owl"}},
        {"num_labels": 3},
    ),
    "two edges": (
        "vit_hf",
        {"model_type": "vit", "image_size": [32, 32], "patch_size": [8, 8]},
        {"image_size": 32},
    ),
    "no class of its own": (
        "vit_hf",
        {"model_type": "deit"},
        {"architectures": ["DeiTForImageClassification"]},
    ),
    "no width of its own": ("opt", {"hidden_size": 24}, {"word_embed_proj_dim": 24}),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str) -> None:
    family, raw, expected = SETTINGS[name]
    found = FAMILIES[family].config(raw)
    assert {key: found[key] for key in expected} == expected


def test_rotary_settings_are_those_of_transformers() -> None:
    from transformers import GPTNeoXConfig

    for raw in (SETTINGS["old rotary settings"][1], SETTINGS["settings of other families"][1]):
        assert (
            FAMILIES["gpt_neox"].config(raw)["rope_parameters"]
            == GPTNeoXConfig(**raw).rope_parameters
        )


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "another class": ("vit_hf", {"architectures": ["ViTBackbone"]}, "ViTForImageClassification"),
    "DeiT's class in a ViT": (
        "vit_hf",
        {"architectures": ["DeiTForImageClassification"]},
        "ViTForImageClassification",
    ),
    "images that are not square": ("vit_hf", {"image_size": [14, 28]}, "square"),
    "patches that do not divide": ("vit_hf", {"patch_size": 4}, "patch_size = 4"),
    "heads that do not divide": ("vit_hf", {"num_attention_heads": 5}, "num_attention_heads = 5"),
    "heads of a size of their own": ("vit_hf", {"head_dim": 16}, "head_dim"),
    "no labels": ("vit_hf", {"num_labels": 0}, "num_labels"),
    "a softmax of units": ("vit_hf", {"hidden_act": "softmax"}, "softmax"),
    "a size in words": ("vit_hf", {"hidden_size": "24"}, "hidden_size"),
    "an odd part is rotated": ("gpt_neox", {"rotary_pct": 0.25}, "even number"),
    "more than a head is rotated": ("gpt_neox", {"rotary_pct": 2.0}, "even number"),
    "nothing is rotated": ("gpt_neox", {"rotary_pct": 0.1}, "even number"),
    "an unknown rotary type": ("gpt_neox", {"rope_scaling": {"type": "spiral"}}, "spiral"),
    "a switch in words": ("gpt_neox", {"use_parallel_residual": "no"}, "use_parallel_residual"),
    "a huge vocabulary": ("gpt_neox", {"vocab_size": 10**12}, "vocab_size"),
    "no last norm": ("opt", {"_remove_final_layer_norm": True}, "_remove_final_layer_norm"),
    "padding that is no token": ("opt", {"pad_token_id": 40}, "pad_token_id"),
    "no width": ("opt", {"word_embed_proj_dim": 0}, "word_embed_proj_dim"),
    "a count that is null": ("opt", {"ffn_dim": None}, "ffn_dim"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_configurations(name: str) -> None:
    family, change, words = REFUSED[name]
    raw = dict(FAMILIES[family].examples[family]) | change
    with pytest.raises(BadCheckpoint, match=words) as caught:
        FAMILIES[family].config(raw)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
