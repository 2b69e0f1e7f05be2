"""MPNet: its classes counted, tried just outside what is admitted, and written as themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lmc_core.errors import BadCheckpoint
from lmc_core.models.architectures.encoders import outputs
from lmc_core.models.families import FAMILIES
from lmc_core.models.families.mpnet import reached
from lmc_core.models.model import untied_state
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.dimension import symmetry_dimension
from tests.families.mixtures import Edit, error_after, rolled, round_trip, scaled
from tests.families.test_postnorm import with_all_gradients
from tests.networks import random_model
from tests.symmetry.nullity import nullity, small_model

TINY: dict[str, Any] = {
    "model_type": "mpnet",
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 6,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 7,
}
FEW = {"vocab_size": 7, "hidden_size": 6, "intermediate_size": 4}  # one output for each text
# class, changes, number of inputs
COUNTED: dict[str, tuple[str, dict[str, Any], int]] = {
    "tied": ("ForMaskedLM", {}, 24),
    "untied, relu units": ("ForMaskedLM", {"tie_word_embeddings": False, "hidden_act": "relu"}, 40),
    "features, two layers": ("Model", {"num_hidden_layers": 2}, 24),
    "texts": ("ForSequenceClassification", FEW | {"num_labels": 3}, 220),
    "texts, two layers": (
        "ForSequenceClassification",
        FEW | {"num_labels": 3, "num_hidden_layers": 2},
        220,
    ),
    "tokens": ("ForTokenClassification", {"num_labels": 3}, 60),
    "spans": ("ForQuestionAnswering", {}, 80),
    "far": ("Model", {"max_position_embeddings": 14, "relative_attention_num_buckets": 34}, 16),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    end, changes, count = COUNTED[name]
    raw = TINY | changes | {"architectures": [f"MPNet{end}"]}
    # at which every ReLU is on for some tokens and off for others
    seed = 10 if "relu" in name else 0
    model = with_all_gradients(small_model("mpnet", raw, seed), outputs)
    found, gap = nullity(model, count)
    counts = symmetry_dimension(model.layout, model.family.rewrite(model.config))
    assert found == sum(counts.values()), counts
    assert gap > 1e4


def test_groups_of_distances_that_occur() -> None:
    """Against transformers' own assignment, for every number of places that mpnet-base reads."""
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    for length in range(1, 513):
        found = MPNetEncoder.relative_position_bucket(torch.arange(1 - length, length))
        assert len(found.unique()) == reached(length), length


def heads(*layers: int, table: bool = True) -> Edit:
    """Another order of heads in some layers, and in the table of distances."""

    def edit(blocks: Blocks) -> None:
        for layer in layers:
            for part, axis in (("query", 0), ("key", 0), ("value", 0), ("output", 1)):
                for name in (f"blocks.{layer}.{part}.weight", f"blocks.{layer}.{part}.bias"):
                    if name != f"blocks.{layer}.output.bias":
                        blocks[name] = blocks[name].roll(1, axis)
        if table:
            blocks["distance.table"] = blocks["distance.table"].roll(1, 1)

    return edit


def raised(axis: int) -> Edit:
    """Another number on all distances of each head (axis 1), or on all heads of each distance (axis
    0).
    """

    def edit(blocks: Blocks) -> None:
        table = blocks["distance.table"]
        numbers = torch.arange(table.shape[axis], dtype=torch.float64)
        blocks["distance.table"] = table + (numbers if axis else numbers[:, None])

    return edit


def test_one_order_of_heads_holds_for_all_layers() -> None:
    model = random_model("mpnet")
    assert [s.name for s in model.layout.spaces.values() if s.kind == "heads"] == ["heads"]
    assert error_after(model, heads(0, 1)) < 1e-12
    for wrong in (heads(0), heads(1), heads(1, table=False), heads(0, 1, table=False), heads()):
        assert error_after(model, wrong) > 1e-3


def test_a_softmax_sees_no_constant_of_a_head() -> None:
    model = random_model("mpnet")
    assert error_after(model, raised(1)) < 1e-12
    assert error_after(model, raised(0)) > 1e-3


WRONG: dict[str, Edit] = {
    "positions moved by one": rolled("position.table"),
    "queries without keys": rolled("blocks.0.query.weight", "blocks.0.query.bias"),
    "units without their readers": rolled("blocks.1.up.weight", "blocks.1.up.bias"),
    "scaled units": scaled("blocks.0.up.weight", "blocks.0.down.weight"),
    "the stream without its table": rolled("token.table", axis=1),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    assert error_after(random_model("mpnet"), WRONG[name]) > 1e-3


def test_positions_before_the_padding_are_not_seen() -> None:
    """Whatever token the configuration calls padding, transformers counts positions from number
    1.
    """

    def edit(blocks: Blocks) -> None:
        table = blocks["position.table"]
        table[0] += 1
        blocks["position.table"] = table

    assert error_after(random_model("mpnet"), edit) == 0
    family = FAMILIES["mpnet"]
    other = family.structure(family.config({**family.examples["mpnet"], "pad_token_id": 5}))
    assert other.rewrite == random_model("mpnet").family.rewrite(random_model("mpnet").config)


@pytest.mark.parametrize(
    ("name", "auto"), [("mpnet", "AutoModelForMaskedLM"), ("mpnet-features", "AutoModel")]
)
def test_files_reopen_in_their_own_class(name: str, auto: str, tmp_path: Path) -> None:
    round_trip(random_model(name, dtype=torch.float32), tmp_path, auto)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"relative_attention_num_buckets": 16}, "32 groups of distances"),
        ({"relative_attention_num_buckets": "many"}, "positive integer"),
        ({"max_position_embeddings": 2}, "at least 2 and 3"),
        ({"vocab_size": 1, "pad_token_id": 0}, "at least 2 and 3"),
        ({"architectures": ["MPNetForNothing"]}, "MPNetForNothing"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES["mpnet"].config(TINY | changes)


@pytest.mark.parametrize("cls", FAMILIES["mpnet"].classes)
def test_mpnet_base_has_these_shapes(cls: str) -> None:
    family = FAMILIES["mpnet"]
    config = family.config({"architectures": [cls], "max_position_embeddings": 514})
    with torch.device("meta"):
        module = family.build(config)
    assert type(module).__name__ == cls
    family.layout(config).check(untied_state(module))
