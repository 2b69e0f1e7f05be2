"""GLM-4 of 2024 (GLM team 2024, arXiv 2406.12793), as transformers' `GlmForCausalLM`.

A Llama with biases on queries, keys and values and one matrix for gates and `up`. Rotary pairs are
neighbours, in the first half of each head; the other half is not rotated, so that it takes any
invertible map and its bias of keys is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import Norms, fused_gated, rms_decoder, rotated
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config, Json
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="glm", vocab_size=151552, intermediate_size=13696)
    | dict(num_hidden_layers=40, num_key_value_heads=2, head_dim=128)
    | dict(max_position_embeddings=131072, rms_norm_eps=0.00000015625, attention_bias=True)
    | dict(pad_token_id=151329)
)
ENDS = [151329, 151336, 151338]  # the tokens that end a text where none is given


def configured(raw: Config, defaults: Mapping[str, Json]) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get those
    defaults.
    """
    found = decoder_family.configuration(raw, defaults, partial=0.5)
    return found | ({"eos_token_id": ENDS} if found["eos_token_id"] is None else {})


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return configured(raw, DEFAULTS)


def structured(name: str, config: Config, norms: Norms) -> Structure:
    """The spaces and blocks of a GLM of that configuration, its norms where `norms` says."""
    bias, pairs = config.flag("attention_bias"), Pairs(rotated(config), interleaved=True)
    biases = bias, bias, bias, False
    return rms_decoder(name, config, fused_gated, biases, norms=norms, rotary=lambda i: pairs)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a GLM of that configuration."""
    return structured("glm", config, Norms())


SMALL = SMALL | {"pad_token_id": None, "eos_token_id": 2}
EXAMPLES = {
    "": SMALL | {"head_dim": 8},
    "-plain-tied": SMALL
    | dict(head_dim=6, attention_bias=False, tie_word_embeddings=True)
    | dict(num_key_value_heads=4)
    | {
        "rope_parameters": {"partial_rotary_factor": 1.0, "rope_theta": 500.0},
        "num_hidden_layers": 1,
    },
}

GLM = decoder_family.family(
    "glm",
    "Glm",
    "Llama with biases, and rotary positions of neighbours in half of each head.",
    "GLM team, ChatGLM: A Family of Large Language Models from GLM-130B to GLM-4 All Tools, 2024, "
    "arXiv 2406.12793",
    config,
    structure,
    {f"glm{name}": raw for name, raw in EXAMPLES.items()},
    heads=ALL_HEADS[:2],
)
