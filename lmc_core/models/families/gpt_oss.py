"""GPT-OSS (OpenAI 2025, arXiv 2508.10925), as transformers' `GptOssForCausalLM`.

A mixture of gated experts with biases everywhere. Each head has a number, its sink, that joins its
scores in the softmax and then falls away: attention rows do not add up to 1, so a bias of values
stays where it is. Gates and `up` of an expert lie in alternate columns, are clamped, and 1 is added
to `up`: hidden units take permutations, and no scale, though one of `up` + 1 would pass if the
clamp were never reached. A router's softmax is over the scores of the experts that it chose, and
does not see a number added to all of them.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family, hf, mixture
from lmc_core.models.architectures.decoder import Readers, head_dim, rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config
from lmc_core.models.parts import attention, separate_attention
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import PERMUTATIONS, Pairs

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="gpt_oss", vocab_size=201088, hidden_size=2880)
    | dict(intermediate_size=2880, num_hidden_layers=36, num_attention_heads=64)
    | dict(num_key_value_heads=8, head_dim=64, max_position_embeddings=131072)
    | dict(rms_norm_eps=1e-5, attention_bias=True, sliding_window=128, layer_types=None)
    | dict(num_local_experts=128, num_experts_per_tok=4, swiglu_alpha=1.702)
    | dict(swiglu_limit=7.0)
)
POSITIONS = Config(
    rope_type="yarn", factor=32.0, beta_fast=32.0, beta_slow=1.0, truncate=False
) | dict(original_max_position_embeddings=4096)  # rotary positions where none are given


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    raw = mixture.counted(raw, "num_local_experts")
    if not raw.get("rope_scaling") and raw.get("rope_parameters") is None:
        raw = raw | {"rope_parameters": POSITIONS}
    found = decoder_family.configuration(raw, DEFAULTS, theta=150000.0)
    mixture.check_sizes(found, "num_local_experts")
    hf.positive_numbers(found, "swiglu_alpha", "swiglu_limit")
    return decoder_family.windows(found, always=True)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a GPT-OSS of that configuration."""
    return rms_decoder("gpt_oss", config, _experts, attend=_attention)


def _attention(s: Structure, config: Config, i: int) -> Readers:
    heads, on, at = config.size("num_attention_heads"), f"blocks.{i}", f"model.layers.{i}.self_attn"
    size = head_dim(config)
    a = attention(s, str(i), heads, size, config.size("num_key_value_heads"), pairs=Pairs(size))
    names = (f"{at}.q_proj", f"{at}.k_proj", f"{at}.v_proj", f"{at}.o_proj")
    bias = config.flag("attention_bias")
    readers = separate_attention(s, a, on, names, (bias, bias, bias, bias), sums=False)
    s.parameter(f"{on}.sinks", f"{at}.sinks", " ".join(a.query.split()[:-1]), (heads,))
    return readers


def _experts(s: Structure, config: Config, i: int) -> Readers:
    width, on, at = config.size("hidden_size"), f"blocks.{i}", f"model.layers.{i}.mlp"
    experts = f"experts.{i}"
    count, size = config.sizes("num_local_experts", "intermediate_size")
    s.space(experts, "experts", count, PERMUTATIONS, "each expert moves with its row of the router")
    s.parameter(
        f"{on}.router.weight", f"{at}.router.weight", f"+{experts} -residual", (count, width), 0
    )
    s.parameter(f"{on}.router.bias", f"{at}.router.bias", f"+{experts}", (count,), 0)
    if config["num_experts_per_tok"] == 1:  # one weight, always 1
        s.freedom("routers that only choose", (count - 1) * (width + 1))
    reason = "gate and `up` are clamped, and 1 is added to `up`: no scale passes"
    u = s.space(f"units.{i}", "units", size, PERMUTATIONS, reason, experts)
    for part, ends, shape in (
        ("weight", "_proj", (count, width, 2 * size)),
        ("bias", "_proj_bias", (count, 2 * size)),
    ):
        reads = "-residual " if part == "weight" else ""
        blocks = [
            (f"{on}.{side}.{part}", f"+{experts} {reads}+{u} {j}/2")
            for j, side in enumerate(("gate", "up"))
        ]
        s.fused(f"{at}.experts.gate_up{ends}", shape, blocks)
    s.parameter(
        f"{on}.down.weight",
        f"{at}.experts.down_proj",
        f"+{experts} -{u} +residual",
        (count, size, width),
    )
    s.parameter(
        f"{on}.down.bias", f"{at}.experts.down_proj_bias", f"+{experts} +residual", (count, width)
    )
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias") for part in ("router", "gate", "up")]


SMALL = (
    SMALL
    | dict(intermediate_size=12, num_local_experts=4, num_experts_per_tok=2)
    | dict(sliding_window=5)
)

GPT_OSS = mixture.family(
    "gpt_oss",
    "GptOss",
    "Mixture of experts with biases, clamped gates and a sink for each head.",
    "OpenAI, gpt-oss-120b & gpt-oss-20b Model Card, 2025, arXiv 2508.10925",
    config,
    structure,
    {
        "gpt_oss": SMALL | {"head_dim": 6, "swiglu_limit": 1.5},
        "gpt_oss-one-tied": SMALL
        | dict(head_dim=8, attention_bias=False, tie_word_embeddings=True)
        | dict(num_key_value_heads=4)
        | dict(num_experts_per_tok=1, num_hidden_layers=1)
        | dict(rope_parameters={"rope_type": "default"}),
    },
    experts="num_local_experts",
    units="intermediate_size",
    heads=ALL_HEADS[:2],
)
