"""Llama (Touvron et al. 2023, arXiv 2302.13971), as transformers' `LlamaForCausalLM`.

RMSNorm before each layer, rotary positions in half-split order, grouped queries, gated units (SwiGLU).
"""

from __future__ import annotations

from typing import Any

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.decoder import head_dim, rms_decoder, sizes
from lmc_core.models.family import Config, Family, divides, positive_sizes
from lmc_core.models.parts import POINTWISE
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = hf.chosen(raw, DEFAULTS) | {"rope_parameters": hf.rope(raw)}
    found["num_key_value_heads"] = found["num_key_value_heads"] or found["num_attention_heads"]
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    positive_sizes(found, *names, "num_key_value_heads", "max_position_embeddings")
    if found["head_dim"] is None:
        divides(found, "num_attention_heads", "hidden_size")
    found["head_dim"] = head_dim(found)
    positive_sizes(found, "head_dim")
    divides(found, "num_key_value_heads", "num_attention_heads")
    if found["head_dim"] % 2:
        raise BadCheckpoint(f"Rotary positions need an even head_dim; the configuration gives {found['head_dim']}.")
    return found


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Llama of that configuration."""
    hf.activation(config, "hidden_act", POINTWISE, "Llama")
    return rms_decoder("llama", config, biases=(bool(config["attention_bias"]),) * 4)


SMALL: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 37,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 12,
}

LLAMA = Family(
    name="llama",
    sentence="Decoder with rotary positions, RMSNorm before each layer, grouped queries, gated units.",
    reference="Touvron et al., LLaMA: Open and Efficient Foundation Language Models, 2023, arXiv 2302.13971",
    takes="text",
    recognises=lambda config: config.get("model_type") == "llama",
    build=lambda config: hf.build(config, "LlamaConfig", "LlamaForCausalLM", attention_dropout=0.0),
    outputs=hf.logits,
    sizes=sizes,
    structure=structure,
    predicts=lambda config: "next",
    save=hf.save,
    config=config,
    from_disk=hf.as_on_disk,
    examples={
        "llama": SMALL,
        "llama-biases-tied": SMALL | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        "llama-all-heads": SMALL | {"num_key_value_heads": 4, "num_hidden_layers": 1, "rope_theta": 500.0},
    },
)
