"""SigLIP (Zhai et al. 2023, arXiv 2303.15343): text and image towers without masks, compared by a
sigmoid for each pair.

Both towers are pre-norm. A layer makes the text's embedding of its last token. The image's comes of
attention by one learned query, the probe, over all patches; what that writes is read by a LayerNorm
with units behind it, so it is a stream by itself, the same space in which texts are compared. Its
mean is seen there, so it is not centred; rotations keep the all-ones vector. Of the probe only the
product with queries and keys is seen. The classifier reads the mean of the patches and has no use
for the probe, so its image tower is read without (vision_use_head=false). SigLIP 2 of one
resolution is saved as this kind as well.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf, towers, vision
from lmc_core.models.architectures.towers import IMAGE, TEXT, Part
from lmc_core.models.architectures.vision import CONSTANTS, MEANS
from lmc_core.models.family import Config, Family, positive_sizes
from lmc_core.models.parts import attention, attention_products, units, units_product
from lmc_core.models.structure import Structure

# What the function depends on, with transformers' defaults.
TEXTS: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 64,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "projection_size": None,
}
IMAGES: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "vision_use_head": True,
}
TYPES = {"text": "siglip_text_model", "image": "siglip_vision_model"}
CLASSIFIER = "SiglipForImageClassification"


def _text(raw: Config) -> dict[str, Any]:
    width = raw.get("projection_size") or raw.get("hidden_size", TEXTS["hidden_size"])
    return towers.checked_text({**raw, "projection_size": width}, TEXTS, "projection_size")


def _image(raw: Config) -> dict[str, Any]:
    found = towers.checked_image(raw, IMAGES)
    hf.switches(found, "vision_use_head")
    return found


def _tower(raw: Config, kind: str, cls: str) -> dict[str, Any]:
    named = [hf.named_class(raw, (cls,), TYPES[kind], cls)]
    return {
        "model_type": TYPES[kind],
        "architectures": named,
        **(_text if kind == "text" else _image)(raw),
    }


def _both(raw: Config) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model_type": "siglip",
        "architectures": [hf.named_class(raw, ("SiglipModel",), "siglip", "SiglipModel")],
        "text_config": _text(towers.nested(raw, "text_config", TEXTS)),
        "vision_config": _image(towers.nested(raw, "vision_config", IMAGES)),
    }
    sizes = found["text_config"]["projection_size"], found["vision_config"]["hidden_size"]
    if sizes[0] != sizes[1] or not found["vision_config"]["vision_use_head"]:
        raise BadCheckpoint(
            f"Texts are embedded in {sizes[0]} numbers here and images in {sizes[1]}, with "
            "vision_use_head="
            f"{found['vision_config']['vision_use_head']}; to be compared both need as many, and "
            "images their head."
        )
    return found


def _classifier(raw: Config) -> dict[str, Any]:
    found = {
        "model_type": "siglip",
        "architectures": [hf.named_class(raw, (CLASSIFIER,), "siglip", CLASSIFIER)],
        "vision_config": _image(towers.nested(raw, "vision_config", IMAGES))
        | {"vision_use_head": False},
        "num_labels": hf.labels(raw),
    }
    positive_sizes(found, "num_labels")
    return found


def _image_tower(s: Structure, config: Config, part: Part, output: bool) -> None:
    """An image tower without its last norm."""
    width, on, at = config["hidden_size"], part.prefix, f"{part.base}embeddings"
    vision.norm_stream(s, width, part.stream, output)
    vision.patches(s, config, f"{at}.patch_embedding", True, part.stream, on)
    shape = ((config["image_size"] // config["patch_size"]) ** 2, width)
    s.parameter(
        f"{on}position.table", f"{at}.position_embedding.weight", f"* +{part.stream}", shape
    )
    s.add("sums", (f"{on}patch.bias", f"{on}position.table"))
    for i in range(config["num_hidden_layers"]):
        towers.layer(config, part).write(s, i, f"{part.base}encoder.layers.{i}")


def _pool(s: Structure, config: Config, part: Part, shown: bool) -> vision.Readers:
    """The head that makes an image's embedding; returns what reads the last norm."""
    width, heads, at = config["hidden_size"], config["num_attention_heads"], f"{part.base}head"
    size, reads, on = width // heads, f"-{part.stream}", "pool"
    s.parameter(f"{on}.probe", f"{at}.probe", "*", (1, 1, width))
    a = attention(s, on, heads, size)
    sides = (("query", a.query, "*"), ("key", a.key, reads), ("value", a.value, reads))
    name, shape = f"{at}.attention.in_proj", (3 * width, width)
    s.fused(
        f"{name}_weight",
        shape,
        [(f"{on}.{p}.weight", f"{j}/3 {w} {r}") for j, (p, w, r) in enumerate(sides)],
    )
    s.fused(
        f"{name}_bias",
        shape[:1],
        [(f"{on}.{p}.bias", f"{j}/3 {w}") for j, (p, w, _) in enumerate(sides)],
    )
    s.linear(f"{on}.output", f"{at}.attention.out_proj", "+embedding", a.output)
    attention_products(s, a, on, True, True, True, True)
    u = units(s, on, config["intermediate_size"], config["hidden_act"])
    up = s.linear(f"{on}.up", f"{at}.mlp.fc1", f"+{u}", "-embedding")
    s.linear(f"{on}.down", f"{at}.mlp.fc2", "+embedding", f"-{u}")
    units_product(s, u, on, True)
    s.norm(f"{on}.norm", f"{at}.layernorm", [up], "embedding")
    s.add("further", (MEANS, 1))  # of the two constants that are added there only one mean is seen
    # of probe, queries and keys one vector for each head is seen, without its mean; the rest counts
    # here, but for what the plane, the keys' bias and, behind a norm that is not shown, the keys'
    # means count already
    seen = heads * (width - 1) + heads * size**2 + width
    s.add("further", (CONSTANTS, 3 * width + 2 * width**2 - seen - (0 if shown else width)))
    if shown:
        towers.head_of_outputs(s, width)  # of the values
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias") for part in ("key", "value")]


def _image_structure(config: Config) -> Structure:
    s, part = Structure(TYPES["image"]), Part()
    _image_tower(s, config, part, True)
    vision.output_norm(s, "post_layernorm")
    if config["vision_use_head"]:
        towers.shown_embedding(s, config["hidden_size"])
        _pool(s, config, part, True)
    return s


def _text_structure(config: Config) -> Structure:
    s, rows = Structure(TYPES["text"]), config["projection_size"]
    towers.text_tower(s, config, Part(), True)
    vision.output_norm(s, "final_layer_norm")
    towers.shown_embedding(s, rows)
    s.linear("head", "head", "+embedding", "-residual")
    towers.head_of_outputs(s, rows)
    return s


def _both_structure(config: Config) -> Structure:
    s, texts, images = Structure("siglip"), config["text_config"], config["vision_config"]
    _image_tower(s, images, IMAGE, False)
    towers.text_tower(s, texts, TEXT, False)
    towers.embedding_space(s, images["hidden_size"], fixes_ones=True)
    s.norm(
        "vision.norm", f"{IMAGE.base}post_layernorm", _pool(s, images, IMAGE, False), IMAGE.stream
    )
    head = s.linear("text.head", f"{TEXT.base}head", "+embedding", f"-{TEXT.stream}")
    s.norm("text.norm", f"{TEXT.base}final_layer_norm", [head], TEXT.stream)
    for block, name in (("scale", "logit_scale"), ("shift", "logit_bias")):
        s.parameter(block, name, "*", (1,))
    return s


def _classifier_structure(config: Config) -> Structure:
    s, part = Structure("siglip_classifier"), Part(IMAGE.base)
    _image_tower(s, config["vision_config"], part, False)
    head = s.linear(
        "head", "classifier", "*", "-residual", rows=config["num_labels"], ignores_mean_over=0
    )
    s.norm("norm", f"{part.base}post_layernorm", [head])
    return s


def _kept(tensors: dict[str, Tensor], dropped: tuple[str, ...]) -> dict[str, Tensor]:
    """Without the numbers of positions, which old files hold, and without what belongs to other
    parts.
    """
    return {
        name: t
        for name, t in tensors.items()
        if not name.endswith("position_ids") and not name.startswith(dropped)
    }


def _text_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    return vision.with_base(_kept(tensors, ("vision_model.", "logit_")), "", (TEXT.base,))


def _image_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    found = vision.with_base(_kept(tensors, ("text_model.", "logit_")), "", (IMAGE.base,))
    return found if config["vision_use_head"] else _kept(found, ("head.",))


def _classifier_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    return _kept(tensors, ("text_model.", "logit_", "vision_model.head."))


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """The stream `[n, length, width]` with the embedding behind it, where there is one."""
    found = module(vision.fitting(module, inputs) if inputs.is_floating_point() else inputs)
    return vision.with_pooled(
        found.last_hidden_state, found.pooler_output if "pooler_output" in found else None
    )


def _probe_pairs(config: Config, count: int, seed: int, dtype: torch.dtype) -> Tensor:
    return towers.random_pairs(config, count, seed, dtype)


def _build(config: Config, config_class: str) -> nn.Module:
    settings = dict(config)
    # no output depends on them
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if "text_config" in settings:
        settings["text_config"] = {**settings["text_config"], **ends}
    return hf.build(
        settings,
        config_class,
        config["architectures"][0],
        **(ends if "vocab_size" in config else {}),
    )


REFERENCE = "Zhai et al., Sigmoid Loss for Language Image Pre-Training, 2023, arXiv 2303.15343"
SMALL_TEXT: dict[str, Any] = {
    "vocab_size": 37,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "max_position_embeddings": 6,
    "projection_size": 16,
}
SMALL_IMAGE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 14,
    "patch_size": 7,
    "num_channels": 1,
}

SIGLIP_TEXT = Family(
    name="siglip_text",
    sentence="The text tower of SigLIP: no mask, LayerNorm before each layer, one layer on the "
    "last token.",
    reference=REFERENCE,
    takes="text",
    recognises=lambda config: config.get("model_type") == TYPES["text"],
    build=lambda config: _build(config, "SiglipTextConfig"),
    outputs=_outputs,
    sizes=towers.text_sizes,
    structure=_text_structure,
    predicts=lambda config: "features",
    save=hf.save,
    config=lambda raw: _tower(raw, "text", "SiglipTextModel"),
    from_disk=_text_from_disk,
    classes=("SiglipTextModel",),
    examples={"siglip_text": {"model_type": TYPES["text"], **SMALL_TEXT}},
)
SIGLIP_VISION = Family(
    name="siglip_vision",
    sentence="The image tower of SigLIP: LayerNorm before each layer, attention of one learned "
    "query to pool.",
    reference=REFERENCE,
    takes="images",
    recognises=lambda config: config.get("model_type") == TYPES["image"],
    build=lambda config: _build(config, "SiglipVisionConfig"),
    outputs=_outputs,
    sizes=vision.sizes,
    structure=_image_structure,
    predicts=lambda config: "features",
    save=hf.save,
    config=lambda raw: _tower(raw, "image", "SiglipVisionModel"),
    from_disk=_image_from_disk,
    classes=("SiglipVisionModel",),
    examples={
        "siglip_vision": {"model_type": TYPES["image"], **SMALL_IMAGE},
        "siglip_vision-no-head": {
            "model_type": TYPES["image"],
            **SMALL_IMAGE,
            "vision_use_head": False,
        },
    },
)


def _is_classifier(config: Config) -> bool:
    return config.get("model_type") == "siglip" and config.get("architectures") in (
        [CLASSIFIER],
        (CLASSIFIER,),
    )


SIGLIP = Family(
    name="siglip",
    sentence="Images and texts compared pair by pair: two towers whose embeddings share one space.",
    reference=REFERENCE,
    takes="images and text",
    recognises=lambda config: config.get("model_type") == "siglip" and not _is_classifier(config),
    build=lambda config: _build(config, "SiglipConfig"),
    outputs=towers.pair_outputs,
    sizes=towers.both_sizes,
    structure=_both_structure,
    predicts=lambda config: "pairs",
    save=hf.save,
    config=_both,
    from_disk=lambda tensors, config: _kept(tensors, ("\n",)),
    classes=("SiglipModel",),
    examples={
        "siglip": {"model_type": "siglip", "text_config": SMALL_TEXT, "vision_config": SMALL_IMAGE}
    },
    probe=_probe_pairs,
)
SIGLIP_CLASSIFIER = Family(
    name="siglip_classifier",
    sentence="Image classifier on SigLIP's image tower: it reads the mean of the patches.",
    reference=REFERENCE,
    takes="images",
    recognises=_is_classifier,
    build=lambda config: _build(config, "SiglipConfig"),
    outputs=vision.outputs,
    sizes=lambda config: vision.sizes(config["vision_config"]) | {"classes": config["num_labels"]},
    structure=_classifier_structure,
    predicts=lambda config: "label",
    save=hf.save,
    config=_classifier,
    from_disk=_classifier_from_disk,
    classes=(CLASSIFIER,),
    examples={
        "siglip_classifier": {
            "model_type": "siglip",
            "architectures": [CLASSIFIER],
            "vision_config": SMALL_IMAGE,
            "num_labels": 5,
        }
    },
)
