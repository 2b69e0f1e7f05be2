"""The settings each zoo model was trained with, as data. `lmc train NAME` reads them; the model's
card repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from lmc_core.errors import UnknownName
from lmc_core.models.config import Config, Json


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Attributes:
        name: of the model that results, e.g. ``vit-fashion-s0``.
        family: which family's `build` makes the network.
        task: what it learns.
        config: what the family builds from.
        seed: of the initialisation; data order and augmentation use a generator of their own,
            seeded by `seed` + 10,000.
        steps: optimiser steps; the rate rises over `warmup` of them, then falls linearly to zero.
        batch: examples a step.
        learning_rate: the peak rate.
        weight_decay: AdamW's, on matrices only.
        clip: largest norm of the gradient.
        length: window of a text task, in tokens.
        shift: images are moved by up to this many pixels, and mirrored; None for neither.
        label_smoothing: share of the target spread over all classes.
        dropout: share of the stream's updates that is dropped in training; attention weights are
            never dropped.
        optimizer: ``adamw``, or ``muon`` (hidden matrices by orthogonalised momentum, Jordan et al.
            2024; the rest by AdamW).
        muon_rate: Muon's peak rate.
        balance: weight of the load-balancing loss of mixtures of experts (Fedus, Zoph, Shazeer
            2021), 0 for none.
    """

    name: str
    family: str
    task: str
    config: Config
    seed: int = 0
    steps: int = 2000
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: int = 100
    clip: float = 1.0
    length: int = 128
    shift: int | None = None
    label_smoothing: float = 0.0
    dropout: float = 0.0
    optimizer: str = "adamw"
    muon_rate: float = 0.02
    balance: float = 0.0
    betas: tuple[float, float] = field(default=(0.9, 0.98))

    def settings(self) -> dict[str, object]:
        """Everything as plain JSON values."""
        return {**asdict(self), "betas": list(self.betas)}


def _vit(name: str, seed: int, width: int, heads: int, steps: int = 4000) -> Recipe:
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 10,
        "model_args": {
            "img_size": 28,
            "patch_size": 7,
            "in_chans": 1,
            "embed_dim": width,
            "depth": 4,
            "num_heads": heads,
            "mlp_ratio": 4,
        },
    }
    return Recipe(
        name,
        "vit",
        "fashion-mnist",
        Config(config),
        seed=seed,
        steps=steps,
        batch=128,
        shift=2,
        warmup=200,
        optimizer="muon",
    )


def _text(
    name: str,
    family: str,
    config: Mapping[str, Json],
    seed: int,
    steps: int = 2400,
    **changes: object,
) -> Recipe:
    common = Recipe(name, family, "plays", Config(config), seed, steps, 16, 3e-3, weight_decay=0.1)
    return replace(common, **changes)


def _gpt2(
    name: str,
    seed: int,
    width: int,
    heads: int,
    steps: int = 2400,
    task: str = "plays",
    depth: int = 4,
) -> Recipe:
    config = {
        "vocab_size": 81,
        "n_positions": 128,
        "n_embd": width,
        "n_layer": depth,
        "n_head": heads,
        "activation_function": "gelu_pytorch_tanh",
        "bos_token_id": None,
        "eos_token_id": None,
    }
    return _text(name, "gpt2", config, seed, steps, task=task)


# What the models with rotary positions have in common.
_ROTARY = {
    "vocab_size": 81,
    "max_position_embeddings": 128,
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "bos_token_id": None,
    "eos_token_id": None,
    "tie_word_embeddings": False,
}


def _llama(seed: int) -> Recipe:
    config = {"model_type": "llama", **_ROTARY, "num_key_value_heads": 2, "intermediate_size": 344}
    return _text(f"llama-plays-s{seed}", "llama", config, seed)


def _llama_broad(seed: int) -> Recipe:
    shape = {
        **_ROTARY,
        "hidden_size": 256,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "intermediate_size": 688,
    }
    config = {"model_type": "llama", **shape}
    return _text(f"llama-plays-broad-s{seed}", "llama", config, seed)


def _neox(seed: int) -> Recipe:
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}
    config = {
        "model_type": "gpt_neox",
        **_ROTARY,
        "intermediate_size": 512,
        "rope_parameters": rope,
    }
    return _text(f"neox-plays-s{seed}", "gpt_neox", config, seed)


def _mixtral(seed: int) -> Recipe:
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 192}
    config = {"model_type": "mixtral", **_ROTARY, "num_key_value_heads": 2, **experts}
    return _text(f"mixtral-plays-s{seed}", "mixtral", config, seed, steps=2000, balance=0.01)


def _qwen_moe(seed: int) -> Recipe:
    experts = {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "shared_expert_intermediate_size": 128,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    }
    config = {
        "model_type": "qwen2_moe",
        **_ROTARY,
        "num_key_value_heads": 2,
        "intermediate_size": 256,
        **experts,
    }
    return _text(f"qwen-moe-plays-s{seed}", "qwen2_moe", config, seed, steps=2000, balance=0.01)


def _vit_hf(seed: int) -> Recipe:
    config = {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "image_size": 28,
        "patch_size": 7,
        "num_channels": 1,
        "hidden_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 384,
        "num_labels": 10,
    }
    return Recipe(
        f"vit-hf-fashion-s{seed}",
        "vit_hf",
        "fashion-mnist",
        Config(config),
        seed=seed,
        steps=4000,
        batch=128,
        shift=2,
        warmup=200,
        optimizer="muon",
    )


def _other(recipe: Recipe, name: str, optimizer: str, **changes: object) -> Recipe:
    """The same network, learned by the other optimiser than the models beside which it stands."""
    return replace(recipe, name=name, optimizer=optimizer, **changes)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in [
        *[_vit(f"vit-fashion-s{seed}", seed, 96, 4) for seed in range(4)],
        _vit("vit-fashion-narrow-s0", 0, 48, 4),
        _vit("vit-fashion-wide-s0", 0, 144, 4, steps=2500),
        _other(_vit("", 1, 96, 4), "vit-fashion-with-adamw-s1", "adamw"),
        *[_gpt2(f"gpt2-plays-s{seed}", seed, 128, 4) for seed in range(4)],
        _gpt2("gpt2-plays-narrow-s0", 0, 64, 4, steps=4000),
        *[_gpt2(f"gpt2-plays-broad-s{seed}", seed, 256, 4, depth=3) for seed in range(2)],
        _other(_gpt2("", 1, 128, 4), "gpt2-plays-with-muon-s1", "muon", steps=1200),
        *[_gpt2(f"gpt2-austen-s{seed}", seed, 128, 4, task="austen") for seed in range(2)],
        *[_llama(seed) for seed in range(3)],
        *[_llama_broad(seed) for seed in range(2)],
        *[_neox(seed) for seed in range(3)],
        *[_mixtral(seed) for seed in range(3)],
        *[_qwen_moe(seed) for seed in range(3)],
        *[_vit_hf(seed) for seed in range(2)],
    ]
}


FURTHER: dict[str, Recipe] = {
    recipe.name: recipe for recipe in [_gpt2("gpt2-plays-wide-s0", 0, 192, 4, steps=1200)]
}
"""Recipes of models that are not shipped, for what takes width."""


def get_recipe(name: str, **changes: object) -> Recipe:
    """Return the recipe of that name, with some settings changed.

    Raises:
        UnknownName: if there is none.
    """
    known = RECIPES | FURTHER
    if name not in known:
        raise UnknownName.of("recipe", name, known)
    return replace(known[name], **changes)
