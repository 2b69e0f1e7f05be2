"""Tiny checkpoints, written as their libraries write them: the same bytes on every machine.

Neither torch nor the package takes part: a key holds the digest of the weights, and golden keys
must not depend on how a library draws its first weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

Shapes = dict[str, tuple[int, ...]]
DEPTH, HEADS, CLASSES, CHARACTERS, CONTEXT = 2, 2, 10, 81, 32
NORMS = ("ln_", "norm")  # names of gains, which lie around one


def write_gpt2(folder: Path, seed: int, width: int = 16) -> Path:
    """Write a GPT-2 for the task `plays`, as transformers does."""
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": CHARACTERS,
        "n_positions": CONTEXT,
        "n_embd": width,
        "n_layer": DEPTH,
        "n_head": HEADS,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    shapes: Shapes = {"wte.weight": (CHARACTERS, width), "wpe.weight": (CONTEXT, width)}
    for block in range(DEPTH):
        for name, (rows, columns) in {
            "attn.c_attn": (width, 3 * width),
            "attn.c_proj": (width, width),
            "mlp.c_fc": (width, 4 * width),
            "mlp.c_proj": (4 * width, width),
        }.items():
            shapes |= {
                f"h.{block}.{name}.weight": (rows, columns),
                f"h.{block}.{name}.bias": (columns,),
            }
        for name in ("ln_1", "ln_2"):
            shapes |= {f"h.{block}.{name}.{part}": (width,) for part in ("weight", "bias")}
    shapes |= {f"ln_f.{part}": (width,) for part in ("weight", "bias")}
    shapes = {f"transformer.{name}": shape for name, shape in shapes.items()}
    return _write(folder, config, shapes, seed, "gpt2", "plays")


def write_vit(folder: Path, seed: int, width: int = 16) -> Path:
    """Write a Vision Transformer for the task `fashion-mnist`, as timm does."""
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": CLASSES,
        "model_args": {
            "img_size": 28,
            "patch_size": 14,
            "in_chans": 1,
            "embed_dim": width,
            "depth": DEPTH,
            "num_heads": HEADS,
            "mlp_ratio": 4,
        },
    }
    shapes: Shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 5, width),
        "patch_embed.proj.weight": (width, 1, 14, 14),
        "patch_embed.proj.bias": (width,),
    }
    for block in range(DEPTH):
        for name, (rows, columns) in {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.fc1": (4 * width, width),
            "mlp.fc2": (width, 4 * width),
        }.items():
            shapes |= {
                f"blocks.{block}.{name}.weight": (rows, columns),
                f"blocks.{block}.{name}.bias": (rows,),
            }
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{name}.{part}": (width,) for part in ("weight", "bias")}
    shapes |= {f"norm.{part}": (width,) for part in ("weight", "bias")}
    shapes |= {"head.weight": (CLASSES, width), "head.bias": (CLASSES,)}
    return _write(folder, config, shapes, seed, "vit", "fashion-mnist")


def write_mixtral(folder: Path, seed: int, width: int = 16, experts: int = 3) -> Path:
    """Write a Mixtral for the task `plays`, as transformers does."""
    size = width // HEADS
    config = {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "vocab_size": CHARACTERS,
        "max_position_embeddings": CONTEXT,
        "hidden_size": width,
        "intermediate_size": 24,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "head_dim": size,
        "num_local_experts": experts,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    shapes: Shapes = {"model.embed_tokens.weight": (CHARACTERS, width)}
    for block in range(DEPTH):
        head = f"model.layers.{block}"
        shapes |= {
            f"{head}.self_attn.q_proj.weight": (width, width),
            f"{head}.self_attn.k_proj.weight": (size, width),
            f"{head}.self_attn.v_proj.weight": (size, width),
            f"{head}.self_attn.o_proj.weight": (width, width),
            f"{head}.block_sparse_moe.gate.weight": (experts, width),
            f"{head}.input_layernorm.weight": (width,),
            f"{head}.post_attention_layernorm.weight": (width,),
        }
        for expert in range(experts):
            inner = f"{head}.block_sparse_moe.experts.{expert}"
            shapes |= {
                f"{inner}.w1.weight": (24, width),
                f"{inner}.w2.weight": (width, 24),
                f"{inner}.w3.weight": (24, width),
            }
    shapes |= {"model.norm.weight": (width,), "lm_head.weight": (CHARACTERS, width)}
    return _write(folder, config, shapes, seed, "mixtral", "plays")


def _write(
    folder: Path, config: dict[str, Any], shapes: Shapes, seed: int, family: str, task: str
) -> Path:
    random = np.random.default_rng(seed)
    tensors = {name: _draw(random, name, shape) for name, shape in sorted(shapes.items())}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    card = {"name": folder.name, "family": family, "task": task, "seed": seed}
    (folder / "card.json").write_text(json.dumps(card))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def _draw(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers that a network of this size works with; rounded, so that no last digit
    depends on the machine.
    """
    if len(shape) == 1:
        values = 0.1 * random.standard_normal(shape)
        values += any(norm in name for norm in NORMS) and name.endswith("weight")
    else:
        values = random.standard_normal(shape) / np.sqrt(max(16, shape[-1]))
    return (np.round(values * 2**12) / 2**12).astype(np.float32)
