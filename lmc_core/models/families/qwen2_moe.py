"""Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024, arXiv 2407.10671, section 2.2.2), as transformers'
`Qwen2MoeForCausalLM`.

Beside the experts that a router chooses, every token visits a shared expert, whose output is scaled
by a sigmoid of its own. Some layers may be dense. Queries, keys and values have biases, the output
has none.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, mixture
from lmc_core.models.architectures.decoder import Readers, gated, gated_layer, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL, WINDOWS
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="qwen2_moe", vocab_size=151936, hidden_size=2048)
    | dict(intermediate_size=5632, num_hidden_layers=24, num_attention_heads=16)
    | dict(num_key_value_heads=16, max_position_embeddings=32768, qkv_bias=True)
    | dict(use_sliding_window=False, sliding_window=4096, max_window_layers=28)
    | dict(layer_types=None, decoder_sparse_step=1, mlp_only_layers=None)
    | dict(moe_intermediate_size=1408, shared_expert_intermediate_size=5632)
    | dict(num_experts_per_tok=4, num_experts=60, norm_topk_prob=False)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(mixture.counted(raw, "num_experts"), DEFAULTS)
    used = found["use_sliding_window"] and found["sliding_window"] is not None
    if found["layer_types"] is None and used:  # every other layer of the first ones has a window
        upto, depth = found["max_window_layers"], found.size("num_hidden_layers")
        found["layer_types"] = [
            WINDOWS[i % 2 == 0 and isinstance(upto, int) and i < upto] for i in range(depth)
        ]
    found = decoder_family.windows(found)
    mixture.check_sizes(
        found, "num_experts", "moe_intermediate_size", "shared_expert_intermediate_size"
    )
    mixture.check_layers(found)
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Qwen2-MoE of that configuration."""
    routing = mixture.Routing(
        config.size("num_experts"),
        config.size("num_experts_per_tok"),
        config.flag("norm_topk_prob"),
    )
    sparse, act = mixture.sparse_layers(config), config.text("hidden_act")

    def experts(s: Structure, config: Config, i: int) -> Readers:
        if not sparse[i]:
            return gated(s, config, i)
        on, at = f"blocks.{i}.shared", f"model.layers.{i}.mlp.shared_expert"
        return [
            *mixture.mixture(s, i, routing, config.size("moe_intermediate_size"), act),
            *gated_layer(
                s, on, at, f"shared.{i}", config.size("shared_expert_intermediate_size"), act
            ),
            s.linear(f"{on}.router", f"{at}_gate", "*", "-residual", bias=False, rows=1),
        ]

    bias = config.flag("qkv_bias")
    return rms_decoder("qwen2_moe", config, experts, (bias, bias, bias, False))


SMALL = (
    SMALL
    | dict(moe_intermediate_size=12, shared_expert_intermediate_size=16, num_experts=4)
    | dict(num_experts_per_tok=2)
)
WINDOWED = {"use_sliding_window": True, "sliding_window": 4}

QWEN2_MOE = mixture.family(
    "qwen2_moe",
    "Qwen2Moe",
    "Decoder with experts that a router chooses and a shared one, dense layers between them if "
    "wanted.",
    "Yang et al., Qwen2 Technical Report, 2024, arXiv 2407.10671",
    config,
    structure,
    {
        "qwen2_moe": SMALL,
        "qwen2_moe-some-dense": SMALL
        | dict(decoder_sparse_step=2, norm_topk_prob=True, qkv_bias=False)
        | dict(tie_word_embeddings=True),
        "qwen2_moe-first-dense": SMALL
        | WINDOWED
        | {"mlp_only_layers": [0], "num_key_value_heads": 4, "head_dim": 8},
    },
    experts="num_experts",
    units="moe_intermediate_size",
)
