"""Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671), as transformers' `Qwen2ForCausalLM`.

A Llama whose queries, keys and values have biases, and whose output of attention has none: a
value's bias reaches the stream as a constant that no other parameter can take, so it stays where it
is.
"""

from __future__ import annotations

from lmc_core.models.architectures import decoder_family
from lmc_core.models.architectures.decoder import rms_decoder
from lmc_core.models.architectures.decoder_family import SMALL
from lmc_core.models.config import Config

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    decoder_family.DEFAULTS
    | dict(model_type="qwen2", vocab_size=151936, intermediate_size=22016)
    | dict(num_key_value_heads=32, max_position_embeddings=32768, use_sliding_window=False)
    | dict(sliding_window=4096, max_window_layers=28, layer_types=None)
)


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    return decoder_family.windows(decoder_family.configuration(raw, DEFAULTS))


QWEN2 = decoder_family.family(
    "qwen2",
    "Qwen2",
    "Llama with biases of queries, keys and values.",
    "Yang et al., Qwen2 Technical Report, 2024, arXiv 2407.10671",
    config,
    lambda config: rms_decoder("qwen2", config, biases=(True, True, True, False)),
    {
        "qwen2": SMALL,
        "qwen2-tied": SMALL
        | dict(tie_word_embeddings=True, use_sliding_window=True, sliding_window=5)
        | dict(max_window_layers=1),
    },
    span="transformer.",
)
