"""SmolLM3 (Bakouch et al. 2025, no paper; after Yang et al. 2025, arXiv 2501.18795), as
transformers' `SmolLM3ForCausalLM`.

A Llama of which every fourth layer has no rotary positions, unless its configuration says another
order. Where there are none only the product of query and key is seen, so that their plane takes any
invertible map, and the bias of keys, if any, adds one number to all scores of a query.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import head_dim, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL, WINDOWS
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="smollm3", vocab_size=128256, hidden_size=2048, num_hidden_layers=36)
    | dict(num_attention_heads=16, num_key_value_heads=4, max_position_embeddings=32768)
    | dict(attention_bias=False, mlp_bias=False, tie_word_embeddings=True)
    | dict(pad_token_id=128004, bos_token_id=128000, eos_token_id=128001)
    | dict(use_sliding_window=False, sliding_window=None, layer_types=None)
    | dict(no_rope_layers=None)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(raw, DEFAULTS, theta=2e6)
    depth, rotary = found.size("num_hidden_layers"), found["no_rope_layers"]
    if rotary is None:
        every = Config(no_rope_layer_interval=raw.get("no_rope_layer_interval", 4))
        require_sizes(every, "no_rope_layer_interval")
        rotary = [int((i + 1) % every.size("no_rope_layer_interval") != 0) for i in range(depth)]
    if (
        not isinstance(rotary, list)
        or len(rotary) < depth
        or any(each not in (0, 1) for each in rotary)
    ):
        raise BadCheckpoint(
            "The configuration should give 'no_rope_layers' as 0 or 1 for each layer, 0 for one "
            "without rotary "
            f"positions; it gives {str(rotary)[:80]}."
        )
    turned = found["no_rope_layers"] = [int(each == 1) for each in rotary[:depth]]
    if found["layer_types"] is None:
        window = found["use_sliding_window"] and found["sliding_window"] is not None
        found["layer_types"] = [WINDOWS[bool(window and not each)] for each in turned]
    return decoder_family.windows(found)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a SmolLM3 of that configuration."""
    pairs, rotary = Pairs(head_dim(config)), config.entries("no_rope_layers", int)
    return rms_decoder(
        "smollm3",
        config,
        biases=config.flag("attention_bias"),
        rotary=lambda i: pairs if rotary[i] else None,
    )


SMALL = SMALL | {"pad_token_id": None, "no_rope_layer_interval": 2}

SMOLLM3 = decoder_family.family(
    "smollm3",
    "SmolLM3",
    "Llama of which some layers have no rotary positions.",
    "Bakouch et al., SmolLM3: smol, multilingual, long-context reasoner, 2025; arXiv 2501.18795 "
    "for its layers",
    config,
    structure,
    {
        "smollm3": SMALL,
        "smollm3-biases": SMALL
        | dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=False)
        | dict(num_key_value_heads=4)
        | {"use_sliding_window": True, "sliding_window": 5, "no_rope_layers": [0, 1]},
    },
    span="transformer.",
)
