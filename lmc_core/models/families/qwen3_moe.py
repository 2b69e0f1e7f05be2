"""Qwen3-MoE (Yang et al. 2025, arXiv 2505.09388), as transformers' `Qwen3MoeForCausalLM`.

A Qwen3, with norms on queries and keys, whose feed-forward layers are mixtures without a shared
expert; some may be dense.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, mixture
from lmc_core.models.architectures.decoder import Readers, gated, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="qwen3_moe", vocab_size=151936, hidden_size=2048)
    | dict(intermediate_size=6144, num_hidden_layers=24, num_key_value_heads=4)
    | dict(max_position_embeddings=32768, attention_bias=False, use_sliding_window=False)
    | dict(sliding_window=4096, decoder_sparse_step=1, mlp_only_layers=None)
    | dict(moe_intermediate_size=768, num_experts_per_tok=8, num_experts=128)
    | dict(norm_topk_prob=False)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(mixture.counted(raw, "num_experts"), DEFAULTS)
    mixture.check_sizes(found, "num_experts", "moe_intermediate_size")
    mixture.check_layers(found)
    if not found["use_sliding_window"]:
        found["sliding_window"] = None
    elif found["sliding_window"] is not None:
        require_sizes(found, "sliding_window")
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Qwen3-MoE of that configuration."""
    routing = mixture.Routing(
        config.size("num_experts"),
        config.size("num_experts_per_tok"),
        config.flag("norm_topk_prob"),
    )
    sparse = mixture.sparse_layers(config)

    def experts(s: Structure, config: Config, i: int) -> Readers:
        if not sparse[i]:
            return gated(s, config, i)
        return mixture.mixture(
            s, i, routing, config.size("moe_intermediate_size"), config.text("hidden_act")
        )

    return rms_decoder("qwen3_moe", config, experts, config.flag("attention_bias"), normed=True)


SMALL = SMALL | dict(head_dim=6, moe_intermediate_size=12, num_experts=5, num_experts_per_tok=2)

QWEN3_MOE = mixture.family(
    "qwen3_moe",
    "Qwen3Moe",
    "Qwen3 with a mixture of experts in each layer, or in some.",
    "Yang et al., Qwen3 Technical Report, 2025, arXiv 2505.09388",
    config,
    structure,
    {
        "qwen3_moe": SMALL,
        "qwen3_moe-some-dense": SMALL
        | dict(mlp_only_layers=[1], attention_bias=True, norm_topk_prob=True)
        | dict(tie_word_embeddings=True),
    },
    experts="num_experts",
    units="moe_intermediate_size",
    span="transformer.",
)
