"""DINOv2 (Oquab et al. 2023, arXiv 2304.07193), with register tokens too (Darcet et al. 2023, arXiv
2309.16588).

LayerNorm before each layer, a vector that scales what attention and units write, GELU units or
SwiGLU with biases. Register tokens have no positions. A classifier reads the class token and the
mean of all other tokens side by side: two readers of one stream. The token for masked patches is
used in pretraining alone; it moves with the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.vision import Layer
from lmc_core.models.config import Config, Json, require_divides, require_sizes
from lmc_core.models.family import Family
from lmc_core.models.parts import POINTWISE, layer_norm_stream
from lmc_core.models.structure import Structure

if TYPE_CHECKING:
    from torch import Tensor, nn

# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="dinov2", hidden_size=768, num_hidden_layers=12)
    | dict(num_attention_heads=12, mlp_ratio=4, hidden_act="gelu", layer_norm_eps=1e-6)
    | dict(image_size=224, patch_size=14, num_channels=3, qkv_bias=True)
    | dict(use_swiglu_ffn=False, use_mask_token=True)
)
REGISTERS = DEFAULTS | dict(
    model_type="dinov2_with_registers", patch_size=16, num_register_tokens=4
)


def _configuration(raw: Config, defaults: Mapping[str, Json], classes: tuple[str, ...]) -> Config:
    found = vision.configuration(raw, defaults, "mlp_ratio")
    name = found.text("model_type")
    hf.activation(found, "hidden_act", POINTWISE, name)
    hf.switches(found, "qkv_bias", "use_swiglu_ffn", "use_mask_token")
    require_divides(found, "patch_size", "image_size")
    if "num_register_tokens" in found:
        del found["use_mask_token"]  # the class always has one
        require_sizes(found, "num_register_tokens")
    found["architectures"] = [hf.named_class(raw, classes, name, classes[0])]
    if _classifies(found):
        found["num_labels"] = hf.labels(raw)
        require_sizes(found, "num_labels")
    return found


def _classifies(config: Config) -> bool:
    return config.class_name().endswith("ForImageClassification")


def _hidden(config: Config) -> int:
    hidden = config.size("hidden_size") * config.number("mlp_ratio")
    return (int(hidden * 2 / 3) + 7) // 8 * 8 if config["use_swiglu_ffn"] else int(hidden)


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory; gate and `up` of SwiGLU, which are one matrix on disk, are two."""
    found: dict[str, Tensor] = {}
    for name, tensor in vision.renamed(tensors, layers="encoder.layer").items():
        if ".mlp.weights_in." in name:
            for part, half in zip(("gate", "up"), tensor.chunk(2), strict=True):
                found[name.replace("weights_in", f"{part}_proj")] = half.contiguous()
        else:
            found[name.replace(".mlp.weights_out.", ".mlp.down_proj.")] = tensor
    mask = "embeddings.mask_token"
    if not config.get("use_mask_token", True):
        found = {name: tensor for name, tensor in found.items() if not name.endswith(mask)}
    body = f"{config['model_type']}."
    if _classifies(config):
        return vision.with_base(found, body, (body,), ("classifier.",))
    bare = {name: tensor for name, tensor in found.items() if not name.startswith("classifier.")}
    return vision.with_base(bare, "", (body,))


def _build(config: Config, config_class: str) -> nn.Module:
    return hf.build(
        config, config_class, config.class_name(), drop_path_rate=0.0, **vision.DROPLESS
    )


def structure(config: Config) -> Structure:
    """The spaces and blocks of a model of that configuration."""
    classifies, width = _classifies(config), config.size("hidden_size")
    base = f"{config['model_type']}." if classifies else ""
    bias, gated = config.flag("qkv_bias"), config.flag("use_swiglu_ffn")
    s = Structure(config.text("model_type"))
    layer_norm_stream(s, width, output=not classifies)
    _embeddings(s, config, f"{base}embeddings")
    mlp = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj") if gated else ("mlp.fc1", "mlp.fc2")
    layer = Layer(
        width,
        config.size("num_attention_heads"),
        _hidden(config),
        "silu" if gated else config.text("hidden_act"),
        (bias, bias, bias, True),
        gated=gated,
        scaled=True,
        norms=("norm1", "norm2"),
        mlp=mlp,
    )
    for i in range(config.size("num_hidden_layers")):
        layer.write(s, i, f"{base}encoder.layer.{i}")
    if classifies:
        s.norm(
            "norm",
            f"{base}layernorm",
            vision.two_readers(s, "classifier", config.size("num_labels"), width),
        )
    else:
        vision.output_norm(s, "layernorm")
    return s


def _embeddings(s: Structure, config: Config, at: str) -> None:
    """Tokens, positions of the class token and of patches, patches."""
    width = config.size("hidden_size")
    rows = (config.size("image_size") // config.size("patch_size")) ** 2
    s.parameter("cls.token", f"{at}.cls_token", "* +residual", (1, 1, width))
    s.parameter("position.table", f"{at}.position_embeddings", "* +residual", (1, rows + 1, width))
    if "num_register_tokens" in config:
        shape = (1, config.size("num_register_tokens"), width)
        s.parameter("register.tokens", f"{at}.register_tokens", "* +residual", shape)
    vision.patches(s, config, f"{at}.patch_embeddings.projection")
    for name in ("cls.token", "patch.bias"):
        s.sum(name, "position.table")
    if config.get("use_mask_token", True):
        vision.unseen_token(s, "mask.token", f"{at}.mask_token", (1, width))


def _sizes(config: Config) -> dict[str, int]:
    return vision.sizes(config) | {"units": _hidden(config)}


SMALL = Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=3, mlp_ratio=1) | dict(
    image_size=14, patch_size=7, num_channels=1
)


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Logits `[n, classes]`, or the stream `[n, tokens, width]`, whose first token is the pooled
    state.
    """
    found = module(vision.fitting(module, inputs))
    return found.logits if "logits" in found else found.last_hidden_state


def _family(
    name: str,
    classes: str,
    defaults: Mapping[str, Json],
    words: tuple[str, str],
    examples: Mapping[str, Mapping[str, Json]],
) -> Family:
    names = (f"{classes}Model", f"{classes}ForImageClassification")
    return Family(
        name=name,
        sentence=words[0],
        reference=words[1],
        takes="images",
        recognises=lambda config: config.get("model_type") == name,
        build=lambda config: _build(config, f"{classes}Config"),
        outputs=_outputs,
        sizes=_sizes,
        structure=structure,
        predicts=lambda config: "label" if _classifies(config) else "features",
        save=hf.save,
        config=lambda raw: _configuration(raw, defaults, names),
        from_disk=from_disk,
        classes=names,
        examples={key: {"model_type": name} | SMALL | dict(raw) for key, raw in examples.items()},
    )


_LABELS = {"num_labels": 5, "num_hidden_layers": 2}

DINOV2 = _family(
    "dinov2",
    "Dinov2",
    DEFAULTS,
    (
        "Image features without labels: LayerNorm before each layer, scales on what is written, "
        "GELU units or SwiGLU.",
        "Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023, arXiv "
        "2304.07193",
    ),
    {
        "dinov2": {},
        "dinov2-classifier": _LABELS | {"architectures": ["Dinov2ForImageClassification"]},
        "dinov2-swiglu-no-biases": _LABELS
        | dict(architectures=["Dinov2ForImageClassification"], use_swiglu_ffn=True)
        | dict(qkv_bias=False, use_mask_token=False),
    },
)
DINOV2_WITH_REGISTERS = _family(
    "dinov2_with_registers",
    "Dinov2WithRegisters",
    REGISTERS,
    (
        "DINOv2 with register tokens, which have no positions.",
        "Darcet et al., Vision Transformers Need Registers, 2023, arXiv 2309.16588",
    ),
    {
        "dinov2-registers": {"num_register_tokens": 2},
        "dinov2-registers-classifier": _LABELS
        | {
            "architectures": ["Dinov2WithRegistersForImageClassification"],
            "num_register_tokens": 2,
        },
    },
)
