"""GPT-BigCode (Ben Allal et al. 2023, arXiv 2301.03988), which are SantaCoder and StarCoder, as
transformers' `GPTBigCodeForCausalLM`, its body alone, and with heads for labels.

A GPT-2 with ordinary linear layers in which all queries share one key and value head, or none do; a
layer holds them group by group.
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
    TOKENS,
    configuration,
    family,
    refuse,
    sizes_by,
)
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.structure import Structure

BODY = Body("transformer.", "wte", "h", ("ln_1", "ln_2"), "ln_f", positions="wpe")
NAMES = ("attn.c_attn", "attn.c_proj")
ALIASES = dict(max_position_embeddings="n_positions", hidden_size="n_embd") | dict(
    num_attention_heads="n_head", num_hidden_layers="n_layer"
)

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    TOKENS
    | dict(model_type="gpt_bigcode", vocab_size=50257, n_positions=1024, n_embd=768)
    | dict(n_layer=12, n_head=12, n_inner=None, activation_function="gelu_pytorch_tanh")
    | dict(layer_norm_epsilon=1e-5, scale_attn_weights=True, multi_query=True)
    | dict(tie_word_embeddings=True, bos_token_id=50256, eos_token_id=50256)
)
COUNTS = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
USUAL = {"add_cross_attention": (False, "it reads a second text")}


def hidden(config: Config) -> int:
    """Number of units, four times the width unless it is given."""
    return config.optional_size("n_inner") or 4 * config.size("n_embd")


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    refuse(raw, USUAL, "GPT-BigCode")
    found = configuration(
        raw, DEFAULTS, COUNTS, "layer_norm_epsilon", "activation_function", ALIASES
    )
    if found["n_inner"] is not None:
        require_sizes(found, "n_inner")
    require_divides(found, "n_head", "n_embd")
    return found


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a GPT-BigCode of that configuration."""
    width, count = config.sizes("n_embd", "n_head")
    attention = SelfAttention(
        count,
        width // count,
        NAMES,
        groups=1 if config["multi_query"] else count,
        fused="groups",
        scaled=config.flag("scale_attn_weights"),
    )
    feed = FeedForward(
        hidden(config), config.text("activation_function"), ("mlp.c_fc", "mlp.c_proj")
    )
    sizes = Sizes(
        width, config.size("n_layer"), config.size("vocab_size"), config.size("n_positions")
    )
    return layer_norm_decoder("gpt_bigcode", config, sizes, BODY, lambda i: attention, feed, head)


SIZES = sizes_by("n_embd", "n_layer", "n_head", "vocab_size", "n_positions")
SMALL = Config(vocab_size=37, n_positions=12, n_embd=24, n_layer=2, n_head=3, n_inner=20) | dict(
    bos_token_id=None, eos_token_id=None
)

GPT_BIGCODE = family(
    "gpt_bigcode",
    "GPTBigCode",
    "Decoder with learned positions, LayerNorm before each layer, queries that share one key, "
    "GELU units.",
    "Ben Allal et al., SantaCoder: don't reach for the stars!, 2023, arXiv 2301.03988; Li et al., "
    "StarCoder, arXiv 2305.06161",
    config,
    structure,
    lambda config: (
        SIZES(config)
        | {
            "key heads": 1 if config["multi_query"] else config.size("n_head"),
            "units": hidden(config),
        }
    ),
    BODY,
    heads("transformer.", without=("ForQuestionAnswering",)),
    {
        "gpt_bigcode": SMALL | {"multi_query": False},
        "gpt_bigcode-one-key": SMALL
        | dict(tie_word_embeddings=False, n_layer=1, activation_function="relu")
        | dict(scale_attn_weights=False),
    },
    attn_pdrop=0.0,
    resid_pdrop=0.0,
    embd_pdrop=0.0,
    classifier_dropout=0.0,
)
