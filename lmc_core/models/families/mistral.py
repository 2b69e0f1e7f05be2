"""Mistral (Jiang et al. 2023, arXiv 2310.06825), as transformers' `MistralForCausalLM`.

A Llama that attends to a sliding window, which no symmetry notices.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config, require_sizes

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="mistral", intermediate_size=14336, num_key_value_heads=8)
    | dict(max_position_embeddings=131072, sliding_window=4096)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(raw, DEFAULTS)
    if found["sliding_window"] is not None:
        require_sizes(found, "sliding_window")
    if raw.get("layer_types"):
        raise BadCheckpoint(
            "Mistral models whose layers attend in different ways ('layer_types') are not "
            "supported."
        )
    return found


MISTRAL = decoder_family.family(
    "mistral",
    "Mistral",
    "Llama that attends to a sliding window.",
    "Jiang et al., Mistral 7B, 2023, arXiv 2310.06825",
    config,
    lambda config: rms_decoder("mistral", config),
    {
        "mistral": SMALL | {"sliding_window": 5},
        "mistral-tied": SMALL
        | dict(sliding_window=None, head_dim=8, num_hidden_layers=1)
        | dict(tie_word_embeddings=True),
    },
)
