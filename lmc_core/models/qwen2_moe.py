"""Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024, arXiv 2407.10671, section 2.2.2), as transformers' `Qwen2MoeForCausalLM`.

Beside the experts that a router chooses, every token visits a shared expert, whose output is scaled by a sigmoid of its own.
Some layers may be dense. Queries, keys and values have biases, the output has none.
"""

from __future__ import annotations

from typing import Any

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf, mixture
from lmc_core.models.decoder import Readers, gated, gated_layer, rms_decoder
from lmc_core.models.family import Config, Family
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "qwen2_moe",
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "qkv_bias": True,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
    "decoder_sparse_step": 1,
    "mlp_only_layers": None,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "num_experts_per_tok": 4,
    "num_experts": 60,
    "norm_topk_prob": False,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
SIZES = ("decoder_sparse_step", "moe_intermediate_size", "num_experts_per_tok", "num_experts")


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = mixture.configuration(raw, DEFAULTS, 1e4, *SIZES, "shared_expert_intermediate_size")
    mixture.require_enough(found, "num_experts_per_tok", "num_experts")
    depth, upto = found["num_hidden_layers"], found.pop("max_window_layers")
    kinds = ("full_attention", "sliding_attention")  # every other layer up to a number looks back no farther than a window
    if found["layer_types"] is None:
        windows = found["use_sliding_window"]
        found["layer_types"] = [kinds[bool(windows and i % 2 == 0 and i < upto)] for i in range(depth)]
    given = found["layer_types"]
    if not isinstance(given, list) or len(given) != depth or not all(kind in kinds for kind in given):
        raise BadCheckpoint(f"The configuration should give 'layer_types' as {depth} of {' and '.join(kinds)}.")
    return mixture.with_sparse_layers(found)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Qwen2-MoE of that configuration."""
    routing = mixture.Routing(config["num_experts"], config["num_experts_per_tok"], bool(config["norm_topk_prob"]))
    sparse, act = mixture.sparse_layers(config), config["hidden_act"]

    def experts(s: Structure, config: Config, i: int) -> Readers:
        if not sparse[i]:
            return gated(s, config, i)
        on, at = f"blocks.{i}.shared", f"model.layers.{i}.mlp.shared_expert"
        return [
            *mixture.mixture(s, i, routing, config["moe_intermediate_size"], act),
            *gated_layer(s, on, at, f"shared.{i}", config["shared_expert_intermediate_size"], act),
            s.linear(f"{on}.router", f"{at}_gate", "*", "-residual", bias=False, rows=1),
        ]

    bias = bool(config["qkv_bias"])
    return rms_decoder("qwen2_moe", config, experts, (bias, bias, bias, False))


SMALL: dict[str, Any] = {
    "model_type": "qwen2_moe",
    "vocab_size": 37,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 12,
    "moe_intermediate_size": 12,
    "shared_expert_intermediate_size": 16,
    "num_experts": 4,
    "num_experts_per_tok": 2,
}

QWEN2_MOE = Family(
    name="qwen2_moe",
    sentence="Decoder with experts that a router chooses and a shared one, dense layers between them if wanted.",
    reference="Yang et al., Qwen2 Technical Report, 2024, arXiv 2407.10671",
    takes="text",
    recognises=lambda config: config.get("model_type") == "qwen2_moe",
    build=lambda config: mixture.build(config, "Qwen2MoeConfig", "Qwen2MoeForCausalLM"),
    outputs=hf.logits,
    sizes=lambda config: mixture.sizes(config, "num_experts", "moe_intermediate_size"),
    structure=structure,
    predicts=lambda config: "next",
    save=hf.save,
    config=config,
    from_disk=mixture.from_disk,
    examples={
        "qwen2_moe": SMALL,
        "qwen2_moe-some-dense": SMALL
        | {"decoder_sparse_step": 2, "norm_topk_prob": True, "qkv_bias": False, "tie_word_embeddings": True},
        "qwen2_moe-first-dense": SMALL
        | {"mlp_only_layers": [0], "num_key_value_heads": 4, "head_dim": 8, "use_sliding_window": True, "sliding_window": 4},
    },
)
