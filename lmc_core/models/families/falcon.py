"""Falcon (Almazrouei et al. 2023, arXiv 2311.16867), as transformers' `FalconForCausalLM`, its body
alone, and with heads.

One layer holds queries, keys and values group by group: all queries share one key (7B), each key
serves several (40B, 180B), or each query has its own (the RW models). Attention and units read one
LayerNorm in parallel, one each in parallel, or one each in turn. Positions are rotary, or slopes
that differ from head to head (ALiBi), so that heads cannot change places.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures.heads import Head, heads
from lmc_core.models.architectures.layer_norm_decoder import (
    Body,
    FeedForward,
    SelfAttention,
    Sizes,
    layer_norm_decoder,
)
from lmc_core.models.architectures.layer_norm_family import (
    TOKENS,
    configuration,
    family,
    grouped,
    rotated,
    sizes_by,
)
from lmc_core.models.architectures.rotary import rope
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.parts import ALIBI
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

NAMES = ("self_attention.query_key_value", "self_attention.dense")

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="falcon", vocab_size=65024, hidden_size=4544, num_hidden_layers=32)
    | dict(num_attention_heads=71, num_ln_in_parallel_attn=None, layer_norm_epsilon=1e-5)
    | dict(num_kv_heads=None, alibi=False, new_decoder_architecture=False, multi_query=True)
    | dict(parallel_attn=True, bias=False, max_position_embeddings=2048)
    | dict(ffn_hidden_size=None, activation="gelu", tie_word_embeddings=True)
    | dict(bos_token_id=11, eos_token_id=11)
)
COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
ALIASES = dict(
    n_embed="hidden_size", n_layer="num_hidden_layers", n_head="num_attention_heads"
) | dict(n_head_kv="num_kv_heads")


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = configuration(raw, DEFAULTS, COUNTS, "layer_norm_epsilon", "activation", ALIASES)
    found["rope_parameters"] = rope(raw)
    require_divides(found, "num_attention_heads", "hidden_size")
    size = found.size("hidden_size") // found.size("num_attention_heads")
    if not found["alibi"]:
        rotated(size, 1.0)
    grouped(found, "num_kv_heads", "num_attention_heads")
    if found["ffn_hidden_size"] is None:
        found["ffn_hidden_size"] = 4 * found.size("hidden_size")
    require_sizes(found, "ffn_hidden_size")
    new, norms = found.flag("new_decoder_architecture"), found["num_ln_in_parallel_attn"]
    if norms is None and new:
        norms = found["num_ln_in_parallel_attn"] = 2
    if new and not (found["parallel_attn"] and norms in (1, 2)):
        raise BadCheckpoint(
            "A Falcon with new_decoder_architecture=true has one or two norms and layers in "
            "parallel; the configuration gives "
            f"num_ln_in_parallel_attn={norms!r} and parallel_attn={found['parallel_attn']}, which "
            "transformers cannot compute."
        )
    if not new and norms not in (None, 1):
        raise BadCheckpoint(
            f"A Falcon with num_ln_in_parallel_attn={norms!r} needs "
            "new_decoder_architecture=true; transformers computes no "
            "other."
        )
    return found


def groups(config: Config) -> int:
    """Number of key and value heads."""
    if config["new_decoder_architecture"]:
        return config.size("num_kv_heads")
    return 1 if config["multi_query"] else config.size("num_attention_heads")


def body(config: Config) -> Body:
    """Which norms a block has."""
    names: tuple[str, ...] = ("input_layernorm",)
    if config["new_decoder_architecture"] and config["num_ln_in_parallel_attn"] == 2:
        names = ("ln_attn", "ln_mlp")
    elif not config["parallel_attn"]:
        names = ("input_layernorm", "post_attention_layernorm")
    parallel = bool(config["new_decoder_architecture"] or config["parallel_attn"])
    return Body("transformer.", "word_embeddings", "h", names, "ln_f", parallel=parallel)


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a Falcon of that configuration."""
    width, count = config.sizes("hidden_size", "num_attention_heads")
    bias = config.flag("bias")
    size = width // count
    attention = SelfAttention(
        count,
        size,
        NAMES,
        bias,
        bias,
        groups(config),
        None if config["alibi"] else Pairs(size),
        "groups",
        ALIBI if config["alibi"] else None,
    )
    feed = FeedForward(
        config.size("ffn_hidden_size"),
        config.text("activation"),
        ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
        bias,
    )
    sizes = Sizes(width, config.size("num_hidden_layers"), config.size("vocab_size"))
    return layer_norm_decoder(
        "falcon", config, sizes, body(config), lambda i: attention, feed, head
    )


SIZES = sizes_by(
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
    units="ffn_hidden_size",
)
SMALL = Config(vocab_size=37, hidden_size=24, num_hidden_layers=2, num_attention_heads=4) | dict(
    ffn_hidden_size=20, max_position_embeddings=12
)

FALCON = family(
    "falcon",
    "Falcon",
    "Decoder with rotary positions or ALiBi, queries that share keys; attention and GELU units in "
    "parallel or in turn.",
    "Almazrouei et al., The Falcon Series of Open Language Models, 2023, arXiv 2311.16867",
    config,
    structure,
    lambda config: SIZES(config) | {"key heads": groups(config)},
    body,
    heads("transformer."),
    {
        "falcon": SMALL | {"new_decoder_architecture": True, "num_kv_heads": 2},
        "falcon-one-key": SMALL | {"num_hidden_layers": 1},
        "falcon-alibi": SMALL
        | dict(alibi=True, multi_query=False, parallel_attn=False, bias=True)
        | dict(tie_word_embeddings=False),
    },
    attention_dropout=0.0,
    hidden_dropout=0.0,
    classifier_dropout=0.0,
)
