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

from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf, tower_families, towers, vision
from lmc_core.models.architectures.towers import IMAGE, TEXT, Part
from lmc_core.models.architectures.vision import CONSTANTS, MEANS
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.parts import attention, attention_products, units, units_product
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# What the function depends on, with transformers' defaults.
TEXTS = (
    Config(vocab_size=32000, hidden_size=768, intermediate_size=3072, num_hidden_layers=12)
    | dict(num_attention_heads=12, max_position_embeddings=64)
    | dict(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, projection_size=None)
)
IMAGES = (
    Config(hidden_size=768, intermediate_size=3072, num_hidden_layers=12)
    | dict(num_attention_heads=12, num_channels=3, image_size=224, patch_size=16)
    | dict(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, vision_use_head=True)
)
KIN = tower_families.Kin(
    "siglip",
    "Siglip",
    "Zhai et al., Sigmoid Loss for Language Image Pre-Training, 2023, arXiv 2303.15343",
    ("bos_token_id", "eos_token_id", "pad_token_id"),
)


def _text(raw: Config) -> Config:
    width = raw.get("projection_size") or raw.get("hidden_size", TEXTS["hidden_size"])
    return towers.checked_text(raw | {"projection_size": width}, TEXTS, "projection_size")


def _image(raw: Config) -> Config:
    found = towers.checked_image(raw, IMAGES)
    hf.switches(found, "vision_use_head")
    return found


def _both(raw: Config) -> Config:
    text = _text(towers.nested(raw, "text_config", TEXTS))
    images = _image(towers.nested(raw, "vision_config", IMAGES))
    sizes = text.size("projection_size"), images.size("hidden_size")
    if sizes[0] != sizes[1] or not images["vision_use_head"]:
        raise BadCheckpoint(
            f"Texts are embedded in {sizes[0]} numbers here and images in {sizes[1]}, with "
            f"vision_use_head={images['vision_use_head']}; to be compared both need as many, and "
            "images their head."
        )
    found = KIN.chosen(raw, "both", ("SiglipModel",))
    return found | {"text_config": text, "vision_config": images}


def _classifier(raw: Config) -> Config:
    images = _image(towers.nested(raw, "vision_config", IMAGES)) | {"vision_use_head": False}
    found = KIN.chosen(raw, "classifier", (KIN.classifier,)) | {"vision_config": images}
    found["num_labels"] = hf.labels(raw)
    require_sizes(found, "num_labels")
    return found


def _image_tower(s: Structure, config: Config, part: Part, output: bool) -> None:
    """An image tower without its last norm."""
    width, on, at = config.size("hidden_size"), part.prefix, f"{part.base}embeddings"
    vision.norm_stream(s, width, part.stream, output)
    vision.patches(s, config, f"{at}.patch_embedding", True, part.stream, on)
    shape = ((config.size("image_size") // config.size("patch_size")) ** 2, width)
    s.parameter(
        f"{on}position.table", f"{at}.position_embedding.weight", f"* +{part.stream}", shape
    )
    s.sum(f"{on}patch.bias", f"{on}position.table")
    for i in range(config.size("num_hidden_layers")):
        towers.layer(config, part).write(s, i, f"{part.base}encoder.layers.{i}")


def _pool(s: Structure, config: Config, part: Part, shown: bool) -> vision.Readers:
    """The head that makes an image's embedding; returns what reads the last norm."""
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    at = f"{part.base}head"
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
    u = units(s, on, config.size("intermediate_size"), config.text("hidden_act"))
    up = s.linear(f"{on}.up", f"{at}.mlp.fc1", f"+{u}", "-embedding")
    s.linear(f"{on}.down", f"{at}.mlp.fc2", "+embedding", f"-{u}")
    units_product(s, u, on, True)
    s.norm(f"{on}.norm", f"{at}.layernorm", [up], "embedding")
    s.freedom(MEANS, 1)  # of the two constants that are added there only one mean is seen
    # of probe, queries and keys one vector for each head is seen, without its mean; the rest counts
    # here, but for what the plane, the keys' bias and, behind a norm that is not shown, the keys'
    # means count already
    seen = heads * (width - 1) + heads * size**2 + width
    s.freedom(CONSTANTS, 3 * width + 2 * width**2 - seen - (0 if shown else width))
    if shown:
        towers.head_of_outputs(s, width)  # of the values
    return [(f"{on}.{part}.weight", f"{on}.{part}.bias") for part in ("key", "value")]


def _image_structure(config: Config) -> Structure:
    s, part = Structure(KIN.type("image")), Part()
    _image_tower(s, config, part, True)
    vision.output_norm(s, "post_layernorm")
    if config["vision_use_head"]:
        towers.shown_embedding(s, config.size("hidden_size"))
        _pool(s, config, part, True)
    return s


def _text_structure(config: Config) -> Structure:
    s, rows = Structure(KIN.type("text")), config.size("projection_size")
    towers.text_tower(s, config, Part(), True)
    vision.output_norm(s, "final_layer_norm")
    towers.shown_embedding(s, rows)
    s.linear("head", "head", "+embedding", "-residual")
    towers.head_of_outputs(s, rows)
    return s


def _both_structure(config: Config) -> Structure:
    s, texts, images = Structure("siglip"), config.part("text_config"), config.part("vision_config")
    _image_tower(s, images, IMAGE, False)
    towers.text_tower(s, texts, TEXT, False)
    towers.embedding_space(s, images.size("hidden_size"), fixes_ones=True)
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
    _image_tower(s, config.part("vision_config"), part, False)
    head = s.linear(
        "head", "classifier", "*", "-residual", rows=config.size("num_labels"), ignores_mean_over=0
    )
    s.norm("norm", f"{part.base}post_layernorm", [head])
    return s


def _text_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    return vision.with_base(
        tower_families.kept(tensors, "vision_model.", "logit_"), "", (TEXT.base,)
    )


def _image_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    found = vision.with_base(
        tower_families.kept(tensors, "text_model.", "logit_"), "", (IMAGE.base,)
    )
    return found if config["vision_use_head"] else tower_families.kept(found, "head.")


def _classifier_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    return tower_families.kept(tensors, "text_model.", "logit_", "vision_model.head.")


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """The stream `[n, length, width]` with the embedding behind it, where there is one."""
    found = module(vision.fitting(module, inputs) if inputs.is_floating_point() else inputs)
    return vision.with_pooled(
        found.last_hidden_state, found.pooler_output if "pooler_output" in found else None
    )


def _probe_pairs(config: Config, count: int, seed: int, dtype: torch.dtype) -> Tensor:
    return towers.random_pairs(config, count, seed, dtype)


SMALL_TEXT = Config(
    vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=1
) | dict(num_attention_heads=3, max_position_embeddings=6, projection_size=16)
SMALL_IMAGE = Config(
    hidden_size=16, intermediate_size=20, num_hidden_layers=1, num_attention_heads=2
) | dict(image_size=14, patch_size=7, num_channels=1)

_TEXT_CLASSES, _IMAGE_CLASSES = ("SiglipTextModel",), ("SiglipVisionModel",)

SIGLIP_TEXT = KIN.family(
    "text",
    "The text tower of SigLIP: no mask, LayerNorm before each layer, one layer on the last token.",
    _TEXT_CLASSES,
    lambda raw: KIN.chosen(raw, "text", _TEXT_CLASSES) | _text(raw),
    _text_structure,
    _text_from_disk,
    _outputs,
    {"siglip_text": SMALL_TEXT},
)
SIGLIP_VISION = KIN.family(
    "image",
    "The image tower of SigLIP: LayerNorm before each layer, attention of one learned query to "
    "pool.",
    _IMAGE_CLASSES,
    lambda raw: KIN.chosen(raw, "image", _IMAGE_CLASSES) | _image(raw),
    _image_structure,
    _image_from_disk,
    _outputs,
    {
        "siglip_vision": SMALL_IMAGE,
        "siglip_vision-no-head": SMALL_IMAGE | {"vision_use_head": False},
    },
)
SIGLIP = KIN.family(
    "both",
    "Images and texts compared pair by pair: two towers whose embeddings share one space.",
    ("SiglipModel",),
    _both,
    _both_structure,
    lambda tensors, config: tower_families.kept(tensors),
    towers.pair_outputs,
    {"siglip": Config(text_config=SMALL_TEXT, vision_config=SMALL_IMAGE)},
    _probe_pairs,
)
SIGLIP_CLASSIFIER = KIN.family(
    "classifier",
    "Image classifier on SigLIP's image tower: it reads the mean of the patches.",
    (KIN.classifier,),
    _classifier,
    _classifier_structure,
    _classifier_from_disk,
    vision.outputs,
    {
        "siglip_classifier": Config(
            architectures=[KIN.classifier], vision_config=SMALL_IMAGE, num_labels=5
        )
    },
)
