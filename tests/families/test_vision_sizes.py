"""Published sizes of image transformers: the layout has the parameters that transformers' own
module has, without memory.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmc_core.models.families import FAMILIES
from lmc_core.models.model import named_ties

TOWER = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
}
LARGE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
WORDS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
GIANT = {
    "hidden_size": 1536,
    "num_hidden_layers": 40,
    "num_attention_heads": 24,
    "use_swiglu_ffn": True,
}
DEIT = "DeiTForImageClassificationWithTeacher"

# what the `config.json` of published models says beside defaults
PUBLISHED: dict[str, dict[str, Any]] = {
    "vit-base-patch16-224-in21k": {"model_type": "vit", "architectures": ["ViTModel"]},
    "vit-large-patch32-384": {
        "model_type": "vit",
        **LARGE,
        "image_size": 384,
        "patch_size": 32,
        "num_labels": 1000,
    },
    "deit-base-distilled-patch16-224": {
        "model_type": "deit",
        "architectures": [DEIT],
        "num_labels": 1000,
    },
    "dinov2-giant": {"model_type": "dinov2", **GIANT, "image_size": 518},
    "dinov2-base-imagenet1k-1-layer": {
        "model_type": "dinov2",
        "architectures": ["Dinov2ForImageClassification"],
        "image_size": 518,
        "num_labels": 1000,
    },
    "dinov2-with-registers-base": {
        "model_type": "dinov2_with_registers",
        "image_size": 518,
        "patch_size": 14,
    },
    "dinov3-vith16plus": {
        "model_type": "dinov3_vit",
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "num_register_tokens": 4,
        "use_gated_mlp": True,
        "hidden_act": "silu",
    },
    "beit-large-patch16-224": {
        "model_type": "beit",
        **LARGE,
        "architectures": ["BeitForImageClassification"],
        "use_relative_position_bias": True,
        "layer_scale_init_value": 1e-5,
        "num_labels": 1000,
    },
    "beit-base-patch16-224-pt22k": {
        "model_type": "beit",
        "architectures": ["BeitForMaskedImageModeling"],
        "use_shared_relative_position_bias": True,
        "use_mask_token": True,
    },
    "data2vec-vision-base": {
        "model_type": "data2vec-vision",
        "use_shared_relative_position_bias": True,
    },
    "vit-mae-large": {"model_type": "vit_mae", **LARGE, "architectures": ["ViTMAEForPreTraining"]},
    "clip-vit-large-patch14": {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": 768,
        "text_config_dict": {**WORDS, "projection_dim": 768},
        "text_config": WORDS,
        "vision_config": {**LARGE, "patch_size": 14},
    },
    "clip-vit-large-patch14, texts": {"model_type": "clip_text_model", **WORDS, "eos_token_id": 2},
    "clip-vit-base-patch32, images": {
        "model_type": "clip_vision_model",
        "architectures": ["CLIPVisionModelWithProjection"],
    },
    "siglip-so400m-patch14-384": {
        "model_type": "siglip",
        "text_config": TOWER,
        "vision_config": TOWER | {"image_size": 384, "patch_size": 14},
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_has_the_parameters_of_its_class(name: str) -> None:
    raw = PUBLISHED[name]
    family = next(each for each in FAMILIES.values() if each.recognises(raw))
    config = family.config(raw)
    with torch.device("meta"):
        module = family.build(config)
    ties = {copy for copy, _ in named_ties(module)}
    family.layout(config).check(
        {key: value for key, value in module.state_dict().items() if key not in ties}
    )
    assert family.rewrite(config).norms
    assert family.sizes(config)["depth"] >= 12
