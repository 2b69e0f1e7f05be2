"""Command R (Cohere 2024; Aya 23, Aryabumi et al. 2024, arXiv 2405.15032, is of its architecture),
as transformers' `CohereForCausalLM` and its body alone; `cohere2` builds on it.

LayerNorm with a gain alone; attention and gated units read it in parallel; rotary pairs are
neighbours; logits are multiplied by a number of the configuration. The head shares the token table.
Norms on queries and keys, where the configuration asks for them, have a gain for each coordinate of
each head, which moves with its head.
"""

from __future__ import annotations

from collections.abc import Mapping

from lmc_core.models.architectures import hf
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
from lmc_core.models.config import Config, Json, require_divides
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

BODY = Body(
    "model.", "embed_tokens", "layers", ("input_layernorm",), "norm", parallel=True, offset=False
)
NAMES = tuple(f"self_attn.{part}_proj" for part in "qkvo")
UNITS = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
NORMS = QueryKeyNorms("self_attn.q_norm", "self_attn.k_norm", "heads")
HEADS = heads(
    "model.",
    without=("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"),
)

# What the function depends on, with transformers' defaults; those of `cohere2` too.
COMMON = (
    TOKENS
    | dict(vocab_size=256000, hidden_size=8192, intermediate_size=22528)
    | dict(num_hidden_layers=40, num_attention_heads=64, num_key_value_heads=None)
    | dict(hidden_act="silu", max_position_embeddings=8192, layer_norm_eps=1e-5)
    | dict(logit_scale=0.0625, tie_word_embeddings=True, attention_bias=False)
    | dict(pad_token_id=0, bos_token_id=5, eos_token_id=255001)
)
DEFAULTS = COMMON | {"model_type": "cohere", "use_qk_norm": False}


def common(raw: Config, defaults: Mapping[str, Json], theta: float) -> Config:
    """What both kinds read from a `config.json`; `theta` is the default base of rotary
    positions.
    """
    found = configuration(raw, defaults, COUNTS, "layer_norm_eps", "hidden_act")
    found["rope_parameters"] = rope(raw, theta)
    hf.positive_numbers(found, "logit_scale")
    require_divides(found, "num_attention_heads", "hidden_size")
    rotated(found.size("hidden_size") // found.size("num_attention_heads"), 1.0)
    return grouped(found, "num_key_value_heads", "num_attention_heads")


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return common(raw, DEFAULTS, 500000.0)


def attention(config: Config, rotary: bool = True, normed: bool = False) -> SelfAttention:
    """The attention of one block."""
    count, bias = config.size("num_attention_heads"), config.flag("attention_bias")
    size = config.size("hidden_size") // count
    pairs = Pairs(size, interleaved=True) if rotary else None
    norms = NORMS if normed else None
    return SelfAttention(
        count, size, NAMES, bias, bias, config.size("num_key_value_heads"), pairs, norms=norms
    )


def feed(config: Config) -> FeedForward:
    """The feed-forward layer of every block."""
    return FeedForward(config.size("intermediate_size"), config.text("hidden_act"), UNITS, False)


def sizes(config: Config) -> Sizes:
    """Sizes of the network."""
    return Sizes(
        config.size("hidden_size"), config.size("num_hidden_layers"), config.size("vocab_size")
    )


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a Command R of that configuration."""
    part = attention(config, normed=config.flag("use_qk_norm"))
    return layer_norm_decoder(
        "cohere", config, sizes(config), BODY, lambda i: part, feed(config), head
    )


SIZES = usual_sizes
SMALL = (
    Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=2)
    | dict(num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=12)
    | dict(eos_token_id=36)
)

COHERE = family(
    "cohere",
    "Cohere",
    "Decoder with rotary positions; attention and gated units read one LayerNorm in parallel.",
    "Cohere, Command R, 2024; of its architecture: Aryabumi et al., Aya 23, 2024, arXiv 2405.15032",
    config,
    structure,
    SIZES,
    BODY,
    HEADS,
    {
        "cohere": SMALL,
        "cohere-norms": SMALL
        | dict(use_qk_norm=True, attention_bias=True, tie_word_embeddings=False)
        | dict(num_hidden_layers=1),
    },
    attention_dropout=0.0,
)
