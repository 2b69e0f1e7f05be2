"""OLMoE (Muennighoff et al. 2024, arXiv 2409.02060), as transformers' `OlmoeForCausalLM`.

A mixture of experts in each layer. One RMSNorm goes over the queries of all heads together, one
over the keys, with a gain for each coordinate of each head, so that gains move with their heads.
Queries, keys and values may be clipped behind them.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, hf, mixture
from lmc_core.models.architectures.decoder import Readers, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    {key: value for key, value in decoder_family.DEFAULTS.items() if key != "head_dim"}
    | dict(model_type="olmoe", vocab_size=50304, hidden_size=2048, intermediate_size=2048)
    | dict(num_hidden_layers=16, num_attention_heads=16, max_position_embeddings=4096)
    | dict(rms_norm_eps=1e-5, attention_bias=False, clip_qkv=None, num_experts_per_tok=8)
    | dict(num_experts=64, norm_topk_prob=False, pad_token_id=1, eos_token_id=50279)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(mixture.counted(raw, "num_experts"), DEFAULTS)
    mixture.check_sizes(found, "num_experts")
    hf.switches(found, "norm_topk_prob")
    if found["clip_qkv"] is not None:
        hf.positive_numbers(found, "clip_qkv")
        found["clip_qkv"] = float(found.number("clip_qkv"))
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of an OLMoE of that configuration."""
    routing = mixture.Routing(
        config.size("num_experts"),
        config.size("num_experts_per_tok"),
        config.flag("norm_topk_prob"),
    )

    def experts(s: Structure, config: Config, i: int) -> Readers:
        return mixture.mixture(
            s, i, routing, config.size("intermediate_size"), config.text("hidden_act")
        )

    biases = config.flag("attention_bias")
    return rms_decoder(
        "olmoe", config, experts, biases, normed="whole", clipped=config["clip_qkv"] is not None
    )


SMALL = SMALL | dict(intermediate_size=12, num_experts=4, num_experts_per_tok=2, eos_token_id=None)

OLMOE = mixture.family(
    "olmoe",
    "Olmoe",
    "Decoder with a mixture of experts in each layer and norms over the queries and keys of all "
    "heads.",
    "Muennighoff et al., OLMoE: Open Mixture-of-Experts Language Models, 2024, arXiv 2409.02060",
    config,
    structure,
    {
        "olmoe": SMALL | {"num_key_value_heads": 4},
        "olmoe-groups": SMALL
        | {"attention_bias": True, "norm_topk_prob": True, "tie_word_embeddings": True},
        "olmoe-clipped": SMALL | {"clip_qkv": 0.8, "num_hidden_layers": 1},
    },
    experts="num_experts",
    units="intermediate_size",
    heads=(),
)
