"""Vision Transformers and DeiT as timm's `VisionTransformer` and `VisionTransformerDistilled`.

Queries, keys and values are fused in `attn.qkv`. Class token, register tokens, positions and patches write to the stream. The
head reads it after the last norm; pooling before or after that norm is the same for a map of the stream. Where a norm stands
before the first block (CLIP), its gains act inside the stream, and only its order is free.

A diagonal map between two LayerNorms (that norm, or the gains of queries times those of keys) acts on vectors without mean. Of
its n numbers rotations on both sides keep only n - 1, so that a curve of other gains, with rotations that belong to them,
computes the same. It is counted and not used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.family import SHARD, Config, Family, divides, positive_sizes
from lmc_core.models.parts import (
    attention,
    attention_products,
    layer_norm_stream,
    offsets_without_biases,
    units,
    units_product,
)
from lmc_core.models.structure import Structure
from lmc_core.models.timm_vit import BEGINNINGS, DEFAULTS, DISTILLED, PLAIN, USUAL, activation, arguments
from lmc_core.symmetry.rewrite import LayerScale
from lmc_core.symmetry.spaces import PERMUTATIONS

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
MEANS = "means that LayerNorm removes"


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on.

    Raises:
        BadCheckpoint: for sizes that make no network, or an architecture that is built otherwise.
    """
    given = _given(raw)
    name = str(raw.get("architecture")).partition(".")[0]
    if name in (PLAIN, DISTILLED):
        chosen = _checked(raw, name, DEFAULTS | given)
    else:
        _checked(raw, name, DEFAULTS | given)
        chosen = _checked(raw, *arguments(name, given))
    return chosen


def _given(raw: Config) -> dict[str, Any]:
    """Arguments that a file gives: under `model_args`, and what timm takes from the rest; those of training are left out."""
    given = raw.get("model_args") or {}
    if not isinstance(given, dict):
        raise BadCheckpoint(f"The configuration should give 'model_args' as an object; it gives {given!r}.")
    for key in given:
        if key not in DEFAULTS and key not in USUAL and key not in TRAINING and key != "dynamic_img_size":
            raise BadCheckpoint(f"Vision Transformers with {key!r} under 'model_args' are not supported.")
    if given.get("dynamic_img_size"):
        raise BadCheckpoint("Vision Transformers with images of varying size (dynamic_img_size=true) are not supported.")
    pretrained = raw.get("pretrained_cfg")
    pretrained = pretrained if isinstance(pretrained, dict) else {}
    found = {key: value for key, value in given.items() if key in DEFAULTS or USUAL.get(key, value) != value}
    pooling = raw.get("global_pool", pretrained.get("global_pool"))
    if pooling is not None:
        found.setdefault("global_pool", pooling)
    size = pretrained.get("input_size")
    if isinstance(size, list) and len(size) == 3 and "model_args" not in raw:
        found["in_chans"] = size[0]
        if pretrained.get("fixed_input_size"):
            found["img_size"] = size[1] if size[1] == size[2] else size[1:]
    for key in ("img_size", "patch_size"):
        value = found.get(key)
        if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
            found[key] = value[0]
    return found


def _checked(raw: Config, name: str, args: dict[str, Any]) -> dict[str, Any]:
    """The configuration, if its values make a network.

    Raises:
        BadCheckpoint: naming the first that does not.
    """
    chosen = {"architecture": name, "num_classes": raw.get("num_classes", 1000), "model_args": args}
    positive_sizes(chosen, "num_classes")
    positive_sizes(args, "embed_dim", "depth", "num_heads", "img_size", "patch_size", "in_chans")
    divides(args, "num_heads", "embed_dim")
    divides(args, "patch_size", "img_size")
    hf.switches(args, "class_token", "qkv_bias", *USUAL)
    if not isinstance(args["mlp_ratio"], int | float) or not 0 < args["mlp_ratio"] < 1024:
        raise BadCheckpoint(f"The configuration should give 'mlp_ratio' as a positive number; it gives {args['mlp_ratio']!r}.")
    if args["reg_tokens"] != 0:
        positive_sizes(args, "reg_tokens")
    if args["global_pool"] not in ("token", "avg"):
        raise BadCheckpoint(
            f"Pooling {args['global_pool']!r} is not supported: only the class token ('token') and the mean ('avg') "
            "commute with a rotation of the stream."
        )
    distilled = name == DISTILLED
    if not args.get("final_norm", True):
        raise BadCheckpoint("Vision Transformers without a last norm (final_norm=false) are not supported.")
    if args["global_pool"] == "token" and not args["class_token"]:
        raise BadCheckpoint("Pooling by the class token needs one; the configuration gives class_token=false.")
    usual = ("token", True, 0, None)
    if distilled and (
        args.get("no_embed_class")
        or tuple(args[key] for key in ("global_pool", "class_token", "reg_tokens", "fc_norm")) != usual
    ):
        raise BadCheckpoint(
            "A model with a distillation token reads it and the class token, has no others and a usual last norm."
        )
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


def _hidden(args: dict[str, Any]) -> int:
    return int(args["embed_dim"] * args["mlp_ratio"])


def structure(config: Config) -> Structure:
    """The spaces and blocks of a Vision Transformer of that configuration."""
    args = {**USUAL, **config["model_args"]}
    width, classes = args["embed_dim"], config["num_classes"]
    s = Structure("vit")
    _stream(s, args)
    _embeddings(s, args, config["architecture"] == DISTILLED)
    act = activation(config["architecture"])
    for i in range(args["depth"]):
        on, at = f"blocks.{i}", f"blocks.{i}"
        output = _attention(s, args, i)
        u = units(s, str(i), _hidden(args), act)
        up = s.linear(f"{on}.up", f"{at}.mlp.fc1", f"+{u}", "-residual", args["proj_bias"])
        down = s.linear(f"{on}.down", f"{at}.mlp.fc2", "+residual", f"-{u}", args["proj_bias"])
        units_product(s, u, on, args["proj_bias"])
        s.norm(f"{on}.norm2", f"{at}.norm2", [up])
        if args["init_values"]:
            for number, writers in ((1, output), (2, down)):
                s.parameter(f"{on}.scale{number}", f"{at}.ls{number}.gamma", "=residual", (width,))
                s.add("layer_scales", LayerScale(f"{on}.scale{number}", writers))
        if args["pre_norm"]:  # the other streams count theirs by themselves
            s.add("further", (MEANS, width + _hidden(args) + 2 * args["proj_bias"]))
    heads = [s.linear("head", "head", "*", "-residual", rows=classes, ignores_mean_over=0)]
    if config["architecture"] == DISTILLED:
        heads.append(s.linear("distillation.head", "head_dist", "*", "-residual", rows=classes, ignores_mean_over=0))
        s.add("further", ("sums of constants", classes))  # the outputs are the mean of both heads
    moved = args["global_pool"] == "avg" if args["fc_norm"] is None else args["fc_norm"]
    s.norm("norm", "fc_norm" if moved else "norm", heads)
    return s


def _stream(s: Structure, args: dict[str, Any]) -> None:
    width = args["embed_dim"]
    if args["pre_norm"]:
        reason = "gains and offsets of the norm before the first block act on its coordinates one by one"
        s.space("residual", "residual", width, PERMUTATIONS, reason)
        s.add("scales", "residual stream")
        s.add("further", ("gains against a rotation", 1))  # see the docstring
    else:
        layer_norm_stream(s, width)


def _embeddings(s: Structure, args: dict[str, Any], distilled: bool) -> None:
    """Tokens, positions, patches, and a norm on them."""
    width, patch, registers = args["embed_dim"], args["patch_size"], args["reg_tokens"]
    tokens = [("class.token", "cls_token", 1)] if args["class_token"] else []
    tokens += [("distillation.token", "dist_token", 1)] if distilled else []
    tokens += [("register.tokens", "reg_token", registers)] if registers else []
    for block, name, count in tokens:
        s.parameter(block, name, "* +residual", (1, count, width))
    prefix = sum(count for *_, count in tokens)
    apart = args["no_embed_class"]  # tokens have no positions
    rows = (args["img_size"] // patch) ** 2 + (0 if apart else prefix)
    s.parameter("position.table", "pos_embed", "* +residual", (1, rows, width))
    s.parameter("patch.weight", "patch_embed.proj.weight", "+residual *", (width, args["in_chans"], patch, patch))
    if not args["pre_norm"]:
        s.parameter("patch.bias", "patch_embed.proj.bias", "+residual", (width,))
    constants = [] if apart else [block for block, _, count in tokens for _ in range(count)]
    if not args["pre_norm"]:
        for name in (*constants, "patch.bias"):
            s.add("sums", (name, "position.table"))
        return
    # before the norm: means, one scale for each token that is the same in every image and one for the patches
    columns = rows + prefix + args["in_chans"] * patch**2
    s.add("further", (MEANS, columns + 1), ("sums of constants", (width - 1) * len(constants)))
    s.add("scales", *["embeddings of a token"] * prefix, "embeddings of patches")
    s.norm("norm.pre", "norm_pre", None)


def _attention(s: Structure, args: dict[str, Any], i: int) -> tuple[str, str | None]:
    """One attention layer with the norm before it; returns the weight and the bias that write to the stream."""
    width, heads, bias, out = args["embed_dim"], args["num_heads"], args["qkv_bias"], args["proj_bias"]
    size, on, at = width // heads, f"blocks.{i}", f"blocks.{i}"
    a = attention(s, str(i), heads, size, normed="layer" if args["qk_norm"] else None)
    parts = list(zip(("query", "key", "value"), (a.query, a.key, a.value), strict=True))
    s.fused(
        f"{at}.attn.qkv.weight",
        (3 * width, width),
        [(f"{on}.{part}.weight", f"{j}/3 {pattern} -residual") for j, (part, pattern) in enumerate(parts)],
    )
    if bias:
        s.fused(
            f"{at}.attn.qkv.bias",
            (3 * width,),
            [(f"{on}.{part}.bias", f"{j}/3 {pattern}") for j, (part, pattern) in enumerate(parts)],
        )
    s.norm(f"{on}.norm1", f"{at}.norm1", [(f"{on}.{part}.weight", f"{on}.{part}.bias" if bias else None) for part, _ in parts])
    output = s.linear(f"{on}.output", f"{at}.attn.proj", "+residual", a.output, out)
    attention_products(s, a, on, bias, bias, bias, out)
    if args["qk_norm"]:
        for part in ("query", "key"):
            norm = f"{at}.attn.{part[0]}_norm"
            s.parameter(f"{on}.{part}.norm.gain", f"{norm}.weight", f"={a.product_name}", (size,))
            s.parameter(f"{on}.{part}.norm.offset", f"{norm}.bias", f"+{a.product_name}", (size,))
            s.add("scales", *[f"{part} of a head"] * heads)
        # gains of queries against those of keys; the keys' offset adds one number to all scores of a query; the queries' offset
        # is seen by normalised keys alone, which have no mean
        s.add("further", (MEANS, 2 * width * heads), ("gains and offsets of queries and keys", size + size + 1))
        s.add("further", ("gains against a rotation", 1))
    if not bias:
        offsets_without_biases(s, a, out)
    elif not out:
        s.add("further", ("constants that no output sees", 1))
    return output


SMALL = {"img_size": 14, "patch_size": 7, "in_chans": 1, "embed_dim": 24, "depth": 2, "num_heads": 3}


def _small(**args: Any) -> dict[str, Any]:
    return {"architecture": PLAIN, "num_classes": 5, "model_args": SMALL | args}


def sizes(config: Config) -> dict[str, int]:
    """Sizes for people."""
    args = config["model_args"]
    return {
        "width": args["embed_dim"],
        "depth": args["depth"],
        "heads": args["num_heads"],
        "units": _hidden(args),
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
    recognises=lambda config: str(config.get("architecture", "")).startswith(BEGINNINGS),
    build=build,
    outputs=outputs,
    sizes=sizes,
    structure=structure,
    predicts=lambda config: "label",
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
