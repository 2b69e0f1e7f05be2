"""BEiT (Bao et al. 2021, arXiv 2106.08254) and data2vec for images (Baevski et al. 2022, arXiv
2202.03555).

LayerNorm before each layer, keys without a bias, a vector that scales what attention and units
write, and tables of relative positions by head, in each layer or one for all: then all layers share
one order of heads. Of such a table two constants for each head are not seen, one added to all
scores of the class token, one to all those of a patch. A classifier reads the norm of the mean of
the patches, or the class token. The base model that pools by the mean gives its stream as it is,
without a norm. The class for masked images predicts the visual token of each patch; it sees each
image twice here, every second patch masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.vision import Layer
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import POINTWISE, layer_norm_stream
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import PERMUTATIONS

if TYPE_CHECKING:
    from torch import Tensor, nn

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="beit", hidden_size=768, num_hidden_layers=12, num_attention_heads=12)
    | dict(intermediate_size=3072, hidden_act="gelu", layer_norm_eps=1e-12, image_size=224)
    | dict(patch_size=16, num_channels=3, use_mask_token=False)
    | dict(use_absolute_position_embeddings=False, use_relative_position_bias=False)
    | dict(use_shared_relative_position_bias=False, layer_scale_init_value=0.1)
    | dict(use_mean_pooling=True)
)
SWITCHES = [key for key, value in DEFAULTS.items() if isinstance(value, bool)]
SHIFTS = "constants that a softmax removes"
ENDS = {"Model": "features", "ForImageClassification": "label", "ForMaskedImageModeling": "pixels"}
TABLE = "relative_position_bias.relative_position_bias_table"
BIASES = (True, False, True, True)
BODY = {"beit": "beit.", "data2vec-vision": "data2vec_vision."}
PLAIN = Layer(0, 1, 0, "gelu", BIASES, scales=("lambda_1", "lambda_2"))
OLD = replace(
    PLAIN,
    maps=(
        *(f"attention.attention.{part}" for part in ("query", "key", "value")),
        "attention.output.dense",
    ),
    mlp=("intermediate.dense", "output.dense"),
)


def _predicts(config: Config) -> str:
    return next(what for end, what in ENDS.items() if config.class_name().endswith(end))


def _configuration(raw: Config, name: str, classes: tuple[str, ...]) -> Config:
    found = vision.configuration(raw, DEFAULTS | {"model_type": name}, "intermediate_size")
    require_divides(found, "patch_size", "image_size")
    hf.activation(found, "hidden_act", POINTWISE, name)
    hf.switches(found, *SWITCHES)
    value = found["layer_scale_init_value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadCheckpoint(
            "The configuration should give 'layer_scale_init_value' as a number; it gives "
            f"{value!r}."
        )
    found["layer_scale_init_value"] = float(value)
    found["architectures"] = [hf.named_class(raw, classes, name, classes[0])]
    predicts = _predicts(found)
    if predicts == "label":
        found["num_labels"] = hf.labels(raw)
        require_sizes(found, "num_labels")
    if predicts == "features":
        found["add_pooling_layer"] = (
            found["use_mean_pooling"] and raw.get("add_pooling_layer", name == "beit") is not False
        )
    if predicts == "pixels":
        found["vocab_size"] = raw.get("vocab_size", 8192)
        require_sizes(found, "vocab_size")
        for key, needed in (("use_mask_token", True), ("use_mean_pooling", True)):
            if found[key] is not needed:
                raise BadCheckpoint(
                    f"The class for masked images is supported with {key}={str(needed).lower()}, "
                    "as it is published; the "
                    f"configuration gives {found[key]}."
                )
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; indices of positions, and what only another class uses, are dropped."""
    body, predicts = BODY[config.text("model_type")], _predicts(config)
    heads = {"label": ("classifier.",), "pixels": ("layernorm.", "lm_head."), "features": ()}[
        predicts
    ]
    dropped = tuple({"classifier.", "lm_head."} - set(heads))
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith("relative_position_index") and not name.startswith(dropped)
    }
    if not config["use_mask_token"]:
        kept = {
            name: tensor
            for name, tensor in kept.items()
            if not name.endswith("embeddings.mask_token")
        }
    if config["model_type"] == "beit":
        moved = (r"attention\.attention\.relative_position_bias\.", "relative_position_bias.")
        kept = vision.renamed(kept, (moved, *vision.OLD_NAMES))
        old = f"encoder.{TABLE}"
        kept = {
            name.replace(old, f"shared_position_bias.{TABLE.split('.')[1]}"): tensor
            for name, tensor in kept.items()
        }
    return vision.with_base(kept, "" if predicts == "features" else body, (body,), heads)


def _build(config: Config, config_class: str) -> nn.Module:
    settings = dict(config)
    arguments = {}
    if "add_pooling_layer" in settings:
        pools = settings.pop("add_pooling_layer") or (
            not config["use_mean_pooling"] and config["model_type"] == "beit"
        )
        arguments["add_pooling_layer"] = pools
    return hf.build(
        settings,
        config_class,
        config.class_name(),
        arguments,
        drop_path_rate=0.0,
        **vision.DROPLESS,
    )


def outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, classes]`, the stream with the pooled mean behind it, or logits
    `[n, 2, patches, tokens]`.
    """
    if type(module).__name__.endswith("ForMaskedImageModeling"):
        return vision.twice_masked(module, inputs, lambda found: found.logits)
    found = module(vision.fitting(module, inputs))
    if "logits" in found:
        return found.logits
    # otherwise it is the first token
    # torch types what a module holds as a tensor or a module
    pools = module.config.use_mean_pooling  # type: ignore[union-attr]
    return vision.with_pooled(found.last_hidden_state, found.pooler_output if pools else None)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a model of that configuration."""
    width, predicts = config.size("hidden_size"), _predicts(config)
    mean = config.flag("use_mean_pooling")
    base = "" if predicts == "features" else BODY[config.text("model_type")]
    s = Structure(config.text("model_type"))
    if predicts == "features" and mean:
        vision.raw_stream(s, width, config.size("num_hidden_layers"))
    else:
        layer_norm_stream(s, width, output=predicts == "features")
    _embeddings(s, config, f"{base}embeddings", predicts)
    _layers(s, config, base, patches_alone=predicts == "pixels" or (predicts == "label" and mean))
    if predicts == "features":
        if not mean:
            vision.output_norm(s, "layernorm")
        elif config["add_pooling_layer"]:
            vision.output_norm(s, "pooler.layernorm")
        return s
    name, rows = (
        ("classifier", config.size("num_labels"))
        if predicts == "label"
        else ("lm_head", config.size("vocab_size"))
    )
    norm = (
        "layernorm"
        if predicts == "pixels"
        else f"{base}pooler.layernorm"
        if mean
        else f"{base}layernorm"
    )
    s.norm("norm", norm, [s.linear("head", name, "*", "-residual", rows=rows, ignores_mean_over=0)])
    return s


def _layers(s: Structure, config: Config, base: str, patches_alone: bool) -> None:
    """The layers with their tables of positions; where patches alone are read, the last class
    token's scores are not seen.
    """
    heads = config.size("num_attention_heads")
    rows = (2 * (config.size("image_size") // config.size("patch_size")) - 1) ** 2 + 3
    old = config["model_type"] != "beit"
    own = config.flag("use_relative_position_bias")
    one = config.flag("use_shared_relative_position_bias")
    shared = None
    if one:
        reason = (
            "each head has a softmax of its own; all layers share one table of positions by head"
        )
        shared = s.space("heads", "heads", heads, PERMUTATIONS, reason)
        name = (
            f"{base}encoder.{TABLE}" if old else f"{base}shared_position_bias.{TABLE.split('.')[1]}"
        )
        s.parameter("relative.table", name, f"* ={shared}", (rows, heads))
        s.freedom(*(("sums of constants", rows * heads) if own else (SHIFTS, 2 * heads)))
    layer = replace(
        OLD if old else PLAIN,
        width=config.size("hidden_size"),
        heads=heads,
        hidden=config.size("intermediate_size"),
        act=config.text("hidden_act"),
        scaled=config.number("layer_scale_init_value") > 0,
        shared_heads=shared,
    )
    for i in range(config.size("num_hidden_layers")):
        at = f"{base}encoder.layer.{i}" if old else f"{base}layers.{i}"
        layer.write(s, i, at)
        if own:
            table = f"{at}.attention.attention.{TABLE}" if old else f"{at}.{TABLE}"
            s.parameter(
                f"blocks.{i}.relative.table", table, f"* ={shared or f'heads.{i}'}", (rows, heads)
            )
            s.freedom(SHIFTS, 2 * heads)
    if patches_alone and (own or (one and config["num_hidden_layers"] == 1)):
        s.freedom(SHIFTS, heads)


def _embeddings(s: Structure, config: Config, at: str, predicts: str) -> None:
    """Tokens, positions where there is a table, patches."""
    width = config.size("hidden_size")
    rows = (config.size("image_size") // config.size("patch_size")) ** 2
    s.parameter("cls.token", f"{at}.cls_token", "* +residual", (1, 1, width))
    if config["use_absolute_position_embeddings"]:
        s.parameter(
            "position.table", f"{at}.position_embeddings", "* +residual", (1, rows + 1, width)
        )
    vision.patches(s, config, f"{at}.patch_embeddings.projection")
    if config["use_absolute_position_embeddings"]:
        for name in ("cls.token", "patch.bias"):
            s.sum(name, "position.table")
    if config["use_mask_token"]:
        if predicts == "pixels":
            s.parameter("mask.token", f"{at}.mask_token", "* +residual", (1, 1, width))
        else:
            vision.unseen_token(s, "mask.token", f"{at}.mask_token", (1, 1, width))


SMALL = Config(
    hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20
) | dict(image_size=14, patch_size=7, num_channels=1)


def _family(
    name: str,
    begin: str,
    ends: tuple[str, ...],
    words: tuple[str, str],
    examples: Mapping[str, tuple[str, Mapping[str, Json]]],
) -> Family:
    classes = tuple(f"{begin}{end}" for end in ends)
    return Family(
        name=name,
        sentence=words[0],
        reference=words[1],
        takes="images",
        recognises=lambda config: config.get("model_type") == name,
        build=lambda config: _build(config, f"{begin}Config"),
        outputs=outputs,
        sizes=vision.sizes,
        structure=structure,
        predicts=_predicts,
        save=hf.save,
        config=lambda raw: _configuration(raw, name, classes),
        from_disk=from_disk,
        classes=classes,
        examples={
            key: {"model_type": name, "architectures": [f"{begin}{end}"]} | SMALL | dict(raw)
            for key, (end, raw) in examples.items()
        },
    )


_LABELS = {"num_labels": 5, "num_hidden_layers": 2}

BEIT = _family(
    "beit",
    "Beit",
    ("Model", "ForImageClassification", "ForMaskedImageModeling"),
    (
        "Image transformer that predicts visual tokens of masked patches: tables of relative "
        "positions by head.",
        "Bao et al., BEiT: BERT Pre-Training of Image Transformers, 2021, arXiv 2106.08254",
    ),
    {
        "beit": ("ForImageClassification", _LABELS | {"use_relative_position_bias": True}),
        "beit-class-token": (
            "ForImageClassification",
            _LABELS
            | dict(use_absolute_position_embeddings=True, use_mean_pooling=False)
            | dict(layer_scale_init_value=0.0),
        ),
        "beit-features": (
            "Model",
            {"use_shared_relative_position_bias": True, "use_mask_token": True},
        ),
        "beit-features-normed": ("Model", {"use_mean_pooling": False}),
        "beit-masked": (
            "ForMaskedImageModeling",
            (
                Config(use_shared_relative_position_bias=True, use_mask_token=True)
                | dict(vocab_size=7, num_hidden_layers=2)
            ),
        ),
    },
)
DATA2VEC_VISION = _family(
    "data2vec-vision",
    "Data2VecVision",
    ("Model", "ForImageClassification"),
    (
        "BEiT's architecture, trained to predict its own features of what was masked.",
        "Baevski et al., data2vec: A General Framework for Self-supervised Learning, 2022, arXiv "
        "2202.03555",
    ),
    {
        "data2vec-vision": (
            "Model",
            {"use_relative_position_bias": True, "use_shared_relative_position_bias": True},
        ),
        "data2vec-vision-classifier": (
            "ForImageClassification",
            _LABELS | {"use_shared_relative_position_bias": True},
        ),
    },
)
