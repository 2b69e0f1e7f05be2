"""OLMo 2 (OLMo team 2024, arXiv 2501.00656), as transformers' `Olmo2ForCausalLM`.

RMSNorms stand behind each layer, not before it: their gains act inside the stream, which keeps
signed permutations. Another RMSNorm goes over the queries of all heads together, one over the keys,
with a gain for each coordinate of each head, so that gains move with their heads. The token table
is scaled with the gains of all norms that write to the stream, and whatever reads the stream is
divided by the same number, except where a norm follows.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import Norms, rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = {
    key: value for key, value in decoder_family.DEFAULTS.items() if key != "head_dim"
} | dict(model_type="olmo2", vocab_size=50304, rms_norm_eps=1e-5, attention_bias=False)
NORMS = Norms(before=None, behind=("post_attention_layernorm", "post_feedforward_layernorm"))


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return decoder_family.configuration(raw, DEFAULTS)


def structure(config: Config) -> Structure:
    """The spaces and blocks of an OLMo 2 of that configuration."""
    return rms_decoder(
        "olmo2", config, biases=config.flag("attention_bias"), normed="whole", norms=NORMS
    )


OLMO2 = decoder_family.family(
    "olmo2",
    "Olmo2",
    "Decoder with rotary positions, RMSNorm behind each layer, norms on queries and keys, gated "
    "units.",
    "OLMo team, 2 OLMo 2 Furious, 2024, arXiv 2501.00656",
    config,
    structure,
    {
        "olmo2": SMALL | {"num_key_value_heads": 4},
        "olmo2-groups-tied": SMALL | {"tie_word_embeddings": True, "attention_bias": True},
    },
    heads=ALL_HEADS[:1],
)
