"""Vision Transformers and their kin as timm's `VisionTransformer` and `VisionTransformerDistilled`.

ViT, DeiT, DeiT III, DINO and DINOv2, CLIP's and SigLIP's, parallel layers, and hybrids with convolutions before the patches.
Queries, keys and values are fused in `attn.qkv`. Class token, register tokens, positions and patches write to the stream. The
head reads it after the last norm; pooling before or after that norm is the same for a map of the stream. Where a norm stands
before the first block (CLIP), its gains act inside the stream, and only its order is free. Without a head the outputs are the
stream itself, which then does not move; behind attention for pooling (SigLIP) it does.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import timm_layout
from lmc_core.models.family import SHARD, Config, Family, divides, positive_sizes
from lmc_core.models.structure import Structure
from lmc_core.models.timm_body import Attends, Body, Feeds, Pools, body_of
from lmc_core.models.timm_vit import (
    DEFAULTS,
    DISTILLED,
    PLAIN,
    SIZES,
    USUAL,
    arguments,
    classes_of,
    given_arguments,
    probe,
    ratio_is_plausible,
    source,
    switches,
    without_counters,
)

ELSEWHERE = ("beit", "eva", "vision_transformer_relpos")  # modules of timm whose networks are families of their own


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on.

    Raises:
        BadCheckpoint: for sizes that make no network, or an architecture that is built otherwise.
    """
    given = given_arguments(raw, DEFAULTS.keys() | USUAL.keys())
    given = {key: value for key, value in given.items() if key in DEFAULTS or USUAL[key] != value}
    name = str(raw.get("architecture")).partition(".")[0]
    if name in (PLAIN, DISTILLED):
        return _checked(raw, name, DEFAULTS | given)
    switches(given, ("class_token", "qkv_bias", *USUAL))
    if "mlp_ratio" in given:
        ratio_is_plausible(given)
    return _checked(raw, *arguments(name, given))


def _checked(raw: Config, name: str, args: dict[str, Any]) -> dict[str, Any]:
    """The configuration, if its values make a network.

    Raises:
        BadCheckpoint: naming the first that does not.
    """
    chosen = {"architecture": name, "num_classes": classes_of(raw), "model_args": args}
    positive_sizes(args, *SIZES)
    divides(args, "num_heads", "embed_dim")
    divides(args, "patch_size", "img_size")
    switches(args, ("class_token", "qkv_bias", *USUAL))
    ratio_is_plausible(args)
    if args["reg_tokens"] != 0:
        positive_sizes(args, "reg_tokens")
    if args["global_pool"] not in ("token", "avg", "map", ""):
        raise BadCheckpoint(
            f"Pooling {args['global_pool']!r} is not supported: only the class token ('token'), the mean ('avg'), attention "
            "with a learned query ('map') and none ('') commute with a rotation of the stream."
        )
    if not args.get("final_norm", True) and (chosen["num_classes"] or args["global_pool"] == "map"):
        raise BadCheckpoint(
            "Vision Transformers without a last norm (final_norm=false) are supported without a head alone (num_classes=0)."
        )
    if args["global_pool"] == "map" and args["fc_norm"]:
        raise BadCheckpoint("Attention for pooling ('map') is supported with the last norm before it alone (fc_norm=false).")
    if args["global_pool"] == "token" and not args["class_token"]:
        raise BadCheckpoint("Pooling by the class token needs one; the configuration gives class_token=false.")
    usual = ("token", True, 0, None)
    if name == DISTILLED and (
        args.get("no_embed_class")
        or tuple(args[key] for key in ("global_pool", "class_token", "reg_tokens", "fc_norm")) != usual
    ):
        raise BadCheckpoint(
            "A model with a distillation token reads it and the class token, has no others and a usual last norm."
        )
    return chosen


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Timm's names on disk are those in memory, without the numbers of batches that batch norms have seen.

    Raises:
        BadCheckpoint: if there is a head and the configuration says that there is none.
    """
    head = tensors.get("head.weight")
    if head is not None and not config["num_classes"]:
        raise BadCheckpoint(
            f"The configuration gives 'num_classes' as 0, and the file has a head of {head.shape[0]} classes; write that number "
            "into its config.json, or remove the head."
        )
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".num_batches_tracked")}


def build(config: Config) -> nn.Module:
    """A module of timm's own class, randomly initialised, in float32."""
    import timm

    args = config.get("model_args", {})
    return without_counters(timm.create_model(config["architecture"], num_classes=config["num_classes"], **args))


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, classes]` of images `[n, channels, height, width]`, or features `[n, width]` of a model without a head."""
    return module(inputs)


def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
    """Write timm's `config.json` and `model.safetensors`, which `timm.create_model("local-dir:FOLDER")` reads: one file."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"num_features": module.num_features, "global_pool": module.global_pool}
    args = config.get("model_args", {})
    edge, channels = args.get("img_size", 224), args.get("in_chans", 3)
    pretrained = {"input_size": [channels, edge, edge], "num_classes": config["num_classes"]}
    content: dict[str, Any] = {**config, **sizes, "pretrained_cfg": {**config.get("pretrained_cfg", {}), **pretrained}}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n")
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, folder / "model.safetensors", {"format": "pt"})


def body(config: Config) -> Body:
    """What a Vision Transformer of that configuration is made of; plain ones are described without asking timm."""
    name, args = config["architecture"], config["model_args"]
    if name in (PLAIN, DISTILLED):
        return _plain({**USUAL, **args}, config["num_classes"], name == DISTILLED)
    return _read(name, json.dumps(args, sort_keys=True), config["num_classes"])


@functools.lru_cache(maxsize=64)
def _read(name: str, args: str, classes: int) -> Body:
    return body_of(probe(name, args), name, json.loads(args)["depth"], classes)


def _plain(args: dict[str, Any], classes: int, distilled: bool) -> Body:
    width, heads, patch, bias = args["embed_dim"], args["num_heads"], args["patch_size"], args["qkv_bias"]
    tokens = [("class.token", "cls_token", 1)] if args["class_token"] else []
    tokens += [("distillation.token", "dist_token", 1)] if distilled else []
    tokens += [("register.tokens", "reg_token", args["reg_tokens"])] if args["reg_tokens"] else []
    out, pool = args["proj_bias"], args["global_pool"]
    moved = pool == "avg" if args["fc_norm"] is None else args["fc_norm"]
    feeds = Feeds(int(width * args["mlp_ratio"]), "gelu", out)
    return Body(
        width=width,
        depth=args["depth"],
        classes=classes,
        attends=Attends(heads, heads, width // heads, bias, bias, bias, out, normed="layer" if args["qk_norm"] else None),
        feeds=feeds,
        channels=args["in_chans"],
        patch=(patch, patch),
        patches=(args["img_size"] // patch) ** 2,
        tokens=tuple(tokens),
        pool=pool,
        apart=args["no_embed_class"],
        pre_norm=args["pre_norm"],
        last=("fc_norm" if moved else "norm") if args["final_norm"] else None,
        scales=("ls1.gamma", "ls2.gamma") if args["init_values"] else (None, None),
        pooling=Pools(heads, Feeds(feeds.units)) if pool == "map" else None,
    )


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Vision Transformer of that configuration."""
    return timm_layout.write("vit", body(config))


SMALL = {"img_size": 14, "patch_size": 7, "in_chans": 1, "embed_dim": 24, "depth": 2, "num_heads": 3}


def _small(**args: Any) -> dict[str, Any]:
    return {"architecture": PLAIN, "num_classes": 5, "model_args": SMALL | args}


def _recognises(config: Config) -> bool:
    """Any architecture of timm that no other family takes; those without a layout are refused by what they are."""
    name = config.get("architecture")
    return isinstance(name, str) and not config.get("model_type") and source(name) not in ELSEWHERE


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    args = config["model_args"]
    plain = config["architecture"] in (PLAIN, DISTILLED)
    units = int(args["embed_dim"] * args["mlp_ratio"]) if plain else body(config).feeds.units
    return {
        "width": args["embed_dim"],
        "depth": args["depth"],
        "heads": args["num_heads"],
        "units": units,
        "classes": config["num_classes"],
        "patch": args["patch_size"],
        "image": args["img_size"],
        "channels": args["in_chans"],
    }


VIT = Family(
    name="vit",
    sentence="Image classifier on patches, LayerNorm before each layer, GELU units; ViT, DeiT and CLIP's in timm.",
    reference="Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv 2010.11929; DeiT: arXiv 2012.12877",
    takes="images",
    recognises=_recognises,
    build=build,
    outputs=outputs,
    sizes=sizes,
    structure=structure,
    predicts=lambda config: "label" if config["num_classes"] else "features",
    save=save,
    config=config,
    from_disk=from_disk,
    examples={
        "vit": _small(),
        "vit-layerscale-mean": _small(init_values=0.1, global_pool="avg", reg_tokens=2),
        "vit-mean-no-class-token": _small(global_pool="avg", class_token=False, fc_norm=False),
        "vit-norms-on-queries": _small(qk_norm=True, depth=1),
        "vit-no-biases": _small(qkv_bias=False, proj_bias=False),
        "vit-distilled": {**_small(depth=1), "architecture": "deit_small_distilled_patch16_224"},
        "vit-deit3": {**_small(depth=1), "architecture": "deit3_small_patch16_224"},
        "vit-clip": {**_small(depth=1), "architecture": "vit_base_patch16_clip_quickgelu_224"},
    },
)
