"""Gemma (Gemma team 2024, arXiv 2403.08295), as transformers' `GemmaForCausalLM`.

A Llama whose norms multiply by 1 + w and whose token embeddings are multiplied by the root of the
width. The head usually shares the token table, without that factor. The factor changes no symmetry;
only a wider copy has to make up for it.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import Norms, rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="gemma", vocab_size=256000, hidden_size=3072, intermediate_size=24576)
    | dict(num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=16)
    | dict(head_dim=256, hidden_act="gelu_pytorch_tanh", max_position_embeddings=8192)
    | dict(tie_word_embeddings=True, attention_bias=False, pad_token_id=0, bos_token_id=2)
    | dict(eos_token_id=1)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(raw, DEFAULTS)
    if raw.get("use_bidirectional_attention"):
        raise BadCheckpoint(
            "Gemma with use_bidirectional_attention=true is not supported; it predicts no next "
            "token."
        )
    if found["hidden_act"] == "gelu":  # the first files say so and mean the approximation
        found["hidden_act"] = "gelu_pytorch_tanh"
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Gemma of that configuration."""
    s = rms_decoder("gemma", config, biases=config.flag("attention_bias"), norms=Norms(unit=0.0))
    # as the class keeps it, in float32
    s.multiply("token.table", float(torch.tensor(config.size("hidden_size") ** 0.5)))
    return s


GEMMA = decoder_family.family(
    "gemma",
    "Gemma",
    "Llama with gains stored as 1 + w and token embeddings multiplied by the root of the width.",
    "Gemma team, Gemma: Open Models Based on Gemini Research and Technology, 2024, arXiv "
    "2403.08295",
    config,
    structure,
    {
        "gemma": SMALL | {"head_dim": 8},
        "gemma-untied": SMALL
        | dict(head_dim=6, tie_word_embeddings=False, attention_bias=True)
        | dict(hidden_act="gelu"),
    },
    heads=ALL_HEADS[:2],
)
