"""Vision Transformer (Dosovitskiy et al. 2020, arXiv 2010.11929), as timm's `VisionTransformer`.

Queries, keys and values are fused in `attn.qkv`. Class token, register tokens, positions and patches write to the stream. The
head reads it after the last norm; pooling before or after that norm is the same for a map of the stream.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models.family import Config, Family, divides, positive_sizes
from lmc_core.models.parts import attention, attention_products, layer_norm_stream, units
from lmc_core.models.structure import Structure
from lmc_core.symmetry.rewrite import LayerScale

REFUSED = {
    "pre_norm": "a norm before the first block",
    "qk_norm": "norms on queries and keys",
    "final_norm": "no last norm",
    "no_embed_class": "positions without a place for the class token",
    "dynamic_img_size": "images of varying size",
}
# settings that matter in training alone
TRAINING = {
    "drop_rate",
    "pos_drop_rate",
    "patch_drop_rate",
    "proj_drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "weight_init",
}
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
BASE = "vit_tiny_patch16_224"


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on.

    Raises:
        BadCheckpoint: for sizes that make no network, or an architecture whose sizes are not in the file.
    """
    given = raw.get("model_args") or {}
    if not isinstance(given, dict):
        raise BadCheckpoint(f"The configuration should give 'model_args' as an object; it gives {given!r}.")
    for key in given:
        if key not in DEFAULTS and key not in REFUSED and key not in TRAINING:
            raise BadCheckpoint(f"Vision Transformers with {key!r} under 'model_args' are not supported.")
    args = DEFAULTS | {key: value for key, value in given.items() if key not in TRAINING}
    if raw.get("architecture") != BASE:
        raise BadCheckpoint(
            f"timm's architecture {raw.get('architecture')!r} is not supported here; Vision Transformers are expected as "
            f"{BASE!r} with their sizes under 'model_args'."
        )
    if "global_pool" in raw and "global_pool" not in given:
        args["global_pool"] = raw["global_pool"]
    chosen = {"architecture": BASE, "num_classes": raw.get("num_classes", 1000), "model_args": args}
    positive_sizes(chosen, "num_classes")
    positive_sizes(args, "embed_dim", "depth", "num_heads", "img_size", "patch_size", "in_chans")
    divides(args, "num_heads", "embed_dim")
    divides(args, "patch_size", "img_size")
    if not isinstance(args["mlp_ratio"], int | float) or not 0 < args["mlp_ratio"] < 1024:
        raise BadCheckpoint(f"The configuration should give 'mlp_ratio' as a positive number; it gives {args['mlp_ratio']!r}.")
    _facts(chosen)
    return chosen


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Timm's names on disk are those in memory."""
    return tensors


def build(config: Config) -> nn.Module:
    """A timm `VisionTransformer`, randomly initialised, in float32."""
    import timm

    return timm.create_model(config["architecture"], num_classes=config["num_classes"], **config.get("model_args", {}))


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, classes]` of images `[n, channels, height, width]`."""
    return module(inputs)


def save(module: nn.Module, config: Config, folder: Path) -> None:
    """Write timm's `config.json` and `model.safetensors`, which `timm.create_model("local-dir:FOLDER")` reads."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"num_features": module.num_features, "global_pool": module.global_pool}
    args = config.get("model_args", {})
    edge, channels = args.get("img_size", 224), args.get("in_chans", 3)
    pretrained = {"input_size": [channels, edge, edge], "num_classes": config["num_classes"]}
    content: dict[str, Any] = {**config, **sizes, "pretrained_cfg": {**config.get("pretrained_cfg", {}), **pretrained}}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n")
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, folder / "model.safetensors", {"format": "pt"})


def _facts(config: Config) -> dict[str, Any]:
    """Sizes and switches: what the configuration says, else timm's defaults for `VisionTransformer`."""
    args = DEFAULTS | dict(config.get("model_args", {}))
    for key, what in REFUSED.items():
        if args.get(key, key == "final_norm") != (key == "final_norm"):
            raise BadCheckpoint(f"Vision Transformers with {what} ({key}={args[key]}) are not supported.")
    if not args["qkv_bias"]:
        raise BadCheckpoint("Vision Transformers without biases on queries, keys and values are not supported.")
    args["hidden"] = int(args["embed_dim"] * args["mlp_ratio"])
    pooled = args["global_pool"] in ("avg", "avgmax", "max")
    args["last_norm"] = "fc_norm" if (pooled if args["fc_norm"] is None else args["fc_norm"]) else "norm"
    if args["global_pool"] not in ("token", "avg"):
        raise BadCheckpoint(
            f"Pooling {args['global_pool']!r} is not supported: only the class token ('token') and the mean ('avg') "
            "commute with a rotation of the stream."
        )
    return args


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Vision Transformer of that configuration."""
    f = _facts(config)
    width, heads, patch, classes = f["embed_dim"], f["num_heads"], f["patch_size"], config["num_classes"]
    tokens = (f["img_size"] // patch) ** 2 + int(f["class_token"]) + f["reg_tokens"]
    s = Structure("vit")
    layer_norm_stream(s, width)
    constants = []
    if f["class_token"]:
        s.parameter("class.token", "cls_token", "* +residual", (1, 1, width))
        constants.append("class.token")
    if f["reg_tokens"]:
        s.parameter("register.tokens", "reg_token", "* +residual", (1, f["reg_tokens"], width))
    s.parameter("position.table", "pos_embed", "* +residual", (1, tokens, width))
    s.parameter("patch.weight", "patch_embed.proj.weight", "+residual *", (width, f["in_chans"], patch, patch))
    s.parameter("patch.bias", "patch_embed.proj.bias", "+residual", (width,))
    for name in (*constants, *["register.tokens"] * f["reg_tokens"], "patch.bias"):  # one for every row that meets a position
        s.add("sums", (name, "position.table"))
    for i in range(f["depth"]):
        on, at = f"blocks.{i}", f"blocks.{i}"
        a = attention(s, str(i), heads, width // heads)
        parts = list(zip(("query", "key", "value"), (a.query, a.key, a.value), strict=True))
        s.fused(
            f"{at}.attn.qkv.weight",
            (3 * width, width),
            [(f"{on}.{part}.weight", f"{j}/3 {pattern} -residual") for j, (part, pattern) in enumerate(parts)],
        )
        s.fused(
            f"{at}.attn.qkv.bias",
            (3 * width,),
            [(f"{on}.{part}.bias", f"{j}/3 {pattern}") for j, (part, pattern) in enumerate(parts)],
        )
        s.norm(f"{on}.norm1", f"{at}.norm1", [(f"{on}.{part}.weight", f"{on}.{part}.bias") for part, _ in parts])
        output = s.linear(f"{on}.output", f"{at}.attn.proj", "+residual", a.output)
        attention_products(s, a, on, True, True, True, True)
        u = units(s, str(i), f["hidden"], "GELU")
        up = s.linear(f"{on}.up", f"{at}.mlp.fc1", f"+{u}", "-residual")
        down = s.linear(f"{on}.down", f"{at}.mlp.fc2", "+residual", f"-{u}")
        s.norm(f"{on}.norm2", f"{at}.norm2", [up])
        if f["init_values"]:
            for number, writers in ((1, output), (2, down)):
                s.parameter(f"{on}.scale{number}", f"{at}.ls{number}.gamma", "=residual", (width,))
                s.add("layer_scales", LayerScale(f"{on}.scale{number}", writers))
    head = s.linear("head", "head", "*", "-residual", rows=classes, ignores_mean_over=0)
    s.norm("norm", f["last_norm"], [head])
    return s


SMALL = {"img_size": 14, "patch_size": 7, "in_chans": 1, "embed_dim": 24, "depth": 2, "num_heads": 3}


def _small(**args: Any) -> dict[str, Any]:
    return {"architecture": BASE, "num_classes": 5, "model_args": SMALL | args}


VIT = Family(
    name="vit",
    sentence="Image classifier on patches, LayerNorm before each layer, GELU units.",
    reference="Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv 2010.11929",
    takes="images",
    recognises=lambda config: str(config.get("architecture", "")).startswith("vit_"),
    build=build,
    outputs=outputs,
    sizes=lambda c: {
        "width": _facts(c)["embed_dim"],
        "depth": _facts(c)["depth"],
        "heads": _facts(c)["num_heads"],
        "units": _facts(c)["hidden"],
        "classes": c["num_classes"],
        "patch": _facts(c)["patch_size"],
        "image": _facts(c)["img_size"],
        "channels": _facts(c)["in_chans"],
    },
    structure=structure,
    predicts=lambda config: "label",
    save=save,
    config=config,
    from_disk=from_disk,
    examples={
        "vit": _small(),
        "vit-layerscale-mean": _small(init_values=0.1, global_pool="avg", reg_tokens=2),
        "vit-mean-no-class-token": _small(global_pool="avg", class_token=False, fc_norm=False),
    },
)
