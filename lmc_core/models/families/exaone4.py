"""EXAONE 4 (LG AI Research 2025, arXiv 2507.11407), as transformers' `Exaone4ForCausalLM`.

RMSNorms stand behind each layer, not before it, as in OLMo 2, so that the stream keeps signed
permutations. Another RMSNorm goes over each head's queries and keys, as in Qwen3. Where layers with
and without a sliding window alternate, those without have no rotary positions: there coordinates of
queries and keys take any order and signs, alike in all heads, since the gains are common to them.
(Signs may even differ from head to head, which is not used.)
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import head_dim, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL, WINDOWS
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.families.olmo2 import NORMS
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="exaone4", vocab_size=102400, intermediate_size=16384)
    | dict(num_key_value_heads=32, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=2)
    | dict(sliding_window=4096, layer_types=None)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(raw, DEFAULTS)
    if found["sliding_window"] is None:  # the classes read no pattern then
        kinds = found["layer_types"] or [WINDOWS[0]] * found.size("num_hidden_layers")
        if kinds != [WINDOWS[0]] * found.size("num_hidden_layers"):
            raise BadCheckpoint(
                "The configuration gives sliding_window=null; every layer should be "
                "'full_attention'."
            )
        return found | {"layer_types": kinds}
    window = found["sliding_window"]
    pattern = {"sliding_window_pattern": raw.get("sliding_window_pattern", 4)}
    if found["layer_types"] is None:
        require_sizes(pattern, "sliding_window_pattern")
    require_sizes(found, "sliding_window")
    every = pattern["sliding_window_pattern"]
    found = decoder_family.windows(found, always=True, every=every if isinstance(every, int) else 1)
    return found | {"sliding_window": window}


def structure(config: Config) -> Structure:
    """The spaces and blocks of an EXAONE 4 of that configuration."""
    kinds, pairs = config.entries("layer_types", str), Pairs(head_dim(config))
    everywhere = config["sliding_window"] is None
    return rms_decoder(
        "exaone4",
        config,
        normed=True,
        norms=NORMS,
        rotary=lambda i: pairs if everywhere or kinds[i] == WINDOWS[1] else None,
    )


EXAONE4 = decoder_family.family(
    "exaone4",
    "Exaone4",
    "Decoder with RMSNorm behind each layer and on queries and keys, without rotary positions "
    "where it sees everything.",
    "LG AI Research, EXAONE 4.0: Unified Large Language Models, 2025, arXiv 2507.11407",
    config,
    structure,
    {
        "exaone4": SMALL | {"sliding_window": 5, "sliding_window_pattern": 2},
        "exaone4-rotary-tied": SMALL
        | dict(sliding_window=None, tie_word_embeddings=True, num_key_value_heads=4)
        | dict(num_hidden_layers=1),
    },
    span="transformer.",
)
