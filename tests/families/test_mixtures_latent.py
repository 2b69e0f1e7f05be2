"""DeepSeek-V2 and -V3: latent attention, groups of experts, shared experts, corrections of the
choice.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc_core.errors import BadCheckpoint, Inadmissible
from lmc_core.models.families import FAMILIES
from lmc_core.models.load import load_folder
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.spaces import choose_classes
from tests.families.mixtures import (
    TINY,
    Edit,
    decided,
    error_after,
    nullity_and_dimension,
    rolled,
    round_trip,
    scaled,
)
from tests.networks import CONFIGURATIONS, random_model
from tests.symmetry.nullity import small_model

EXAMPLES = [name for name, (family, _) in CONFIGURATIONS.items() if family.startswith("deepseek")]
# Seventeen tokens fix the form |c| of a latent stream c in the first layer only up to five
# coordinates: 5 (5 + 1) / 2 < 17.
LATENT = TINY | {
    "num_attention_heads": 2,
    "kv_lora_rank": 4,
    "q_lora_rank": 5,
    "qk_nope_head_dim": 2,
    "qk_rope_head_dim": 4,
    "v_head_dim": 2,
    "n_routed_experts": 6,
    "n_shared_experts": 1,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 2,
    "first_k_dense_replace": 0,
}
GROUPS = {"n_group": 3, "topk_group": 2}
LIMITED = GROUPS | {"topk_method": "group_limited_greedy"}
ONE_GROUP = {"n_group": 1, "topk_group": 1, "n_routed_experts": 4, "norm_topk_prob": False}
BIASES = {"q_lora_rank": None, "attention_bias": True}
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "deepseek_v2": ("deepseek_v2", LATENT, 0),
    "deepseek_v2 with groups and biases": (
        "deepseek_v2",
        LATENT | LIMITED | BIASES | {"mlp_bias": True},
        0,
    ),
    "deepseek_v3": ("deepseek_v3", LATENT | GROUPS, 1),
    "deepseek_v3 with biases": ("deepseek_v3", LATENT | ONE_GROUP | BIASES, 2),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, seed = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, 40, seed)
    assert found == expected


def grouped(*parts: str, across: bool) -> Edit:
    """Roll groups of experts as a whole, or experts by one place across the borders of groups."""

    def edit(blocks: Blocks) -> None:
        for part in parts:
            value = blocks[f"blocks.1.{part}"]
            blocks[f"blocks.1.{part}"] = (
                value.flatten(0, 1).roll(1, 0).view_as(value) if across else value.roll(1, 0)
            )

    return edit


def turned(first: int, second: int) -> Edit:
    """Rotate two coordinates of the rotary plane of all queries and of the key."""
    cos, sin = math.cos(0.7), math.sin(0.7)

    def edit(blocks: Blocks) -> None:
        for part, axis in (("query", 1), ("key", 0)):
            value = blocks[f"blocks.0.rotary-{part}.weight"].movedim(axis, 0)
            one, two = value[first].clone(), value[second].clone()
            value[first], value[second] = cos * one - sin * two, sin * one + cos * two
            blocks[f"blocks.0.rotary-{part}.weight"] = value.movedim(0, axis)

    return edit


def added(name: str, first_alone: bool = False) -> Edit:
    """Add a vector to the rows of all experts, or to that of the first alone."""

    def edit(blocks: Blocks) -> None:
        value = blocks[name]
        rows = value.view(-1, *value.shape[2:]) if value.ndim > 2 or "correction" in name else value
        (rows[:1] if first_alone else rows).add_(
            torch.linspace(1, 2, rows[0].numel(), dtype=torch.float64).view_as(rows[0])
        )
        blocks[name] = value

    return edit


def stretched(blocks: Blocks) -> None:
    """Double one coordinate of the stream of keys and values, and halve what reads it."""
    for name, factor in (("latent", 2.0), ("key", 0.5), ("value", 0.5)):
        value = blocks[f"blocks.0.{name}.weight"]
        (value[:1] if name == "latent" else value[..., :1]).mul_(factor)
        blocks[f"blocks.0.{name}.weight"] = value


ALL = ("router.weight", "gate.weight", "up.weight", "down.weight")
ONE = tuple(f"blocks.1.{part}" for part in ALL)
SHARED = tuple(f"blocks.1.shared.{part}.weight" for part in ("gate", "up"))
WRONG: dict[str, tuple[str, Edit]] = {
    "experts across groups": ("deepseek_v2-groups", grouped(*ALL, across=True)),
    "experts across groups, corrected": (
        "deepseek_v3",
        grouped(*ALL, "router.correction", across=True),
    ),
    "groups without their corrections": ("deepseek_v3", grouped(*ALL, across=False)),
    "a vector added to all rows of a sigmoid router": (
        "deepseek_v3",
        added("blocks.1.router.weight"),
    ),
    "a number added to one correction": (
        "deepseek_v3",
        added("blocks.1.router.correction", first_alone=True),
    ),
    "a vector added to one row": ("deepseek_v2", added("blocks.1.router.weight", first_alone=True)),
    "neighbours that are two pairs": ("deepseek_v2", turned(1, 2)),
    "half-split coordinates of neighbours": ("deepseek_v3", turned(0, 2)),
    "neighbours of half-split pairs": ("deepseek_v3-no-groups", turned(0, 1)),
    "a stretched latent stream": ("deepseek_v2", stretched),
    "heads without their rotary queries": ("deepseek_v2", rolled("blocks.0.rotary-query.weight")),
    "units of the shared experts without `down`": ("deepseek_v2", rolled(*SHARED)),
    "a rotary key without its queries": ("deepseek_v3", scaled("blocks.0.rotary-key.weight")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_moves_change_the_function(wrong: str) -> None:
    name, edit = WRONG[wrong]
    assert error_after(random_model(name), edit) > 1e-3


def shared_units(blocks: Blocks) -> None:
    """Move units from one shared expert to the other."""
    rolled(*SHARED)(blocks)
    rolled("blocks.1.shared.down.weight", axis=1)(blocks)


RIGHT: dict[str, tuple[str, Edit]] = {
    "experts without groups": ("deepseek_v2", rolled(*ONE)),
    "groups as a whole": ("deepseek_v2-groups", grouped(*ALL, across=False)),
    "groups with their corrections": (
        "deepseek_v3",
        grouped(*ALL, "router.correction", across=False),
    ),
    "a vector added to all rows of a softmax router": (
        "deepseek_v2-groups",
        added("blocks.1.router.weight"),
    ),
    "a number added to all corrections": ("deepseek_v3", added("blocks.1.router.correction")),
    "neighbours that are one pair": ("deepseek_v2", turned(2, 3)),
    "a half-split pair": ("deepseek_v3-no-groups", turned(1, 3)),
    "units across shared experts": ("deepseek_v2", shared_units),
    "rotary queries against the key": (
        "deepseek_v3",
        scaled("blocks.0.rotary-query.weight", "blocks.0.rotary-key.weight"),
    ),
}


@pytest.mark.parametrize("right", RIGHT)
def test_right_moves_do_not(right: str) -> None:
    name, edit = RIGHT[right]
    assert error_after(random_model(name), edit) < 1e-12


@pytest.mark.parametrize("active", [2, 3])
def test_groups_scored_by_their_best_expert_bind_only_where_fewer_of_them_are_chosen(
    active: int,
) -> None:
    model = small_model("deepseek_v2", LATENT | LIMITED | {"num_experts_per_tok": active})
    found = {name for name in model.layout.spaces if name.startswith("expert")}

    def one_place(blocks: Blocks) -> None:
        for part in ALL:
            value = blocks[f"blocks.0.{part}"]
            flat = value.view(6, -1)
            blocks[f"blocks.0.{part}"] = flat.roll(1, 0).view_as(value)

    if active == 2:
        assert found == {"experts.0"} and error_after(model, one_place) < 1e-12
    else:
        assert found == {"experts.0", "expert-groups.0"} and error_after(model, one_place) > 1e-3


def test_a_latent_stream_is_never_stretched() -> None:
    with pytest.raises(Inadmissible, match="latent=invertible is not admissible.*RMSNorm"):
        choose_classes(random_model("deepseek_v2").layout.spaces, {"latent": "invertible"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_files_are_read_by_transformers_and_here(name: str, tmp_path: Path) -> None:
    round_trip(decided(name), tmp_path)


def test_layers_that_predict_further_tokens_are_left_out(tmp_path: Path) -> None:
    model = random_model("deepseek_v3", 0, torch.float32)
    model.save(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"model.layers.2.eh_proj.weight": torch.ones(24, 48)}, file)
    assert all(torch.equal(t, model.state[n]) for n, t in load_folder(tmp_path).state.items())
    save_file(tensors | {"model.layers.3.eh_proj.weight": torch.ones(24, 48)}, file)
    with pytest.raises(BadCheckpoint, match=r"model.layers.3.eh_proj.weight"):
        load_folder(tmp_path)


REFUSED = [
    ("deepseek_v2", {"num_experts_per_tok": None}, "'num_experts_per_tok' as a positive integer"),
    ("deepseek_v2", {"kv_lora_rank": "4"}, "'kv_lora_rank' as a positive integer"),
    ("deepseek_v2", {"kv_lora_rank": 13}, "odd kv_lora_rank"),
    ("deepseek_v2", {"qk_rope_head_dim": 3}, "heads of even size"),
    ("deepseek_v2", {"q_lora_rank": 0}, "'q_lora_rank' as a positive integer"),
    (
        "deepseek_v2",
        {"num_key_value_heads": 2},
        "num_key_value_heads should equal num_attention_heads",
    ),
    ("deepseek_v2", {"topk_method": "best"}, "topk_method='best' is not supported"),
    ("deepseek_v2", {"topk_method": "group_limited_greedy"}, "'n_group' as a positive integer"),
    ("deepseek_v2", {"norm_topk_prob": True}, "norm_topk_prob=true is not supported"),
    ("deepseek_v2", {"moe_layer_freq": 2}, "moe_layer_freq=2 is not supported"),
    ("deepseek_v2", {"scoring_func": "sigmoid"}, "scoring_func='sigmoid' is not supported"),
    ("deepseek_v2", {"n_shared_experts": None}, "'n_shared_experts' as a positive integer"),
    ("deepseek_v2", {"first_k_dense_replace": -1}, "'first_k_dense_replace' as a number of layers"),
    ("deepseek_v3", {"scoring_func": "softmax"}, "scoring_func='softmax' is not supported"),
    ("deepseek_v3", {"topk_method": "greedy"}, "topk_method='greedy' is not supported"),
    ("deepseek_v3", {"n_group": 4}, "n_group = 4 should divide n_routed_experts = 6"),
    ("deepseek_v3", {"n_group": 6}, "scored by their best two experts"),
    ("deepseek_v3", {"topk_group": 4}, "topk_group = 4 of n_group = 3 groups"),
    ("deepseek_v3", {"num_experts_per_tok": 5}, "should hold the num_experts_per_tok = 5 experts"),
    ("deepseek_v3", {"routed_scaling_factor": 0}, "'routed_scaling_factor' as a positive number"),
    ("deepseek_v3", {"num_nextn_predict_layers": "1"}, "'num_nextn_predict_layers' as a number"),
]


@pytest.mark.parametrize(
    "family,changes,words", REFUSED, ids=[f"{f}-{next(iter(c))}" for f, c, _ in REFUSED]
)
def test_refused_configurations(family: str, changes: dict[str, Any], words: str) -> None:
    raw = FAMILIES[family].examples[family]
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES[family].config({**raw, **changes})
