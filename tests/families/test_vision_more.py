"""Image transformers and their kin: every branch counts right, and moves just outside each class show."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.spaces import NONE
from tests.families.mixtures import Edit, error_after, nullity_and_dimension, rolled, scaled
from tests.networks import random_model

TINY: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 5,
    "image_size": 4,
    "patch_size": 2,
    "num_channels": 1,
    "num_labels": 3,
}
DEEP = {"hidden_size": 6, "intermediate_size": 3, "num_hidden_layers": 2}  # where one layer would leave some of it unseen


def of(*architectures: str, **entries: Any) -> dict[str, Any]:
    return TINY | {"architectures": list(architectures)} | entries


D2: dict[str, Any] = {key: value for key, value in TINY.items() if key != "intermediate_size"} | {"mlp_ratio": 1}
D3: dict[str, Any] = TINY | {"num_channels": 3, "image_size": 6, "num_register_tokens": 1}
RELATIVE = {"use_relative_position_bias": True}
SHARED = {"use_shared_relative_position_bias": True}

# family, configuration, number of images
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "vit without biases": ("vit_hf", of("ViTModel", model_type="vit", qkv_bias=False), 30),
    "vit, features": ("vit_hf", of("ViTModel", model_type="vit", add_pooling_layer=False), 30),
    "vit, pooled": ("vit_hf", of("ViTModel", model_type="vit", pooler_output_size=5), 30),
    "vit, pixels": ("vit_hf", of("ViTForMaskedImageModeling", model_type="vit", encoder_stride=2, **DEEP), 40),
    "deit, features": ("vit_hf", of("DeiTModel", model_type="deit"), 30),
    "dinov2": ("dinov2", D2, 30),
    "dinov2, labels": (
        "dinov2",
        D2 | DEEP | {"architectures": ["Dinov2ForImageClassification"], "use_swiglu_ffn": True},
        350,
    ),
    "dinov2 without biases": ("dinov2", D2 | {"use_swiglu_ffn": True, "qkv_bias": False, "use_mask_token": False}, 30),
    "dinov2, registers": ("dinov2_with_registers", D2 | {"num_register_tokens": 2}, 30),
    "dinov3": ("dinov3_vit", D3, 20),
    "dinov3, gated": ("dinov3_vit", D3 | {"use_gated_mlp": True, "hidden_act": "silu", "key_bias": True}, 20),
    "dinov3 without biases": (
        "dinov3_vit",
        D3 | dict.fromkeys(("query_bias", "value_bias", "proj_bias", "mlp_bias"), False),
        20,
    ),
    "dinov3, value bias alone": ("dinov3_vit", D3 | dict.fromkeys(("query_bias", "proj_bias"), False), 20),
    "beit, labels": ("beit", of("BeitForImageClassification", **DEEP, **RELATIVE), 300),
    "beit, class token": (
        "beit",
        of(
            "BeitForImageClassification",
            **DEEP,
            use_absolute_position_embeddings=True,
            use_mean_pooling=False,
            layer_scale_init_value=0,
        ),
        300,
    ),
    "beit, features": ("beit", of("BeitModel", num_channels=3, use_mask_token=True, **SHARED), 30),
    "beit, normed features": ("beit", of("BeitModel", num_channels=3, use_mask_token=True, use_mean_pooling=False), 30),
    "beit, masked": ("beit", of("BeitForMaskedImageModeling", **DEEP, **SHARED, use_mask_token=True, vocab_size=5), 40),
    "data2vec": ("data2vec-vision", of("Data2VecVisionModel", num_channels=3, **RELATIVE, **SHARED, num_hidden_layers=2), 30),
    "mae": (
        "vit_mae",
        of(
            "ViTMAEForPreTraining",
            **DEEP,
            mask_ratio=0.5,
            decoder_num_attention_heads=2,
            decoder_hidden_size=4,
            decoder_num_hidden_layers=2,
            decoder_intermediate_size=3,
        ),
        40,
    ),
    "mae, features": ("vit_mae", of("ViTMAEModel", mask_ratio=0.5), 40),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, count = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, count)
    assert found == expected


def turned(names: dict[str, int], size: int, ones: bool = True, seed: int = 0) -> Edit:
    """Apply one random orthogonal map along an axis of some blocks; with `ones` it keeps the all-ones vector."""
    draw = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    if ones:
        centre = torch.eye(size, dtype=torch.float64) - 1 / size
        draw = centre @ (draw - draw.T) @ centre
        rotation = torch.linalg.matrix_exp(draw)
    else:
        rotation = torch.linalg.qr(draw)[0]

    def edit(blocks: Blocks) -> None:
        for name, axis in names.items():
            value: Tensor = blocks[name].movedim(axis, -1)
            blocks[name] = (value @ rotation.T).movedim(-1, axis)

    return edit


# configuration, a move just outside its class
OUTSIDE: dict[str, tuple[str, Edit]] = {
    "a rotation of ViT's features": ("vit_hf-features", turned({"norm.gain": 0, "norm.offset": 0}, 24)),
    "the order of BEiT's heads without its table": (
        "beit",
        rolled(*(f"blocks.0.{part}" for part in ("query.weight", "query.bias", "key.weight", "value.weight", "value.bias"))),
    ),
    "a factor through the stream that BEiT gives": ("beit-features", scaled("cls.token")),
    "an exchange of DINOv3's rotary pairs": (
        "dinov3",
        rolled("blocks.0.query.weight", "blocks.0.query.bias", "blocks.0.key.weight", axis=1),
    ),
    "a factor through the gate of DINOv2": ("dinov2-swiglu-no-biases", scaled("blocks.0.gate.weight", "blocks.0.down.weight")),
    "the decoder's stream with the encoder's map": (
        "vit_mae",
        turned({"decoder.embedding.weight": 1, "norm.gain": 0}, 24),
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_move_just_outside_the_class_shows(name: str) -> None:
    configuration, edit = OUTSIDE[name]
    assert error_after(random_model(configuration), edit) > 1e-3


@pytest.mark.parametrize("name", ["vit_hf-features", "beit-features", "dinov2", "dinov3", "vit_mae-features"])
def test_a_stream_that_is_an_output_stands_still(name: str) -> None:
    layout = random_model(name).layout
    assert layout.spaces["residual"].classes == NONE
    assert all(space.classes != NONE for space in layout.spaces.values() if space.kind in ("heads", "units", "query-key"))


def test_layers_of_a_shared_table_have_one_order_of_heads() -> None:
    layout = random_model("beit-masked").layout
    assert [space.name for space in layout.spaces.values() if space.kind == "heads"] == ["heads"]
    assert layout.by_name["relative.table"].axes[1].space == "heads"
