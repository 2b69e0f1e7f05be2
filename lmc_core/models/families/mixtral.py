"""Mixtral (Jiang et al. 2024, arXiv 2401.04088), as transformers' `MixtralForCausalLM`.

A Llama whose feed-forward layers are mixtures of gated experts; the weights of the chosen experts
are divided by their sum.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, mixture
from lmc_core.models.architectures.decoder import Readers, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="mixtral", intermediate_size=14336, num_key_value_heads=8)
    | dict(max_position_embeddings=131072, rms_norm_eps=1e-5, sliding_window=None)
    | dict(num_experts_per_tok=2, num_local_experts=8, bos_token_id=1, eos_token_id=2)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(
        mixture.counted(raw, "num_local_experts"), DEFAULTS, theta=1e6
    )
    mixture.check_sizes(found, "num_local_experts")
    if found["sliding_window"] is not None:
        require_sizes(found, "sliding_window")
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Mixtral of that configuration."""
    routing = mixture.Routing(
        config.size("num_local_experts"), config.size("num_experts_per_tok"), relative=True
    )

    def experts(s: Structure, config: Config, i: int) -> Readers:
        return mixture.mixture(
            s, i, routing, config.size("intermediate_size"), config.text("hidden_act")
        )

    return rms_decoder("mixtral", config, experts)


SMALL = SMALL | {"intermediate_size": 12, "num_local_experts": 4}

MIXTRAL = mixture.family(
    "mixtral",
    "Mixtral",
    "Llama with a mixture of experts in each layer.",
    "Jiang et al., Mixtral of Experts, 2024, arXiv 2401.04088",
    config,
    structure,
    {
        "mixtral": SMALL,
        "mixtral-tied": SMALL
        | {"tie_word_embeddings": True, "num_hidden_layers": 1, "head_dim": 8, "sliding_window": 4},
    },
    experts="num_local_experts",
    units="intermediate_size",
)
