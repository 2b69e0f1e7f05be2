"""OLMo (Groeneveld et al. 2024, arXiv 2402.00838), as transformers' `OlmoForCausalLM`.

A Llama with LayerNorms that have no parameters: the stream loses its mean, and a head that shares
the token table may go on sharing it, since no gain stands between them. Where queries, keys and
values are clipped, their planes keep only what a symmetric range keeps, coordinate by coordinate:
quarter turns of rotary pairs, and signs and exchanges of values.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, hf
from lmc_core.models.architectures.decoder import Norms, rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults. The epsilon of its norms is fixed.
DEFAULTS = {
    key: value
    for key, value in decoder_family.DEFAULTS.items()
    if key not in ("head_dim", "rms_norm_eps")
} | {"model_type": "olmo", "vocab_size": 50304, "attention_bias": False, "clip_qkv": None}


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(raw, DEFAULTS)
    if found["clip_qkv"] is not None:
        hf.positive_numbers(found, "clip_qkv")
        found["clip_qkv"] = float(found.number("clip_qkv"))
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of an OLMo of that configuration."""
    return rms_decoder(
        "olmo",
        config,
        biases=config.flag("attention_bias"),
        clipped=config["clip_qkv"] is not None,
        norms=Norms(plain=True),
    )


OLMO = decoder_family.family(
    "olmo",
    "Olmo",
    "Llama with LayerNorms that have no parameters.",
    "Groeneveld et al., OLMo: Accelerating the Science of Language Models, 2024, arXiv 2402.00838",
    config,
    structure,
    {
        "olmo": SMALL,
        "olmo-tied": SMALL
        | {"tie_word_embeddings": True, "num_key_value_heads": 4, "attention_bias": True},
        "olmo-clipped": SMALL | {"clip_qkv": 0.8, "attention_bias": True},
    },
    heads=ALL_HEADS[:1],
)
