"""Qwen3 (Yang et al. 2025, arXiv 2505.09388), as transformers' `Qwen3ForCausalLM`.

A Llama with an RMSNorm over each head's queries and keys, whose gains are common to all heads of a
layer. Of the complex number that rotary positions leave to each pair, the norm takes the modulus
and the gains the angle: what is left is a sign for each pair and key head, a positive factor for
each head, which the norm undoes, and one for each pair of the gains of queries against those of
keys. (A quarter turn of one pair in all heads at once, its two gains exchanged, keeps the function
too; so do signs of gains together with signs of the coordinates before them. Neither is used.)
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config
from lmc_core.models.families.qwen2 import DEFAULTS as QWEN2_DEFAULTS
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = QWEN2_DEFAULTS | dict(model_type="qwen3", head_dim=128, attention_bias=False)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return decoder_family.windows(decoder_family.configuration(raw, DEFAULTS))


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Qwen3 of that configuration."""
    return rms_decoder("qwen3", config, biases=config.flag("attention_bias"), normed=True)


QWEN3 = decoder_family.family(
    "qwen3",
    "Qwen3",
    "Llama with norms on queries and keys.",
    "Yang et al., Qwen3 Technical Report, 2025, arXiv 2505.09388",
    config,
    structure,
    {
        "qwen3": SMALL | {"head_dim": 8},
        "qwen3-tied-biases": SMALL
        | {"head_dim": 6, "tie_word_embeddings": True, "attention_bias": True},
        "qwen3-all-heads": SMALL
        | dict(head_dim=6, num_key_value_heads=4, use_sliding_window=True)
        | dict(sliding_window=5, max_window_layers=1),
    },
    span="transformer.",
)
