"""BLOOM (Scao et al. 2022, arXiv 2211.05100), as transformers' `BloomForCausalLM`, its body alone,
and with heads.

Positions are slopes that differ from head to head (ALiBi), so that heads cannot change places;
planes inside heads are free. A norm behind the token table writes to the stream: its gains act
there coordinate by coordinate, so the stream keeps permutations alone and a head that shares the
table goes on sharing it.
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
from lmc_core.models.architectures.layer_norm_family import TOKENS, configuration, family, refuse
from lmc_core.models.config import Config, require_divides
from lmc_core.models.parts import ALIBI
from lmc_core.models.structure import Structure

NORMS = ("input_layernorm", "post_attention_layernorm")
BODY = Body(
    "transformer.", "word_embeddings", "h", NORMS, "ln_f", embedded="word_embeddings_layernorm"
)
NAMES = ("self_attention.query_key_value", "self_attention.dense")
CONTEXT = 2048  # what the published models were trained on; ALiBi itself has no end

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="bloom", vocab_size=250880, hidden_size=64, n_layer=2, n_head=8)
    | dict(layer_norm_epsilon=1e-5, tie_word_embeddings=True, bos_token_id=1)
    | dict(eos_token_id=2)
)
ALIASES = dict(n_embed="hidden_size", num_hidden_layers="n_layer", num_attention_heads="n_head")
USUAL = {
    "apply_residual_connection_post_layernorm": (
        False,
        "its norms write to the stream, and no layout here says that",
    )
}


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    refuse(raw, USUAL, "BLOOM")
    found = configuration(
        raw,
        DEFAULTS,
        ("vocab_size", "hidden_size", "n_layer", "n_head"),
        "layer_norm_epsilon",
        None,
        ALIASES,
    )
    require_divides(found, "n_head", "hidden_size")
    if raw.get("seq_length") is not None:
        found |= configuration(
            raw,
            {"seq_length": None, **DEFAULTS},
            ("seq_length",),
            "layer_norm_epsilon",
            None,
            ALIASES,
        )
    return found


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a BLOOM of that configuration."""
    width, count = config.sizes("hidden_size", "n_head")
    attention = SelfAttention(count, width // count, NAMES, fused="groups", fixed=ALIBI)
    feed = FeedForward(4 * width, "gelu", ("mlp.dense_h_to_4h", "mlp.dense_4h_to_h"))
    sizes = Sizes(width, config.size("n_layer"), config.size("vocab_size"))
    return layer_norm_decoder("bloom", config, sizes, BODY, lambda i: attention, feed, head)


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    return {
        "width": config.size("hidden_size"),
        "depth": config.size("n_layer"),
        "heads": config.size("n_head"),
        "units": 4 * config.size("hidden_size"),
        "tokens": config.size("vocab_size"),
        "context": config.optional_size("seq_length") or CONTEXT,
    }


SMALL = Config(vocab_size=37, hidden_size=12, n_layer=2, n_head=3, seq_length=12)

BLOOM = family(
    "bloom",
    "Bloom",
    "Decoder with ALiBi, a norm behind the token table, LayerNorm before each layer, GELU units.",
    "Scao et al., BLOOM: A 176B-Parameter Open-Access Multilingual Language Model, 2022, arXiv "
    "2211.05100",
    config,
    structure,
    sizes,
    BODY,
    heads("transformer."),
    {
        "bloom": SMALL,
        "bloom-untied": SMALL | {"tie_word_embeddings": False, "n_layer": 1, "n_head": 2},
    },
    attention_dropout=0.0,
    hidden_dropout=0.0,
    classifier_dropout=0.0,
)
