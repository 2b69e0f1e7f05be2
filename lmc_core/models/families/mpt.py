"""MPT (MosaicML 2023), as transformers' `MptForCausalLM`, its body alone, and with heads for labels
and spans.

Positions are slopes that differ from head to head (ALiBi; Press et al. 2021, arXiv 2108.12409), so
that heads cannot change places. No layer has a bias, no norm an offset; one layer holds all
queries, then all keys, then all values, which may be clipped. Transformers' class computes one kind
of MPT; what a file says of other kinds is refused.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.heads import Head, heads
from lmc_core.models.architectures.layer_norm_decoder import (
    Body,
    FeedForward,
    SelfAttention,
    Sizes,
    layer_norm_decoder,
)
from lmc_core.models.architectures.layer_norm_family import TOKENS, configuration, family, refuse
from lmc_core.models.config import Config, require_divides
from lmc_core.models.parts import ALIBI
from lmc_core.models.structure import Structure

BODY = Body("transformer.", "wte", "blocks", ("norm_1", "norm_2"), "norm_f", offset=False)
NAMES = ("attn.Wqkv", "attn.out_proj")

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="mpt", d_model=2048, n_heads=16, n_layers=24, max_seq_len=2048)
    | dict(vocab_size=50368, layer_norm_epsilon=1e-5, tie_word_embeddings=True)
)
COUNTS = ("d_model", "n_heads", "n_layers", "max_seq_len", "vocab_size")
ALIASES = dict(num_attention_heads="n_heads", hidden_size="d_model") | dict(
    num_hidden_layers="n_layers"
)
IGNORED = "transformers' class does not compute it"
USUAL = Config(expansion_ratio=4, no_bias=True, logit_scale=None)
ATTENTION = Config(attn_type="multihead_attention", qk_ln=False, alibi=True) | dict(
    alibi_bias_max=8, prefix_lm=False
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    refuse(raw, {key: (value, IGNORED) for key, value in USUAL.items()}, "MPT")
    found = configuration(raw, DEFAULTS, COUNTS, "layer_norm_epsilon", None, ALIASES)
    require_divides(found, "n_heads", "d_model")
    given = raw.get("attn_config") or {}
    if not isinstance(given, dict):
        raise BadCheckpoint(
            f"The configuration should give 'attn_config' as an object; it gives {str(given)[:80]}."
        )
    refuse(given, {key: (value, IGNORED) for key, value in ATTENTION.items()}, "MPT")
    clip = given.get("clip_qkv") or None
    chosen = Config(clip_qkv=clip, softmax_scale=given.get("softmax_scale"))
    for key in [key for key, value in chosen.items() if value is not None]:
        hf.positive_numbers(chosen, key)
        chosen[key] = float(chosen.number(key))
    return found | {"attn_config": chosen}


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of an MPT of that configuration."""
    width, count = config.sizes("d_model", "n_heads")
    chosen = config.part("attn_config")
    attention = SelfAttention(
        count,
        width // count,
        NAMES,
        False,
        False,
        fused="thirds",
        fixed=ALIBI,
        clipped=chosen["clip_qkv"] is not None,
        scaled=chosen["softmax_scale"] is None,
    )
    feed = FeedForward(4 * width, "gelu", ("ffn.up_proj", "ffn.down_proj"), False)
    sizes = Sizes(width, config.size("n_layers"), config.size("vocab_size"))
    return layer_norm_decoder("mpt", config, sizes, BODY, lambda i: attention, feed, head)


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    return {
        "width": config.size("d_model"),
        "depth": config.size("n_layers"),
        "heads": config.size("n_heads"),
        "units": 4 * config.size("d_model"),
        "tokens": config.size("vocab_size"),
        "context": config.size("max_seq_len"),
    }


SMALL = Config(vocab_size=37, d_model=12, n_layers=2, n_heads=3, max_seq_len=12)

MPT = family(
    "mpt",
    "Mpt",
    "Decoder with ALiBi, LayerNorm without offsets before each layer, GELU units, no biases.",
    "MosaicML, Introducing MPT-7B, 2023; Press et al., Train Short, Test Long, 2021, arXiv "
    "2108.12409",
    config,
    structure,
    sizes,
    BODY,
    heads("transformer."),
    {
        "mpt": SMALL,
        "mpt-clipped": SMALL
        | dict(attn_config={"clip_qkv": 0.8, "softmax_scale": 0.4})
        | dict(tie_word_embeddings=False, n_layers=1, n_heads=2),
    },
    classifier_dropout=0.0,
)
