"""DeepSeek-V2 (DeepSeek-AI 2024, arXiv 2405.04434), as transformers' `DeepseekV2ForCausalLM`.

Latent attention with rotary pairs that are neighbours. After a few dense layers, mixtures with a
softmax router, which may choose among groups of experts first, and shared experts that are one
block, so that all of their units change places freely.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family, hf, mixture
from lmc_core.models.architectures.decoder import Readers, gated, gated_layer, rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.architectures.latent_attention import configuration, latent_attention
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="deepseek_v2", vocab_size=102400, attention_bias=False)
    | dict(mlp_bias=False, first_k_dense_replace=0, kv_lora_rank=512, q_lora_rank=1536)
    | dict(qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=64)
    | dict(n_shared_experts=2, num_experts_per_tok=None, moe_intermediate_size=1407)
    | dict(routed_scaling_factor=1.0, topk_method="greedy", n_group=None, topk_group=None)
    | dict(norm_topk_prob=False, bos_token_id=1, eos_token_id=2)
)
METHODS = ("greedy", "group_limited_greedy")


def checked(raw: Config, found: Config, scores: str) -> Config:
    """Check what DeepSeek's configurations say about their mixtures; returns the configuration.

    Args:
        raw: the content of the file.
        found: what the function depends on.
        scores: how this family scores experts, the only value that `scoring_func` may have.
    """
    mixture.check_sizes(found, "n_routed_experts", "n_shared_experts", "moe_intermediate_size")
    hf.switches(found, "norm_topk_prob")
    hf.positive_numbers(found, "routed_scaling_factor")
    found["routed_scaling_factor"] = float(found.number("routed_scaling_factor"))
    first = found["first_k_dense_replace"]
    if not isinstance(first, int) or isinstance(first, bool) or first < 0:
        raise BadCheckpoint(
            "The configuration should give 'first_k_dense_replace' as a number of layers; it "
            f"gives {first!r}."
        )
    for name, only in (("moe_layer_freq", 1), ("scoring_func", scores)):
        if raw.get(name, only) != only:
            raise BadCheckpoint(
                f"{found['model_type']} with {name}={raw[name]!r} is not supported; {only!r} is "
                "expected."
            )
    return found


def check_groups(found: Config) -> None:
    """Raise `BadCheckpoint` unless experts fall into groups of equal size, enough of which are
    chosen.
    """
    require_sizes(found, "n_group", "topk_group")
    require_divides(found, "n_group", "n_routed_experts")
    within = found.size("topk_group") * (found.size("n_routed_experts") // found.size("n_group"))
    if (
        found.size("topk_group") > found.size("n_group")
        or found.size("num_experts_per_tok") > within
    ):
        raise BadCheckpoint(
            f"topk_group = {found['topk_group']} of n_group = {found['n_group']} groups should "
            "hold the num_experts_per_tok = "
            f"{found['num_experts_per_tok']} experts that are chosen."
        )


def feed_forward(s: Structure, config: Config, i: int, routing: mixture.Routing) -> Readers:
    """Write the feed-forward layer of block i down: dense in the first layers, then experts beside
    shared ones.
    """
    if i < config.size("first_k_dense_replace"):
        return gated(s, config, i)
    units, act = config.size("moe_intermediate_size"), config.text("hidden_act")
    bias = bool(config.get("mlp_bias"))
    on, at = f"blocks.{i}.shared", f"model.layers.{i}.mlp.shared_experts"
    return [
        *mixture.mixture(s, i, routing, units, act),
        *gated_layer(s, on, at, f"shared.{i}", units * config.size("n_shared_experts"), act, bias),
    ]


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = checked(
        raw, configuration(mixture.counted(raw, "n_routed_experts"), DEFAULTS, even=True), "softmax"
    )
    for name in ("qk_nope_head_dim", "kv_lora_rank"):
        # the rotary part comes after these and is read as complex numbers in place
        if found.size(name) % 2:
            raise BadCheckpoint(
                f"deepseek_v2 with an odd {name} ({found[name]}) is not supported by its class in "
                "transformers."
            )
    if found["topk_method"] not in METHODS:
        raise BadCheckpoint(
            f"deepseek_v2 with topk_method={found['topk_method']!r} is not supported; known: "
            f"{', '.join(METHODS)}."
        )
    if found["norm_topk_prob"]:
        raise BadCheckpoint(
            "deepseek_v2 with norm_topk_prob=true is not supported: transformers does not divide "
            "by the sum."
        )
    if found["topk_method"] == METHODS[1]:
        check_groups(found)
    else:
        found["n_group"] = found["topk_group"] = None
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a DeepSeek-V2 of that configuration.

    A group is scored by its best expert, so the best k experts always lie in the best k groups:
    choosing among groups first changes nothing unless fewer groups than experts are chosen.
    """
    limited = config["topk_method"] == METHODS[1] and config.size("topk_group") < min(
        config.size("n_group"), config.size("num_experts_per_tok")
    )
    routing = mixture.Routing(
        config.size("n_routed_experts"),
        config.size("num_experts_per_tok"),
        relative=False,
        groups=config.size("n_group") if limited else 1,
    )
    return rms_decoder(
        "deepseek_v2",
        config,
        lambda s, config, i: feed_forward(s, config, i, routing),
        attend=lambda s, config, i: latent_attention(s, config, i, interleaved=True),
    )


SMALL = (
    {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}
    | dict(kv_lora_rank=14, q_lora_rank=12, qk_nope_head_dim=6, qk_rope_head_dim=4)
    | dict(v_head_dim=5, n_routed_experts=6, n_shared_experts=2, num_experts_per_tok=2)
    | dict(moe_intermediate_size=8, first_k_dense_replace=1)
)
GROUPED = {"topk_method": METHODS[1], "n_group": 3, "topk_group": 2, "num_experts_per_tok": 3}

DEEPSEEK_V2 = mixture.family(
    "deepseek_v2",
    "DeepseekV2",
    "Decoder with latent attention and mixtures of experts, some of them shared.",
    "DeepSeek-AI, DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language "
    "Model, 2024, arXiv 2405.04434",
    config,
    structure,
    {
        "deepseek_v2": SMALL,
        "deepseek_v2-groups": SMALL
        | GROUPED
        | {"first_k_dense_replace": 0, "routed_scaling_factor": 2.5},
        "deepseek_v2-biases": SMALL
        | dict(q_lora_rank=None, attention_bias=True, mlp_bias=True)
        | dict(tie_word_embeddings=True),
    },
    experts="n_routed_experts",
    units="moe_intermediate_size",
    heads=ALL_HEADS[:1],
)
