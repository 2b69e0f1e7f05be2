"""Gemma 3 (Gemma team 2025, arXiv 2503.19786), the language model, as transformers'
`Gemma3ForCausalLM`.

As Gemma 2, an RMSNorm before and behind each layer with gains stored as 1 + w, which keeps signed
permutations of the stream, and an RMSNorm over each head's queries and keys: one sign for each
rotary pair and key head is left. Gains of queries against those of keys, one factor for each pair,
are counted and not used, since what is stored is not the gain. Most layers have a sliding window
and a rotary base of their own; of a few layers one sees everything. Embeddings are multiplied by
the root of the width. As encoder (EmbeddingGemma) every token sees those on both sides; no symmetry
notices.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family, hf
from lmc_core.models.architectures.decoder import Readers, gated_layer, rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.families.gemma2 import DEFAULTS as GEMMA2_DEFAULTS
from lmc_core.models.families.gemma2 import NORMS
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    {k: v for k, v in GEMMA2_DEFAULTS.items() if k != "attn_logit_softcapping"}
    | dict(model_type="gemma3_text", vocab_size=262208, max_position_embeddings=131072)
    | dict(pad_token_id=0, bos_token_id=2, eos_token_id=1, final_logit_softcapping=None)
    | dict(use_bidirectional_attention=False)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    usual = {
        "full_attention": ("rope_theta", 1e6),
        "sliding_attention": ("rope_local_base_freq", 1e4),
    }
    bases = {kind: raw.get(key) or base for kind, (key, base) in usual.items()}
    found = decoder_family.configuration(
        raw, DEFAULTS, even=True, act="hidden_activation", bases=bases
    )
    require_sizes(found, "query_pre_attn_scalar")
    if found["final_logit_softcapping"] is not None:
        hf.positive_numbers(found, "final_logit_softcapping")
        found["final_logit_softcapping"] = float(found.number("final_logit_softcapping"))
    if raw.get("attn_logit_softcapping") is not None:
        raise BadCheckpoint(
            "Gemma 3 has no cap on its scores: transformers does not apply "
            "attn_logit_softcapping; set it to null."
        )
    pattern = Config(sliding_window_pattern=raw.get("sliding_window_pattern", 6))
    require_sizes(pattern, "sliding_window_pattern")
    decoder_family.windows(found, always=True, every=pattern.size("sliding_window_pattern"))
    _both_sides(found, raw)
    return found


def _both_sides(found: Config, raw: Config) -> None:
    """Check whether tokens see those behind them; then half the window lies on each side, and its
    size is even.
    """
    if found["use_bidirectional_attention"] is None:
        found["use_bidirectional_attention"] = False
    hf.switches(found, "use_bidirectional_attention")
    if not found["use_bidirectional_attention"]:
        return
    if raw.class_name("ForCausalLM").endswith("ForCausalLM"):
        raise BadCheckpoint(
            "Gemma 3 with use_bidirectional_attention=true predicts no next token; it is "
            "supported as Gemma3TextModel."
        )
    window = found.size("sliding_window")
    if window < 2:
        raise BadCheckpoint(
            "The configuration should give 'sliding_window' as 2 or more where both sides are seen."
        )
    found["sliding_window"] = window - window % 2


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Gemma 3 of that configuration."""

    def feed_forward(s: Structure, config: Config, i: int) -> Readers:
        at, activation = f"model.layers.{i}.mlp", config.text("hidden_activation")
        return gated_layer(
            s, f"blocks.{i}", at, str(i), config.size("intermediate_size"), activation
        )

    return rms_decoder(
        "gemma3_text",
        config,
        feed_forward,
        config.flag("attention_bias"),
        normed=True,
        norms=NORMS,
        capped=config["final_logit_softcapping"] is not None,
        scaled=False,
    )


SMALL = SMALL | {"sliding_window": 5, "query_pre_attn_scalar": 9}

GEMMA3 = decoder_family.family(
    "gemma3_text",
    "Gemma3Text",
    "Gemma 2 with norms on queries and keys, two rotary bases, and most layers with a sliding "
    "window.",
    "Gemma team, Gemma 3 Technical Report, 2025, arXiv 2503.19786",
    config,
    structure,
    {
        "gemma3": SMALL | {"head_dim": 6, "sliding_window_pattern": 2},
        "gemma3-untied": SMALL
        | dict(head_dim=8, tie_word_embeddings=False, attention_bias=True)
        | dict(final_logit_softcapping=2.0),
        "gemma3-both-sides": SMALL
        | dict(head_dim=6, use_bidirectional_attention=True)
        | dict(architectures=["Gemma3TextModel"]),
    },
    heads=("ForSequenceClassification",),
    language="Gemma3ForCausalLM",
)
