"""Tiny random models of the zoo's tasks, as ordinary checkpoint folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": 81, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2},
    "llama": {
        "model_type": "llama",
        "vocab_size": 81,
        "max_position_embeddings": 32,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 12,
        "tie_word_embeddings": False,
        "bos_token_id": None,
    },
    "vit": {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 10,
        "model_args": {
            "img_size": 28,
            "patch_size": 14,
            "in_chans": 1,
            "embed_dim": 16,
            "depth": 2,
            "num_heads": 2,
            "mlp_ratio": 4,
        },
    },
    "mixtral": {
        "model_type": "mixtral",
        "vocab_size": 81,
        "max_position_embeddings": 32,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_local_experts": 3,
        "num_experts_per_tok": 2,
        "intermediate_size": 12,
        "tie_word_embeddings": False,
        "bos_token_id": None,
    },
}
TASKS = {"gpt2": "plays", "llama": "plays", "vit": "fashion-mnist", "mixtral": "plays"}


def configuration(family: str, **changes: Any) -> dict[str, Any]:
    """The tiny configuration of a family with some sizes changed, wherever its `config.json` holds
    them.
    """
    raw = json.loads(json.dumps(CONFIGURATIONS[family]))
    for name, value in changes.items():
        (raw["model_args"] if name in raw.get("model_args", {}) else raw)[name] = value
    return raw


def tiny(family: str, seed: int = 0, **changes: Any) -> Model:
    """A random model whose gains and biases are away from their initial ones and zeros."""
    chosen = FAMILIES[family]
    config = chosen.config(configuration(family, **changes))
    torch.manual_seed(seed)
    state = {
        name: tensor + 0.1 * torch.randn_like(tensor)
        for name, tensor in untied_state(chosen.build(config)).items()
    }
    return Model(f"tiny-{family}-s{seed}", chosen, config, state).check()


def write(folder: Path, model: Model, card: bool = True) -> Path:
    """Write a model as its own library does, with a card that says the task."""
    model.save(folder)
    if card:
        content = {
            "name": model.name,
            "family": model.family.name,
            "task": TASKS[model.family.name],
            "seed": 0,
        }
        (folder / "card.json").write_text(json.dumps(content))
    return folder
