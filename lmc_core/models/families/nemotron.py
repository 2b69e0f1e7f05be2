"""Nemotron (Parmar et al. 2024, arXiv 2402.16819), as transformers' `NemotronForCausalLM`, its body
alone, and with heads.

LayerNorm with gains stored as 1 + w, partial rotary positions, grouped queries. Units are squares
of ReLU: a positive factor c in front of one is undone by 1 / c^2 behind it. No class of maps here
says that, so units change places alone and their scales are counted as a freedom that is not used.
"""

from __future__ import annotations

from lmc_core.models.architectures.heads import Head, heads
from lmc_core.models.architectures.layer_norm_decoder import (
    Body,
    FeedForward,
    SelfAttention,
    Sizes,
    layer_norm_decoder,
)
from lmc_core.models.architectures.layer_norm_family import (
    COUNTS,
    TOKENS,
    configuration,
    family,
    grouped,
    rotated,
    usual_sizes,
)
from lmc_core.models.architectures.rotary import rope
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

BODY = Body(
    "model.",
    "embed_tokens",
    "layers",
    ("input_layernorm", "post_attention_layernorm"),
    "norm",
    unit=0.0,
)
NAMES = tuple(f"self_attn.{part}_proj" for part in "qkvo")
HEADS = heads("model.", token="score") | {
    "ForQuestionAnswering": heads("transformer.")["ForQuestionAnswering"]
}

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="nemotron", vocab_size=256000, hidden_size=6144)
    | dict(intermediate_size=24576, num_hidden_layers=32, num_attention_heads=48)
    | dict(head_dim=None, num_key_value_heads=None, hidden_act="relu2")
    | dict(max_position_embeddings=4096, norm_eps=1e-5, tie_word_embeddings=False)
    | dict(attention_bias=False, mlp_bias=False, bos_token_id=2, eos_token_id=3)
)


def _pairs(config: Config) -> Pairs:
    return Pairs(
        rotated(
            config.size("head_dim"), config.part("rope_parameters").number("partial_rotary_factor")
        )
    )


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = configuration(raw, DEFAULTS, COUNTS, "norm_eps", "hidden_act")
    found["rope_parameters"] = rope(raw, partial=0.5)
    if found["head_dim"] is None:
        require_divides(found, "num_attention_heads", "hidden_size")
        found["head_dim"] = found.size("hidden_size") // found.size("num_attention_heads")
    require_sizes(found, "head_dim")
    grouped(found, "num_key_value_heads", "num_attention_heads")
    _pairs(found)
    return found


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a Nemotron of that configuration."""
    bias = config.flag("attention_bias")
    attention = SelfAttention(
        config.size("num_attention_heads"),
        config.size("head_dim"),
        NAMES,
        bias,
        bias,
        config.size("num_key_value_heads"),
        _pairs(config),
    )
    names = ("mlp.up_proj", "mlp.down_proj")
    feed = FeedForward(
        config.size("intermediate_size"), config.text("hidden_act"), names, config.flag("mlp_bias")
    )
    sizes = Sizes(
        config.size("hidden_size"), config.size("num_hidden_layers"), config.size("vocab_size")
    )
    return layer_norm_decoder("nemotron", config, sizes, BODY, lambda i: attention, feed, head)


SMALL = (
    Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2)
    | dict(num_attention_heads=4, num_key_value_heads=2, head_dim=8)
    | dict(max_position_embeddings=12)
)

NEMOTRON = family(
    "nemotron",
    "Nemotron",
    "Decoder with partial rotary positions, LayerNorm before each layer, grouped queries, units "
    "of squared ReLU.",
    "Parmar et al., Nemotron-4 15B Technical Report, 2024, arXiv 2402.16819",
    config,
    structure,
    usual_sizes,
    BODY,
    HEADS,
    {
        "nemotron": SMALL | {"num_hidden_layers": 1},
        "nemotron-biases-tied": SMALL
        | dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
        | dict(head_dim=None, num_key_value_heads=4, partial_rotary_factor=1.0)
        | dict(hidden_act="gelu"),
    },
    attention_dropout=0.0,
    classifier_dropout=0.0,
)
