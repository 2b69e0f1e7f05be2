"""OLMo 3 (OLMo team 2025, arXiv 2512.13961), as transformers' `Olmo3ForCausalLM`.

An OLMo 2 of which three layers of four attend to a sliding window. Rotary positions of layers with
and without a window have settings of their own; an older `rope_scaling` is of those without.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config
from lmc_core.models.families.olmo2 import NORMS
from lmc_core.models.structure import Structure

BASE = 500000.0
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="olmo3", vocab_size=50304, rms_norm_eps=1e-5, attention_bias=False)
    | dict(pad_token_id=1, eos_token_id=50279, sliding_window=4096, layer_types=None)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    bases = {"full_attention": raw.get("rope_theta") or BASE, "sliding_attention": BASE}
    found = decoder_family.configuration(raw, DEFAULTS, bases=bases)
    return decoder_family.windows(found, always=True, every=4)


def structure(config: Config) -> Structure:
    """The spaces and blocks of an OLMo 3 of that configuration."""
    return rms_decoder(
        "olmo3", config, biases=config.flag("attention_bias"), normed="whole", norms=NORMS
    )


SMALL = SMALL | {"sliding_window": 5, "pad_token_id": None}

OLMO3 = decoder_family.family(
    "olmo3",
    "Olmo3",
    "OLMo 2 with a sliding window in three layers of four.",
    "OLMo team, Olmo 3, 2025, arXiv 2512.13961",
    config,
    structure,
    {
        "olmo3": SMALL | {"layer_types": ["sliding_attention", "full_attention"]},
        "olmo3-biases-tied": SMALL
        | dict(num_key_value_heads=4, tie_word_embeddings=True, attention_bias=True)
        | dict(num_hidden_layers=1),
    },
    heads=ALL_HEADS[:1],
)
