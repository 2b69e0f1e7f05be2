"""The arguments of timm's Vision Transformers: read from timm's own module of an architecture,
built without any memory.

Architectures that compute alike (`vit_small_patch16_224`, `deit_small_patch16_224`) get one name
and all their arguments, so that their models can be compared; those whose norms or activation
arguments cannot say keep their own name.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import nn
from lmc_core.models.architectures import hf
from lmc_core.models.architectures.timm_body import CLASSES, SUPPORTED, Body
from lmc_core.models.architectures.timm_reader import read_body
from lmc_core.models.config import Config, require_sizes

PLAIN, DISTILLED = "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"

# of timm's `vit_tiny_patch16_224`
DEFAULTS = (
    Config(embed_dim=192, depth=12, num_heads=3, mlp_ratio=4, img_size=224, patch_size=16)
    | dict(in_chans=3, class_token=True, reg_tokens=0, init_values=None, qkv_bias=True)
    | dict(global_pool="token", fc_norm=None)
)
# further arguments, which a configuration has only where they are not as usual
USUAL = Config(qk_norm=False, proj_bias=True, no_embed_class=False, pre_norm=False) | dict(
    final_norm=True, pool_include_prefix=False, dynamic_img_size=False
)
SIZES = ("embed_dim", "depth", "num_heads", "img_size", "patch_size", "in_chans")
# settings that matter in training alone
TRAINING = set(
    (
        "drop_rate pos_drop_rate patch_drop_rate proj_drop_rate attn_drop_rate drop_path_rate "
        "weight_init fix_init head_init_scale rope_shift_coords rope_jitter_coords "
        "rope_rescale_coords"
    ).split()
)


@functools.lru_cache(maxsize=256)
def source(architecture: str) -> str:
    """The module of timm that an architecture is written in, "eva" for example; "" where there is
    none.
    """
    if architecture in (PLAIN, DISTILLED):
        return "vision_transformer"
    import timm

    name = architecture.partition(".")[0]
    return (
        timm.models.model_entrypoint(name).__module__.rpartition(".")[2]
        if timm.is_model(name)
        else ""
    )


def given_arguments(raw: Config, known: set[str]) -> Config:
    """Arguments that a file gives: under `model_args`, and what timm takes from the rest; those of
    training are left out.

    Args:
        raw: the content of the file.
        known: names that are supported.

    Raises:
        BadCheckpoint: for one that is not.
    """
    given = raw.get("model_args") or {}
    if not isinstance(given, dict):
        raise BadCheckpoint(
            f"The configuration should give 'model_args' as an object; it gives {given!r}."
        )
    for key in given:
        if key not in known and key not in TRAINING and key != "num_classes":
            raise BadCheckpoint(
                f"Vision Transformers with {key!r} under 'model_args' are not supported."
            )
    pretrained = raw.get("pretrained_cfg")
    pretrained = pretrained if isinstance(pretrained, dict) else {}
    found = Config({key: value for key, value in given.items() if key in known})
    pooling = raw.get("global_pool", pretrained.get("global_pool"))
    if pooling is not None:
        found.setdefault("global_pool", pooling)
    size = pretrained.get("input_size")
    if isinstance(size, list | tuple) and len(size) == 3:
        found.setdefault("in_chans", size[0])
        if pretrained.get("fixed_input_size") and not found.get("dynamic_img_size"):
            found.setdefault("img_size", size[1] if size[1] == size[2] else list(size[1:]))
    for key in ("img_size", "patch_size"):
        value = found.get(key)
        if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
            found[key] = value[0]
    require_sizes(found, *[key for key in SIZES if key in found])
    return found


def read_classes(raw: Config) -> int:
    """Number of classes, 0 for a model without a head: what `model_args` says comes first, as in
    timm.

    Raises:
        BadCheckpoint: if it is no number of classes.
    """
    args = raw.get("model_args")
    value = raw.get("num_classes", 1000)
    if isinstance(args, dict) and args.get("num_classes") is not None:
        value = args["num_classes"]
    if value == 0 and not isinstance(value, bool):
        return 0
    chosen = Config(num_classes=value)
    require_sizes(chosen, "num_classes")
    return chosen.size("num_classes")


def ratio_is_plausible(args: Config) -> None:
    """Raise `BadCheckpoint` unless the share of units to width is a positive number."""
    value = args["mlp_ratio"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1024:
        raise BadCheckpoint(
            f"The configuration should give 'mlp_ratio' as a positive number; it gives {value!r}."
        )


def arguments(architecture: str, given: Config) -> tuple[str, Config]:
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
    body = read_body(module, architecture, 1, 1)
    if CLASSES[type(module).__name__] != "vit":
        raise BadCheckpoint(
            f"timm's {architecture!r} is of the class {type(module).__name__}, a family of its own."
        )
    found = _arguments(module, body, given)
    name = DISTILLED if hasattr(module, "dist_token") else PLAIN
    small = found | {"depth": 1}
    if name == architecture or print_module(probe(name, json.dumps(small))) == print_module(
        probe(architecture, json.dumps(small))
    ):
        return name, found
    return architecture, found


@functools.lru_cache(maxsize=64)
def probe(architecture: str, given: str) -> nn.Module:
    """Module of timm on the meta device, of one block if it can be built with one.

    Args:
        architecture: timm's name, without a tag.
        given: further arguments, as JSON.

    Raises:
        BadCheckpoint: if timm has no such architecture, or cannot build it with these arguments.
    """
    import timm

    if not timm.is_model(architecture):
        raise BadCheckpoint(
            f"timm has no architecture {architecture!r}; supported are {SUPPORTED}."
        )
    settings = json.loads(given)
    try:
        return _built(architecture, settings | ({"depth": 1} if "depth" in settings else {}))
    except BadCheckpoint:
        if "depth" in settings:  # where layers differ, each has its setting
            return _built(architecture, settings)
        raise


def _built(architecture: str, settings: Config) -> nn.Module:
    import timm
    import torch

    from lmc_core.models.model import Uninitialised  # it loads torch, which lists do without

    try:
        # filling tensors without memory takes nine tenths of the time
        with torch.device("meta"), Uninitialised():
            return timm.create_model(architecture, **{"num_classes": 1, **settings})
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())[:100]
        raise BadCheckpoint(
            f"timm cannot build {architecture!r} with the arguments of the configuration "
            f"({reason})."
        ) from error


def _arguments(module: Any, body: Body, given: Config) -> Config:
    """Every argument of a `VisionTransformer`; those of `DEFAULTS` always, the others where they
    are not as usual.
    """
    patches, attends = module.patch_embed, body.attends
    moved = body.last == "fc_norm"  # the last norm stands behind the pooling
    pooled = module.global_pool in ("avg", "avgmax", "max")
    scales = next((part for part in module.modules() if type(part).__name__ == "LayerScale"), None)
    found = {
        "embed_dim": body.width,
        "depth": given.get("depth", len(module.blocks)),
        "num_heads": attends.heads,
        "mlp_ratio": ratio(body.width, body.feeds.units * (2 if body.feeds.gate else 1)),
        "img_size": edge(patches.img_size, "images"),
        "patch_size": edge(patches.patch_size, "patches"),
        "in_chans": module.in_chans,
        "class_token": module.cls_token is not None,
        "reg_tokens": module.num_reg_tokens,
        "init_values": getattr(scales, "init_values", None),
        "qkv_bias": attends.value_bias,
        "global_pool": module.global_pool,
        "fc_norm": None if body.last is None or moved == pooled else moved,
    }
    further = (
        Config(qk_norm=attends.normed is not None, proj_bias=attends.output_bias)
        | dict(no_embed_class=module.no_embed_class, pre_norm=body.pre_norm)
        | dict(final_norm=body.last is not None)
        | dict(pool_include_prefix=module.pool_include_prefix)
        | dict(dynamic_img_size=module.dynamic_img_size)
    )
    return Config(found | {key: value for key, value in further.items() if value != USUAL[key]})


def ratio(width: int, hidden: int) -> int | float:
    """The share of units to width from which timm makes that number of units."""
    share = hidden / width if int(width * (hidden / width)) == hidden else (hidden + 0.5) / width
    return int(share) if share == int(share) else share


def edge(sizes: tuple[int, int], what: str) -> int:
    """The edge of a square.

    Raises:
        BadCheckpoint: if it is none.
    """
    if sizes[0] != sizes[1]:
        raise BadCheckpoint(
            f"Only square {what} are supported; the configuration gives img_size as {list(sizes)}."
        )
    return int(sizes[0])


def print_module(module: nn.Module) -> str:
    """What a module computes, in words: its parts with their settings, and the shapes of its
    parameters.
    """
    shapes = [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]
    return f"{module!r} {shapes}"


def without_counters(module: nn.Module) -> nn.Module:
    """The same module, whose batch norms no longer count batches; only training reads that."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.num_batches_tracked = None
    return module


def switches(args: Config, names: tuple[str, ...]) -> None:
    """Raise `BadCheckpoint` unless each of the names that are given is true or false."""
    hf.switches(args, *names)
