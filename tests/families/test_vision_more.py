"""Image transformers and their kin: every branch counts right, and moves just outside each class
show.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import random_inputs
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
# where one layer would leave some of it unseen
DEEP = {"hidden_size": 6, "intermediate_size": 3, "num_hidden_layers": 2}


def of(*architectures: str, **entries: Any) -> dict[str, Any]:
    return TINY | {"architectures": list(architectures)} | entries


D2: dict[str, Any] = {key: value for key, value in TINY.items() if key != "intermediate_size"} | {
    "mlp_ratio": 1
}
D3: dict[str, Any] = TINY | {"num_channels": 3, "image_size": 6, "num_register_tokens": 1}
RELATIVE = {"use_relative_position_bias": True}
SHARED = {"use_shared_relative_position_bias": True}

WORDS: dict[str, Any] = {
    "vocab_size": 17,
    "max_position_embeddings": 5,
    "eos_token_id": 2,
    "projection_dim": 5,
}
PLAIN = {key: value for key, value in TINY.items() if key != "num_labels"}
BOTH: dict[str, Any] = {
    "text_config": PLAIN | DEEP | {"num_hidden_layers": 1, "projection_size": 6} | WORDS,
    "vision_config": PLAIN | DEEP,
    "projection_dim": 5,
}

# family, configuration, number of images
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "vit without biases": ("vit_hf", of("ViTModel", model_type="vit", qkv_bias=False), 30),
    "vit, features": ("vit_hf", of("ViTModel", model_type="vit", add_pooling_layer=False), 30),
    "vit, pooled": ("vit_hf", of("ViTModel", model_type="vit", pooler_output_size=5), 30),
    "vit, pixels": (
        "vit_hf",
        of("ViTForMaskedImageModeling", model_type="vit", encoder_stride=2, **DEEP),
        40,
    ),
    "deit, features": ("vit_hf", of("DeiTModel", model_type="deit"), 30),
    "dinov2": ("dinov2", D2, 30),
    "dinov2, labels": (
        "dinov2",
        D2 | DEEP | {"architectures": ["Dinov2ForImageClassification"], "use_swiglu_ffn": True},
        350,
    ),
    "dinov2 without biases": (
        "dinov2",
        D2 | {"use_swiglu_ffn": True, "qkv_bias": False, "use_mask_token": False},
        30,
    ),
    "dinov2, registers": ("dinov2_with_registers", D2 | {"num_register_tokens": 2}, 30),
    "dinov3": ("dinov3_vit", D3, 20),
    "dinov3, gated": (
        "dinov3_vit",
        D3 | {"use_gated_mlp": True, "hidden_act": "silu", "key_bias": True},
        20,
    ),
    "dinov3 without biases": (
        "dinov3_vit",
        D3 | dict.fromkeys(("query_bias", "value_bias", "proj_bias", "mlp_bias"), False),
        20,
    ),
    "dinov3, value bias alone": (
        "dinov3_vit",
        D3 | dict.fromkeys(("query_bias", "proj_bias"), False),
        20,
    ),
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
    "beit, normed features": (
        "beit",
        of("BeitModel", num_channels=3, use_mask_token=True, use_mean_pooling=False),
        30,
    ),
    "beit, masked": (
        "beit",
        of("BeitForMaskedImageModeling", **DEEP, **SHARED, use_mask_token=True, vocab_size=5),
        40,
    ),
    "data2vec": (
        "data2vec-vision",
        of("Data2VecVisionModel", num_channels=3, **RELATIVE, **SHARED, num_hidden_layers=2),
        30,
    ),
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
    "clip, texts": ("clip_text", PLAIN | WORDS, 20),
    "clip, texts projected": (
        "clip_text",
        PLAIN | WORDS | {"architectures": ["CLIPTextModelWithProjection"]},
        20,
    ),
    "clip, images": ("clip_vision", PLAIN, 30),
    "clip, images projected": (
        "clip_vision",
        PLAIN | {"projection_dim": 5, "architectures": ["CLIPVisionModelWithProjection"]},
        30,
    ),
    "clip": ("clip", BOTH, 120),
    "clip, labels": (
        "clip_classifier",
        {
            "vision_config": PLAIN | DEEP,
            "architectures": ["CLIPForImageClassification"],
            "num_labels": 7,
        },
        130,
    ),
    "siglip, texts": ("siglip_text", PLAIN | WORDS | {"projection_size": 5}, 20),
    "siglip, images": ("siglip_vision", PLAIN, 40),
    "siglip": ("siglip", BOTH, 120),
    "siglip, labels": (
        "siglip_classifier",
        {
            "vision_config": PLAIN | DEEP,
            "architectures": ["SiglipForImageClassification"],
            "num_labels": 3,
        },
        300,
    ),
    "mae, features": ("vit_mae", of("ViTMAEModel", mask_ratio=0.5), 40),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, count = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, count)
    assert found == expected


def turned(names: dict[str, int], size: int, ones: bool = True, seed: int = 0) -> Edit:
    """Apply one random orthogonal map along an axis of some blocks; with `ones` it keeps the
    all-ones vector.
    """
    draw = torch.randn(
        size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
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
    "a rotation of ViT's features": (
        "vit_hf-features",
        turned({"norm.gain": 0, "norm.offset": 0}, 24),
    ),
    "the order of BEiT's heads without its table": (
        "beit",
        rolled(
            *(
                f"blocks.0.{part}"
                for part in (
                    "query.weight",
                    "query.bias",
                    "key.weight",
                    "value.weight",
                    "value.bias",
                )
            )
        ),
    ),
    "a factor through the stream that BEiT gives": ("beit-features", scaled("cls.token")),
    "an exchange of DINOv3's rotary pairs": (
        "dinov3",
        rolled("blocks.0.query.weight", "blocks.0.query.bias", "blocks.0.key.weight", axis=1),
    ),
    "a factor through the gate of DINOv2": (
        "dinov2-swiglu-no-biases",
        scaled("blocks.0.gate.weight", "blocks.0.down.weight"),
    ),
    "a rotation of the embeddings of texts alone": (
        "clip",
        turned({"text.projection.weight": 0}, 10, ones=False),
    ),
    "a rotation of CLIP's images behind the first norm": (
        "clip",
        turned({"vision.norm.pre.gain": 0}, 16),
    ),
    "a rotation of embeddings that moves the ones": (
        "siglip",
        turned(
            {
                **dict.fromkeys(
                    (
                        "text.head.weight",
                        "text.head.bias",
                        "pool.output.weight",
                        "pool.output.bias",
                    ),
                    0,
                ),
                **dict.fromkeys(("pool.down.weight", "pool.down.bias"), 0),
                "pool.up.weight": 1,
            },
            16,
            ones=False,
        ),
    ),
    "a factor through the stream that CLIP's classifier reads": (
        "clip_classifier",
        scaled("norm.pre.gain", "head.weight"),
    ),
    "the decoder's stream with the encoder's map": (
        "vit_mae",
        turned({"decoder.embedding.weight": 1, "norm.gain": 0}, 24),
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_move_just_outside_the_class_shows(name: str) -> None:
    configuration, edit = OUTSIDE[name]
    assert error_after(random_model(configuration), edit) > 1e-3


@pytest.mark.parametrize(
    "name", ["vit_hf-features", "beit-features", "dinov2", "dinov3", "vit_mae-features"]
)
def test_a_stream_that_is_an_output_stands_still(name: str) -> None:
    layout = random_model(name).layout
    assert layout.spaces["residual"].classes == NONE
    assert all(
        space.classes != NONE
        for space in layout.spaces.values()
        if space.kind in ("heads", "units", "query-key")
    )


def test_layers_of_a_shared_table_have_one_order_of_heads() -> None:
    layout = random_model("beit-masked").layout
    assert [space.name for space in layout.spaces.values() if space.kind == "heads"] == ["heads"]
    assert layout.by_name["relative.table"].axes[1].space == "heads"


def test_both_towers_share_one_space_and_nothing_else() -> None:
    for name, size in (("clip", 10), ("siglip", 16)):
        layout = random_model(name).layout
        assert layout.spaces["embedding"].largest.value == "orthogonal"
        assert layout.spaces["embedding"].size == size
        for block in layout.blocks:
            towers = {
                axis.space.split(".")[1]
                for axis in block.axes
                if axis.space and axis.space.startswith("residual")
            }
            assert len(towers) <= 1
            assert not towers or block.parameter.split("_")[0] in (towers.pop(), "visual")


def test_images_and_texts_come_in_one_tensor() -> None:
    model = random_model("clip", dtype=torch.float32)
    inputs = random_inputs(model, 3, 0, torch.float32)
    module = model.module()
    pixels, tokens = inputs[:, :196].view(3, 1, 14, 14), inputs[:, 196:].long()
    expected: Any = module(input_ids=tokens, pixel_values=pixels)
    assert torch.equal(model.family.outputs(module, inputs), expected.logits_per_image)
    assert int(tokens.max()) <= 36
    assert tokens.shape == (3, 6)


def test_old_files_of_clip_give_a_tower_twice() -> None:
    """Of both parts the one that ends in _dict counts, with transformers' defaults behind it."""
    family = FAMILIES["clip"]
    raw = {
        "model_type": "clip",
        "text_config": {"hidden_size": 768},
        "text_config_dict": {"num_attention_heads": 4},
    }
    config = family.config(raw)["text_config"]
    assert config["hidden_size"] == 512
    assert config["num_attention_heads"] == 4
    assert (
        family.config({"model_type": "clip", "text_config": {"hidden_size": 768}})["text_config"][
            "hidden_size"
        ]
        == 768
    )


# what a configuration says, part of the refusal
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an oblong": ({"model_type": "dinov2", "image_size": [224, 112]}, "Only square images"),
    "odd heads": (
        {"model_type": "dinov3_vit", "hidden_size": 30, "num_attention_heads": 3},
        "that 4 divides",
    ),
    "a switch": (
        {"model_type": "beit", "use_mean_pooling": "yes"},
        "'use_mean_pooling' as true or false",
    ),
    "nothing left": (
        {"model_type": "vit_mae", "mask_ratio": 0.999},
        "none of the 196 patches is left",
    ),
    "an activation": (
        {"model_type": "clip_vision_model", "hidden_act": "softmax"},
        "activation 'softmax'",
    ),
    "another class": (
        {"model_type": "siglip_text_model", "architectures": ["SiglipModel"]},
        "SiglipModel",
    ),
    "two sizes": (
        {"model_type": "siglip", "text_config": {"projection_size": 512}},
        "embedded in 512 numbers here and images in 768",
    ),
    "a part that is none": ({"model_type": "clip", "text_config": 3}, "'text_config' as an object"),
    "another stride": (
        {"model_type": "vit", "architectures": ["ViTForMaskedImageModeling"], "encoder_stride": 8},
        "'encoder_stride' as that; it gives 8",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_in_a_sentence(name: str) -> None:
    raw, words = REFUSED[name]
    family = next(each for each in FAMILIES.values() if each.recognises(raw))
    with pytest.raises(BadCheckpoint, match=re.escape(words)):
        family.config(raw)


OLD = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


@pytest.mark.parametrize(
    "name", ["vit_hf-features", "vit_mae", "clip_text", "clip_vision-projection", "siglip_vision"]
)
def test_names_of_older_files_are_read(name: str) -> None:
    """Those of version 4, and those of a body that was saved within another class."""
    model = random_model(name, dtype=torch.float32)
    old = {}
    for key, tensor in model.state.items():
        bare = key.removeprefix("vit.")
        if name.startswith("vit") and re.match(r"layers\.\d", bare):
            start, _, rest = bare.partition(".")[2].partition(".")
            new = next(
                (
                    f"{value}{rest.removeprefix(part)}"
                    for part, value in OLD.items()
                    if rest.startswith(part)
                ),
                rest,
            )
            old[f"vit.encoder.layer.{start}.{new}"] = tensor
        else:
            begin = {
                "clip_text": "text_model.",
                "siglip_vision": "vision_model.",
                "vit_hf-features": "vit.",
            }.get(name, "")
            old[begin + key] = tensor
    if name.startswith("clip"):
        old[f"{'text' if name == 'clip_text' else 'vision'}_model.embeddings.position_ids"] = (
            torch.arange(6)
        )
    found = model.family.from_disk(old, model.config)
    assert found.keys() == model.state.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in model.state.items())


def test_indices_of_older_beits_and_fused_gates_of_dinov2_are_read() -> None:
    model = random_model("beit", dtype=torch.float32)
    old = {}
    for key, tensor in model.state.items():
        key = re.sub(
            r"layers\.(\d+)\.relative", r"encoder.layer.\1.attention.attention.relative", key
        )
        old[key] = tensor
    old[
        "beit.encoder.layer.0.attention.attention.relative_position_bias.relative_position_index"
    ] = torch.zeros(5, 5)
    assert model.family.from_disk(old, model.config).keys() == model.state.keys()
    model = random_model("dinov2-swiglu-no-biases", dtype=torch.float32)
    old = {
        key: tensor
        for key, tensor in model.state.items()
        if "gate_proj" not in key and "up_proj" not in key
    }
    for key, tensor in model.state.items():
        if "gate_proj" in key:
            both = torch.cat([tensor, model.state[key.replace("gate_proj", "up_proj")]])
            old[key.replace("gate_proj", "weights_in")] = both
    old = {key.replace("down_proj", "weights_out"): tensor for key, tensor in old.items()}
    found = model.family.from_disk(old, model.config)
    assert all(torch.equal(found[key], tensor) for key, tensor in model.state.items())
