"""Phi (Gunasekar et al. 2023, arXiv 2306.11644; Li et al. 2023, arXiv 2309.05463): Phi-1, Phi-1.5,
Phi-2, as transformers' `PhiForCausalLM`, its body alone, and with heads for labels.

Attention and units read one LayerNorm in parallel; rotary positions turn a part of each head; every
layer and the head have a bias. Norms on queries and keys, with gains and offsets common to all
heads, are a choice of the configuration.
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

BODY = Body(
    "model.",
    "embed_tokens",
    "layers",
    ("input_layernorm",),
    "final_layernorm",
    parallel=True,
    head_bias=True,
)
NAMES = tuple(f"self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "dense"))
NORMS = QueryKeyNorms("self_attn.q_layernorm", "self_attn.k_layernorm", "common", offset=True)

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="phi", vocab_size=51200, hidden_size=2048, intermediate_size=8192)
    | dict(num_hidden_layers=24, num_attention_heads=32, num_key_value_heads=None)
    | dict(hidden_act="gelu_new", max_position_embeddings=2048, layer_norm_eps=1e-5)
    | dict(tie_word_embeddings=False, qk_layernorm=False, bos_token_id=1, eos_token_id=2)
)


def _pairs(config: Config) -> Pairs:
    size = config.size("hidden_size") // config.size("num_attention_heads")
    return Pairs(rotated(size, config.part("rope_parameters").number("partial_rotary_factor")))


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = configuration(raw, DEFAULTS, COUNTS, "layer_norm_eps", "hidden_act")
    found["rope_parameters"] = rope(raw, partial=0.5)
    require_divides(found, "num_attention_heads", "hidden_size")
    grouped(found, "num_key_value_heads", "num_attention_heads")
    _pairs(found)
    return found


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a Phi of that configuration."""
    width, count = config.sizes("hidden_size", "num_attention_heads")
    attention = SelfAttention(
        count,
        width // count,
        NAMES,
        groups=config.size("num_key_value_heads"),
        pairs=_pairs(config),
        norms=NORMS if config["qk_layernorm"] else None,
    )
    feed = FeedForward(
        config.size("intermediate_size"), config.text("hidden_act"), ("mlp.fc1", "mlp.fc2")
    )
    sizes = Sizes(width, config.size("num_hidden_layers"), config.size("vocab_size"))
    return layer_norm_decoder("phi", config, sizes, BODY, lambda i: attention, feed, head)


SMALL = Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2) | dict(
    num_attention_heads=3, max_position_embeddings=12
)

PHI = family(
    "phi",
    "Phi",
    "Decoder with partial rotary positions; attention and GELU units read one LayerNorm in "
    "parallel.",
    "Gunasekar et al., Textbooks Are All You Need, 2023, arXiv 2306.11644",
    config,
    structure,
    usual_sizes,
    BODY,
    heads("model.", token="score", without=("ForQuestionAnswering",)),
    {
        "phi": SMALL,
        "phi-groups-tied-norms": SMALL
        | dict(num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)
        | dict(qk_layernorm=True, num_hidden_layers=1, partial_rotary_factor=0.67),
    },
    attention_dropout=0.0,
    resid_pdrop=0.0,
    embd_pdrop=0.0,
    classifier_dropout=0.0,
)
