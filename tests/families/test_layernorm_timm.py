"""timm's Vision Transformers: dimension of the symmetry, moves just outside of it, files, and
architectures by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.errors import BadCheckpoint, Inadmissible
from lmc_core.matching.pair import canonical
from lmc_core.models.common import require_compatible
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model, Uninitialised, untied_state
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.elements import Element, Orthogonal, Permutation
from lmc_core.symmetry.spaces import Space, SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, nullity_and_dimension
from tests.families.test_layernorm import exchange, factors, rotated, stretched
from tests.families.test_layernorm_files import forms
from tests.networks import CONFIGURATIONS, random_inputs, random_model

VIT = FAMILIES["vit"]
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
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "registers, layer scales": (PLAIN, {"init_values": 0.1, "global_pool": "avg", "reg_tokens": 2}),
    "norms on queries and keys": (PLAIN, {"qk_norm": True}),
    "no biases": (PLAIN, {"qkv_bias": False, "proj_bias": False}),
    "distilled": ("deit_small_distilled_patch16_224", {}),
    # patches of more pixels than the stream is wide, so that images reach all of it
    "a norm before": ("vit_base_patch16_clip_quickgelu_224", {"img_size": 6, "patch_size": 3}),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    architecture, further = COUNTED[name]
    raw = {"architecture": architecture, "num_classes": 7, "model_args": ARGS | further}
    found, expected = nullity_and_dimension("vit", raw, 110)
    assert found == expected


def another_order(space: Space) -> Element:
    return Permutation(torch.arange(space.size).roll(1))


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "signs under norms on queries": (
        "vit-norms-on-queries",
        "query-key.0",
        factors(-1.0, 1.0, -1.0),
    ),
    "stream that moves its ones": ("vit-distilled", "residual", rotated),
    "general map of the stream": ("vit-deit3", "residual", stretched),
    "signs of a stream behind a norm": ("vit-clip", "residual", factors(-1.0, 1.0, -1.0)),
    "rotated units": ("vit-no-biases", "units.0", rotated),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


@pytest.mark.parametrize(
    ("name", "space"), [("vit-norms-on-queries", "query-key.0"), ("vit-clip", "residual")]
)
def test_gains_inside_a_space_hold_it_at_permutations(name: str, space: str) -> None:
    model = random_model(name)
    found = model.layout.spaces[space]
    assert found.largest is SymmetryClass.PERMUTATION
    order = Alignment.of(model.layout.spaces, {space: another_order(found)}).apply(
        model.layout, model.state
    )
    assert (
        function_error(model, model.with_state(order), random_inputs(model), torch.float64) < 1e-10
    )
    rotation = Alignment.of(model.layout.spaces, {space: Orthogonal(rotated(found).matrix())})
    with pytest.raises(Inadmissible, match="one by one"):
        rotation.apply(model.layout, model.state)


def of_one_head(blocks: Blocks) -> None:
    """Another order of the plane of the first head alone, though all heads share the gains of its
    norms.
    """
    for name in ("query.weight", "query.bias", "key.weight", "key.bias"):
        value = blocks[f"blocks.0.{name}"].clone()
        value[0] = value[0].roll(1, 0)
        blocks[f"blocks.0.{name}"] = value


def without_the_gains(blocks: Blocks) -> None:
    for name in ("query.weight", "query.bias", "key.weight", "key.bias"):
        blocks[f"blocks.0.{name}"] = blocks[f"blocks.0.{name}"].roll(1, 1)


def other_offset(name: str) -> Edit:
    def edit(blocks: Blocks) -> None:
        value = blocks[name]
        blocks[name] = value + 1.0 + torch.arange(len(value)).double()

    return edit


EDITS: dict[str, tuple[str, Edit, bool]] = {  # example, what is done, whether the function stays
    "the plane of one head": ("vit-norms-on-queries", of_one_head, False),
    "planes without their gains": ("vit-norms-on-queries", without_the_gains, False),
    "the offset of keys": ("vit-norms-on-queries", other_offset("blocks.0.key.norm.offset"), True),
    "the offset of queries": (
        "vit-norms-on-queries",
        other_offset("blocks.0.query.norm.offset"),
        False,
    ),
    "class token for distillation token": (
        "vit-distilled",
        exchange("class.token", "distillation.token"),
        False,
    ),
    "biases of both heads": (
        "vit-distilled",
        exchange("head.bias", "distillation.head.bias"),
        True,
    ),
    "one head for the other": (
        "vit-distilled",
        exchange("head.weight", "distillation.head.weight"),
        False,
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_traps(name: str) -> None:
    example, edit, stays = EDITS[name]
    error = error_after(random_model(example), edit)
    assert error < 1e-10 if stays else error > 1e-3


@pytest.mark.parametrize(
    "name", [name for name, (family, _) in CONFIGURATIONS.items() if family == "vit"]
)
def test_what_is_written_is_read_by_timm_and_here(name: str, tmp_path: Path) -> None:
    import timm

    model = random_model(name, dtype=torch.float32)
    inputs = random_inputs(model).float()
    expected = model.family.outputs(model.module(), inputs)
    for form, each in forms(model).items():
        each.save(tmp_path / form)
        again = load_folder(tmp_path / form)
        assert again.config == each.config
        assert again.state.keys() == each.state.keys()
        assert all(torch.equal(again.state[n], t) for n, t in each.state.items())
        module = timm.create_model(f"local-dir:{tmp_path / form}", pretrained=True).eval()
        with torch.no_grad():
            assert relative_difference(expected, module(inputs)) < 1e-5


@pytest.mark.parametrize(
    "architecture",
    [
        "deit_small_patch16_224",
        "deit3_small_patch16_224",
        "vit_small_patch16_36x1_224",
        "vit_xsmall_patch16_clip_224",
    ],
)
def test_a_folder_as_timm_uploads_it(architecture: str, tmp_path: Path) -> None:
    """The hub has no arguments for what an architecture has by itself: sizes come from the name."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    module: Any = timm.create_model(
        architecture, num_classes=3, in_chans=1, depth=1, img_size=32
    ).eval()
    content: dict[str, Any] = {
        "architecture": architecture,
        "num_classes": 3,
        "num_features": module.num_features,
        "global_pool": module.global_pool,
        "model_args": {"depth": 1, "img_size": 32},
        "pretrained_cfg": {
            "tag": "x",
            "input_size": [1, 32, 32],
            "fixed_input_size": True,
            "num_classes": 3,
        },
    }
    content["model_args"]["in_chans"] = 1
    (tmp_path / "config.json").write_text(json.dumps(content))
    save_file(module.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    model = load_folder(tmp_path)
    inputs = random_inputs(model).float()
    with torch.no_grad():
        assert (
            relative_difference(module(inputs), model.family.outputs(model.module(), inputs)) < 1e-6
        )


def test_sizes_come_from_the_name() -> None:
    raw = {"architecture": "vit_small_patch16_384", "num_classes": 1000, "global_pool": "token"}
    sizes = VIT.sizes(VIT.config(raw))
    assert (sizes["width"], sizes["heads"]) == (384, 6)
    assert (sizes["depth"], sizes["units"], sizes["image"], sizes["patch"]) == (12, 1536, 384, 16)
    tag = {"architecture": "vit_small_patch16_384.augreg_in21k_ft_in1k"}
    assert VIT.config(tag) == VIT.config(raw)
    smaller = raw | {"pretrained_cfg": {"input_size": [3, 224, 224], "fixed_input_size": True}}
    assert VIT.sizes(VIT.config(smaller))["image"] == 224


def of_architecture(architecture: str) -> Model:
    config = VIT.config({"architecture": architecture, "num_classes": 3, "model_args": ARGS})
    return Model(architecture, VIT, config, untied_state(VIT.build(config)))


def test_architectures_that_compute_alike_can_be_compared() -> None:
    from lmc_core.errors import Incompatible

    require_compatible(
        of_architecture("vit_small_patch16_224"), of_architecture("deit_small_patch16_224")
    )
    with pytest.raises(Incompatible, match="architecture"):
        require_compatible(
            of_architecture("vit_base_patch16_clip_224"),
            of_architecture("vit_base_patch16_clip_quickgelu_224"),
        )


@pytest.mark.parametrize(
    "architecture",
    [
        PLAIN,
        "deit_tiny_distilled_patch16_224",
        "vit_base_patch16_gap_224",
        "vit_wee_patch16_reg1_gap_256",
        "flexivit_small",
    ],
)
def test_the_layout_is_that_of_timm(architecture: str) -> None:
    import timm

    config = VIT.config(
        {"architecture": architecture, "num_classes": 10, "model_args": {"depth": 1}}
    )
    with torch.device("meta"), Uninitialised():
        module = timm.create_model(architecture, num_classes=10, depth=1)
    assert VIT.layout(config).shapes == {
        name: tuple(tensor.shape) for name, tensor in module.state_dict().items()
    }


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "norms behind layers": (
        {"architecture": "vit_base_patch16_rpn_224"},
        "norms behind its layers",
    ),
    "tables of relative positions": ({"architecture": "vit_relpos_small_patch16_224"}, "RelPos"),
    "rotary positions": ({"architecture": "vit_small_patch16_rope_224"}, "Eva"),
    "no such architecture": ({"architecture": "vit_enormous"}, "vit_enormous"),
    "no last norm": ({"model_args": {"final_norm": False}}, "final_norm"),
    "pooling by the largest": ({"global_pool": "max"}, "'max'"),
    "no class token to pool": ({"model_args": {"class_token": False}}, "class token"),
    "images that are not square": ({"model_args": {"img_size": [224, 112]}}, "img_size"),
    "an activation of its own": (
        {"architecture": "deit_tiny_patch16_224", "model_args": {"act_layer": "relu"}},
        "act_layer",
    ),
    "a switch in words": ({"model_args": {"qk_norm": "yes"}}, "qk_norm"),
    "a width in words": (
        {"architecture": "deit_tiny_patch16_224", "model_args": {"embed_dim": "6"}},
        "embed_dim",
    ),
    "a huge width": (
        {"architecture": "deit_tiny_patch16_224", "model_args": {"embed_dim": 10**12}},
        "embed_dim",
    ),
    "registers of a distilled model": (
        {"architecture": "deit_tiny_distilled_patch16_224", "model_args": {"reg_tokens": 2}},
        "distillation token",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_configurations(name: str) -> None:
    change, words = REFUSED[name]
    raw = {"architecture": PLAIN, "num_classes": 5} | change
    with pytest.raises(BadCheckpoint, match=words) as caught:
        VIT.config(raw)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
