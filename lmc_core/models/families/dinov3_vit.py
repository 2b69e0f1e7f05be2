"""DINOv3's Vision Transformers (Siméoni et al. 2025, arXiv 2508.10104): rotary positions on
patches, no table of positions.

A patch at (y, x) turns the first half of each head's pairs by multiples of y and the other half by
multiples of x; class token and registers are not turned. Complex factors commute with every turn,
also with none, so one for each pair remains. Keys have no bias by default. The token for masked
patches is used in pretraining alone; it moves with the stream, which is the output.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadCheckpoint
from lmc_core.lazy_torch import nn
from lmc_core.models.architectures import hf, vision
from lmc_core.models.architectures.vision import Layer
from lmc_core.models.config import Config, require_divides, require_sizes
from lmc_core.models.family import SHARD, Family
from lmc_core.models.parts import POINTWISE, layer_norm_stream
from lmc_core.models.structure import Structure
from lmc_core.symmetry.spaces import Pairs

if TYPE_CHECKING:
    from torch import Tensor

BIASES = ("query_bias", "key_bias", "value_bias", "proj_bias")
# What the function depends on, with transformers' defaults.
DEFAULTS = (
    Config(model_type="dinov3_vit", hidden_size=384, intermediate_size=1536)
    | dict(num_hidden_layers=12, num_attention_heads=6, hidden_act="gelu")
    | dict(layer_norm_eps=1e-5, rope_theta=100.0, image_size=224, patch_size=16)
    | dict(num_channels=3, query_bias=True, key_bias=False, value_bias=True, proj_bias=True)
    | dict(mlp_bias=True, use_gated_mlp=False, num_register_tokens=0)
)
CLASS, REGISTERS = "DINOv3ViTModel", "embeddings.register_tokens"


def config(raw: Config) -> Config:
    """The entries of a `config.json` that the function depends on; missing ones get transformers'
    defaults.
    """
    found = vision.configuration(raw, DEFAULTS, "intermediate_size")
    hf.named_class(raw, (CLASS,), "dinov3_vit", CLASS)
    require_divides(found, "patch_size", "image_size")
    hf.activation(found, "hidden_act", POINTWISE, "dinov3_vit")
    hf.switches(found, *BIASES, "mlp_bias", "use_gated_mlp")
    hf.positive_numbers(found, "rope_theta")
    if found["num_register_tokens"] != 0:
        require_sizes(found, "num_register_tokens")
    size = found.size("hidden_size") // found.size("num_attention_heads")
    if size % 4:
        raise BadCheckpoint(
            f"Rotary positions in two directions need heads of a size that 4 divides; it is {size}."
        )
    return found


def from_disk(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names in memory: a layer is `model.layer.3`, on disk `layer.3`."""
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith("rope_embeddings.inv_freq")
    }
    if not config["num_register_tokens"]:
        kept.pop(REGISTERS, None)
    return {
        f"model.{name}" if name.startswith("layer.") else name: tensor
        for name, tensor in kept.items()
    }


def build(config: Config) -> nn.Module:
    """A `DINOv3ViTModel`, randomly initialised, in float32."""
    module = hf.build(config, "DINOv3ViTConfig", CLASS, attention_dropout=0.0, drop_path_rate=0.0)
    # the class has a parameter of no numbers, which is none here
    if not config["num_register_tokens"]:
        empty, owner = module.get_parameter(REGISTERS), module.get_submodule("embeddings")
        del owner.register_tokens
        owner.register_buffer("register_tokens", empty.detach(), persistent=False)
    return module


def save(module: nn.Module, config: Config, folder: Path, shard: int = SHARD) -> None:
    """Write `config.json` and `model.safetensors` as transformers does."""
    owner = module.get_submodule("embeddings")
    empty: Any = owner.register_tokens
    if not isinstance(empty, nn.Parameter):
        del owner.register_tokens
        owner.register_tokens = nn.Parameter(empty, False)
    hf.save(module, config, folder, shard)


def structure(config: Config) -> Structure:
    """The spaces and blocks of a model of that configuration."""
    width, heads = config.sizes("hidden_size", "num_attention_heads")
    gated = config.flag("use_gated_mlp")
    s = Structure("dinov3_vit")
    layer_norm_stream(s, width, output=True)
    s.parameter("cls.token", "embeddings.cls_token", "* +residual", (1, 1, width))
    if config["num_register_tokens"]:
        s.parameter(
            "register.tokens",
            REGISTERS,
            "* +residual",
            (1, config.size("num_register_tokens"), width),
        )
    vision.patches(s, config, "embeddings.patch_embeddings")
    vision.unseen_token(s, "mask.token", "embeddings.mask_token", (1, 1, width))
    layer = Layer(
        width,
        heads,
        config.size("intermediate_size"),
        config.text("hidden_act"),
        tuple(config.flag(key) for key in BIASES),  # type: ignore[arg-type]  (four of them)
        config.flag("mlp_bias"),
        gated,
        Pairs(width // heads),
        scaled=True,
        norms=("norm1", "norm2"),
        mlp=tuple(
            f"mlp.{part}_proj" for part in (("gate", "up", "down") if gated else ("up", "down"))
        ),
    )
    for i in range(config.size("num_hidden_layers")):
        layer.write(s, i, f"model.layer.{i}")
    vision.output_norm(s, "norm")
    return s


SMALL = (
    Config(model_type="dinov3_vit", architectures=[CLASS], hidden_size=24)
    | dict(num_hidden_layers=1, num_attention_heads=3, intermediate_size=20, image_size=21)
    | dict(patch_size=7, num_channels=1, num_register_tokens=2)
)

DINOV3_VIT = Family(
    name="dinov3_vit",
    sentence="Image features without labels: rotary positions on patches, scales on what is "
    "written, GELU units or SwiGLU.",
    reference="Siméoni et al., DINOv3, 2025, arXiv 2508.10104",
    takes="images",
    recognises=lambda config: config.get("model_type") == "dinov3_vit",
    build=build,
    outputs=lambda module, inputs: module(vision.fitting(module, inputs)).last_hidden_state,
    sizes=vision.sizes,
    structure=structure,
    predicts=lambda config: "features",
    save=save,
    config=config,
    from_disk=from_disk,
    classes=(CLASS,),
    examples={
        "dinov3": SMALL,
        "dinov3-gated": SMALL
        | {"use_gated_mlp": True, "hidden_act": "silu", "key_bias": True, "num_register_tokens": 0},
        "dinov3-no-biases": SMALL | dict.fromkeys((*BIASES, "mlp_bias"), False),
    },
)
