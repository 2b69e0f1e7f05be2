"""Vision Transformers and their kin as timm's `VisionTransformer` and `VisionTransformerDistilled`.

ViT, DeiT, DeiT III, DINO and DINOv2, CLIP's and SigLIP's, parallel layers, and hybrids with
convolutions before the patches. Queries, keys and values are fused in `attn.qkv`. Class token,
register tokens, positions and patches write to the stream. The head reads it after the last norm;
pooling before or after that norm is the same for a map of the stream. Where a norm stands before
the first block (CLIP), its gains act inside the stream, and only its order is free. Without a head
the outputs are the stream itself, which then does not move; behind attention for pooling (SigLIP)
it does.
"""

from __future__ import annotations

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import timm_family, timm_layout
from lmc_core.models.architectures.timm_body import Attends, Body, Feeds, Pools
from lmc_core.models.architectures.timm_vit import (
    DEFAULTS,
    DISTILLED,
    PLAIN,
    SIZES,
    USUAL,
    arguments,
    given_arguments,
    ratio_is_plausible,
    read_classes,
    source,
    switches,
)
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.structure import Structure

# modules of timm whose networks are families of their own
ELSEWHERE = ("beit", "eva", "vision_transformer_relpos")


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on.

    Raises:
        BadCheckpoint: for sizes that make no network, or an architecture that is built otherwise.
    """
    given = given_arguments(raw, DEFAULTS.keys() | USUAL.keys())
    given = Config({k: value for k, value in given.items() if k in DEFAULTS or USUAL[k] != value})
    name = str(raw.get("architecture")).partition(".")[0]
    if name in (PLAIN, DISTILLED):
        return _checked(raw, name, DEFAULTS | given)
    switches(given, ("class_token", "qkv_bias", *USUAL))
    if "mlp_ratio" in given:
        ratio_is_plausible(given)
    return _checked(raw, *arguments(name, given))


def _checked(raw: Config, name: str, args: Config) -> Config:
    """The configuration, if its values make a network.

    Raises:
        BadCheckpoint: naming the first that does not.
    """
    chosen = Config(architecture=name, num_classes=read_classes(raw), model_args=args)
    require_sizes(args, *SIZES)
    require_divides(args, "num_heads", "embed_dim")
    if args.get("dynamic_img_size"):  # otherwise pixels at the edge may belong to no patch
        require_divides(args, "patch_size", "img_size")
    switches(args, ("class_token", "qkv_bias", *USUAL))
    ratio_is_plausible(args)
    if args["reg_tokens"] != 0:
        require_sizes(args, "reg_tokens")
    if args["global_pool"] not in ("token", "avg", "map", ""):
        raise BadCheckpoint(
            f"Pooling {args['global_pool']!r} is not supported: only the class token ('token'), "
            "the mean ('avg'), attention "
            "with a learned query ('map') and none ('') commute with a rotation of the stream."
        )
    if not args.get("final_norm", True) and (chosen["num_classes"] or args["global_pool"] == "map"):
        raise BadCheckpoint(
            "Vision Transformers without a last norm (final_norm=false) are supported without a "
            "head alone (num_classes=0)."
        )
    if args["global_pool"] == "map" and args["fc_norm"]:
        raise BadCheckpoint(
            "Attention for pooling ('map') is supported with the last norm before it alone "
            "(fc_norm=false)."
        )
    if args["global_pool"] == "token" and not args["class_token"]:
        raise BadCheckpoint(
            "Pooling by the class token needs one; the configuration gives class_token=false."
        )
    usual = ("token", True, 0, None)
    if name == DISTILLED and (
        args.get("no_embed_class")
        or tuple(args[key] for key in ("global_pool", "class_token", "reg_tokens", "fc_norm"))
        != usual
    ):
        raise BadCheckpoint(
            "A model with a distillation token reads it and the class token, has no others and a "
            "usual last norm."
        )
    return chosen


def body(config: Config) -> Body:
    """What a Vision Transformer of that configuration is made of; plain ones are described without
    asking timm.
    """
    name, args = config.text("architecture"), config.part("model_args")
    if name in (PLAIN, DISTILLED):
        return _plain(Config(USUAL) | args, config.size("num_classes"), name == DISTILLED)
    return timm_family.read(config)


def _plain(args: Config, classes: int, distilled: bool) -> Body:
    width, heads, patch = args.sizes("embed_dim", "num_heads", "patch_size")
    bias, out, pool = args.flag("qkv_bias"), args.flag("proj_bias"), args.text("global_pool")
    extra = args.size("reg_tokens")
    tokens = [("class.token", "cls_token", 1)] if args["class_token"] else []
    tokens += [("distillation.token", "dist_token", 1)] if distilled else []
    tokens += [("register.tokens", "reg_token", extra)] if extra else []
    moved = pool == "avg" if args["fc_norm"] is None else args["fc_norm"]
    feeds = Feeds(int(width * args.number("mlp_ratio")), "gelu", out)
    return Body(
        width=width,
        depth=args.size("depth"),
        classes=classes,
        attends=Attends(
            heads,
            heads,
            width // heads,
            bias,
            bias,
            bias,
            out,
            normed="layer" if args["qk_norm"] else None,
        ),
        feeds=feeds,
        channels=args.size("in_chans"),
        patch=(patch, patch),
        patches=(args.size("img_size") // patch) ** 2,
        tokens=tuple(tokens),
        pool=pool,
        apart=args.flag("no_embed_class"),
        pre_norm=args.flag("pre_norm"),
        last=("fc_norm" if moved else "norm") if args["final_norm"] else None,
        scales=("ls1.gamma", "ls2.gamma") if args["init_values"] else (None, None),
        pooling=Pools(heads, Feeds(feeds.units)) if pool == "map" else None,
    )


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Vision Transformer of that configuration."""
    return timm_layout.write("vit", body(config))


SMALL = Config(img_size=14, patch_size=7, in_chans=1, embed_dim=24, depth=2, num_heads=3)

POOLED = {"global_pool": "map", "class_token": False}


def _small(**args: Json) -> Config:
    return Config(architecture=PLAIN, num_classes=5, model_args=SMALL | args)


def _recognises(config: Config) -> bool:
    """Any architecture of timm that no other family takes; those without a layout are refused by
    what they are.
    """
    name = config.get("architecture")
    return isinstance(name, str) and not config.get("model_type") and source(name) not in ELSEWHERE


VIT = Family(
    name="vit",
    sentence="Image classifier on patches, LayerNorm before each layer, GELU units; ViT, DeiT and "
    "CLIP's in timm.",
    reference="Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv 2010.11929; DeiT: "
    "arXiv 2012.12877",
    takes="images",
    recognises=_recognises,
    build=timm_family.build,
    outputs=timm_family.outputs,
    sizes=lambda config: timm_family.sizes(config, body(config)),
    structure=structure,
    predicts=timm_family.predicts,
    save=timm_family.save,
    config=config,
    from_disk=timm_family.from_disk,
    examples={
        "vit": _small(),
        "vit-layerscale-mean": _small(init_values=0.1, global_pool="avg", reg_tokens=2),
        "vit-mean-no-class-token": _small(global_pool="avg", class_token=False, fc_norm=False),
        "vit-norms-on-queries": _small(qk_norm=True, depth=1),
        "vit-no-biases": _small(qkv_bias=False, proj_bias=False),
        "vit-distilled": {**_small(depth=1), "architecture": "deit_small_distilled_patch16_224"},
        "vit-deit3": {**_small(depth=1), "architecture": "deit3_small_patch16_224"},
        "vit-clip": {**_small(depth=1), "architecture": "vit_base_patch16_clip_quickgelu_224"},
        "vit-features": {**_small(depth=1), "num_classes": 0},
        "vit-stream": {**_small(depth=1, final_norm=False, init_values=0.1), "num_classes": 0},
        "vit-siglip-features": {**_small(depth=1, mlp_ratio=1.5, **POOLED), "num_classes": 0},
        "vit-siglip": {**_small(depth=1, mlp_ratio=1.5, **POOLED), "num_classes": 30},
        "vit-gated": {**_small(depth=1), "architecture": "vit_giant_patch14_dinov2"},
        "vit-parallel": {**_small(depth=1), "architecture": "vit_pwee_patch16_reg1_gap_256"},
        "vit-side-by-side": {
            **_small(depth=1, mlp_ratio=1.5),
            "architecture": "vit_small_patch16_18x2_224",
        },
        "vit-hybrid": {
            **_small(depth=1, img_size=32, patch_size=4),
            "architecture": "vit_tiny_r_s16_p8_224",
        },
    },
)
