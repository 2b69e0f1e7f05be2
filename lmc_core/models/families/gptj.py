"""GPT-J (Wang, Komatsuzaki 2021), as transformers' `GPTJForCausalLM`, its body alone, and with
heads for labels and spans.

Attention without biases and units with them read one LayerNorm in parallel. Rotary positions turn
neighbouring coordinates of the first part of each head. The head has a bias.
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
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

BODY = Body("transformer.", "wte", "h", ("ln_1",), "ln_f", parallel=True, head_bias=True)
NAMES = tuple(f"attn.{part}_proj" for part in ("q", "k", "v", "out"))
ALIASES = dict(max_position_embeddings="n_positions", hidden_size="n_embd") | dict(
    num_attention_heads="n_head", num_hidden_layers="n_layer"
)

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="gptj", vocab_size=50400, n_positions=2048, n_embd=4096, n_layer=28)
    | dict(n_head=16, rotary_dim=64, n_inner=None, activation_function="gelu_new")
    | dict(layer_norm_epsilon=1e-5, tie_word_embeddings=False, bos_token_id=50256)
    | dict(eos_token_id=50256)
)
COUNTS = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "rotary_dim")


def hidden(config: Config) -> int:
    """Number of units, four times the width unless it is given."""
    return config.optional_size("n_inner") or 4 * config.size("n_embd")


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = configuration(
        raw, DEFAULTS, COUNTS, "layer_norm_epsilon", "activation_function", ALIASES
    )
    if found["n_inner"] is not None:
        require_sizes(found, "n_inner")
    require_divides(found, "n_head", "n_embd")
    size = found.size("n_embd") // found.size("n_head")
    if found.size("rotary_dim") % 2 or found.size("rotary_dim") > size:
        raise BadCheckpoint(
            f"Rotary positions turn an even number of a head's {size} coordinates; the "
            "configuration asks for "
            f"{found['rotary_dim']}."
        )
    return found


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a GPT-J of that configuration."""
    count, size = config.size("n_head"), config.size("n_embd") // config.size("n_head")
    pairs = Pairs(config.size("rotary_dim"), interleaved=True)
    attention = SelfAttention(count, size, NAMES, bias=False, output_bias=False, pairs=pairs)
    feed = FeedForward(
        hidden(config), config.text("activation_function"), ("mlp.fc_in", "mlp.fc_out")
    )
    sizes = Sizes(config.size("n_embd"), config.size("n_layer"), config.size("vocab_size"))
    return layer_norm_decoder("gptj", config, sizes, BODY, lambda i: attention, feed, head)


SIZES = sizes_by("n_embd", "n_layer", "n_head", "vocab_size", "n_positions")
SMALL = Config(vocab_size=37, n_positions=12, n_embd=24, n_layer=2, n_head=3, rotary_dim=4) | dict(
    n_inner=20, bos_token_id=None, eos_token_id=None
)

GPTJ = family(
    "gptj",
    "GPTJ",
    "Decoder with partial rotary positions of neighbours; attention and GELU units read one "
    "LayerNorm in parallel.",
    "Wang and Komatsuzaki, GPT-J-6B: A 6 Billion Parameter Autoregressive Language Model, 2021",
    config,
    structure,
    lambda config: SIZES(config) | {"units": hidden(config)},
    BODY,
    heads("transformer.", without=("ForTokenClassification",)),
    {
        "gptj": SMALL,
        "gptj-all-rotated-tied": SMALL
        | {"rotary_dim": 8, "tie_word_embeddings": True, "n_layer": 1},
    },
    attn_pdrop=0.0,
    resid_pdrop=0.0,
    embd_pdrop=0.0,
)
