"""Masked autoencoders (He et al. 2021, arXiv 2111.06377): an encoder of the patches that are left,
and a decoder of pixels.

Both are pre-norm and have a stream each; one layer leads from the first to the second. Which
patches are left is drawn at random in the class itself. Here an image is seen several times, each
time with the next patches in order left, until all were seen: so the function is one function.
Positions are fixed waves, stored as parameters; they turn with the stream like any table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import torch
from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.vision import Layer
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import POINTWISE, layer_norm_stream
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor, nn

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="vit_mae", hidden_size=768, num_hidden_layers=12)
    | dict(num_attention_heads=12, intermediate_size=3072, hidden_act="gelu")
    | dict(layer_norm_eps=1e-12, image_size=224, patch_size=16, num_channels=3)
    | dict(qkv_bias=True, mask_ratio=0.75)
)
DECODER = Config(decoder_num_attention_heads=16, decoder_hidden_size=512) | dict(
    decoder_num_hidden_layers=8, decoder_intermediate_size=2048
)
CLASSES = ("ViTMAEForPreTraining", "ViTMAEModel")
STREAM = "residual.decoder"


def _patches(config: Config) -> int:
    return (config.size("image_size") // config.size("patch_size")) ** 2


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = vision.configuration(raw, DEFAULTS, "intermediate_size")
    require_divides(found, "patch_size", "image_size")
    hf.activation(found, "hidden_act", POINTWISE, "vit_mae")
    hf.switches(found, "qkv_bias")
    ratio = found["mask_ratio"]
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio < 1:
        raise BadCheckpoint(
            f"The configuration should give 'mask_ratio' as a number below 1; it gives {ratio!r}."
        )
    if int(_patches(found) * (1 - ratio)) < 1:
        raise BadCheckpoint(
            f"With mask_ratio {ratio} none of the {_patches(found)} patches is left."
        )
    found["architectures"] = [hf.named_class(raw, CLASSES, "vit_mae", CLASSES[0])]
    if _decodes(found):
        found |= hf.chosen(raw, DECODER)
        require_sizes(found, *DECODER)
        require_divides(found, "decoder_num_attention_heads", "decoder_hidden_size")
    return found


def _decodes(config: Config) -> bool:
    return config.class_name() == CLASSES[0]


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names of the layers in memory; the decoder's are dropped for the encoder alone."""
    found = vision.renamed(tensors)
    if _decodes(config):
        return vision.with_base(found, "vit.", ("vit.",), ("decoder.",))
    return vision.with_base(
        {k: v for k, v in found.items() if not k.startswith("decoder.")}, "", ("vit.",)
    )


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    return hf.build(config, "ViTMAEConfig", config.class_name(), **vision.DROPLESS)


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """For each of several masks the pixels of all patches `[n, masks, patches, pixels]`, or the
    stream of those left.
    """
    settings: Any = module.config
    inputs = vision.fitting(module, inputs)
    length = (settings.image_size // settings.patch_size) ** 2
    left = int(length * (1 - settings.mask_ratio))
    found = []
    for first in range(0, length, left):
        noise = (
            torch.arange(length, device=inputs.device)
            .roll(first)
            .expand(len(inputs), -1)
            .to(inputs.dtype)
        )
        given = module(inputs, noise=noise)
        found.append(given.logits if "logits" in given else given.last_hidden_state)
    return torch.stack(found, 1)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a model of that configuration."""
    decodes, width, bias = _decodes(config), config.size("hidden_size"), config.flag("qkv_bias")
    base, s = "vit." if decodes else "", Structure("vit_mae")
    layer_norm_stream(s, width, output=not decodes)
    s.parameter("cls.token", f"{base}embeddings.cls_token", "* +residual", (1, 1, width))
    shape = (1, _patches(config) + 1, width)
    s.parameter("position.table", f"{base}embeddings.position_embeddings", "* +residual", shape)
    vision.patches(s, config, f"{base}embeddings.patch_embeddings.projection")
    for name in ("cls.token", "patch.bias"):
        s.sum(name, "position.table")
    biases = (bias, bias, bias, True)
    layer = Layer(
        width,
        config.size("num_attention_heads"),
        config.size("intermediate_size"),
        config.text("hidden_act"),
        biases,
    )
    for i in range(config.size("num_hidden_layers")):
        layer.write(s, i, f"{base}layers.{i}")
    if decodes:
        _decoder(s, config, biases)
    else:
        vision.output_norm(s, "layernorm")
    return s


def _decoder(s: Structure, config: Config, biases: tuple[bool, bool, bool, bool]) -> None:
    """The decoder, with the layer that leads to its stream and the last norm of the encoder, which
    that layer reads.
    """
    width = config.size("decoder_hidden_size")
    rows = config.size("patch_size") ** 2 * config.size("num_channels")
    vision.norm_stream(s, width, STREAM)
    s.norm(
        "norm",
        "vit.layernorm",
        [s.linear("decoder.embedding", "decoder.decoder_embed", f"+{STREAM}", "-residual")],
    )
    # that layer reads vectors without mean and writes some: one change is both
    s.freedom(vision.MEANS, -1)
    s.parameter("decoder.mask.token", "decoder.mask_token", f"* +{STREAM}", (1, 1, width))
    shape = (1, _patches(config) + 1, width)
    s.parameter("decoder.position.table", "decoder.decoder_pos_embed", f"* +{STREAM}", shape)
    s.sum("decoder.embedding.bias", "decoder.position.table")
    layer = Layer(
        width,
        config.size("decoder_num_attention_heads"),
        config.size("decoder_intermediate_size"),
        config.text("hidden_act"),
        biases,
        stream=STREAM,
        prefix="decoder.",
    )
    for i in range(config.size("decoder_num_hidden_layers")):
        layer.write(s, i, f"decoder.decoder_layers.{i}")
    head = s.linear("head", "decoder.decoder_pred", "*", f"-{STREAM}", rows=rows)
    s.norm("decoder.norm", "decoder.decoder_norm", [head], STREAM)


SMALL = (
    Config(model_type="vit_mae", architectures=["ViTMAEForPreTraining"], hidden_size=24)
    | dict(num_hidden_layers=1, num_attention_heads=3, intermediate_size=20, image_size=14)
    | dict(patch_size=7, num_channels=1, mask_ratio=0.5, decoder_num_attention_heads=2)
    | dict(decoder_hidden_size=16, decoder_num_hidden_layers=1)
    | dict(decoder_intermediate_size=12)
)

VIT_MAE = Family(
    name="vit_mae",
    sentence="Masked autoencoder of images: an encoder of the patches left and a decoder of "
    "pixels, each with a stream.",
    reference="He et al., Masked Autoencoders Are Scalable Vision Learners, 2021, arXiv 2111.06377",
    takes="images",
    recognises=lambda config: config.get("model_type") == "vit_mae",
    build=build,
    outputs=outputs,
    sizes=vision.sizes,
    structure=structure,
    predicts=lambda config: "pixels" if _decodes(config) else "features",
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=CLASSES,
    examples={
        "vit_mae": SMALL,
        "vit_mae-features": SMALL | {"architectures": ["ViTMAEModel"], "qkv_bias": False},
    },
)
