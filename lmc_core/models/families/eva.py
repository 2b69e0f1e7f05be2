"""EVA, EVA-02 and Vision Transformers with rotary positions, as timm's `Eva`: RoPE-ViT, DINOv3,
Perception Encoders.

Patches turn queries and keys by their row and column, tokens that are no patches do not. Half of
the pairs turn with the rows, half with the columns, or, where frequencies are learned, each pair
with both; in either case one scaled rotation for each pair passes through. (Learned frequencies
could change places together with their pairs; that is not used.) Keys have no bias. Units are plain
or gated (SwiGLU), with a norm over them in EVA-02's larger models. (Fang et al. 2022, arXiv
2211.07636; EVA-02 2023, arXiv 2303.11331; RoPE-ViT: Heo et al. 2024, arXiv 2403.13298; DINOv3:
Siméoni et al. 2025, arXiv 2508.10104; Perception Encoder: Bolya et al. 2025, arXiv 2504.13181)
"""

from __future__ import annotations

from lmc_core.models.architectures import timm_family
from lmc_core.models.config import Config, Json

SETTINGS = tuple(
    (
        "class_token no_embed_class use_abs_pos_emb use_rot_pos_emb rope_rotate_half "
        "dynamic_img_size qkv_bias qkv_fused qk_norm swiglu_mlp scale_mlp scale_attn_inner "
        "attn_only_layer_scale use_post_norm use_pre_transformer_norm"
    ).split()
)
CHOICES = tuple(
    (
        "num_reg_tokens init_values attn_type num_kv_heads swiglu_align_to attn_pool_num_heads "
        "attn_pool_mlp_ratio use_post_transformer_norm use_fc_norm ref_feat_shape rope_type "
        "rope_grid_offset rope_grid_indexing rope_temperature"
    ).split()
)
SMALL = Config(img_size=14, patch_size=7, in_chans=1, embed_dim=24, depth=1, num_heads=3)


def _small(architecture: str, classes: int = 5, **args: Json) -> Config:
    return Config(architecture=architecture, num_classes=classes, model_args=SMALL | args)


EVA = timm_family.family(
    "eva",
    "eva",
    "Image classifier on patches with rotary or learned positions, plain or gated units; EVA, "
    "RoPE-ViT, DINOv3, PE in timm.",
    "Fang et al., EVA: Exploring the Limits of Masked Visual Representation Learning at Scale, "
    "2022, arXiv 2211.07636",
    SETTINGS,
    CHOICES,
    {
        "eva-learned-positions": _small("eva_giant_patch14_224", mlp_ratio=1.5),
        "eva-gated-rotary": _small("eva02_tiny_patch14_224", depth=2, num_heads=2),
        "eva-norm-over-units": _small("eva02_base_patch14_224", num_heads=2, mlp_ratio=1.5),
        "eva-mixed-frequencies": _small(
            "vit_small_patch16_rope_mixed_ape_224", num_heads=2, depth=2
        ),
        "eva-dinov3-features": _small("vit_small_patch16_dinov3", 0, num_heads=2),
        "eva-perception": _small(
            "vit_pe_core_tiny_patch16_384",
            30,
            num_heads=2,
            attn_pool_num_heads=3,
            attn_pool_mlp_ratio=1.5,
        ),
        "eva-perception-stream": _small("vit_pe_spatial_tiny_patch16_512", 0, num_heads=2),
        "eva-rms-norms": _small(
            "vit_base_patch16_sapiens2",
            0,
            num_heads=6,
            num_kv_heads=2,
            qkv_fused=False,
            attn_type="rope",
        ),
    },
)
