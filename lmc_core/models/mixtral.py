"""Mixtral (Jiang et al. 2024, arXiv 2401.04088), as transformers' `MixtralForCausalLM`.

A Llama whose feed-forward layers are mixtures of gated experts; the weights of the chosen experts are divided by their sum.
"""

from __future__ import annotations

from typing import Any

from lmc_core.models import hf, mixture
from lmc_core.models.decoder import Readers, rms_decoder
from lmc_core.models.family import Config, Family
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "mixtral",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "sliding_window": None,
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = mixture.configuration(raw, DEFAULTS, 1e6, "num_experts_per_tok", "num_local_experts")
    mixture.require_enough(found, "num_experts_per_tok", "num_local_experts")
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Mixtral of that configuration."""
    routing = mixture.Routing(config["num_local_experts"], config["num_experts_per_tok"], relative=True)

    def experts(s: Structure, config: Config, i: int) -> Readers:
        return mixture.mixture(s, i, routing, config["intermediate_size"], config["hidden_act"])

    return rms_decoder("mixtral", config, experts)


SMALL: dict[str, Any] = {
    "model_type": "mixtral",
    "vocab_size": 37,
    "hidden_size": 24,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 12,
    "num_local_experts": 4,
}

MIXTRAL = Family(
    name="mixtral",
    sentence="Llama with a mixture of experts in each layer.",
    reference="Jiang et al., Mixtral of Experts, 2024, arXiv 2401.04088",
    takes="text",
    recognises=lambda config: config.get("model_type") == "mixtral",
    build=lambda config: mixture.build(config, "MixtralConfig", "MixtralForCausalLM"),
    outputs=hf.logits,
    sizes=lambda config: mixture.sizes(config, "num_local_experts", "intermediate_size"),
    structure=structure,
    predicts=lambda config: "next",
    save=hf.save,
    config=config,
    from_disk=mixture.from_disk,
    examples={
        "mixtral": SMALL,
        "mixtral-tied": SMALL | {"tie_word_embeddings": True, "num_hidden_layers": 1, "head_dim": 8, "sliding_window": 4},
    },
)
