"""Granite 3 (Granite team 2024; after Yang et al. 2022, arXiv 2203.03466), as transformers'
`GraniteForCausalLM`.

A Llama with four constants of its configuration: what embeddings, what a layer writes and what
scores are multiplied by, and what logits are divided by. They change no symmetry.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, hf
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

CONSTANTS = (
    "embedding_multiplier",
    "logits_scaling",
    "residual_multiplier",
    "attention_multiplier",
)
# What the function depends on, with transformers' defaults.
DEFAULTS = decoder_family.DEFAULTS | {
    "model_type": "granite",
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    **dict.fromkeys(CONSTANTS, 1.0),
}


def with_constants(found: Config) -> Config:
    """The configuration with its constants as numbers; raises `BadCheckpoint` where one is not
    positive.
    """
    hf.positive_numbers(found, *CONSTANTS)
    return found | {name: float(found.number(name)) for name in CONSTANTS}


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return with_constants(decoder_family.configuration(raw, DEFAULTS))


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Granite of that configuration."""
    return rms_decoder("granite", config, biases=config.flag("attention_bias"), scaled=False)


GRANITE = decoder_family.family(
    "granite",
    "Granite",
    "Llama whose embeddings, layers, scores and logits are multiplied by constants.",
    "Granite team, Granite 3.0 Language Models, 2024; arXiv 2203.03466 for its constants",
    config,
    structure,
    {
        "granite": SMALL
        | dict(embedding_multiplier=12, logits_scaling=3, residual_multiplier=0.5)
        | dict(attention_multiplier=0.25),
        "granite-biases-tied": SMALL
        | dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
        | dict(num_key_value_heads=4)
        | {"attention_multiplier": 0.5, "num_hidden_layers": 1},
    },
    heads=(),
)
