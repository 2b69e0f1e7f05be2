"""Swin: every branch counts right, moves just outside each class show, and what transformers cannot
compute is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lmc_core.analysis.audit import audit
from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import canonical
from lmc_core.models.families import FAMILIES
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from tests.families.mixtures import (
    Edit,
    error_after,
    nullity_and_dimension,
    rolled,
    round_trip,
    scaled,
)
from tests.networks import random_inputs, random_model
from tests.symmetry.nullity import small_model

TINY: dict[str, Any] = {
    "embed_dim": 4,
    "depths": [2, 1],
    "num_heads": [2, 2],
    "window_size": 2,
    "mlp_ratio": 0.75,
    "image_size": 8,
    "patch_size": 2,
    "num_channels": 1,
    "num_labels": 3,
}
SHOWN = TINY | {"architectures": ["SwinModel"]}
ODD = {"image_size": 10}  # five places along an edge: windows are filled up, and so is the merge
ONE = {"depths": [1], "num_heads": [2]}
SHORT = {
    "embed_dim": 3,
    "num_heads": [1, 2],
    "depths": [1, 1],
    "mlp_ratio": 0.4,
    "image_size": 4,
    "patch_size": 1,
}
THREE = {
    "embed_dim": 3,
    "num_heads": [1, 2, 2],
    "depths": [1, 1, 1],
    "mlp_ratio": 0.4,
    "image_size": 5,
    "patch_size": 1,
}
POSITIONS = {"use_absolute_embeddings": True}
BARE = {"qkv_bias": False}

COUNTED: dict[str, tuple[dict[str, Any], int]] = {
    "features": (SHOWN, 32),
    "zeros beside the image": (SHOWN | ODD, 12),
    "zeros beside the image, no biases": (SHOWN | ODD | BARE, 12),
    "no biases": (SHOWN | BARE, 32),
    "positions": (SHOWN | POSITIONS, 34),
    "positions of an odd number": (SHOWN | ODD | POSITIONS, 14),
    "three stages": (SHOWN | THREE, 34),
    "one stage": (SHOWN | ONE | POSITIONS, 40),
    "one stage, labels": (TINY | ONE | POSITIONS, 150),
    "labels": (TINY | SHORT | {"num_labels": 4}, 160),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    raw, count = COUNTED[name]
    found, expected = nullity_and_dimension("swin", raw, count, seed=int(name == "labels"))
    assert found == expected


def whole(name: str, **entries: Any) -> Model:
    """A model in float64 whose windows do not all fit, in its first example's class or another."""
    family = FAMILIES["swin"]
    raw = dict(family.examples[name]) | entries
    return small_model("swin", raw)


@pytest.mark.parametrize(
    "entries",
    [
        ODD | {"patch_size": 2},
        {"image_size": 18, "patch_size": 4},
        {"image_size": 24, "window_size": 5},
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_windows_that_do_not_fit_keep_the_function(entries: dict[str, Any], bias: bool) -> None:
    """A place of zeros has keys and values that are biases alone, which the offset of a norm must
    not enter.
    """
    small = {
        "embed_dim": 4,
        "num_heads": [2, 2],
        "patch_size": 2 if entries["image_size"] == 24 else 4,
    }
    model = whole("swin", **(small | entries), qkv_bias=bias)
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    element = Alignment.random(form.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = form.with_state(element.apply(form.layout, form.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) < 1e-10


def test_an_offset_in_biases_of_keys_is_seen_beside_zeros() -> None:
    """What the rewrite would do to windows that fit."""
    for entries, seen in (({"image_size": 16}, False), ({"image_size": 20}, True)):
        model = whole("swin", **entries)

        def edit(blocks: Blocks) -> None:
            offset = blocks["blocks.2.norm1.offset"]
            for part in ("query", "key", "value"):
                weight, bias = f"blocks.2.{part}.weight", f"blocks.2.{part}.bias"
                blocks[bias] = blocks[bias] + (blocks[weight] @ offset)
            blocks["blocks.2.norm1.offset"] = torch.zeros_like(offset)

        assert (error_after(model, edit) > 1e-4) is seen


def ordered(*names: str, axis: int = 0) -> Edit:
    return rolled(*names, axis=axis)


def doubled_neighbour(blocks: Blocks) -> None:
    """One of four neighbours twice as large, with its gains halved."""
    weight: Tensor = blocks["merge.0.weight"].clone()
    gain: Tensor = blocks["merge.0.gain"].clone()
    weight[:, 0] *= 2
    gain[1] /= 2
    blocks["merge.0.weight"], blocks["merge.0.gain"] = weight, gain


CONTROLS: dict[str, Edit] = {
    "heads in the table of positions alone": ordered("blocks.0.relative.table", axis=1),
    "heads of queries alone": ordered("blocks.0.query.weight", "blocks.0.query.bias"),
    "gains of the norm behind the patches": ordered("patch.norm.gain"),
    "order of the first stream in the merge alone": ordered("merge.0.weight", axis=2),
    "order of four neighbours in the gains alone": ordered("merge.0.gain", "merge.0.offset"),
    "order of the next stream in the merge alone": ordered("merge.0.weight"),
    "one neighbour's gains against another's": doubled_neighbour,
    "gains of the merge alone": ordered("merge.0.gain", "merge.0.offset", axis=1),
    "units on one side": ordered("blocks.2.up.weight", "blocks.2.up.bias"),
    "scaled units under GELU": scaled("blocks.0.up.weight", "blocks.0.down.weight"),
    "positions of a table": ordered("blocks.0.relative.table"),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_moves_outside_the_classes_show(name: str) -> None:
    assert error_after(random_model("swin"), CONTROLS[name]) > 1e-3


def turn(size: int) -> Tensor:
    """A rotation that keeps the ones vector."""
    draw = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    centre = torch.eye(size, dtype=torch.float64) - 1 / size
    return torch.linalg.matrix_exp(centre @ (draw - draw.T) @ centre)


@pytest.mark.parametrize(("stream", "kept"), [("residual", True), ("residual.0", False)])
def test_the_last_stream_may_be_rotated_and_one_that_is_merged_may_not(
    stream: str, kept: bool
) -> None:
    model = random_model("swin")
    form = canonical(model, choose_classes(model.layout.spaces))
    layout, state = form.layout, {name: tensor.clone() for name, tensor in form.state.items()}
    assert (layout.spaces[stream].largest is SymmetryClass.ORTHOGONAL) is kept
    rotation = turn(layout.spaces[stream].size)
    blocks = Blocks(layout, state)
    for block in layout.blocks:
        for axis, each in enumerate(block.axes):
            if each.space == stream and each.role != "order":
                blocks[block.name] = (blocks[block.name].movedim(axis, -1) @ rotation.T).movedim(
                    -1, axis
                )
    error = function_error(model, form.with_state(state), random_inputs(model), torch.float64)
    assert error < 1e-10 if kept else error > 1e-2


@pytest.mark.parametrize("name", ["swin", "swin-features"])
def test_the_audit_finds_the_layout_right(name: str) -> None:
    model = random_model(name)
    found = audit(model, random_inputs(model))
    assert found.double < 1e-10
    assert found.single < 1e-5
    assert found.control > 1e-3
    # few labels: what the first stream writes to the last says where that one goes
    assert found.recovered < 1e-6


@pytest.mark.parametrize(
    ("name", "auto"), [("swin", "AutoModelForImageClassification"), ("swin-features", "AutoModel")]
)
def test_what_is_written_is_read_by_transformers_and_here(
    name: str, auto: str, tmp_path: Path
) -> None:
    round_trip(random_model(name, dtype=torch.float32), tmp_path, auto)


def test_the_body_of_a_classifier_is_read_as_a_base_model(tmp_path: Path) -> None:
    """With the numbers of positions and the token for masked patches that older files hold."""
    model = random_model("swin-features", dtype=torch.float32)
    names = {f"swin.{name}": tensor for name, tensor in model.state.items()}
    names |= {
        "swin.encoder.layers.0.blocks.0.attention.self.relative_position_index": torch.zeros(4, 4),
        "swin.embeddings.mask_token": torch.zeros(1, 1, 12),
        "classifier.weight": torch.zeros(5, 24),
    }
    found = model.family.from_disk(names, model.config)
    assert found.keys() == model.state.keys()


def test_the_published_size_fits_transformers_own_module() -> None:
    family = FAMILIES["swin"]
    config = family.config({"model_type": "swin", "num_labels": 1000})
    with torch.device("meta"):
        module = family.build(config)
    family.layout(config).check(module.state_dict())
    assert sum(tensor.numel() for tensor in module.state_dict().values()) == 28_288_354
    expected = {
        "width": 768,
        "depth": 12,
        "heads": 24,
        "units": 3072,
        "classes": 1000,
        "patch": 4,
        "image": 224,
        "channels": 3,
    }
    assert family.sizes(config) == expected


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a grid smaller than a window": (
        {"image_size": 8},
        "Stage 1 has 1 x 1 places, fewer than its windows",
    ),
    "windows of one place": ({"window_size": 1}, "window_size should be 2 or more"),
    "another number of heads": ({"num_heads": [3]}, "as many 'num_heads' as 'depths'.*1 and 2"),
    "depth that is a number": ({"depths": 2}, "'depths' as one positive integer for each"),
    "a stage without blocks": ({"depths": [0, 2]}, "'depths' as one positive integer for each"),
    "heads that do not divide": (
        {"num_heads": [5, 2]},
        "Stage 0 has 12 coordinates, which 5 heads should divide",
    ),
    "no units": ({"mlp_ratio": 0.01}, "leaves stage 0 no units"),
    "positions that do not fit": (
        {"image_size": 18, "use_absolute_embeddings": True},
        "should divide image_size = 18",
    ),
    "oblong images": ({"image_size": [16, 20]}, "Only square images"),
    "masked images": (
        {"architectures": ["SwinForMaskedImageModeling"]},
        "SwinForMaskedImageModeling, which is not supported",
    ),
    "a backbone": ({"architectures": ["SwinBackbone"]}, "SwinBackbone, which is not supported"),
    "a gate": ({"hidden_act": "glu"}, "activation 'glu' is not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_with_its_reason(name: str) -> None:
    entries, words = REFUSED[name]
    family = FAMILIES["swin"]
    with pytest.raises(BadCheckpoint, match=words):
        family.config(dict(family.examples["swin"]) | entries)


def test_swin_v2_is_refused_with_its_reason(tmp_path: Path) -> None:
    config = transformers.Swinv2Config(
        embed_dim=8, depths=[1], num_heads=[2], image_size=8, patch_size=2, window_size=2
    )
    transformers.Swinv2ForImageClassification(config).save_pretrained(tmp_path)
    with pytest.raises(
        BadCheckpoint, match=re.escape("because its norms stand behind attention and units")
    ):
        load_folder(tmp_path)
