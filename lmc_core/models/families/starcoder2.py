"""StarCoder2 (Lozhkov et al. 2024, arXiv 2402.19173), as transformers' `Starcoder2ForCausalLM`, its
body alone, and with heads.

LayerNorm with gain and offset before each layer, rotary positions, grouped queries, units without a
gate. All layers have biases, or none has (`use_bias`).
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
    "model.", "embed_tokens", "layers", ("input_layernorm", "post_attention_layernorm"), "norm"
)
NAMES = tuple(f"self_attn.{part}_proj" for part in "qkvo")

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="starcoder2", vocab_size=49152, hidden_size=3072)
    | dict(intermediate_size=12288, num_hidden_layers=30, num_attention_heads=24)
    | dict(num_key_value_heads=2, hidden_act="gelu_pytorch_tanh")
    | dict(max_position_embeddings=4096, norm_epsilon=1e-5, sliding_window=None)
    | dict(use_bias=True, tie_word_embeddings=True, bos_token_id=50256, eos_token_id=50256)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = configuration(raw, DEFAULTS, COUNTS, "norm_epsilon", "hidden_act")
    found["rope_parameters"] = rope(raw)
    require_divides(found, "num_attention_heads", "hidden_size")
    rotated(found.size("hidden_size") // found.size("num_attention_heads"), 1.0)
    if found["sliding_window"] is not None:
        require_sizes(found, "sliding_window")
    return grouped(found, "num_key_value_heads", "num_attention_heads")


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a StarCoder2 of that configuration."""
    width, count = config.sizes("hidden_size", "num_attention_heads")
    bias = config.flag("use_bias")
    size, groups = width // count, config.size("num_key_value_heads")
    attention = SelfAttention(count, size, NAMES, bias, bias, groups, Pairs(size))
    feed = FeedForward(
        config.size("intermediate_size"),
        config.text("hidden_act"),
        ("mlp.c_fc", "mlp.c_proj"),
        bias,
    )
    sizes = Sizes(width, config.size("num_hidden_layers"), config.size("vocab_size"))
    return layer_norm_decoder("starcoder2", config, sizes, BODY, lambda i: attention, feed, head)


SMALL = (
    Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2)
    | dict(num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=12)
    | dict(bos_token_id=None, eos_token_id=None)
)

STARCODER2 = family(
    "starcoder2",
    "Starcoder2",
    "Decoder with rotary positions, LayerNorm before each layer, grouped queries, GELU units.",
    "Lozhkov et al., StarCoder 2 and The Stack v2: The Next Generation, 2024, arXiv 2402.19173",
    config,
    structure,
    usual_sizes,
    BODY,
    heads("model.", token="score", without=("ForQuestionAnswering",)),
    {
        "starcoder2": SMALL | {"sliding_window": 5},
        "starcoder2-no-biases": SMALL
        | dict(use_bias=False, tie_word_embeddings=False, num_hidden_layers=1)
        | dict(num_key_value_heads=4),
    },
    attention_dropout=0.0,
    residual_dropout=0.0,
    embedding_dropout=0.0,
    classifier_dropout=0.0,
)
