"""Llama (Touvron et al. 2023, arXiv 2302.13971), as transformers' `LlamaForCausalLM`.

RMSNorm before each layer, rotary positions in half-split order, grouped queries, gated units
(SwiGLU).
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = decoder_family.DEFAULTS | dict(model_type="llama", attention_bias=False, mlp_bias=False)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return decoder_family.configuration(raw, DEFAULTS, even=True)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Llama of that configuration."""
    return rms_decoder("llama", config, biases=config.flag("attention_bias"))


LLAMA = decoder_family.family(
    "llama",
    "Llama",
    "Decoder with rotary positions, RMSNorm before each layer, grouped queries, gated units.",
    "Touvron et al., LLaMA: Open and Efficient Foundation Language Models, 2023, arXiv 2302.13971",
    config,
    structure,
    {
        "llama": SMALL | {"head_dim": 6},
        "llama-biases-tied": SMALL
        | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        "llama-all-heads-relu": SMALL
        | dict(num_key_value_heads=4, num_hidden_layers=1, rope_theta=500.0)
        | dict(hidden_act="relu", mlp_bias=True),
    },
    aliases={"LLaMAForCausalLM": "ForCausalLM"},  # its name in the first weeks of 2023
    span="transformer.",
)
