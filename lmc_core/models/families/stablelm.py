"""StableLM 2 (Bellagente et al. 2024, arXiv 2402.17834), as transformers' `StableLmForCausalLM`,
its body alone, with heads.

LayerNorm with gain and offset, partial rotary positions, gated units without biases; queries, keys
and values may have biases, and attention and units may read one norm in parallel. Norms on queries
and keys, if there are any, are a parameter of its own for each head; layouts here move places
within a parameter, not parameters, so that there heads keep theirs.
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
from lmc_core.models.architectures.query_key_norms import QueryKeyNorms
from lmc_core.models.architectures.rotary import rope
from lmc_core.models.config import Config, require_divides
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

NAMES = tuple(f"self_attn.{part}_proj" for part in "qkvo")
NORMS = QueryKeyNorms("self_attn.q_layernorm.norms.{}", "self_attn.k_layernorm.norms.{}", "apart")
APART = "each head has norms of its own, stored as parameters that a layout cannot exchange"

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="stablelm", vocab_size=50304, hidden_size=2560)
    | dict(intermediate_size=6912, num_hidden_layers=32, num_attention_heads=32)
    | dict(num_key_value_heads=32, hidden_act="silu", max_position_embeddings=4096)
    | dict(layer_norm_eps=1e-5, tie_word_embeddings=False, use_qkv_bias=False)
    | dict(qk_layernorm=False, use_parallel_residual=False, bos_token_id=0, eos_token_id=0)
)


def _pairs(config: Config) -> Pairs:
    size = config.size("hidden_size") // config.size("num_attention_heads")
    return Pairs(rotated(size, config.part("rope_parameters").number("partial_rotary_factor")))


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    aliases = {"norm_eps": "layer_norm_eps"}  # as the first files were written
    found = configuration(raw, DEFAULTS, COUNTS, "layer_norm_eps", "hidden_act", aliases)
    found["rope_parameters"] = rope(raw, partial=0.25)
    require_divides(found, "num_attention_heads", "hidden_size")
    grouped(found, "num_key_value_heads", "num_attention_heads")
    _pairs(found)
    return found


def _body(config: Config) -> Body:
    parallel = config.flag("use_parallel_residual")
    norms = ("input_layernorm",) if parallel else ("input_layernorm", "post_attention_layernorm")
    return Body("model.", "embed_tokens", "layers", norms, "norm", parallel=parallel)


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a StableLM of that configuration."""
    width, count = config.sizes("hidden_size", "num_attention_heads")
    normed = config.flag("qk_layernorm")
    attention = SelfAttention(
        count,
        width // count,
        NAMES,
        config.flag("use_qkv_bias"),
        False,
        config.size("num_key_value_heads"),
        _pairs(config),
        fixed=APART if normed else None,
        norms=NORMS if normed else None,
    )
    feed = FeedForward(
        config.size("intermediate_size"),
        config.text("hidden_act"),
        ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
        False,
    )
    sizes = Sizes(width, config.size("num_hidden_layers"), config.size("vocab_size"))
    return layer_norm_decoder(
        "stablelm", config, sizes, _body(config), lambda i: attention, feed, head
    )


SMALL = Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2) | dict(
    num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=12
)

STABLELM = family(
    "stablelm",
    "StableLm",
    "Decoder with partial rotary positions, LayerNorm before each layer, gated units.",
    "Bellagente et al., Stable LM 2 1.6B Technical Report, 2024, arXiv 2402.17834",
    config,
    structure,
    usual_sizes,
    _body,
    heads("model.", token="score", without=("ForQuestionAnswering",)),
    {
        "stablelm": SMALL,
        "stablelm-biases-parallel": SMALL
        | dict(use_qkv_bias=True, use_parallel_residual=True, tie_word_embeddings=True)
        | dict(num_hidden_layers=1),
        "stablelm-groups-norms": SMALL
        | dict(num_attention_heads=4, num_key_value_heads=2, qk_layernorm=True)
        | dict(partial_rotary_factor=0.67, num_hidden_layers=1, hidden_act="relu"),
    },
    attention_dropout=0.0,
    hidden_dropout=0.0,
    classifier_dropout=0.0,
)
