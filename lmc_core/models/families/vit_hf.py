"""Vision Transformers as transformers' ViT, and DeiT with its distillation token.

LayerNorm before each layer, queries, keys and values apart. Class token, distillation token,
positions and patches write to the stream; the heads read it after the last norm. Of `ViTModel` and
`DeiTModel` the stream is an output, with a pooled state that one layer makes of the first token.
The classes for masked images (SimMIM, Xie et al. 2021, arXiv 2111.09886) see each image twice here,
every second patch masked, so that the token for masked patches counts. In memory a layer is
`vit.layers.3`, on disk `vit.encoder.layer.3`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
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
    Config(model_type="vit", hidden_size=768, num_hidden_layers=12, num_attention_heads=12)
    | dict(intermediate_size=3072, hidden_act="gelu", layer_norm_eps=1e-12, image_size=224)
    | dict(patch_size=16, num_channels=3, qkv_bias=True)
)


@dataclass(frozen=True)
class Kind:
    """What one class of transformers has.

    Attributes:
        type: its model type.
        predicts: a key of `PREDICTIONS`.
        heads: of a classifier: name in memory -> name of the block.
    """

    type: str
    predicts: str = "label"
    heads: dict[str, str] = field(default_factory=lambda: {"classifier": "head"})


CLASSES = {
    "ViTForImageClassification": Kind("vit"),
    "ViTModel": Kind("vit", "features"),
    "ViTForMaskedImageModeling": Kind("vit", "pixels"),
    "DeiTForImageClassification": Kind("deit"),
    "DeiTForImageClassificationWithTeacher": Kind(
        "deit", heads={"cls_classifier": "head", "distillation_classifier": "distillation.head"}
    ),
    "DeiTModel": Kind("deit", "features"),
    "DeiTForMaskedImageModeling": Kind("deit", "pixels"),
}
# parts of other classes, which lie beside a body that was trained as one of these
UNUSED = {
    "label": re.compile(r"(vit|deit)\.(pooler\.|embeddings\.mask_token$)"),
    "features": re.compile(
        r"((vit|deit)\.)?embeddings\.mask_token$|classifier\.|(cls|distillation)_classifier\."
        r"|decoder\."
    ),
    "pixels": re.compile(r"((vit|deit)\.)?pooler\.|classifier\."),
}


def _kind(config: Config) -> Kind:
    return CLASSES[config.class_name()]


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = vision.configuration(raw, DEFAULTS, "intermediate_size")
    name = found.text("model_type")
    fitting = [cls for cls, kind in CLASSES.items() if kind.type == name]
    found["num_labels"] = hf.labels(raw)
    found["architectures"] = [hf.named_class(raw, fitting, name, fitting[0])]
    require_divides(found, "patch_size", "image_size")
    hf.activation(found, "hidden_act", POINTWISE, name)
    hf.switches(found, "qkv_bias")
    predicts = _kind(found).predicts
    if predicts == "label":
        require_sizes(found, "num_labels")
        return found
    del found["num_labels"]
    if predicts == "features":
        _pooler(raw, found)
    else:
        found["encoder_stride"] = raw.get("encoder_stride", 16)
        require_sizes(found, "encoder_stride")
        if found["encoder_stride"] != found["patch_size"]:
            raise BadCheckpoint(
                f"The class for masked images fills patches of {found['patch_size']} pixels in, "
                "so the configuration should "
                f"give 'encoder_stride' as that; it gives {found['encoder_stride']}."
            )
    return found


def _pooler(raw: Config, found: Config) -> None:
    """What the pooler of a base model depends on; its size and activation only where they are not
    as usual.
    """
    found["add_pooling_layer"] = raw.get("add_pooling_layer", True) is not False
    width = raw.get("pooler_output_size") or found["hidden_size"]
    further = {"pooler_output_size": width, "pooler_act": raw.get("pooler_act", "tanh")}
    require_sizes(further, "pooler_output_size")
    hf.activation(further, "pooler_act", POINTWISE, found.text("model_type"))
    usual = {"pooler_output_size": found.size("hidden_size"), "pooler_act": "tanh"}
    if found["add_pooling_layer"]:
        found |= {key: value for key, value in further.items() if value != usual[key]}


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names of the layers in memory; what only another class uses is dropped."""
    kind = _kind(config)
    kept = {
        name: tensor for name, tensor in tensors.items() if not UNUSED[kind.predicts].match(name)
    }
    base = "" if kind.predicts == "features" else f"{kind.type}."
    return vision.with_base(
        vision.renamed(kept), base, (f"{kind.type}.",), (*kind.heads, "decoder.")
    )


def build(config: Config) -> nn.Module:
    """A module of the class that the configuration names, randomly initialised, in float32."""
    configuration = {"vit": "ViTConfig", "deit": "DeiTConfig"}[config.text("model_type")]
    settings = dict(config)
    arguments = {key: settings.pop(key) for key in ("add_pooling_layer",) if key in settings}
    return hf.build(settings, configuration, config.class_name(), arguments, **vision.DROPLESS)


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, classes]`, the stream and the pooled state `[n, tokens + 1, width]`, or images
    twice `[n, 2, c, h, w]`.
    """
    if type(module).__name__.endswith("ForMaskedImageModeling"):
        return vision.twice_masked(module, inputs, lambda found: found.reconstruction)
    return vision.outputs(module, inputs)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a model of that configuration."""
    kind = _kind(config)
    base = "" if kind.predicts == "features" else f"{kind.type}."
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    bias = config.flag("qkv_bias")
    s = Structure("vit_hf")
    layer_norm_stream(s, width, output=kind.predicts == "features")
    _embeddings(s, config, kind, f"{base}embeddings")
    layer = Layer(
        width,
        heads,
        config.size("intermediate_size"),
        config.text("hidden_act"),
        (bias, bias, bias, True),
    )
    for i in range(config.size("num_hidden_layers")):
        layer.write(s, i, f"{base}layers.{i}")
    if kind.predicts == "features":
        vision.output_norm(s, "layernorm")
        if config["add_pooling_layer"]:
            vision.tanh_pooler(s, config.optional_size("pooler_output_size") or width)
        return s
    if kind.predicts == "pixels":
        rows = config.size("patch_size") ** 2 * config.size("num_channels")
        s.parameter("head.weight", "decoder.0.weight", "* -residual", (rows, width, 1, 1))
        s.parameter("head.bias", "decoder.0.bias", "*", (rows,))
        found: vision.Readers = [("head.weight", "head.bias")]
    else:
        labels = config.size("num_labels")
        found = [
            s.linear(block, name, "*", "-residual", rows=labels, ignores_mean_over=0)
            for name, block in kind.heads.items()
        ]
        if len(found) > 1:  # the outputs are the mean of both heads
            s.freedom("sums of constants", labels)
    s.norm("norm", f"{base}layernorm", found)
    return s


def _embeddings(s: Structure, config: Config, kind: Kind, at: str) -> None:
    """Tokens, positions and patches."""
    width = config.size("hidden_size")
    rows = (config.size("image_size") // config.size("patch_size")) ** 2
    tokens = ["cls_token", "distillation_token"] if kind.type == "deit" else ["cls_token"]
    for name in tokens:
        s.parameter(name.replace("_", "."), f"{at}.{name}", "* +residual", (1, 1, width))
    if kind.predicts == "pixels":
        s.parameter("mask.token", f"{at}.mask_token", "* +residual", (1, 1, width))
    positions = f"{at}.position_embeddings"
    s.parameter("position.table", positions, "* +residual", (1, rows + len(tokens), width))
    vision.patches(s, config, f"{at}.patch_embeddings.projection")
    for name in (*(name.replace("_", ".") for name in tokens), "patch.bias"):
        s.sum(name, "position.table")


SMALL = (
    Config(model_type="vit", architectures=["ViTForImageClassification"], hidden_size=24)
    | dict(num_hidden_layers=2, num_attention_heads=3, intermediate_size=32, image_size=14)
    | dict(patch_size=7, num_channels=1, num_labels=5)
)
_SHORT = SMALL | {"num_hidden_layers": 1}
_DEIT = _SHORT | {"model_type": "deit"}
_FILLED = {"encoder_stride": 7}

VIT_HF = Family(
    name="vit_hf",
    sentence="Image classifier on patches, ViT or DeiT, LayerNorm before each layer, GELU units.",
    reference="Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv 2010.11929; DeiT: "
    "arXiv 2012.12877",
    takes="images",
    recognises=lambda config: config.get("model_type") in ("vit", "deit"),
    build=build,
    outputs=outputs,
    sizes=vision.sizes,
    structure=structure,
    predicts=lambda config: _kind(config).predicts,
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "vit_hf": SMALL,
        "vit_hf-no-biases-relu": _SHORT | {"qkv_bias": False, "hidden_act": "relu"},
        "vit_hf-features": _SHORT | {"architectures": ["ViTModel"]},
        "vit_hf-pixels": _SHORT | _FILLED | {"architectures": ["ViTForMaskedImageModeling"]},
        "vit_hf-deit": _DEIT | {"architectures": ["DeiTForImageClassification"]},
        "vit_hf-deit-teacher": _DEIT | {"architectures": ["DeiTForImageClassificationWithTeacher"]},
        "vit_hf-deit-features": _DEIT | {"architectures": ["DeiTModel"]},
        "vit_hf-deit-pixels": _DEIT | _FILLED | {"architectures": ["DeiTForMaskedImageModeling"]},
    },
)
