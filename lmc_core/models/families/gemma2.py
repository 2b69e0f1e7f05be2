"""Gemma 2 (Gemma team 2024, arXiv 2408.00118), as transformers' `Gemma2ForCausalLM`.

An RMSNorm stands before and behind each layer; gains are stored as 1 + w. The gains behind act
inside the stream, which keeps signed permutations, so a head that shares the token table goes on
sharing it. Scores and logits are capped by c tanh(x / c); no symmetry notices but one, as a number
added to all logits of a token is seen. Every second layer has a sliding window.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import decoder_family, hf
from lmc_core.models.architectures.decoder import Norms, Readers, gated_layer, rms_decoder
from lmc_core.models.architectures.decoder_family import ALL_HEADS, SMALL
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    {key: value for key, value in decoder_family.DEFAULTS.items() if key != "hidden_act"}
    | dict(model_type="gemma2", vocab_size=256000, hidden_size=2304, intermediate_size=9216)
    | dict(num_hidden_layers=26, num_attention_heads=8, num_key_value_heads=4, head_dim=256)
    | dict(hidden_activation="gelu_pytorch_tanh", max_position_embeddings=8192)
    | dict(tie_word_embeddings=True, attention_bias=False, query_pre_attn_scalar=256)
    | dict(sliding_window=4096, layer_types=None, final_logit_softcapping=30.0)
    | dict(attn_logit_softcapping=50.0)
)
NORMS = Norms(
    before=("input_layernorm", "pre_feedforward_layernorm"),
    behind=("post_attention_layernorm", "post_feedforward_layernorm"),
    unit=0.0,
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = decoder_family.configuration(raw, DEFAULTS, even=True, act="hidden_activation")
    if raw.get("use_bidirectional_attention"):
        raise BadCheckpoint(
            "Gemma 2 with use_bidirectional_attention=true is not supported; it predicts no next "
            "token."
        )
    require_sizes(found, "query_pre_attn_scalar")
    for key in ("final_logit_softcapping", "attn_logit_softcapping"):
        if found[key] is not None:
            hf.positive_numbers(found, key)
            found[key] = float(found.number(key))
    return decoder_family.windows(found, always=True)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Gemma 2 of that configuration."""

    def feed_forward(s: Structure, config: Config, i: int) -> Readers:
        at, activation = f"model.layers.{i}.mlp", config.text("hidden_activation")
        return gated_layer(
            s, f"blocks.{i}", at, str(i), config.size("intermediate_size"), activation
        )

    return rms_decoder(
        "gemma2",
        config,
        feed_forward,
        config.flag("attention_bias"),
        norms=NORMS,
        capped=config["final_logit_softcapping"] is not None,
        scaled=False,
    )


GEMMA2 = decoder_family.family(
    "gemma2",
    "Gemma2",
    "Decoder with rotary positions, RMSNorm before and behind each layer, grouped queries, gated "
    "units, capped logits.",
    "Gemma team, Gemma 2: Improving Open Language Models at a Practical Size, 2024, arXiv "
    "2408.00118",
    config,
    structure,
    {
        "gemma2": SMALL
        | dict(head_dim=6, sliding_window=5, query_pre_attn_scalar=9)
        | dict(final_logit_softcapping=2.0),
        "gemma2-untied": SMALL
        | dict(head_dim=8, tie_word_embeddings=False, num_key_value_heads=4)
        | dict(attention_bias=True, attn_logit_softcapping=1.0)
        | dict(final_logit_softcapping=None)
        | dict(layer_types=["full_attention", "full_attention"]),
    },
    heads=ALL_HEADS[:2],
)
