"""Mixtral, the Qwen mixtures, OLMoE: what their layouts say, counted and tried."""

from __future__ import annotations

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

MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe")
EXAMPLES = [name for name, (family, _) in CONFIGURATIONS.items() if family in MIXTURES]
QWEN = TINY | {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 3,
    "shared_expert_intermediate_size": 4,
}
OLMOE = TINY | {
    "head_dim": None,
    "num_attention_heads": 2,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "eos_token_id": None,
}
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "mixtral": ("mixtral", TINY | {"num_local_experts": 4, "intermediate_size": 3}, 0),
    "one active": (
        "mixtral",
        TINY | {"num_local_experts": 3, "intermediate_size": 3, "num_experts_per_tok": 1},
        0,
    ),
    "qwen2_moe": ("qwen2_moe", QWEN, 0),
    "some dense": (
        "qwen2_moe",
        QWEN
        | {
            "num_hidden_layers": 2,
            "decoder_sparse_step": 2,
            "norm_topk_prob": True,
            "qkv_bias": False,
        },
        0,
    ),
    "qwen3_moe": ("qwen3_moe", QWEN | {"attention_bias": True}, 1),
    "olmoe": ("olmoe", OLMOE | {"intermediate_size": 3, "attention_bias": True}, 0),
    # with few tokens some values are always clipped, and their weights are not seen
    "olmoe clipped": (
        "olmoe",
        OLMOE
        | {"intermediate_size": 2, "vocab_size": 37, "num_key_value_heads": 1, "clip_qkv": 0.8},
        0,
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    family, raw, seed = COUNTED[name]
    found, expected = nullity_and_dimension(family, raw, 40, seed)
    assert found == expected


def units_across_experts(blocks: Blocks) -> None:
    """Give half of each expert's units to the next one."""
    for part, axis in (("gate", 1), ("up", 1), ("down", 2)):
        value = blocks[f"blocks.0.{part}.weight"]
        half = value.narrow(axis, 0, value.shape[axis] // 2)
        half.copy_(half.roll(1, 0))
        blocks[f"blocks.0.{part}.weight"] = value


def gate_for_up(blocks: Blocks) -> None:
    gate, up = blocks["blocks.0.gate.weight"], blocks["blocks.0.up.weight"]
    blocks["blocks.0.gate.weight"], blocks["blocks.0.up.weight"] = up, gate


def heads(blocks: Blocks) -> None:
    """Reorder the heads of a layer without the gains of the norms on queries and keys."""
    rolled(*(f"blocks.0.{part}.weight" for part in ("query", "key", "value")))(blocks)
    rolled("blocks.0.output.weight", axis=1)(blocks)


def heads_with_gains(blocks: Blocks) -> None:
    heads(blocks)
    rolled(*GAINS)(blocks)


EXPERTS = tuple(f"blocks.0.{part}.weight" for part in ("gate", "up", "down"))
SHARED = tuple(f"blocks.0.shared.{part}.weight" for part in ("router", "gate", "up", "down"))
GAINS = ("blocks.0.query.norm", "blocks.0.key.norm")
WRONG: dict[str, tuple[str, Edit]] = {
    "experts without rows of the router": ("mixtral", rolled(*EXPERTS)),
    "rows of the router without experts": ("mixtral", rolled("blocks.0.router.weight")),
    "gates of another expert": ("mixtral", rolled(EXPERTS[0])),
    "units across experts": ("mixtral", units_across_experts),
    "gate against up": ("mixtral", gate_for_up),
    "a scaled gate": ("mixtral", scaled(EXPERTS[0], EXPERTS[2])),
    "a scaled router": ("mixtral", scaled("blocks.0.router.weight")),
    "a scaled router of the shared expert": ("qwen2_moe", scaled(SHARED[0], SHARED[3])),
    "units of the shared expert without its gates": ("qwen2_moe", rolled(SHARED[2])),
    "heads without the gains over all of them": ("olmoe", heads),
    "gains of queries without those of keys": ("olmoe", scaled("blocks.0.query.norm")),
    "gains against each other that clipping sees": ("olmoe-clipped", scaled(*GAINS)),
    "half of a rotary pair": (
        "mixtral",
        rolled("blocks.0.query.weight", "blocks.0.key.weight", axis=-2),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_moves_change_the_function(wrong: str) -> None:
    name, edit = WRONG[wrong]
    assert error_after(random_model(name), edit) > 1e-3


RIGHT: dict[str, tuple[str, Edit]] = {
    "experts with rows of the router": ("mixtral", rolled("blocks.0.router.weight", *EXPERTS)),
    "heads with the gains over all of them": ("olmoe", heads_with_gains),
    "gains of queries against those of keys": ("olmoe", scaled(*GAINS)),
    "up against down": ("mixtral", scaled(EXPERTS[1], EXPERTS[2])),
    "up against down of the shared expert": ("qwen2_moe", scaled(SHARED[2], SHARED[3])),
}


@pytest.mark.parametrize("right", RIGHT)
def test_right_moves_do_not(right: str) -> None:
    name, edit = RIGHT[right]
    assert error_after(random_model(name), edit) < 1e-12


@pytest.mark.parametrize("name", ["mixtral", "qwen2_moe"])
def test_a_softmax_router_does_not_see_a_shift_common_to_all_experts(name: str) -> None:
    def shift(blocks: Blocks) -> None:
        router = blocks["blocks.0.router.weight"]
        blocks["blocks.0.router.weight"] = router + torch.linspace(
            -1, 1, router.shape[-1], dtype=torch.float64
        )

    def shift_of_one(blocks: Blocks) -> None:
        router = blocks["blocks.0.router.weight"]
        router[0] += torch.linspace(-1, 1, router.shape[-1], dtype=torch.float64)
        blocks["blocks.0.router.weight"] = router

    assert error_after(random_model(name), shift) < 1e-12
    assert error_after(random_model(name), shift_of_one) > 1e-3


@pytest.mark.parametrize("kind", ["experts", "units"])
def test_experts_and_units_are_never_mixed(kind: str) -> None:
    with pytest.raises(Inadmissible, match="row of the router|acts on each unit"):
        choose_classes(random_model("mixtral").layout.spaces, {kind: "orthogonal"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_files_are_read_by_transformers_and_here(name: str, tmp_path: Path) -> None:
    round_trip(decided(name), tmp_path)


def test_experts_are_read_stacked_or_apart_in_any_order(tmp_path: Path) -> None:
    model = random_model("mixtral", 0, torch.float32)
    model.save(tmp_path)
    file = tmp_path / "model.safetensors"
    apart = load_file(file)
    assert "model.layers.0.block_sparse_moe.experts.3.w2.weight" in apart
    save_file(dict(model.state), file)  # as in memory
    assert all(torch.equal(t, model.state[n]) for n, t in load_folder(tmp_path).state.items())
    renamed = {
        name.replace("block_sparse_moe", "mlp"): apart[name] for name in sorted(apart, reverse=True)
    }
    save_file(renamed | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3)}, file)
    assert all(torch.equal(t, model.state[n]) for n, t in load_folder(tmp_path).state.items())
    del apart["model.layers.1.block_sparse_moe.experts.2.w3.weight"]
    save_file(apart, file)
    with pytest.raises(BadCheckpoint, match=r"layers.1.mlp.experts.2 lacks its up matrix"):
        load_folder(tmp_path)


def test_the_number_of_experts_is_known_by_several_names() -> None:
    raw = dict(FAMILIES["qwen3_moe"].examples["qwen3_moe"])
    count = raw.pop("num_experts")
    assert FAMILIES["qwen3_moe"].config(raw | {"num_local_experts": count})["num_experts"] == count
    assert FAMILIES["qwen3_moe"].config(raw)["num_experts"] == 128


def test_an_expert_of_another_size_is_refused(tmp_path: Path) -> None:
    model = random_model("qwen2_moe", 0, torch.float32)
    model.save(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.0.mlp.experts.1.down_proj.weight"
    save_file(tensors | {name: tensors[name][:, :-1].contiguous()}, file)
    with pytest.raises(BadCheckpoint):
        load_folder(tmp_path)


REFUSED = [
    ("mixtral", {"num_local_experts": 0}, "'num_local_experts' as a positive integer"),
    (
        "mixtral",
        {"num_experts_per_tok": 5},
        "num_experts_per_tok = 5 should be at most num_local_experts = 4",
    ),
    ("mixtral", {"num_experts_per_tok": None}, "'num_experts_per_tok' as a positive integer"),
    ("mixtral", {"num_local_experts": 10**9}, "'num_local_experts' as a positive integer"),
    ("mixtral", {"sliding_window": "wide"}, "'sliding_window' as a positive integer"),
    ("mixtral", {"hidden_act": "softmax"}, "activation 'softmax' is not supported"),
    ("mixtral", {"head_dim": 5}, "heads of even size"),
    ("qwen2_moe", {"mlp_only_layers": "0"}, "'mlp_only_layers' as a list of numbers"),
    ("qwen2_moe", {"decoder_sparse_step": 0}, "'decoder_sparse_step' as a positive integer"),
    ("qwen3_moe", {"norm_topk_prob": "yes"}, "'norm_topk_prob' as true or false"),
    ("olmoe", {"clip_qkv": -1}, "'clip_qkv' as a positive number"),
    ("qwen2_moe", {"layer_types": ["full_attention"]}, "'layer_types' as one of"),
]


@pytest.mark.parametrize(
    "family,changes,words", REFUSED, ids=[f"{f}-{next(iter(c))}" for f, c, _ in REFUSED]
)
def test_refused_configurations(family: str, changes: dict[str, Any], words: str) -> None:
    raw = FAMILIES[family].examples[family]
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES[family].config({**raw, **changes})
