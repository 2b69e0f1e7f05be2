"""GLM-4 of 2025 (GLM team 2024, arXiv 2406.12793, its successor of April 2025), as transformers'
`Glm4ForCausalLM`.

A GLM with an RMSNorm before and behind each layer: the gains behind act inside the stream, which
keeps signed permutations.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import Norms
from lmc_core.models.architectures.decoder_family import ALL_HEADS
from lmc_core.models.config import Config
from lmc_core.models.families.glm import DEFAULTS as GLM_DEFAULTS
from lmc_core.models.families.glm import EXAMPLES, configured, structured
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = GLM_DEFAULTS | {"model_type": "glm4"}
NORMS = Norms(behind=("post_self_attn_layernorm", "post_mlp_layernorm"))


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return configured(raw, DEFAULTS)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a GLM-4 of that configuration."""
    return structured("glm4", config, NORMS)


GLM4 = decoder_family.family(
    "glm4",
    "Glm4",
    "GLM with RMSNorm before and behind each layer.",
    "GLM team, GLM-4-0414, 2025; ChatGLM: A Family of Large Language Models, 2024, arXiv "
    "2406.12793",
    config,
    structure,
    {f"glm4{name}": raw for name, raw in EXAMPLES.items()},
    heads=ALL_HEADS[:2],
)
