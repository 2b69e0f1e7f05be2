"""MPT (MosaicML 2023), as transformers' `MptForCausalLM`, its body alone, and with heads for labels
and spans.

Positions are slopes that differ from head to head (ALiBi; Press et al. 2021, arXiv 2108.12409), so
that heads cannot change places. No layer has a bias, no norm an offset; one layer holds all
queries, then all keys, then all values, which may be clipped. Transformers' class computes one kind
of MPT; what a file says of other kinds is refused.
"""

from __future__ import annotations

from typing import Any

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, heads
from lmc_core.models.architectures.layer_norm_decoder import (
    Body,
    FeedForward,
    SelfAttention,
    Sizes,
    layer_norm_decoder,
)
from lmc_core.models.architectures.layer_norm_family import TOKENS, configuration, family, refuse
from lmc_core.models.family import Config, divides
from lmc_core.models.parts import ALIBI
from lmc_core.models.structure import Structure

BODY = Body("transformer.", "wte", "blocks", ("norm_1", "norm_2"), "norm_f", offset=False)
NAMES = ("attn.Wqkv", "attn.out_proj")

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = TOKENS | {
    "model_type": "mpt",
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "max_seq_len": 2048,
    "vocab_size": 50368,
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
}
COUNTS = ("d_model", "n_heads", "n_layers", "max_seq_len", "vocab_size")
ALIASES = {
    "num_attention_heads": "n_heads",
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
}
IGNORED = "transformers' class does not compute it"
USUAL = {
    "expansion_ratio": (4, IGNORED),
    "no_bias": (True, IGNORED),
    "logit_scale": (None, IGNORED),
}
ATTENTION = {
    "attn_type": ("multihead_attention", IGNORED),
    "qk_ln": (False, IGNORED),
    "alibi": (True, IGNORED),
    "alibi_bias_max": (8, IGNORED),
    "prefix_lm": (False, IGNORED),
}


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    refuse(raw, USUAL, "MPT")
    found = configuration(raw, DEFAULTS, COUNTS, "layer_norm_epsilon", None, ALIASES)
    divides(found, "n_heads", "d_model")
    given = raw.get("attn_config") or {}
    if not isinstance(given, dict):
        raise BadCheckpoint(
            f"The configuration should give 'attn_config' as an object; it gives {str(given)[:80]}."
        )
    refuse(given, ATTENTION, "MPT")
    chosen: dict[str, Any] = {
        "clip_qkv": given.get("clip_qkv") or None,
        "softmax_scale": given.get("softmax_scale"),
    }
    for key in [key for key, value in chosen.items() if value is not None]:
        hf.positive_numbers(chosen, key)
        chosen[key] = float(chosen[key])
    return found | {"attn_config": chosen}


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of an MPT of that configuration."""
    width, count, chosen = config["d_model"], config["n_heads"], config["attn_config"]
    attention = SelfAttention(
        count,
        width // count,
        NAMES,
        False,
        False,
        fused="thirds",
        fixed=ALIBI,
        clipped=chosen["clip_qkv"] is not None,
        scaled=chosen["softmax_scale"] is None,
    )
    feed = FeedForward(4 * width, "gelu", ("ffn.up_proj", "ffn.down_proj"), False)
    sizes = Sizes(width, config["n_layers"], config["vocab_size"])
    return layer_norm_decoder("mpt", config, sizes, BODY, lambda i: attention, feed, head)


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    return {
        "width": config["d_model"],
        "depth": config["n_layers"],
        "heads": config["n_heads"],
        "units": 4 * config["d_model"],
        "tokens": config["vocab_size"],
        "context": config["max_seq_len"],
    }


SMALL: dict[str, Any] = {
    "vocab_size": 37,
    "d_model": 12,
    "n_layers": 2,
    "n_heads": 3,
    "max_seq_len": 12,
}

MPT = family(
    "mpt",
    "Mpt",
    "Decoder with ALiBi, LayerNorm without offsets before each layer, GELU units, no biases.",
    "MosaicML, Introducing MPT-7B, 2023; Press et al., Train Short, Test Long, 2021, arXiv "
    "2108.12409",
    config,
    structure,
    sizes,
    BODY,
    heads("transformer."),
    {
        "mpt": SMALL,
        "mpt-clipped": SMALL
        | {
            "attn_config": {"clip_qkv": 0.8, "softmax_scale": 0.4},
            "tie_word_embeddings": False,
            "n_layers": 1,
            "n_heads": 2,
        },
    },
    classifier_dropout=0.0,
)
