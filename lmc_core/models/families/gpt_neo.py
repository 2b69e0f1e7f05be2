"""GPT-Neo (Black et al. 2021), as transformers' `GPTNeoForCausalLM`, its body alone, and with heads
for labels and spans.

A GPT-2 whose every second layer attends to a window, which no symmetry notices. Scores are not
divided by anything; queries, keys and values have no biases.
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
from lmc_core.models.architectures.layer_norm_family import TOKENS, configuration, family, sizes_by
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.structure import Structure

BODY = Body("transformer.", "wte", "h", ("ln_1", "ln_2"), "ln_f", positions="wpe")
NAMES = tuple(f"attn.attention.{part}_proj" for part in ("q", "k", "v", "out"))
KINDS = ("global", "local")

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="gpt_neo", vocab_size=50257, max_position_embeddings=2048)
    | dict(hidden_size=2048, num_layers=24, attention_types=None, num_heads=16)
    | dict(intermediate_size=None, window_size=256, activation_function="gelu_new")
    | dict(layer_norm_epsilon=1e-5, tie_word_embeddings=True, bos_token_id=50256)
    | dict(eos_token_id=50256)
)
COUNTS = tuple(
    "vocab_size max_position_embeddings hidden_size num_layers num_heads window_size".split()
)


def hidden(config: Config) -> int:
    """Number of units, four times the width unless it is given."""
    return config.optional_size("intermediate_size") or 4 * config.size("hidden_size")


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    aliases = {"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"}
    found = configuration(
        raw, DEFAULTS, COUNTS, "layer_norm_epsilon", "activation_function", aliases
    )
    if found["intermediate_size"] is not None:
        require_sizes(found, "intermediate_size")
    require_divides(found, "num_heads", "hidden_size")
    if found["attention_types"] is None:
        found["attention_types"] = [[list(KINDS), 12]]
    if _layers(found["attention_types"]) != found["num_layers"]:
        raise BadCheckpoint(
            "The configuration should give 'attention_types' as lists of 'global' and 'local' "
            "with how often each is repeated, "
            f"for {found['num_layers']} layers in all; it gives "
            f"{str(found['attention_types'])[:80]}."
        )
    return found


def _layers(types: Json) -> int | None:
    """How many layers the kinds of attention are for; None where they are not what they should
    be.
    """
    count = 0
    for pair in types if isinstance(types, list | tuple) else [types]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        kinds, times = pair
        if not isinstance(kinds, list | tuple) or any(kind not in KINDS for kind in kinds):
            return None
        if not isinstance(times, int) or not 0 < times < 2**16:
            return None
        count += len(kinds) * times
    return count


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a GPT-Neo of that configuration."""
    width, count = config.sizes("hidden_size", "num_heads")
    attention = SelfAttention(count, width // count, NAMES, bias=False, scaled=False)
    feed = FeedForward(
        hidden(config), config.text("activation_function"), ("mlp.c_fc", "mlp.c_proj")
    )
    sizes = Sizes(
        width,
        config.size("num_layers"),
        config.size("vocab_size"),
        config.size("max_position_embeddings"),
    )
    return layer_norm_decoder("gpt_neo", config, sizes, BODY, lambda i: attention, feed, head)


SIZES = sizes_by("hidden_size", "num_layers", "num_heads", "vocab_size", "max_position_embeddings")
SMALL = (
    Config(vocab_size=37, max_position_embeddings=12, hidden_size=24, num_layers=2)
    | dict(attention_types=[[["global", "local"], 1]], num_heads=6, intermediate_size=20)
    | dict(window_size=5, bos_token_id=None, eos_token_id=None)
)

GPT_NEO = family(
    "gpt_neo",
    "GPTNeo",
    "Decoder with learned positions, LayerNorm before each layer, windows in every second layer, "
    "GELU units.",
    "Black et al., GPT-Neo: Large Scale Autoregressive Language Modeling with Mesh-Tensorflow, "
    "2021",
    config,
    structure,
    lambda config: SIZES(config) | {"units": hidden(config)},
    BODY,
    heads("transformer."),
    {
        "gpt_neo": SMALL,
        "gpt_neo-untied": SMALL
        | dict(tie_word_embeddings=False, num_layers=1)
        | dict(attention_types=[[["local"], 1]], intermediate_size=None),
    },
    attention_dropout=0.0,
    resid_dropout=0.0,
    embed_dropout=0.0,
    classifier_dropout=0.0,
)
