"""Phi-3 and Phi-4 (Abdin et al. 2024, arXiv 2404.14219), as transformers' `Phi3ForCausalLM`.

A Llama whose queries, keys and values come from one matrix, queries of all heads first, and gates
and `up` from another. Phi-4 mini rotates a part of each head; the coordinates behind it take any
invertible map. Long contexts rescale each frequency by a factor of its own ("longrope"), which
turns pairs as before.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import (
    Readers,
    fused_gated,
    head_dim,
    rms_decoder,
    rotated,
)
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.parts import attention, attention_products
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="phi3", vocab_size=32064, hidden_size=3072, intermediate_size=8192)
    | dict(max_position_embeddings=4096, original_max_position_embeddings=4096)
    | dict(rms_norm_eps=1e-5, sliding_window=None, pad_token_id=32000, bos_token_id=1)
    | dict(eos_token_id=32000)
)
OLDER = ("su", "yarn")  # names that the first files have for "longrope"


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(_renamed(raw), DEFAULTS, partial=1.0)
    kind = found.part("rope_parameters").text("rope_type")
    if kind not in ("default", "longrope"):
        raise BadCheckpoint(
            f"Phi-3 knows rotary positions of the types default and longrope, not {kind!r}."
        )
    require_sizes(found, "original_max_position_embeddings")
    if (
        kind == "longrope"
        and head_dim(found) * found.size("num_attention_heads") != found["hidden_size"]
    ):
        raise BadCheckpoint(
            "Phi-3 with rotary positions of the type 'longrope' needs heads that add up to the "
            "width."
        )
    if found["sliding_window"] is not None:
        require_sizes(found, "sliding_window")
    return found


def _renamed(raw: Config) -> Config:
    """The same with today's name of rotary positions for long contexts, and the length that they
    are told apart by.
    """
    key = "rope_scaling" if raw.get("rope_scaling") else "rope_parameters"
    given, length = raw.get(key), "original_max_position_embeddings"
    if not isinstance(given, dict):
        return raw
    kind = given.get("rope_type") or given.get("type")
    found = raw | {key: {**given, "rope_type": "longrope" if kind in OLDER else kind}}
    return Config({length: DEFAULTS[length]}) | found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Phi-3 of that configuration."""
    heads, groups = config.sizes("num_attention_heads", "num_key_value_heads")
    size = head_dim(config)

    def attend(s: Structure, config: Config, i: int) -> Readers:
        on, at = f"blocks.{i}", f"model.layers.{i}.self_attn"
        a = attention(s, str(i), heads, size, groups, pairs=Pairs(rotated(config)))
        parts = zip(
            ("query", "key", "value"),
            (a.query, a.key, a.value),
            (heads, groups, groups),
            strict=True,
        )
        rows, start, blocks = (heads + 2 * groups) * size, 0, []
        for part, pattern, count in parts:
            cut = f"[{start}:{start + count * size}/{rows}]"
            blocks.append((f"{on}.{part}.weight", f"{cut} {pattern} -residual"))
            start += count * size
        s.fused(f"{at}.qkv_proj.weight", (rows, config.size("hidden_size")), blocks)
        s.linear(f"{on}.output", f"{at}.o_proj", "+residual", a.output, bias=False)
        attention_products(s, a, on, False, False, False, False)
        return [(block, None) for block, _ in blocks]

    return rms_decoder("phi3", config, fused_gated, attend=attend)


SMALL = SMALL | {"pad_token_id": None}
LONG = {"type": "su", "short_factor": [1.0, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0]}

PHI3 = decoder_family.family(
    "phi3",
    "Phi3",
    "Llama with one matrix for queries, keys and values, and one for gates and `up`.",
    "Abdin et al., Phi-3 Technical Report, 2024, arXiv 2404.14219",
    config,
    structure,
    {
        "phi3": SMALL,
        "phi3-partial-tied": SMALL
        | dict(head_dim=8, partial_rotary_factor=0.5, tie_word_embeddings=True)
        | dict(sliding_window=5),
        "phi3-long": SMALL
        | {"num_key_value_heads": 4, "rope_scaling": LONG, "original_max_position_embeddings": 6},
    },
    heads=ALL_HEADS[:2],
    resid_pdrop=0.0,
    embd_pdrop=0.0,
)
