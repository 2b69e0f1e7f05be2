"""Command R7B and Command A (Cohere 2025, arXiv 2504.00698), as transformers' `Cohere2ForCausalLM`
and its body alone.

A Command R in which most layers attend to a window with rotary positions, and every fourth to
everything without any: there the whole query/key plane is free.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures.decoder_family import windows
from lmc_core.models.architectures.heads import Head
from lmc_core.models.architectures.layer_norm_decoder import SelfAttention, layer_norm_decoder
from lmc_core.models.architectures.layer_norm_family import family
from lmc_core.models.config import Config
from lmc_core.models.families.cohere import (
    BODY,
    COMMON,
    HEADS,
    SIZES,
    SMALL,
    attention,
    common,
    feed,
    sizes,
)
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = COMMON | {"model_type": "cohere2", "sliding_window": 4096, "layer_types": None}


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    every = raw.get("sliding_window_pattern", 4)  # as the first files say it
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise BadCheckpoint(
            "The configuration should give 'sliding_window_pattern' as a number of layers; it "
            f"gives {every!r}."
        )
    return windows(common(raw, DEFAULTS, 10000.0), always=True, every=every)


def structure(config: Config, head: Head) -> Structure:
    """The spaces and blocks of a Command R7B of that configuration."""
    kinds = config.entries("layer_types", str)

    def attend(i: int) -> SelfAttention:
        return attention(config, rotary=kinds[i] == "sliding_attention")

    return layer_norm_decoder("cohere2", config, sizes(config), BODY, attend, feed(config), head)


COHERE2 = family(
    "cohere2",
    "Cohere2",
    "Command R with windows in most layers, and no positions in the others.",
    "Cohere, Command A: An Enterprise-Ready Large Language Model, 2025, arXiv 2504.00698",
    config,
    structure,
    SIZES,
    BODY,
    HEADS,
    {
        "cohere2": SMALL | {"sliding_window": 5, "sliding_window_pattern": 2},
        "cohere2-biases-untied": SMALL
        | dict(attention_bias=True, tie_word_embeddings=False, num_hidden_layers=1)
        | dict(layer_types=["full_attention"]),
    },
    attention_dropout=0.0,
)
