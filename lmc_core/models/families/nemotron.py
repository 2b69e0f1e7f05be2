"""Nemotron (Parmar et al. 2024, arXiv 2402.16819), as transformers' `NemotronForCausalLM`, its body
alone, and with heads.

LayerNorm with gains stored as 1 + w, partial rotary positions, grouped queries. Units are squares
of ReLU: a positive factor c in front of one is undone by 1 / c^2 behind it. No class of maps here
says that, so units change places alone and their scales are counted as a freedom that is not used.
"""

from __future__ import annotations

from typing import Any

from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, heads
from lmc_core.models.architectures.layer_norm_decoder import (
    Body,
    FeedForward,
    SelfAttention,
    Sizes,
    layer_norm_decoder,
)
from lmc_core.models.architectures.layer_norm_family import (
    TOKENS,
    configuration,
    family,
    grouped,
    rotated,
    sizes_by,
)
from lmc_core.models.family import Config, divides, positive_sizes
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

BODY = Body(
    "model.",
    "embed_tokens",
    "layers",
    ("input_layernorm", "post_attention_layernorm"),
    "norm",
    unit=0.0,
)
NAMES = tuple(f"self_attn.{part}_proj" for part in "qkvo")
HEADS = heads("model.", token="score") | {
    "ForQuestionAnswering": heads("transformer.")["ForQuestionAnswering"]
}

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = TOKENS | {
    "model_type": "nemotron",
    "vocab_size": 256000,
    "hidden_size": 6144,
    "intermediate_size": 24576,
    "num_hidden_layers": 32,
    "num_attention_heads": 48,
    "head_dim": None,
    "num_key_value_heads": None,
    "hidden_act": "relu2",
    "max_position_embeddings": 4096,
    "norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)


def _pairs(config: Config) -> Pairs:
    return Pairs(rotated(config["head_dim"], config["rope_parameters"]["partial_rotary_factor"]))


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = configuration(
        raw, DEFAULTS, (*COUNTS, "max_position_embeddings"), "norm_eps", "hidden_act"
    )
    found["rope_parameters"] = hf.rope(raw, partial=0.5)
    if found["head_dim"] is None:
        divides(found, "num_attention_heads", "hidden_size")
        found["head_dim"] = found["hidden_size"] // found["num_attention_heads"]
    positive_sizes(found, "head_dim")
    grouped(found, "num_key_value_heads", "num_attention_heads")
    _pairs(found)
    return found


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a Nemotron of that configuration."""
    bias = config["attention_bias"]
    attention = SelfAttention(
        config["num_attention_heads"],
        config["head_dim"],
        NAMES,
        bias,
        bias,
        config["num_key_value_heads"],
        _pairs(config),
    )
    names = ("mlp.up_proj", "mlp.down_proj")
    feed = FeedForward(config["intermediate_size"], config["hidden_act"], names, config["mlp_bias"])
    sizes = Sizes(config["hidden_size"], config["num_hidden_layers"], config["vocab_size"])
    return layer_norm_decoder("nemotron", config, sizes, BODY, lambda i: attention, feed, head)


SMALL: dict[str, Any] = {
    "vocab_size": 37,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 12,
}

NEMOTRON = family(
    "nemotron",
    "Nemotron",
    "Decoder with partial rotary positions, LayerNorm before each layer, grouped queries, units "
    "of squared ReLU.",
    "Parmar et al., Nemotron-4 15B Technical Report, 2024, arXiv 2402.16819",
    config,
    structure,
    sizes_by(
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
        "max_position_embeddings",
        key_heads="num_key_value_heads",
        units="intermediate_size",
    ),
    BODY,
    HEADS,
    {
        "nemotron": SMALL | {"num_hidden_layers": 1},
        "nemotron-biases-tied": SMALL
        | {
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
            "head_dim": None,
            "num_key_value_heads": 4,
            "partial_rotary_factor": 1.0,
            "hidden_act": "gelu",
        },
    },
    attention_dropout=0.0,
    classifier_dropout=0.0,
)
