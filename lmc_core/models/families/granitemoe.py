"""Granite 3's mixtures (Granite team 2024; after Shen et al. 2024, arXiv 2404.07413), as
transformers' `GraniteMoeForCausalLM`.

A Granite whose feed-forward layers are Mixtral's: the weights of the chosen experts are a softmax
of their scores. Files have the matrices of all experts of a layer stacked, under older names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc_core.models.architectures import decoder_family, mixture
from lmc_core.models.architectures.decoder import Readers, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config
from lmc_core.models.families.granite import DEFAULTS as GRANITE_DEFAULTS
from lmc_core.models.families.granite import with_constants
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor

# What the function depends on, with transformers' defaults.
DEFAULTS = {key: value for key, value in GRANITE_DEFAULTS.items() if key != "mlp_bias"} | dict(
    model_type="granitemoe", num_local_experts=8, num_experts_per_tok=2
)
PLACE = "block_sparse_moe"
STORED = {
    "input_linear.weight": "experts.gate_up_proj",
    "output_linear.weight": "experts.down_proj",
    "router.layer.weight": "router.weight",
}  # names in files -> names in memory


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(mixture.counted(raw, "num_local_experts"), DEFAULTS)
    mixture.check_sizes(found, "num_local_experts")
    return with_constants(found)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Granite with mixtures of that configuration."""
    routing = mixture.Routing(
        config.size("num_local_experts"), config.size("num_experts_per_tok"), relative=True
    )

    def experts(s: Structure, config: Config, i: int) -> Readers:
        return mixture.mixture(
            s,
            i,
            routing,
            config.size("intermediate_size"),
            config.text("hidden_act"),
            PLACE,
            "router",
        )

    return rms_decoder("granitemoe", config, experts, config.flag("attention_bias"), scaled=False)


def stored(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory from those in files."""
    found = {}
    for name, tensor in tensors.items():
        before, place, part = name.partition(f"{PLACE}.")
        found[before + place + STORED.get(part, part)] = tensor
    return found


SMALL = SMALL | {"intermediate_size": 12, "num_local_experts": 4}

GRANITEMOE = mixture.family(
    "granitemoe",
    "GraniteMoe",
    "Granite with a mixture of experts in each layer.",
    "Granite team, Granite 3.0 Language Models, 2024; arXiv 2404.07413 for its mixtures",
    config,
    structure,
    {
        "granitemoe": SMALL
        | {"embedding_multiplier": 12, "residual_multiplier": 0.5, "attention_multiplier": 0.25},
        "granitemoe-tied": SMALL
        | dict(tie_word_embeddings=True, attention_bias=True, logits_scaling=3)
        | dict(num_hidden_layers=1),
    },
    experts="num_local_experts",
    units="intermediate_size",
    heads=(),
    stored=stored,
)
