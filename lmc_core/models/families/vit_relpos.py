"""Vision Transformers with relative positions alone, as timm's `VisionTransformerRelPos`.

A norm before each layer and LayerScale. To the scores of each head is added a number by how far two
patches are apart: out of a table (Swin: Liu et al. 2021, arXiv 2103.14030), or of a small network
with ReLU that reads the logarithm of that distance (Swin V2: Liu et al. 2021, arXiv 2111.09883),
one for each layer or one for all. What makes a head's numbers moves with it; the small network's
units permute and scale.
"""

from __future__ import annotations

from lmc_core.models.architectures import timm_family
from lmc_core.models.config import Config, Json

SETTINGS = ("qkv_bias", "qk_norm", "class_token", "fc_norm", "shared_rel_pos")
CHOICES = ("init_values", "rel_pos_type", "rel_pos_dim")
SMALL = Config(img_size=21, patch_size=7, in_chans=1, embed_dim=24, depth=1, num_heads=3) | dict(
    rel_pos_dim=5
)


def _small(architecture: str = "vit_relpos_small_patch16_224", **args: Json) -> Config:
    return Config(architecture=architecture, num_classes=5, model_args=SMALL | args)


VIT_RELPOS = timm_family.family(
    "vit_relpos",
    "vision_transformer_relpos",
    "Image classifier on patches, LayerNorm before each layer, relative positions by a table or a "
    "small network; in timm.",
    "Liu et al., Swin Transformer V2: Scaling Up Capacity and Resolution, 2021, arXiv 2111.09883",
    SETTINGS,
    CHOICES,
    {
        "vit_relpos": _small(),
        "vit_relpos-shared": _small("vit_srelpos_small_patch16_224", depth=2),
        "vit_relpos-table-class-token": _small(
            rel_pos_type="bias", class_token=True, global_pool="token", qk_norm=True
        ),
    },
)
