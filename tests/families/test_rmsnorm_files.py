"""Llama, Mistral, Qwen2, Qwen3, OLMo, OLMo 2, Gemma 2: checkpoints as they are on disk, and
configurations that are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from lmc_core.symmetry.check import relative_difference
from tests.families.mixtures import round_trip
from tests.networks import CONFIGURATIONS, random_inputs, random_model

NAMES = ("llama", "mistral", "qwen2", "qwen3", "olmo", "olmo2", "gemma2")
EXAMPLES = [name for name, (family, _) in CONFIGURATIONS.items() if family in NAMES]
TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@pytest.mark.parametrize("name", EXAMPLES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    round_trip(random_model(name, 1, torch.float32), tmp_path)


def written(folder: Path, raw: dict[str, Any], state: dict[str, Tensor]) -> Path:
    """A checkpoint as people have it: a configuration that says no more than it must."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(raw))
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return folder


def theirs(folder: Path, inputs: Tensor) -> Tensor:
    """What transformers makes of a folder."""
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder).eval()(inputs).logits


LEGACY: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("llama", {"rope_theta": 100.0}),
    "base in the new place": ("mistral", {"rope_parameters": {"rope_theta": 100.0, "rope_type": "default"}}),
    "linear": ("llama", {"rope_theta": 50.0, "rope_scaling": {"type": "linear", "factor": 3.0}}),
    "dynamic": ("qwen2", {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "max_position_embeddings": 6}),
    "yarn": ("qwen3", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4}}),
    "longrope": (
        "mistral",
        {"rope_scaling": {"type": "longrope", "short_factor": [1, 2, 3], "long_factor": [2, 3, 4], "factor": 2.0},
         "original_max_position_embeddings": 6},
    ),
    "llama3": (
        "llama",
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 8}, "rope_theta": 20.0},
    ),
    "both places": ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_theta": 9.0}}),
    "no window": ("mistral", {"sliding_window": None}),
    "windows by layer": ("qwen2", {"use_sliding_window": True, "sliding_window": 3,
                                   "layer_types": ["sliding_attention", "full_attention"]}),
    "all windows": ("gemma2", {"layer_types": ["sliding_attention"] * 2, "sliding_window": 2}),
    "one key head for all": ("olmo2", {"num_key_value_heads": 1}),
    "key heads left out": ("olmo", {"num_key_value_heads": None}),
    "heads of another size": ("qwen2", {"head_dim": 10}),
    "another activation": ("gemma2", {"hidden_activation": "silu", "hidden_act": "gelu"}),
    "another scale of scores": ("gemma2", {"query_pre_attn_scalar": 100}),
    "no caps": ("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    "another epsilon": ("olmo2", {"rms_norm_eps": 0.1}),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGACY)
def test_a_configuration_is_read_as_transformers_reads_it(name: str, tmp_path: Path) -> None:
    example, changes = LEGACY[name]
    family_name, base = CONFIGURATIONS[example]
    raw = {**base, **changes}
    family = FAMILIES[family_name]
    torch.manual_seed(0)
    state = {
        name: tensor + 0.3 * torch.randn_like(tensor)
        for name, tensor in family.build(family.config(raw)).state_dict().items()
    }
    if raw.get("tie_word_embeddings", family_name == "gemma2"):
        del state[HEAD]
    folder = written(tmp_path / "it", raw, state)
    model = load_folder(folder)
    inputs = random_inputs(random_model(example))
    outputs = family.outputs(model.module(), inputs)
    assert relative_difference(theirs(folder, inputs), outputs) < 1e-5
    plain = (
        random_model(example).with_state(model.state)
        if changes.keys() & {"rope_theta", "rope_scaling"}
        else None
    )
    if plain is not None:  # the setting is one that matters
        assert relative_difference(family.outputs(plain.module(), inputs), outputs) > 1e-3


def on_disk(name: str, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    random_model(name, 1, torch.float32).save(folder / "saved")
    return json.loads((folder / "saved" / "config.json").read_text()), load_file(
        folder / "saved" / "model.safetensors"
    )


def test_buffers_of_old_checkpoints_are_dropped(tmp_path: Path) -> None:
    raw, tensors = on_disk("llama", tmp_path)
    for i in range(2):
        tensors[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = torch.ones(3)
    model = load_folder(written(tmp_path / "old", raw, tensors))
    assert model.state.keys() == random_model("llama").state.keys()


def test_a_checkpoint_of_the_body_alone(tmp_path: Path) -> None:
    """`Qwen2Model` saves without the prefix and without a head; one that is shared is still
    known.
    """
    raw, tensors = on_disk("qwen2-tied", tmp_path)
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    model = load_folder(written(tmp_path / "body", raw, bare))
    assert all(torch.equal(model.state[name], tensor) for name, tensor in tensors.items())
    raw, tensors = on_disk("llama", tmp_path / "untied")
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name != HEAD}
    with pytest.raises(BadCheckpoint, match="The head 'lm_head.weight' is not stored"):
        load_folder(written(tmp_path / "no-head", raw, bare))


def test_a_tied_head_on_disk(tmp_path: Path) -> None:
    raw, tensors = on_disk("qwen3-tied-biases", tmp_path)
    copied = load_folder(written(tmp_path / "copy", raw, tensors | {HEAD: tensors[TABLE].clone()}))
    swapped = {name: tensor for name, tensor in tensors.items() if name != TABLE} | {
        HEAD: tensors[TABLE]
    }
    only = load_folder(written(tmp_path / "only", raw, swapped))
    for model in (copied, only):
        assert model.state.keys() == tensors.keys() and torch.equal(
            model.state[TABLE], tensors[TABLE]
        )
    with pytest.raises(
        BadCheckpoint,
        match="'lm_head.weight' differs from 'model.embed_tokens.weight'.*tie_word_embeddings",
    ):
        load_folder(written(tmp_path / "other", raw, tensors | {HEAD: tensors[TABLE] + 1}))


def test_another_head_is_refused_by_name(tmp_path: Path) -> None:
    raw, tensors = on_disk("llama", tmp_path)
    score = {name: tensor for name, tensor in tensors.items() if name != HEAD} | {
        "score.weight": torch.ones(2, 24)
    }
    with pytest.raises(BadCheckpoint, match="lm_head.weight"):
        load_folder(written(tmp_path / "classifier", raw, score))
    with pytest.raises(
        BadCheckpoint,
        match="no place for: 'model.layers.0.self_attn.q_norm.weight'.*--ignore-extra",
    ):
        load_folder(
            written(
                tmp_path / "more",
                raw,
                tensors | {"model.layers.0.self_attn.q_norm.weight": torch.ones(6)},
            )
        )


ROPE = "rope_parameters"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"hidden_size": 0}, "'hidden_size' as a positive integer"),
    ("llama", {"hidden_size": "24"}, "'hidden_size' as a positive integer"),
    ("llama", {"vocab_size": 10**12}, "'vocab_size' as a positive integer"),
    ("llama", {"num_hidden_layers": None}, "'num_hidden_layers' as a positive integer"),
    ("llama", {"intermediate_size": 2.5}, "'intermediate_size' as a positive integer"),
    ("llama", {"num_attention_heads": 5}, "should divide hidden_size"),
    (
        "llama",
        {"num_attention_heads": 3, "head_dim": 8, "num_key_value_heads": 3, "hidden_size": 25},
        "should divide hidden_size",
    ),
    ("llama", {"num_key_value_heads": 3}, "should divide num_attention_heads"),
    ("mistral", {"head_dim": 7}, "heads of even size"),
    ("olmo", {"num_attention_heads": 8, "num_key_value_heads": 8}, "heads of even size"),
    ("qwen2", {"head_dim": 0}, "'head_dim' as a positive integer"),
    ("qwen2", {"num_key_value_heads": 0}, "'num_key_value_heads' as a positive integer"),
    ("qwen2", {"head_dim": -4}, "'head_dim' as a positive integer"),
    ("llama", {"hidden_act": "softmax"}, "activation 'softmax' is not supported"),
    ("llama", {"attention_bias": "false"}, "'attention_bias' as true or false"),
    ("qwen3", {"tie_word_embeddings": None}, "'tie_word_embeddings' as true or false"),
    ("qwen2", {"rms_norm_eps": "1e-6"}, "'rms_norm_eps' as a positive number"),
    ("olmo2", {"rms_norm_eps": float("nan")}, "'rms_norm_eps' as a positive number"),
    ("llama", {"pad_token_id": 37}, "'pad_token_id' as 37, and there are 37 tokens"),
    ("llama", {"eos_token_id": "</s>"}, "'eos_token_id' as the number of a token"),
    ("mistral", {"sliding_window": -1}, "'sliding_window' as a positive integer"),
    ("mistral", {"layer_types": ["full_attention"] * 2}, "attend in different ways"),
    ("qwen2", {"layer_types": ["full_attention"]}, "for each layer"),
    ("qwen2", {"layer_types": ["full_attention", "linear_attention"]}, "for each layer"),
    ("qwen3", {"layer_types": ["sliding_attention"] * 2}, "use_sliding_window=false"),
    (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": "all", "max_window_layers": 1},
        "'sliding_window' as a positive",
    ),
    (
        "qwen2",
        {"use_sliding_window": True, "max_window_layers": "all"},
        "'max_window_layers' as a number of layers",
    ),
    ("gemma2", {"sliding_window": None}, "'sliding_window' as a positive integer"),
    ("gemma2", {"use_bidirectional_attention": True}, "predicts no next token"),
    ("gemma2", {"final_logit_softcapping": 0}, "'final_logit_softcapping' as a positive number"),
    ("gemma2", {"query_pre_attn_scalar": 0}, "'query_pre_attn_scalar' as a positive integer"),
    ("gemma2", {"hidden_activation": None}, "activation None is not supported"),
    ("olmo", {"clip_qkv": -8}, "'clip_qkv' as a positive number"),
    ("llama", {ROPE: "linear"}, "'rope_parameters' as an object"),
    ("llama", {ROPE: {"rope_type": "mrope"}}, "the type 'mrope' are not supported"),
    ("llama", {ROPE: {"rope_type": ["yarn"]}}, "are not supported"),
    ("llama", {"rope_scaling": {"type": "linear"}}, "the type 'linear' need 'factor'"),
    ("llama", {"rope_scaling": {"type": "linear", "factor": "2"}}, "'factor' as a positive number"),
    ("llama", {"rope_theta": -1.0}, "'rope_theta' as a positive number"),
    (
        "mistral",
        {"rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1, 2, 3]}},
        "lists of 3 factors",
    ),
    (
        "mistral",
        {"rope_scaling": {"type": "longrope", "short_factor": 2, "long_factor": [1, 2, 3]}},
        "lists of 3 factors",
    ),
    (
        "llama",
        {
            ROPE: {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 4.0,
                "high_freq_factor": 4.0,
            }
        },
        "low_freq_factor below",
    ),
    (
        "qwen3",
        {ROPE: {"full_attention": {"rope_theta": 1e4}, "sliding_attention": {"rope_theta": 1e6}}},
        "differ by the type",
    ),
    ("llama", {"partial_rotary_factor": 0.5}, "rotates whole heads"),
]


@pytest.mark.parametrize(("name", "changes", "sentence"), REFUSED)
def test_refused_configurations(name: str, changes: dict[str, Any], sentence: str) -> None:
    family_name, raw = CONFIGURATIONS[name]
    with pytest.raises(BadCheckpoint, match=sentence):
        FAMILIES[family_name].config({**raw, **changes})
