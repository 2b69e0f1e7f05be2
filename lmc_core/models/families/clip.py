"""CLIP (Radford et al. 2021, arXiv 2103.00020): a text tower and an image tower, and the classes
that hold one of them.

Both towers are pre-norm. The texts' is causal, and its state at the last token of a text is the
pooled one. The images' begins with a norm whose gains act inside its stream, so that its order
alone is free there; a norm of its own reads the class token at the end. Of a tower alone the stream
is an output: the texts' behind its last norm, the images' as it is. The classifier reads the mean
of the patches of the images' stream without a norm. Where both towers stand together, their
embeddings turn by one orthogonal map, and the outputs are how well each image of a batch fits each
text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf, tower_families, towers, vision
from lmc_core.models.architectures.towers import IMAGE, TEXT, Part
from lmc_core.models.architectures.vision import CONSTANTS, MEANS
from lmc_core.models.config import Config, require_sizes
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import PERMUTATIONS

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# What the function depends on, with transformers' defaults.
TEXTS = (
    Config(vocab_size=49408, hidden_size=512, intermediate_size=2048, num_hidden_layers=12)
    | dict(num_attention_heads=8, max_position_embeddings=77, hidden_act="quick_gelu")
    | dict(layer_norm_eps=1e-5, eos_token_id=49407)
)
IMAGES = (
    Config(hidden_size=768, intermediate_size=3072, num_hidden_layers=12)
    | dict(num_attention_heads=12, num_channels=3, image_size=224, patch_size=32)
    | dict(hidden_act="quick_gelu", layer_norm_eps=1e-5)
)
PROJECTION = {"projection_dim": 512}
KIN = tower_families.Kin(
    "clip",
    "CLIP",
    "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, "
    "arXiv 2103.00020",
    ("bos_token_id", "pad_token_id"),
)
OTHERS = {  # what the names of other parts begin with, in the file of one
    TEXT.prefix: ("vision_model.", "visual_projection.", "logit_scale"),
    IMAGE.prefix: ("text_model.", "text_projection.", "logit_scale"),
}
REASON = "gains and offsets of the norm before the first block act on its coordinates one by one"


def _text(raw: Config, projects: bool) -> Config:
    found = towers.checked_text(
        raw, TEXTS | (PROJECTION if projects else {}), *(PROJECTION if projects else ())
    )
    end = found["eos_token_id"]
    if isinstance(end, bool) or not isinstance(end, int):
        raise BadCheckpoint(
            "The configuration should give 'eos_token_id' as one token, which is pooled; it "
            f"gives {end!r}."
        )
    return found


def _image(raw: Config, projects: bool) -> Config:
    return towers.checked_image(
        raw, IMAGES | (PROJECTION if projects else {}), *(PROJECTION if projects else ())
    )


def _projects(config: Config) -> bool:
    return config.class_name().endswith("WithProjection")


def _tower(raw: Config, part: tower_families.Parts, classes: tuple[str, ...]) -> Config:
    found = KIN.chosen(raw, part, classes)
    return found | (_text if part == "text" else _image)(raw, _projects(found))


def _both(raw: Config) -> Config:
    found = KIN.chosen(raw, "both", ("CLIPModel",)) | hf.chosen(raw, PROJECTION)
    found["text_config"] = _text(towers.nested(raw, "text_config", TEXTS), False)
    found["vision_config"] = _image(towers.nested(raw, "vision_config", IMAGES), False)
    require_sizes(found, "projection_dim")
    return found


def _classifier(raw: Config) -> Config:
    found = KIN.chosen(raw, "classifier", (KIN.classifier,)) | {"num_labels": hf.labels(raw)}
    found["vision_config"] = _image(towers.nested(raw, "vision_config", IMAGES), False)
    require_sizes(found, "num_labels")
    return found


def image_tower(s: Structure, config: Config, part: Part, shown: bool) -> None:
    """Write an image tower down, without its last norm.

    Args:
        s: what is being written down.
        config: of the tower.
        part: its place.
        shown: whether something sees its stream without a norm.
    """
    width, on, stream = config.size("hidden_size"), part.prefix, part.stream
    depth = config.size("num_hidden_layers")
    rows = (config.size("image_size") // config.size("patch_size")) ** 2 + 1
    at = f"{part.base}embeddings"
    s.parameter(f"{on}cls.token", f"{at}.class_embedding", f"+{stream}", (width,))
    s.parameter(
        f"{on}position.table", f"{at}.position_embedding.weight", f"* +{stream}", (rows, width)
    )
    vision.patches(s, config, f"{at}.patch_embedding", False, stream, on)
    s.norm(f"{on}norm.pre", f"{part.base}pre_layrnorm", None, stream)
    columns = rows + 1 + config.size("num_channels") * config.size("patch_size") ** 2
    s.freedom(MEANS, columns)
    s.freedom("sums of constants", width - 1)
    s.scale("embedding of the class token", "embeddings of patches")
    for i in range(depth):
        towers.layer(config, part).write(s, i, f"{part.base}encoder.layers.{i}")
    if not shown:  # nothing sees the mean of what is written
        s.freedom(MEANS, 1 + depth * (width + config.size("intermediate_size") + 2))
        s.scale("residual stream")
        s.freedom("gains against a rotation", 1)  # as in `vit.py`


def _shown_image_structure(config: Config) -> Structure:
    """An image tower alone."""
    s, projects, width = Structure(KIN.type("image")), _projects(config), config.size("hidden_size")
    part = Part(IMAGE.base if projects else "")
    vision.raw_stream(s, width, config.size("num_hidden_layers"))
    image_tower(s, config, part, True)
    if projects:
        towers.shown_embedding(s, config.size("projection_dim"))
        reader = s.linear("projection", "visual_projection", "+embedding", "-residual", False)
        s.norm("norm", f"{part.base}post_layernorm", [reader])
    else:
        vision.output_norm(s, f"{part.base}post_layernorm")
    return s


def _text_structure(config: Config) -> Structure:
    """A text tower alone."""
    s, projects = Structure(KIN.type("text")), _projects(config)
    part = Part(TEXT.base if projects else "")
    towers.text_tower(s, config, part, True)
    vision.output_norm(s, f"{part.base}final_layer_norm")
    if projects:
        towers.shown_embedding(s, config.size("projection_dim"))
        s.linear("projection", "text_projection", "+embedding", "-residual", False)
    return s


def _both_structure(config: Config) -> Structure:
    s, texts, images = Structure("clip"), config.part("text_config"), config.part("vision_config")
    s.space(IMAGE.stream, "residual", images.size("hidden_size"), PERMUTATIONS, REASON)
    image_tower(s, images, IMAGE, False)
    towers.text_tower(s, texts, TEXT, False)
    towers.embedding_space(s, config.size("projection_dim"))
    for part, name, norm in (
        (IMAGE, "visual_projection", "post_layernorm"),
        (TEXT, "text_projection", "final_layer_norm"),
    ):
        reader = s.linear(f"{part.prefix}projection", name, "+embedding", f"-{part.stream}", False)
        s.norm(f"{part.prefix}norm", f"{part.base}{norm}", [reader], part.stream)
    s.parameter("scale", "logit_scale", "*", ())
    return s


def _classifier_structure(config: Config) -> Structure:
    s, images = Structure("clip_classifier"), config.part("vision_config")
    width, part = images.size("hidden_size"), Part(IMAGE.base)
    s.space("residual", "residual", width, PERMUTATIONS, REASON)
    image_tower(s, images, part, True)
    s.linear(
        "head", "classifier", "*", "-residual", rows=config.size("num_labels"), ignores_mean_over=0
    )
    s.scale("residual stream")  # the head divides by it
    # The head's bias takes the means of all constants and the last of them whole. A multiple of the
    # ones vector that depends on the stream passes every norm, and the head can undo it: by itself,
    # and where it belongs to other gains of the first norm.
    s.freedom(MEANS, 2 * images.size("num_hidden_layers") + 2)
    s.freedom("sums of constants", width - 1)
    s.freedom("gains against a rotation", 1)
    vision.output_norm(s, f"{part.base}post_layernorm", block="norm.unused")
    s.freedom(CONSTANTS, 2 * width)
    return s


def _tower_from_disk(
    tensors: dict[str, Tensor], config: Config, part: Part, projection: str
) -> dict[str, Tensor]:
    found = tower_families.kept(tensors, *OTHERS[part.prefix])
    projects = _projects(config)
    if not projects:
        found = {name: tensor for name, tensor in found.items() if not name.startswith(projection)}
    return vision.with_base(found, part.base if projects else "", (part.base,), (projection,))


def _classifier_from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    found = {
        name: tensor
        for name, tensor in tower_families.kept(tensors, *OTHERS[IMAGE.prefix]).items()
        if not name.startswith("visual_projection.")
    }
    return vision.with_base(found, IMAGE.base, (IMAGE.base,), ("classifier.",))


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """The stream `[n, length, width]`, with what is pooled of it or projected behind it where that
    is no part of the stream.
    """
    images = inputs.is_floating_point()
    found = module(vision.fitting(module, inputs) if images else inputs)
    for name in ("image_embeds", "text_embeds"):
        if name in found:
            return vision.with_pooled(found.last_hidden_state, found[name])
    return vision.with_pooled(found.last_hidden_state, found.pooler_output if images else None)


def _end(config: Config) -> int | None:
    """The token whose state is pooled; None where that is the token of the highest number, as in
    files that give 2.
    """
    return None if config["eos_token_id"] == 2 else config.size("eos_token_id")


def _probe_texts(config: Config, count: int, seed: int, dtype: torch.dtype) -> Tensor:
    return towers.random_tokens(config, count, seed, _end(config))


def _probe_pairs(config: Config, count: int, seed: int, dtype: torch.dtype) -> Tensor:
    return towers.random_pairs(config, count, seed, dtype, _end(config.part("text_config")))


SMALL_TEXT = (
    Config(vocab_size=37, hidden_size=24, intermediate_size=20, num_hidden_layers=1)
    | dict(num_attention_heads=3, max_position_embeddings=6, eos_token_id=36)
    | dict(projection_dim=10)
)
SMALL_IMAGE = Config(
    hidden_size=16, intermediate_size=20, num_hidden_layers=1, num_attention_heads=2
) | dict(image_size=14, patch_size=7, num_channels=1, projection_dim=10)
_DEEP = {"num_hidden_layers": 2}
_TEXT_CLASSES = ("CLIPTextModel", "CLIPTextModelWithProjection")
_IMAGE_CLASSES = ("CLIPVisionModel", "CLIPVisionModelWithProjection")

CLIP_TEXT = KIN.family(
    "text",
    "The text tower of CLIP: causal, LayerNorm before each layer, with or without its projection.",
    _TEXT_CLASSES,
    lambda raw: _tower(raw, "text", _TEXT_CLASSES),
    _text_structure,
    lambda tensors, config: _tower_from_disk(tensors, config, TEXT, "text_projection."),
    _outputs,
    {
        "clip_text": SMALL_TEXT,
        "clip_text-projection": SMALL_TEXT | {"architectures": [_TEXT_CLASSES[1]]},
    },
    _probe_texts,
)
CLIP_VISION = KIN.family(
    "image",
    "The image tower of CLIP: a norm before the first layer and before each, with or without its "
    "projection.",
    _IMAGE_CLASSES,
    lambda raw: _tower(raw, "image", _IMAGE_CLASSES),
    _shown_image_structure,
    lambda tensors, config: _tower_from_disk(tensors, config, IMAGE, "visual_projection."),
    _outputs,
    {
        "clip_vision": SMALL_IMAGE,
        "clip_vision-projection": SMALL_IMAGE | {"architectures": [_IMAGE_CLASSES[1]]},
    },
)
_SMALL = Config(vision_config=SMALL_IMAGE | _DEEP)
CLIP = KIN.family(
    "both",
    "Images and texts compared: two towers whose embeddings share one space.",
    ("CLIPModel",),
    _both,
    _both_structure,
    lambda tensors, config: tower_families.kept(tensors),
    towers.pair_outputs,
    {"clip": _SMALL | {"text_config": SMALL_TEXT | _DEEP, "projection_dim": 10}},
    _probe_pairs,
)
CLIP_CLASSIFIER = KIN.family(
    "classifier",
    "Image classifier on CLIP's image tower: it reads the mean of the patches without a norm.",
    (KIN.classifier,),
    _classifier,
    _classifier_structure,
    _classifier_from_disk,
    vision.outputs,
    {"clip_classifier": _SMALL | {"architectures": [KIN.classifier], "num_labels": 5}},
)
