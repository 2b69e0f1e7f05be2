"""The arguments of timm's Vision Transformers: read from timm's own module of an architecture, built without any memory.

Architectures that compute alike (`vit_small_patch16_224`, `deit_small_patch16_224`) get one name and all their arguments, so
that their models can be compared; those whose norms or activation arguments cannot say keep their own name.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from lmc_core.errors import BadCheckpoint

PLAIN, DISTILLED = "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"
BEGINNINGS = ("vit_", "deit_", "deit3_", "eva_large_", "flexivit_")
SUPPORTED = "the ViT, DeiT and DeiT III that are pre-norm with LayerNorm, a plain feed-forward layer and learned positions"

DEFAULTS: dict[str, Any] = {  # of timm's `vit_tiny_patch16_224`
    "embed_dim": 192,
    "depth": 12,
    "num_heads": 3,
    "mlp_ratio": 4,
    "img_size": 224,
    "patch_size": 16,
    "in_chans": 3,
    "class_token": True,
    "reg_tokens": 0,
    "init_values": None,
    "qkv_bias": True,
    "global_pool": "token",
    "fc_norm": None,
}
# further arguments, which a configuration has only where they are not as usual
USUAL: dict[str, Any] = {
    "qk_norm": False,
    "proj_bias": True,
    "no_embed_class": False,
    "pre_norm": False,
    "final_norm": True,
    "pool_include_prefix": False,
}
ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_pytorch_tanh", "QuickGELU": "quick_gelu", "SiLU": "silu", "ReLU": "relu"}


def arguments(architecture: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an architecture.

    Args:
        architecture: timm's name, without a tag.
        given: arguments that differ from its own.

    Returns:
        The name by which models that compute alike go, and every argument.

    Raises:
        BadCheckpoint: if timm has no such architecture, or it is built otherwise.
    """
    module = probe(architecture, json.dumps(dict(given), sort_keys=True))
    found = _arguments(module, given)
    name = DISTILLED if hasattr(module, "dist_token") else PLAIN
    small = {**found, "depth": 1}
    if name == architecture or _text(probe(name, json.dumps(small))) == _text(probe(architecture, json.dumps(small))):
        return name, found
    return architecture, found


def activation(architecture: str) -> str:
    """The activation of an architecture, by transformers' name."""
    if architecture in (PLAIN, DISTILLED):
        return "gelu"
    return ACTIVATIONS[type(probe(architecture, json.dumps({"depth": 1})).blocks[0].mlp.act).__name__]  # type: ignore[index]


@functools.lru_cache(maxsize=64)
def probe(architecture: str, given: str) -> nn.Module:
    """Module of timm on the meta device, of one block where the depth is given.

    Args:
        architecture: timm's name, without a tag.
        given: further arguments, as JSON.
    """
    import timm
    import torch

    settings = json.loads(given)
    if "depth" in settings:
        settings["depth"] = 1
    if not timm.is_model(architecture):
        raise BadCheckpoint(f"timm has no architecture {architecture!r}; supported are {SUPPORTED}.")
    try:
        with torch.device("meta"):
            module = timm.create_model(architecture, **{"num_classes": 1, **settings})
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise BadCheckpoint(
            f"timm cannot build {architecture!r} with the arguments of the configuration ({reason})."
        ) from error
    _require_plain(architecture, module)
    return module


def _require_plain(architecture: str, module: Any) -> None:
    """Raise `BadCheckpoint` unless the module has the parts that the layout describes, naming the first that it lacks."""
    if type(module).__name__ not in ("VisionTransformer", "VisionTransformerDistilled"):
        raise BadCheckpoint(f"timm's {architecture!r} is of the class {type(module).__name__}; supported are {SUPPORTED}.")
    block = module.blocks[0]
    wanted = [(block, "Block")]
    if type(block).__name__ == "Block":
        wanted += [
            (block.norm1, "LayerNorm"),
            (block.attn, "Attention"),
            (block.mlp, "Mlp"),
            (module.patch_embed, "PatchEmbed"),
        ]
    for part, name in wanted:
        if type(part).__name__ != name:
            raise BadCheckpoint(f"timm's {architecture!r} has {type(part).__name__} for {name}; supported are {SUPPORTED}.")
    for part, what in (
        (block.attn.norm, "a norm on what attention writes"),
        (block.mlp.norm, "a norm inside its feed-forward layer"),
        (module.patch_embed.norm, "a norm on its patches"),
        (module.attn_pool or nn.Identity(), "attention for pooling"),
    ):
        if not isinstance(part, nn.Identity):
            raise BadCheckpoint(f"timm's {architecture!r} has {what}; supported are {SUPPORTED}.")
    for missing, what in (
        (module.pos_embed is None, "no learned positions"),
        (module.dynamic_img_size, "images of varying size"),
        (block.attn.gate is not None, "gated attention"),
        (type(block.mlp.act).__name__ not in ACTIVATIONS, f"the activation {type(block.mlp.act).__name__}"),
    ):
        if missing:
            raise BadCheckpoint(f"timm's {architecture!r} has {what}; supported are {SUPPORTED}.")


def _arguments(module: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument, from the module; those of `DEFAULTS` always, the others where they are not as usual."""
    block, patches = module.blocks[0], module.patch_embed
    width, hidden = module.embed_dim, block.mlp.fc1.out_features
    ratio = hidden / width if int(width * (hidden / width)) == hidden else (hidden + 0.5) / width
    moved = not isinstance(module.fc_norm, nn.Identity)  # the last norm stands behind the pooling
    final = moved or not isinstance(module.norm, nn.Identity)
    pooled = module.global_pool in ("avg", "avgmax", "max")
    scales = block.ls1 if hasattr(block.ls1, "gamma") else None
    found = {
        "embed_dim": width,
        "depth": given.get("depth", len(module.blocks)),
        "num_heads": block.attn.num_heads,
        "mlp_ratio": int(ratio) if ratio == int(ratio) else ratio,
        "img_size": _edge(patches.img_size, "images"),
        "patch_size": _edge(patches.patch_size, "patches"),
        "in_chans": module.in_chans,
        "class_token": module.cls_token is not None,
        "reg_tokens": module.num_reg_tokens,
        "init_values": scales.init_values if scales is not None else None,
        "qkv_bias": block.attn.qkv.bias is not None,
        "global_pool": module.global_pool,
        "fc_norm": None if not final or moved == pooled else moved,
    }
    further = {
        "qk_norm": not isinstance(block.attn.q_norm, nn.Identity),
        "proj_bias": block.attn.proj.bias is not None,
        "no_embed_class": module.no_embed_class,
        "pre_norm": not isinstance(module.norm_pre, nn.Identity),
        "final_norm": final,
        "pool_include_prefix": module.pool_include_prefix,
    }
    return found | {key: value for key, value in further.items() if value != USUAL[key]}


def _edge(sizes: tuple[int, int], what: str) -> int:
    if sizes[0] != sizes[1]:
        raise BadCheckpoint(f"Only square {what} are supported; the configuration gives {list(sizes)}.")
    return int(sizes[0])


def _text(module: nn.Module) -> str:
    """What a module computes, in words: its parts with their settings, and the shapes of its parameters."""
    return f"{module!r} {[(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]}"
