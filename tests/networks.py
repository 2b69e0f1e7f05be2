"""Small random networks for tests of the mathematics: float64, every parameter away from its special initial value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state

GPT2 = {"vocab_size": 31, "n_positions": 12, "n_embd": 24, "n_layer": 2, "n_head": 3}
VIT = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 5,
    "model_args": {"img_size": 14, "patch_size": 7, "in_chans": 1, "embed_dim": 24, "depth": 2, "num_heads": 3},
}

# Configurations that take every branch of the two layouts.
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied": ("gpt2", GPT2 | {"tie_word_embeddings": False, "n_inner": 40, "activation_function": "gelu_pytorch_tanh"}),
    "gpt2-few-tokens": ("gpt2", GPT2 | {"vocab_size": 5, "n_positions": 4}),
    "gpt2-one-head": ("gpt2", GPT2 | {"n_head": 1, "n_layer": 1}),
    "vit": ("vit", VIT),
    "vit-layerscale-mean": (
        "vit",
        VIT | {"model_args": VIT["model_args"] | {"init_values": 0.1, "global_pool": "avg", "reg_tokens": 2}},
    ),
    "vit-mean-no-class-token": (
        "vit",
        VIT | {"model_args": VIT["model_args"] | {"global_pool": "avg", "class_token": False, "fc_norm": False}},
    ),
}


def random_model(name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> Model:
    """A model of one of the configurations, with gains, offsets and biases that are far from 1 and 0."""
    family_name, raw = CONFIGURATIONS[name]
    family = FAMILIES[family_name]
    config = family.config(raw)
    torch.manual_seed(seed)
    state = {n: t.double() for n, t in untied_state(family.build(config)).items()}
    state = {n: (t + 0.3 * torch.randn_like(t)).to(dtype) for n, t in state.items()}
    return Model(f"{name}-s{seed}", family, config, state).check()


def random_inputs(model: Model, count: int = 4, seed: int = 0) -> Tensor:
    """Inputs of the right shape."""
    generator = torch.Generator().manual_seed(seed)
    if model.family.takes == "text":
        sizes = model.family.sizes(model.config)
        return torch.randint(sizes["tokens"], (count, sizes["context"]), generator=generator)
    args = model.config["model_args"]
    shape = (count, args["in_chans"], args["img_size"], args["img_size"])
    return torch.randn(shape, generator=generator, dtype=torch.float64)
