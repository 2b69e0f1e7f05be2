"""timm's Vision Transformers beyond the plain ones: dimension of the symmetry, moves just outside
of it, files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import align_pair, canonical
from lmc_core.matching.weight import EDGES, WeightSettings
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.spaces import Space, choose_classes
from tests.families.mixtures import Edit, error_after, nullity_and_dimension, rolled, scaled
from tests.families.test_layernorm import exchange, factors, rotated, stretched
from tests.families.test_layernorm_files import forms
from tests.networks import CONFIGURATIONS, random_inputs, random_model

PLAIN = "vit_tiny_patch16_224"
ARGS: dict[str, Any] = {
    "img_size": 4,
    "patch_size": 2,
    "in_chans": 1,
    "embed_dim": 6,
    "depth": 2,  # in a single layer the query of the class token is the same for every image
    "num_heads": 2,
    "mlp_ratio": 0.7,
}
# rotary positions need heads of four; patches of more pixels than the stream is wide reach all of
# it
WIDE = ARGS | {"embed_dim": 8, "img_size": 6, "patch_size": 3}
# at two by two patches DINOv3's positions turn every pair by half a circle
GRID = WIDE | {"img_size": 9}
POOLED = {"global_pool": "map", "class_token": False}
STREAM = {"final_norm": False, "reg_tokens": 1}
NETWORK = {"img_size": 8, "rel_pos_dim": 3}
GROUPED = {"num_kv_heads": 1, "qkv_fused": False, "attn_type": "rope"}

# name -> family, architecture, classes, arguments, images, seed at which no ReLU is always on or
# always off
Counted = tuple[str, str, int, dict[str, Any], int, int]
COUNTED: dict[str, Counted] = {
    "features": ("vit", PLAIN, 0, ARGS, 110, 0),
    "features of all tokens": ("vit", PLAIN, 0, ARGS | {"global_pool": ""}, 110, 0),
    "labels of all tokens": ("vit", PLAIN, 7, ARGS | {"global_pool": ""}, 110, 0),
    "features, a norm before": (
        *("vit", "vit_base_patch16_clip_quickgelu_224", 0),
        *(ARGS | {"img_size": 6, "patch_size": 3}, 110, 0),
    ),
    "the stream of the class token": ("vit", PLAIN, 0, ARGS | STREAM, 110, 0),
    "the stream, tokens without positions": (
        "vit",
        PLAIN,
        0,
        ARGS | STREAM | {"no_embed_class": True},
        110,
        0,
    ),
    "the mean of the stream": ("vit", PLAIN, 0, ARGS | STREAM | {"global_pool": "avg"}, 110, 0),
    "the stream of all tokens": (
        "vit",
        PLAIN,
        0,
        ARGS | {"final_norm": False, "global_pool": ""},
        110,
        0,
    ),
    "the stream, no biases": (
        *("vit", PLAIN, 0),
        *(ARGS | {"final_norm": False, "qkv_bias": False, "proj_bias": False}, 110, 0),
    ),
    "attention for pooling": ("vit", PLAIN, 7, ARGS | POOLED, 110, 0),
    "attention for pooling, features": ("vit", PLAIN, 0, ARGS | POOLED | {"num_heads": 3}, 110, 0),
    "gated units": ("vit", "vit_giant_patch14_dinov2", 7, ARGS | {"mlp_ratio": 1.4}, 110, 0),
    "parallel": ("vit", "vit_pwee_patch16_reg1_gap_256", 7, ARGS | {"mlp_ratio": 1}, 110, 0),
    "parallel, no biases": (
        "vit",
        "vit_pwee_patch16_reg1_gap_256",
        7,
        ARGS | {"mlp_ratio": 1, "qkv_bias": False},
        110,
        0,
    ),
    "eva": ("eva", "eva_giant_patch14_224", 7, ARGS, 110, 0),
    "frequencies that are learned": (
        "eva",
        "vit_small_patch16_rope_mixed_ape_224",
        7,
        ARGS | {"embed_dim": 8},
        110,
        0,
    ),
    "beit": ("beit_timm", "beit_base_patch16_224", 7, ARGS, 110, 0),
    "beit, one table": (
        *("beit_timm", "beit_base_patch16_224", 7),
        *(
            ARGS
            | {
                "use_rel_pos_bias": False,
                "use_shared_rel_pos_bias": True,
                "swiglu_mlp": True,
                "qkv_bias": False,
            },
            110,
            0,
        ),
    ),
    "table": (
        "vit_relpos",
        "vit_relpos_small_patch16_224",
        7,
        ARGS | {"rel_pos_type": "bias"},
        110,
        0,
    ),
    "table and class token": (
        *("vit_relpos", "vit_relpos_small_patch16_224", 7),
        *(ARGS | {"rel_pos_type": "bias", "class_token": True, "global_pool": "token"}, 110, 0),
    ),
    "network and class token": (
        "vit_relpos",
        "vit_relpos_medium_patch16_cls_224",
        7,
        ARGS | NETWORK,
        110,
        0,
    ),
    "network, queries without biases": (
        "vit_relpos",
        "vit_relpos_small_patch16_224",
        7,
        ARGS | NETWORK,
        110,
        2,
    ),
    "one network": ("vit_relpos", "vit_srelpos_small_patch16_224", 7, ARGS | NETWORK, 110, 1),
    "network behind a sigmoid": (
        *("vit_relpos", "vit_relpos_small_patch16_224", 7),
        *(ARGS | NETWORK | {"rel_pos_type": "mlp_swin"}, 110, 1),
    ),
}
LARGE: dict[str, Counted] = {
    "side by side": ("vit", "vit_small_patch16_18x2_224", 7, ARGS, 300, 0),
    "gated, rotary": ("eva", "eva02_tiny_patch14_224", 7, WIDE, 300, 0),
    "a norm over units": ("eva", "eva02_base_patch14_224", 7, WIDE, 300, 0),
    "rotary": ("eva", "vit_small_patch16_rope_224", 7, WIDE, 300, 0),
    "rotary, no biases": ("eva", "vit_mediumd_patch16_rope_reg1_gap_256", 7, WIDE, 300, 0),
    "dinov3": ("eva", "vit_small_patch16_dinov3", 0, GRID, 300, 0),
    "dinov3, biases and a head": ("eva", "vit_small_patch16_dinov3_qkvb", 9, GRID, 300, 0),
    "perception, pooled": (
        *("eva", "vit_pe_core_tiny_patch16_384", 9),
        *(WIDE | {"attn_pool_num_heads": 4, "attn_pool_mlp_ratio": 0.7}, 300, 0),
    ),
    "perception, features": (
        *("eva", "vit_pe_core_tiny_patch16_384", 0),
        *(WIDE | {"attn_pool_num_heads": 4, "attn_pool_mlp_ratio": 0.7}, 300, 0),
    ),
    "perception, stream": ("eva", "vit_pe_spatial_tiny_patch16_512", 0, WIDE, 300, 0),
    "perception, layer scales": ("eva", "vit_pe_lang_large_patch14_448", 0, WIDE, 300, 0),
    "RMSNorm, features": ("eva", "vit_base_patch16_sapiens2", 0, GRID | GROUPED, 300, 0),
    "RMSNorm": ("eva", "vit_base_patch16_sapiens2", 9, GRID | GROUPED, 300, 0),
}


def counts(case: Counted) -> None:
    family, architecture, classes, args, images, seed = case
    raw = {"architecture": architecture, "num_classes": classes, "model_args": args}
    found, expected = nullity_and_dimension(family, raw, images, seed)
    assert found == expected


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    counts(COUNTED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_dimension_of_larger_ones(name: str) -> None:
    counts(LARGE[name])


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "a rotation of features": ("vit-features", "residual", rotated),
    "signs of a stream that is shown": ("vit-stream", "residual", factors(-1.0, 1.0, -1.0)),
    "a stream behind pooling that moves its ones": ("vit-siglip", "pooled", rotated),
    "signs of what was pooled": ("vit-siglip-features", "pooled", factors(-1.0, 1.0, -1.0)),
    "general map of parallel layers": ("vit-parallel", "residual", stretched),
    "rotated units of parallel layers": ("vit-parallel", "units.0", rotated),
    "general map of a rotary plane": ("eva-gated-rotary", "query-key.0", stretched),
    "general map where frequencies are learned": (
        "eva-mixed-frequencies",
        "query-key.0",
        stretched,
    ),
    "signs under a norm over units": ("eva-norm-over-units", "units.0", factors(-1.0, 1.0, -1.0)),
    "signs of a stream that is shown, behind a norm": (
        "eva-perception-stream",
        "residual",
        factors(-1.0, 1.0, -1.0),
    ),
    "general map under norms on queries": ("eva-rms-norms", "query-key.0", stretched),
    "negative scales of ReLU": ("vit_relpos", "units.relative.0", factors(-1.0, 1.0, -1.0)),
    "rotated units of BEiT": ("beit_timm", "units.0", rotated),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    layout = model.layout
    element = draw(layout.spaces[space])
    state = {n: t.clone() for n, t in model.state.items()}
    blocks = Blocks(layout, state)
    for block in layout.blocks:
        for axis in block.axes:
            if axis.space == space and axis.role != "order":
                value = blocks[block.name]
                moved = layout.copies(value, block, space)
                matrix = element.matrix()
                turn = torch.linalg.inv(matrix).mT if axis.role == "reads" else matrix
                blocks[block.name] = layout.uncopies(turn @ moved, block, tuple(value.shape), space)
    assert (
        function_error(model, model.with_state(state), random_inputs(model), torch.float64) > 1e-4
    )


def later(name: str, step: float = 1.0) -> Edit:
    """Add numbers that differ from one another to a block."""

    def edit(blocks: Blocks) -> None:
        value = blocks[name]
        blocks[name] = value + step * (1.0 + torch.arange(value.numel()).double().view(value.shape))

    return edit


EDITS: dict[str, tuple[str, Edit, bool]] = {  # example, what is done, whether the function stays
    "columns of a table in another order": (
        "beit_timm",
        rolled("blocks.0.relative.table", axis=1),
        False,
    ),
    "a number for each head of a network": (
        "vit_relpos",
        later("blocks.0.relative.down.bias"),
        True,
    ),
    "rows of a table": ("beit_timm", rolled("blocks.0.relative.table"), False),
    "frequencies of another head": (
        "eva-mixed-frequencies",
        rolled("blocks.0.frequencies.x"),
        False,
    ),
    "gate for up": ("vit-gated", exchange("blocks.0.gate.weight", "blocks.0.up.weight"), False),
    "a scale of the gate": (
        "vit-gated",
        scaled("blocks.0.gate.weight", "blocks.0.down.weight"),
        False,
    ),
    "biases of parallel layers": (
        "vit-parallel",
        exchange("blocks.0.output.bias", "blocks.0.down.bias"),
        True,
    ),
    "one attention for the other": (
        "vit-side-by-side",
        exchange("blocks.0.0.output.weight", "blocks.0.1.output.weight"),
        False,
    ),
    "biases of layers side by side": (
        "vit-side-by-side",
        exchange("blocks.0.0.output.bias", "blocks.0.1.output.bias"),
        False,  # their LayerScales differ
    ),
    "the last norm's gain of features": ("vit-features", rolled("norm.gain"), False),
    "the key's bias of pooling": ("vit-siglip", later("pool.key.bias"), True),
    "the latent": ("vit-siglip", later("pool.latent"), False),
    "convolutions before": ("vit-hybrid", rolled("stem.conv.weight"), False),
}


@pytest.mark.parametrize("name", EDITS)
def test_traps(name: str) -> None:
    example, edit, stays = EDITS[name]
    error = error_after(random_model(example), edit)
    assert error < 1e-10 if stays else error > 1e-4


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (family, _) in CONFIGURATIONS.items()
        if family in ("eva", "beit_timm", "vit_relpos")
    ],
)
def test_what_is_written_is_read_by_timm_and_here(name: str, tmp_path: Path) -> None:
    import timm

    model = random_model(name, dtype=torch.float32)
    inputs = random_inputs(model).float()
    expected = model.family.outputs(model.module(), inputs)
    for form, each in forms(model).items():
        each.save(tmp_path / form)
        again = load_folder(tmp_path / form)
        assert again.family is model.family and again.config == each.config
        assert again.state.keys() == each.state.keys()
        assert all(torch.equal(again.state[n], t) for n, t in each.state.items())
        module = timm.create_model(f"local-dir:{tmp_path / form}", pretrained=True).eval()
        with torch.no_grad():
            assert relative_difference(expected, module(inputs)) < 1e-5


def exported(folder: Path, architecture: str, seed: int = 0, **args: Any) -> torch.nn.Module:
    """A folder as timm's own export writes it today."""
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(seed)
    module = timm.create_model(architecture, **args)
    save_for_hf(module, str(folder), model_args=args, safe_serialization=True)
    return module.eval()


TINY = {"embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": 28}
EXPORTED: dict[str, tuple[str, dict[str, Any]]] = {
    "classes among the arguments": (PLAIN, TINY | {"num_classes": 3, "patch_size": 7}),
    "no head": (PLAIN, TINY | {"num_classes": 0, "patch_size": 7}),
    "no pooling": (PLAIN, TINY | {"num_classes": 0, "patch_size": 7, "global_pool": ""}),
    "patches by the architecture": ("vit_small_patch14_dinov2", TINY | {"num_classes": 3}),
    "one channel": ("vit_small_patch14_dinov2", TINY | {"num_classes": 0, "in_chans": 1}),
    "attention for pooling": (
        "vit_base_patch16_siglip_224",
        TINY | {"num_classes": 0, "patch_size": 7},
    ),
    "images of varying size": ("vit_intern300m_patch14_448", TINY | {"num_classes": 0}),
    "rotary": (
        "vit_small_patch16_dinov3",
        TINY | {"num_classes": 2, "patch_size": 7, "num_heads": 3},
    ),
    "relative": ("vit_relpos_small_patch16_224", TINY | {"num_classes": 2, "patch_size": 7}),
    "beit": ("beit_base_patch16_224", TINY | {"num_classes": 2, "patch_size": 7}),
    "batch norms before": (
        "vit_base_mci_224",
        {"num_classes": 2, "img_size": 32, "depth": 1, "mlp_ratio": 0.25},  # at its own width
    ),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_what_timm_exports_is_read_and_aligned(name: str, tmp_path: Path) -> None:
    import timm

    architecture, args = EXPORTED[name]
    modules = [exported(tmp_path / str(seed), architecture, seed, **args) for seed in (0, 1)]
    a, b = (load_folder(tmp_path / str(seed)) for seed in (0, 1))
    inputs = random_inputs(a, 2).float()
    with torch.no_grad():
        assert relative_difference(modules[0](inputs), a.family.outputs(a.module(), inputs)) < 1e-6
    assert a.family.predicts(a.config) == ("label" if args["num_classes"] else "features")
    few = WeightSettings(starts=(EDGES,), max_rounds=2)  # the stream may be 768 wide
    pair = align_pair(a, b, inputs, settings=few)
    assert pair.function_error < 2e-5
    pair.b.save(tmp_path / "aligned")
    again = timm.create_model(f"local-dir:{tmp_path / 'aligned'}", pretrained=True).eval()
    with torch.no_grad():
        assert relative_difference(modules[1](inputs), again(inputs)) < 2e-5


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "another network": ("resnet18", {}, "resnet18.*class ResNet.*convolutions"),
    "a mixer": ("mixer_b16_224", {}, "MlpMixer.*no attention"),
    "stages": ("swin_tiny_patch4_window7_224", {}, "SwinTransformer.*different widths"),
    "scores that are mixed": ("cait_xxs24_224", {}, "Cait.*before and after the softmax"),
    "differential attention": (
        "vit_dwee_patch16_reg1_gap_256",
        {},
        "two softmaxes of a head are subtracted",
    ),
    "norms behind": ("vit_relpos_medium_patch16_rpn_224", {}, "norms behind its layers"),
    "norms behind, EVA": (
        "eva02_enormous_patch14_clip_224",
        {"depth": 1},
        "norms behind its layers",
    ),
    "a norm over heads": ("eva02_base_patch16_clip_224", {"depth": 1}, "all heads write together"),
    "images that are not square": (
        "vit_base_patch16_sapiens2",
        {},
        r"Only square images.*\[1024, 768\]",
    ),
    "a switch in words": ("eva02_tiny_patch14_224", {"qkv_bias": "yes"}, "qkv_bias"),
    "a kind of positions": ("eva02_tiny_patch14_224", {"rope_type": "spiral"}, "cannot build"),
    "an argument of its own": ("beit_base_patch16_224", {"act_layer": "relu"}, "act_layer"),
    "a width in words": ("vit_relpos_small_patch16_224", {"embed_dim": "6"}, "embed_dim"),
    "no norm before a head": (
        "vit_pe_spatial_tiny_patch16_512",
        {"num_classes": 3},
        "no norm before its head",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_configurations(name: str) -> None:
    architecture, args, words = REFUSED[name]
    raw = {"architecture": architecture, "num_classes": 5, "model_args": args}
    family = next(family for family in FAMILIES.values() if family.recognises(raw))
    with pytest.raises(BadCheckpoint, match=words) as caught:
        family.config(raw)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_a_head_that_the_configuration_denies(tmp_path: Path) -> None:
    model = random_model("vit", dtype=torch.float32)
    model.save(tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"num_classes": 5', '"num_classes": 0'))
    with pytest.raises(BadCheckpoint, match="'num_classes' as 0.*head of 5 classes"):
        load_folder(tmp_path)
