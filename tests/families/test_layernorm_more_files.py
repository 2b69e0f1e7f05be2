"""Decoders with a LayerNorm before each layer: their usual sizes, what configurations say, and what
is refused.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import untied_state

# What the usual models of each family say, as far as it differs from transformers' defaults.
FULL_SIZE: dict[str, tuple[str, dict[str, Any]]] = {
    "Phi-2": (
        "phi",
        {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 32,
            "partial_rotary_factor": 0.4,
        },
    ),
    "StarCoder2 3B": (
        "starcoder2",
        {"sliding_window": 4096, "rope_theta": 999999.4420358813, "max_position_embeddings": 16384},
    ),
    "StableLM 2 12B": (
        "stablelm",
        {
            "vocab_size": 100352,
            "hidden_size": 5120,
            "intermediate_size": 13824,
            "num_hidden_layers": 40,
            "num_key_value_heads": 8,
            "qk_layernorm": True,
            "use_parallel_residual": True,
        },
    ),
    "StableLM 2 1.6B": (
        "stablelm",
        {
            "vocab_size": 100352,
            "hidden_size": 2048,
            "intermediate_size": 5632,
            "num_hidden_layers": 24,
            "use_qkv_bias": True,
        },
    ),
    "Command R": ("cohere", {"rope_theta": 8000000.0, "max_position_embeddings": 131072}),
    "Command R+": (
        "cohere",
        {
            "hidden_size": 12288,
            "num_hidden_layers": 64,
            "num_attention_heads": 96,
            "use_qk_norm": True,
        },
    ),
    "Command R7B": (
        "cohere2",
        {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32},
    ),
    "Minitron 4B": (
        "nemotron",
        {
            "hidden_size": 3072,
            "intermediate_size": 9216,
            "num_attention_heads": 24,
            "num_key_value_heads": 8,
            "head_dim": 128,
        },
    ),
    "GPT-J 6B": ("gptj", {}),
    "GPT-Neo 125M": (
        "gpt_neo",
        {
            "hidden_size": 768,
            "num_layers": 12,
            "num_heads": 12,
            "attention_types": [[["global", "local"], 6]],
        },
    ),
    "Falcon 7B": ("falcon", {}),
    "Falcon 40B": (
        "falcon",
        {
            "hidden_size": 8192,
            "num_hidden_layers": 60,
            "num_attention_heads": 128,
            "num_kv_heads": 8,
            "new_decoder_architecture": True,
        },
    ),
    "Falcon RW 1B": (
        "falcon",
        {
            "vocab_size": 50304,
            "hidden_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 32,
            "alibi": True,
            "bias": True,
            "multi_query": False,
            "parallel_attn": False,
        },
    ),
    "BLOOM 560M": ("bloom", {"n_embed": 1024, "n_layer": 24, "num_attention_heads": 16}),
    "MPT 7B": ("mpt", {"d_model": 4096, "n_heads": 32, "n_layers": 32, "vocab_size": 50432}),
    "StarCoder": (
        "gpt_bigcode",
        {
            "vocab_size": 49152,
            "n_positions": 8192,
            "n_embd": 6144,
            "n_head": 48,
            "n_inner": 24576,
            "n_layer": 40,
        },
    ),
}
DEPTH = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")


@pytest.mark.parametrize("name", FULL_SIZE)
def test_layouts_of_the_usual_sizes_are_those_of_transformers_classes(name: str) -> None:
    """On no device, and at a depth of two: all layers are alike but those that the configuration
    names one by one.
    """
    family, raw = FULL_SIZE[name]
    chosen = FAMILIES[family]
    config = chosen.config({"model_type": family} | raw)
    key = next(key for key in DEPTH if key in config)
    config[key] = 2
    for listed in ("layer_types", "attention_types"):
        if listed in config:
            config[listed] = (
                config[listed][:2] if listed == "layer_types" else [[["global", "local"], 1]]
            )
    with torch.device("meta"):
        module = chosen.build(config)
    chosen.layout(config).check(untied_state(module))


# family, what a file says, what is read from it
SETTINGS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "an old name of Falcon": (
        "falcon",
        {"n_embed": 128, "n_head": 4},
        {"hidden_size": 128, "num_kv_heads": 4},
    ),
    "an old name of BLOOM": (
        "bloom",
        {"n_embed": 64, "num_attention_heads": 4},
        {"hidden_size": 64, "n_head": 4},
    ),
    "a name of transformers": (
        "gptj",
        {"hidden_size": 128, "num_attention_heads": 2},
        {"n_embd": 128, "n_head": 2},
    ),
    "a pattern of windows": (
        "cohere2",
        {"sliding_window_pattern": 2, "num_hidden_layers": 2},
        {"layer_types": ["sliding_attention", "full_attention"]},
    ),
    "no head of its own size": ("nemotron", {}, {"head_dim": 128, "num_key_value_heads": 48}),
    "two norms of a new Falcon": (
        "falcon",
        {"new_decoder_architecture": True},
        {"num_ln_in_parallel_attn": 2},
    ),
    "a clip that is none": (
        "mpt",
        {"attn_config": {"clip_qkv": 0}},
        {"attn_config": {"clip_qkv": None, "softmax_scale": None}},
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str) -> None:
    family, raw, expected = SETTINGS[name]
    found = FAMILIES[family].config({"model_type": family} | raw)
    assert {key: found[key] for key in expected} == expected


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "norms that write to the stream": (
        "bloom",
        {"apply_residual_connection_post_layernorm": True},
        "write to the stream",
    ),
    "an MPT without ALiBi": (
        "mpt",
        {"attn_config": {"alibi": False}},
        "alibi=False.*does not compute it",
    ),
    "an MPT with biases": ("mpt", {"no_bias": False}, "no_bias=False"),
    "settings that are none": ("mpt", {"attn_config": "flash"}, "'attn_config' as an object"),
    "a new Falcon in turn": (
        "falcon",
        {"new_decoder_architecture": True, "parallel_attn": False},
        "parallel_attn=False",
    ),
    "two norms of an old Falcon": (
        "falcon",
        {"new_decoder_architecture": False, "num_ln_in_parallel_attn": 2},
        "needs new_decoder_architecture=true",
    ),
    "an odd part is rotated": (
        "phi",
        {"partial_rotary_factor": 0.13},
        "even number of a head's 8 coordinates",
    ),
    "more than a head is rotated": ("gptj", {"rotary_dim": 10}, "asks for 10"),
    "kinds that are none": (
        "gpt_neo",
        {"attention_types": [[["far"], 2]]},
        "'attention_types' as lists",
    ),
    "too few kinds": ("gpt_neo", {"attention_types": [[["local"], 1]]}, "for 2 layers in all"),
    "a pattern of no layers": ("cohere2", {"sliding_window_pattern": 0}, "as a number of layers"),
    "no scale of logits": ("cohere", {"logit_scale": None}, "'logit_scale' as a positive number"),
    "keys that do not divide": (
        "starcoder2",
        {"num_key_value_heads": 3},
        "should divide num_attention_heads = 4",
    ),
    "a switch in words": ("stablelm", {"use_qkv_bias": "no"}, "'use_qkv_bias' as true or false"),
    "a second text": ("gpt_bigcode", {"add_cross_attention": True}, "reads a second text"),
    "an unknown activation": ("nemotron", {"hidden_act": "softmax"}, "activation 'softmax'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_configurations(name: str) -> None:
    family, change, words = REFUSED[name]
    with pytest.raises(BadCheckpoint, match=words) as caught:
        FAMILIES[family].config(dict(FAMILIES[family].examples[family]) | change)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
