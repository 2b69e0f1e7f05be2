"""BEiT (Bao et al. 2021, arXiv 2106.08254) and BEiT v2 (Peng et al. 2022, arXiv 2208.06366), as
timm's `Beit`.

A norm before each layer, LayerScale, keys without biases. Each layer, or all of them together, adds
numbers from a table to the scores of each head, by how far two patches are apart; rows and columns
of the class token have their own. The table's columns move with the heads.
"""

from __future__ import annotations

from lmc_core.models.architectures import timm_family
from lmc_core.models.config import Config, Json

SETTINGS = tuple(
    "qkv_bias swiglu_mlp scale_mlp use_abs_pos_emb use_rel_pos_bias use_shared_rel_pos_bias".split()
)
CHOICES = ("init_values", "use_fc_norm")
SMALL = Config(img_size=14, patch_size=7, in_chans=1, embed_dim=24, depth=1, num_heads=3)


def _small(**args: Json) -> Config:
    return Config(architecture="beit_base_patch16_224", num_classes=5, model_args=SMALL | args)


BEIT_TIMM = timm_family.family(
    "beit_timm",
    "beit",
    "Image classifier on patches, LayerNorm before each layer, a table of relative positions for "
    "each head; BEiT in timm.",
    "Bao et al., BEiT: BERT Pre-Training of Image Transformers, 2021, arXiv 2106.08254",
    SETTINGS,
    CHOICES,
    {
        "beit_timm": _small(),
        "beit_timm-shared-table": _small(
            use_rel_pos_bias=False,
            use_shared_rel_pos_bias=True,
            swiglu_mlp=True,
            depth=2,
            qkv_bias=False,
            mlp_ratio=1.5,
        ),
    },
)
