"""Further decoders with RMSNorm: configurations as people have them, published sizes, and what is
refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.families.granitemoe import STORED
from lmc_core.models.load import load_folder
from lmc_core.models.model import Uninitialised, untied_state
from lmc_core.symmetry.check import relative_difference
from tests.networks import CONFIGURATIONS, random_inputs, random_model

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4}
LONG = {"short_factor": [1.0, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0]}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8,
}
# example -> what its config.json says otherwise; transformers' own reading is the reference
OLDER: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma, as first published": (
        "gemma",
        {"hidden_act": "gelu", "hidden_activation": None, "rope_theta": 500.0},
    ),
    "gemma3, two bases": ("gemma3", {"rope_theta": 100.0, "rope_local_base_freq": 20.0}),
    "gemma3, scaled": ("gemma3", {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
    "gemma3, an older key": ("gemma3", {"rope_scaling": {"type": "linear", "factor": 8.0}}),
    "gemma3, one type": ("gemma3", {"rope_parameters": {"full_attention": {"rope_theta": 50.0}}}),
    "gemma3, another pattern": ("gemma3", {"sliding_window_pattern": 3}),
    "gemma3, no pattern": ("gemma3", {"sliding_window_pattern": 1}),
    "gemma3, a smaller window": ("gemma3", {"sliding_window": 2}),
    "olmo3, base": ("olmo3", {"rope_theta": 50.0}),
    "olmo3, yarn": ("olmo3", {"rope_scaling": YARN}),
    "olmo3, usual types": ("olmo3", {"layer_types": None}),
    "phi3, base": ("phi3", {"rope_theta": 50.0}),
    "phi3, share": ("phi3-partial-tied", {"partial_rotary_factor": 0.25}),
    "phi3, share in the new place": (
        "phi3-partial-tied",
        {"rope_parameters": {"partial_rotary_factor": 0.75, "rope_theta": 50.0}},
    ),
    "phi3, yarn is longrope": ("phi3-long", {"rope_scaling": LONG | {"type": "yarn"}}),
    "phi3, longrope": ("phi3-long", {"rope_scaling": LONG | {"rope_type": "longrope"}}),
    "phi3, other factors": ("phi3-long", {"rope_scaling": LONG | {"long_factor": [3.0, 5.0, 9.0]}}),
    "phi3, another length": (
        "phi3-long",
        {"rope_scaling": LONG | {"type": "longrope"}, "original_max_position_embeddings": 12},
    ),
    "phi3, usual length": (
        "phi3-long",
        {"rope_scaling": LONG | {"type": "longrope"}, "original_max_position_embeddings": 4096},
    ),
    "smollm3, all rotary": ("smollm3", {"no_rope_layer_interval": 4}),
    "smollm3, none": ("smollm3", {"no_rope_layer_interval": 1}),
    "smollm3, by layer": ("smollm3", {"no_rope_layers": [0, 1, 1], "rope_theta": 100.0}),
    "smollm3, a window": ("smollm3", {"use_sliding_window": True, "sliding_window": 3}),
    "granite, base": ("granite", {"rope_theta": 50.0}),
    "granite, another constant": ("granite", {"residual_multiplier": 2}),
    "granite, no constants": ("granite", {"attention_multiplier": 1.0, "embedding_multiplier": 1}),
    "granitemoe, another constant": ("granitemoe", {"attention_multiplier": 0.5}),
    "glm, share": ("glm", {"partial_rotary_factor": 0.25}),
    "glm, base": ("glm", {"rope_theta": 50.0}),
    "glm4, share": (
        "glm4",
        {"rope_parameters": {"partial_rotary_factor": 1.0, "rope_theta": 100.0}},
    ),
    "exaone4, pattern": ("exaone4", {"sliding_window_pattern": 3}),
    "exaone4, letters": (
        "exaone4",
        {"sliding_window_pattern": "LG", "layer_types": ["full_attention"] * 2},
    ),
    "exaone4, no window": (
        "exaone4",
        {"sliding_window": None, "layer_types": ["full_attention"] * 2},
    ),
    "exaone4, scaled": ("exaone4", {"rope_theta": 20.0, "rope_scaling": LLAMA3}),
    "gpt_oss, older": ("gpt_oss", {"rope_scaling": YARN, "rope_theta": 100.0}),
    "gpt_oss, truncated": ("gpt_oss", {"rope_scaling": YARN | {"truncate": False}}),
    "gpt_oss, a lower clamp": ("gpt_oss", {"swiglu_limit": 0.3}),
    "gpt_oss, no windows": ("gpt_oss", {"layer_types": ["full_attention"] * 2}),
}


@pytest.mark.parametrize("name", OLDER)
def test_a_configuration_is_read_as_transformers_reads_it(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    example, changes = OLDER[name]
    family_name, base = CONFIGURATIONS[example]
    raw = {**base, **changes}
    family = FAMILIES[family_name]
    torch.manual_seed(0)
    state = {
        n: t + 0.3 * torch.randn_like(t)
        for n, t in untied_state(family.build(family.config(raw))).items()
    }
    (tmp_path / "config.json").write_text(json.dumps(raw))
    save_file(
        {n: t.contiguous() for n, t in state.items()},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    model = load_folder(tmp_path)
    inputs = random_inputs(model)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(tmp_path).eval()(inputs).logits
    assert relative_difference(expected, family.outputs(model.module(), inputs)) < 1e-5
    plain = random_model(example).with_state(model.state)
    if name not in SAME:  # what is said otherwise matters
        assert relative_difference(expected, family.outputs(plain.module(), inputs)) > 1e-4


# other words for what the example says
SAME = ("gemma3, an older key", "phi3, yarn is longrope", "phi3, longrope")

# sizes as published; what is left out is transformers' default
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma-2b": (
        "gemma",
        {
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "num_hidden_layers": 18,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
        },
    ),
    "gemma-7b": ("gemma", {}),
    "gemma-3-1b": (
        "gemma3_text",
        {
            "vocab_size": 262144,
            "hidden_size": 1152,
            "intermediate_size": 6912,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "sliding_window": 512,
            "sliding_window_pattern": 6,
            "rope_theta": 1000000,
            "rope_local_base_freq": 10000,
        },
    ),
    "embeddinggemma-300m": (
        "gemma3_text",
        {
            "architectures": ["Gemma3TextModel"],
            "vocab_size": 262144,
            "hidden_size": 768,
            "intermediate_size": 1152,
            "num_hidden_layers": 24,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "sliding_window": 512,
            "use_bidirectional_attention": True,
        },
    ),
    "phi-3-mini-4k": ("phi3", {"sliding_window": 2047}),
    "phi-3-medium-4k": (
        "phi3",
        {
            "hidden_size": 5120,
            "intermediate_size": 17920,
            "num_hidden_layers": 40,
            "num_attention_heads": 40,
            "num_key_value_heads": 10,
        },
    ),
    "phi-4-mini": (
        "phi3",
        {
            "vocab_size": 200064,
            "num_attention_heads": 24,
            "num_key_value_heads": 8,
            "partial_rotary_factor": 0.75,
            "tie_word_embeddings": True,
            "max_position_embeddings": 131072,
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0] * 48,
                "long_factor": [1.0] * 48,
            },
        },
    ),
    "olmo-3-7b": (
        "olmo3",
        {
            "vocab_size": 100278,
            "max_position_embeddings": 65536,
            "pad_token_id": 100277,
            "eos_token_id": 100257,
            "rope_theta": 500000,
            "rope_scaling": YARN | {"factor": 8.0, "original_max_position_embeddings": 8192},
        },
    ),
    "smollm3-3b": ("smollm3", {"rope_theta": 5000000.0, "max_position_embeddings": 65536}),
    "granite-3.1-2b": (
        "granite",
        {
            "vocab_size": 49155,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 40,
            "num_key_value_heads": 8,
            "tie_word_embeddings": True,
            "embedding_multiplier": 12.0,
            "attention_multiplier": 0.015625,
            "residual_multiplier": 0.22,
            "logits_scaling": 8.0,
            "rope_theta": 5000000.0,
        },
    ),
    "granite-3.0-1b-a400m": (
        "granitemoe",
        {
            "vocab_size": 49155,
            "hidden_size": 1024,
            "intermediate_size": 512,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "num_local_experts": 32,
            "num_experts_per_tok": 8,
            "tie_word_embeddings": True,
        },
    ),
    "glm-4-9b": ("glm", {}),
    "glm-4-9b-0414": ("glm4", {}),
    "glm-4-32b-0414": (
        "glm4",
        {
            "hidden_size": 6144,
            "intermediate_size": 23040,
            "num_hidden_layers": 61,
            "num_attention_heads": 48,
            "num_key_value_heads": 8,
            "attention_bias": False,
        },
    ),
    "exaone-4.0-1.2b": (
        "exaone4",
        {
            "hidden_size": 2048,
            "intermediate_size": 4096,
            "num_hidden_layers": 30,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "sliding_window": None,
            "tie_word_embeddings": True,
        },
    ),
    "exaone-4.0-32b": (
        "exaone4",
        {
            "hidden_size": 5120,
            "intermediate_size": 27392,
            "num_hidden_layers": 64,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "sliding_window_pattern": "LLLG",
            "layer_types": [*["sliding_attention"] * 3, "full_attention"] * 16,
        },
    ),
    "gpt-oss-20b": ("gpt_oss", {"num_hidden_layers": 24, "num_local_experts": 32}),
    "gpt-oss-120b": ("gpt_oss", {}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_have_the_parameters_of_transformers_own_class(name: str) -> None:
    kind, sizes = PUBLISHED[name]
    family = FAMILIES[kind]
    config = family.config({"model_type": kind, **sizes})
    with torch.device("meta"), Uninitialised():
        module = family.build(config)
    tied = bool(config.get("tie_word_embeddings"))
    state = {n: t for n, t in module.state_dict().items() if not (tied and n == "lm_head.weight")}
    family.layout(config).check(state)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gemma", {"use_bidirectional_attention": True}, "predicts no next token"),
    ("gemma3", {"sliding_window": None}, "'sliding_window' as a positive integer"),
    ("gemma3", {"sliding_window_pattern": 0}, "'sliding_window_pattern' as a positive integer"),
    ("gemma3", {"sliding_window_pattern": "LG"}, "'sliding_window_pattern' as a positive integer"),
    ("gemma3", {"use_bidirectional_attention": True}, "supported as Gemma3TextModel"),
    (
        "gemma3",
        {"use_bidirectional_attention": "yes"},
        "'use_bidirectional_attention' as true or false",
    ),
    ("gemma3-both-sides", {"sliding_window": 1}, "'sliding_window' as 2 or more"),
    ("gemma3", {"attn_logit_softcapping": 50.0}, "does not apply attn_logit_softcapping"),
    (
        "gemma3",
        {"rope_parameters": {"rope_theta": 100.0}},
        "one object for each of full_attention, sliding_attention",
    ),
    (
        "gemma3",
        {"rope_parameters": {"chunked_attention": {"rope_theta": 1.0}}},
        "one object for each of",
    ),
    ("gemma3", {"rope_scaling": "linear"}, "'rope_scaling' as an object"),
    ("gemma3", {"rope_scaling": {"rope_type": "linear"}}, "the type 'linear' need 'factor'"),
    ("gemma3", {"rope_theta": "big"}, "'rope_theta' as a positive number"),
    ("olmo3", {"layer_types": ["full_attention"]}, "for each layer"),
    ("olmo3", {"sliding_window": None}, "'sliding_window' as a positive integer"),
    ("olmo3", {"partial_rotary_factor": 0.5}, "rotates whole heads"),
    ("phi3", {"partial_rotary_factor": 0.5}, "an even share of 6"),
    ("phi3", {"partial_rotary_factor": 2.0}, "an even share of 6"),
    (
        "phi3",
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        "types default and longrope, not 'linear'",
    ),
    (
        "phi3-long",
        {"rope_scaling": LONG | {"type": "su", "short_factor": [1.0]}},
        "lists of 3 factors",
    ),
    ("phi3-long", {"head_dim": 8, "partial_rotary_factor": 0.75}, "heads that add up to the width"),
    (
        "phi3-long",
        {"original_max_position_embeddings": "6"},
        "'original_max_position_embeddings' as a positive",
    ),
    ("phi3", {"sliding_window": 0}, "'sliding_window' as a positive integer"),
    ("smollm3", {"no_rope_layers": [1]}, "'no_rope_layers' as 0 or 1 for each layer"),
    ("smollm3", {"no_rope_layers": "all"}, "'no_rope_layers' as 0 or 1 for each layer"),
    ("smollm3", {"no_rope_layer_interval": 0}, "'no_rope_layer_interval' as a positive integer"),
    ("smollm3", {"layer_types": ["sliding_attention"] * 2}, "use_sliding_window=false"),
    ("granite", {"residual_multiplier": 0}, "'residual_multiplier' as a positive number"),
    ("granite", {"logits_scaling": None}, "'logits_scaling' as a positive number"),
    ("granitemoe", {"embedding_multiplier": -1}, "'embedding_multiplier' as a positive number"),
    ("glm", {"partial_rotary_factor": 0.1}, "an even share of 8"),
    ("glm4", {"pad_token_id": 99}, "'pad_token_id' as 99"),
    ("exaone4", {"sliding_window_pattern": "LG"}, "'sliding_window_pattern' as a positive integer"),
    (
        "exaone4",
        {"sliding_window": None, "layer_types": ["sliding_attention"] * 2},
        "should be 'full_attention'",
    ),
    ("gpt_oss", {"num_experts_per_tok": 5}, "should be at most num_local_experts"),
    ("gpt_oss", {"swiglu_limit": 0}, "'swiglu_limit' as a positive number"),
    ("gpt_oss", {"sliding_window": None}, "'sliding_window' as a positive integer"),
    ("gemma", {"head_dim": 7}, "heads of even size"),
    ("gemma", {"hidden_act": "softmax"}, "activation 'softmax' is not supported"),
    ("gemma", {"attention_bias": "no"}, "'attention_bias' as true or false"),
]


@pytest.mark.parametrize(("name", "changes", "sentence"), REFUSED)
def test_refused_configurations(name: str, changes: dict[str, Any], sentence: str) -> None:
    family_name, raw = CONFIGURATIONS[name]
    with pytest.raises(BadCheckpoint, match=sentence):
        FAMILIES[family_name].config({**raw, **changes})


KINDS = {
    "qwen3_next": "gated linear attention behind a short convolution",
    "gemma3": "saved as Gemma3ForCausalLM, is supported",
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_are_refused_for_a_reason_of_their_own(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    save_file({"some.weight": torch.ones(2)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        BadCheckpoint, match=f"'{kind}', which is not supported because .*{KINDS[kind]}"
    ):
        load_folder(tmp_path)


def test_files_of_older_names_of_experts(tmp_path: Path) -> None:
    """Granite's mixtures are stored under the names of 2024, and read under today's too."""
    model = random_model("granitemoe", dtype=torch.float32)
    model.save(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    save_file(dict(model.state), tmp_path / "model.safetensors", {"format": "pt"})
    assert load_folder(tmp_path).digest == model.digest
    old = {
        name
        for name in names
        if "input_linear" in name or "output_linear" in name or "router.layer" in name
    }
    for name, tensor in list(model.state.items()):
        assert name in names or "block_sparse_moe" in name, name
        assert tensor.is_floating_point()
    if old:
        assert {name.partition("block_sparse_moe.")[2] for name in old} == set(STORED)
