"""Vision Transformers as transformers' `ViTForImageClassification`, and DeiT with its distillation token.

LayerNorm before each layer, queries, keys and values apart. Class token, distillation token, positions and patches write to the
stream; the heads read it after the last norm. In memory a layer is `vit.layers.3`, on disk `vit.encoder.layer.3`.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models import hf
from lmc_core.models.family import Config, Family, divides, positive_sizes
from lmc_core.models.parts import (
    POINTWISE,
    attention,
    layer_norm_stream,
    offsets_without_biases,
    separate_attention,
    units,
    units_product,
)
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "model_type": "vit",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "qkv_bias": True,
}
# class -> (model type, heads: name in memory, name of the block)
CLASSES: dict[str, tuple[str, dict[str, str]]] = {
    "ViTForImageClassification": ("vit", {"classifier": "head"}),
    "DeiTForImageClassification": ("deit", {"classifier": "head"}),
    "DeiTForImageClassificationWithTeacher": (
        "deit",
        {"cls_classifier": "head", "distillation_classifier": "distillation.head"},
    ),
}
# names of a layer on disk -> in memory, from `layer.3.` on; the first that fits
NAMES = (
    (r"attention\.attention\.query\.", "attention.q_proj."),
    (r"attention\.attention\.key\.", "attention.k_proj."),
    (r"attention\.attention\.value\.", "attention.v_proj."),
    (r"attention\.output\.dense\.", "attention.o_proj."),
    (r"intermediate\.dense\.", "mlp.fc1."),
    (r"output\.dense\.", "mlp.fc2."),
)
UNUSED = re.compile(r"(vit|deit)\.(pooler\.|embeddings\.mask_token$)")  # of the pretraining, no part of a classifier


def _edge(raw: Config, key: str) -> Any:
    """One number for a square, which may be given twice."""
    value = raw.get(key, DEFAULTS[key])
    if isinstance(value, list | tuple):
        if len(value) != 2 or value[0] != value[1]:
            raise BadCheckpoint(f"Only square images and patches are supported; the configuration gives {key} as {value!r}.")
        return value[0]
    return value


def config(raw: Config) -> dict[str, Any]:
    """The entries of a `config.json` that the function depends on; missing ones get transformers' defaults."""
    found = hf.chosen(raw, DEFAULTS) | {key: _edge(raw, key) for key in ("image_size", "patch_size")}
    found["num_labels"] = hf.labels(raw)
    kind = found["model_type"]
    fitting = [name for name, (model_type, _) in CLASSES.items() if model_type == kind]
    found["architectures"] = [hf.named_class(raw, fitting, kind, fitting[0])]
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size", "patch_size")
    positive_sizes(found, *sizes, "num_channels", "num_labels")
    divides(found, "num_attention_heads", "hidden_size")
    divides(found, "patch_size", "image_size")
    hf.activation(found, "hidden_act", POINTWISE, kind)
    hf.switches(found, "qkv_bias")
    hf.positive_numbers(found, "layer_norm_eps")
    if raw.get("head_dim") not in (None, found["hidden_size"] // found["num_attention_heads"]):
        raise BadCheckpoint(f"A head_dim of its own ({raw['head_dim']!r}) is not supported; heads share the width evenly.")
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names of the layers in memory; what only pretraining uses is dropped."""
    renamed = {}
    for name, tensor in tensors.items():
        if UNUSED.match(name):
            continue
        place = re.match(r"(.*)\.encoder\.layer(\.\d+\.)(.*)$", name)
        if place is None:
            renamed[name] = tensor
            continue
        beginning, number, rest = place.groups()
        for pattern, replacement in NAMES:
            rest, found = re.subn(f"^{pattern}", replacement, rest)
            if found:
                break
        renamed[f"{beginning}.layers{number}{rest}"] = tensor
    return renamed


def build(config: Config) -> nn.Module:
    """A classifier of the class that the configuration names, randomly initialised, in float32."""
    configuration = {"vit": "ViTConfig", "deit": "DeiTConfig"}[config["model_type"]]
    dropless: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return hf.build(config, configuration, config["architectures"][0], **dropless)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a classifier of that configuration."""
    at, heads_of = CLASSES[config["architectures"][0]]
    width, patch, classes, bias = (config[key] for key in ("hidden_size", "patch_size", "num_labels", "qkv_bias"))
    heads, edge = config["num_attention_heads"], config["image_size"] // patch
    tokens = ["cls_token", "distillation_token"] if at == "deit" else ["cls_token"]
    s = Structure("vit_hf")
    layer_norm_stream(s, width)
    embeddings = f"{at}.embeddings"
    for name in tokens:
        s.parameter(name.replace("_", "."), f"{embeddings}.{name}", "* +residual", (1, 1, width))
    positions = edge**2 + len(tokens)
    s.parameter("position.table", f"{embeddings}.position_embeddings", "* +residual", (1, positions, width))
    projection = f"{embeddings}.patch_embeddings.projection"
    s.parameter("patch.weight", f"{projection}.weight", "+residual *", (width, config["num_channels"], patch, patch))
    s.parameter("patch.bias", f"{projection}.bias", "+residual", (width,))
    for name in (*(name.replace("_", ".") for name in tokens), "patch.bias"):
        s.add("sums", (name, "position.table"))
    for i in range(config["num_hidden_layers"]):
        on, layer = f"blocks.{i}", f"{at}.layers.{i}"
        a = attention(s, str(i), heads, width // heads)
        names = tuple(f"{layer}.attention.{part}_proj" for part in "qkvo")
        readers = separate_attention(s, a, on, names, (bias, bias, bias, True))  # type: ignore[arg-type]  (four names)
        if not bias:
            offsets_without_biases(s, a, True)
        s.norm(f"{on}.norm1", f"{layer}.layernorm_before", readers)
        u = units(s, str(i), config["intermediate_size"], config["hidden_act"])
        up = s.linear(f"{on}.up", f"{layer}.mlp.fc1", f"+{u}", "-residual")
        s.linear(f"{on}.down", f"{layer}.mlp.fc2", "+residual", f"-{u}")
        units_product(s, u, on, bias=True)
        s.norm(f"{on}.norm2", f"{layer}.layernorm_after", [up])
    found = [s.linear(block, name, "*", "-residual", rows=classes, ignores_mean_over=0) for name, block in heads_of.items()]
    s.norm("norm", f"{at}.layernorm", found)
    if len(found) > 1:  # the outputs are the mean of both heads
        s.add("further", ("sums of constants", classes))
    return s


SMALL: dict[str, Any] = {
    "model_type": "vit",
    "architectures": ["ViTForImageClassification"],
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "image_size": 14,
    "patch_size": 7,
    "num_channels": 1,
    "num_labels": 5,
}
_DEIT = SMALL | {"model_type": "deit", "num_hidden_layers": 1}

VIT_HF = Family(
    name="vit_hf",
    sentence="Image classifier on patches, ViT or DeiT, LayerNorm before each layer, GELU units.",
    reference="Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv 2010.11929; DeiT: arXiv 2012.12877",
    takes="images",
    recognises=lambda config: config.get("model_type") in ("vit", "deit"),
    build=build,
    outputs=lambda module, inputs: module(inputs).logits,
    sizes=lambda c: {
        "width": c["hidden_size"],
        "depth": c["num_hidden_layers"],
        "heads": c["num_attention_heads"],
        "units": c["intermediate_size"],
        "classes": c["num_labels"],
        "patch": c["patch_size"],
        "image": c["image_size"],
        "channels": c["num_channels"],
    },
    structure=structure,
    predicts=lambda config: "label",
    save=hf.save,
    config=config,
    from_disk=from_disk,
    classes=tuple(CLASSES),
    examples={
        "vit_hf": SMALL,
        "vit_hf-no-biases-relu": SMALL | {"qkv_bias": False, "hidden_act": "relu", "num_hidden_layers": 1},
        "vit_hf-deit": _DEIT | {"architectures": ["DeiTForImageClassification"]},
        "vit_hf-deit-teacher": _DEIT | {"architectures": ["DeiTForImageClassificationWithTeacher"]},
    },
)
