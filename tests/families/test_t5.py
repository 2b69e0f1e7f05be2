"""T5: what its layout says, counted and tried; its files, and configurations that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint
from lmc_core.matching.pair import align_pair, canonical
from lmc_core.models.common import in_float32, untied
from lmc_core.models.families import FAMILIES
from lmc_core.models.families.t5 import reached
from lmc_core.models.forward import function_error, run
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.elements import Element, Invertible, Monomial, Orthogonal
from lmc_core.symmetry.spaces import Space, choose_classes
from tests.families.mixtures import (
    Edit,
    error_after,
    nullity_and_dimension,
    rolled,
    round_trip,
    scaled,
)
from tests.networks import CONFIGURATIONS, random_inputs, random_model

EXAMPLES = [
    name
    for name, (family, raw) in CONFIGURATIONS.items()
    if family == "t5" and name != "t5-encoder"
]
TINY: dict[str, Any] = {
    "vocab_size": 11,
    "d_model": 6,
    "d_kv": 2,
    "d_ff": 5,
    "num_layers": 1,
    "num_heads": 2,
    "relative_attention_num_buckets": 6,
    "relative_attention_max_distance": 5,
    "n_positions": 14,
    "tie_word_embeddings": False,
}
COUNTED: dict[str, dict[str, Any]] = {
    "relu": {},
    "gated": {"feed_forward_proj": "gated-gelu"},
    "two layers": {"feed_forward_proj": "gated-silu", "num_layers": 2, "num_decoder_layers": 1},
}


# one output for each text
FEW = {"d_model": 4, "d_ff": 3, "num_heads": 1, "vocab_size": 7, "n_positions": 8}
HEADS: dict[str, tuple[str, dict[str, Any], int]] = {
    "features": ("t5", {"architectures": ["T5Model"]}, 30),
    "encoder": ("t5", {"architectures": ["T5EncoderModel"]}, 30),
    "texts": ("t5", FEW | {"architectures": ["T5ForSequenceClassification"], "num_labels": 3}, 110),
    "tokens": ("t5", {"architectures": ["T5ForTokenClassification"], "num_labels": 3}, 30),
    "spans": ("t5", {"architectures": ["T5ForQuestionAnswering"]}, 40),
    "mt5": ("mt5", {}, 20),
    "umt5": ("umt5", {"num_layers": 2, "num_decoder_layers": 1}, 20),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    found, expected = nullity_and_dimension("t5", TINY | COUNTED[name], count=20)
    assert found == expected


@pytest.mark.parametrize("name", HEADS)
def test_the_dimension_of_other_classes_and_kin(name: str) -> None:
    family, changes, count = HEADS[name]
    found, expected = nullity_and_dimension(family, TINY | changes, count=count)
    assert found == expected


def test_every_layer_of_umt5_has_a_table_of_its_own() -> None:
    """Heads of one layer move with the table of that layer, and with no other."""

    def moved(layer: str, table: str) -> Edit:
        def edit(blocks: Blocks) -> None:
            heads(layer)(blocks)
            blocks[f"{table}.position.table"] = blocks[f"{table}.position.table"].roll(1, 1)

        return edit

    model = random_model("umt5")
    assert error_after(model, moved("encoder.1", "blocks.encoder.1")) < 1e-10
    assert error_after(model, moved("encoder.1", "blocks.encoder.0")) > 1e-3
    assert error_after(model, heads("encoder.1")) > 1e-3


def test_an_encoder_and_heads_from_a_whole_checkpoint(tmp_path: Path) -> None:
    """What a class does not have is left over; a body is found with any prefix."""
    model, content, tensors = on_disk("t5-1.1", tmp_path)
    content["architectures"] = ["T5EncoderModel"]
    encoder = load_folder(rewritten(tmp_path, content, tensors))
    assert not any(name.startswith(("decoder.", "lm_head.")) for name in encoder.state)
    content |= {"architectures": ["T5ForTokenClassification"], "num_labels": 2}
    labels = {"classifier.weight": torch.ones(2, 12), "classifier.bias": torch.zeros(2)}
    found = load_folder(rewritten(tmp_path, content, tensors | labels))
    assert torch.equal(found.state["transformer.shared.weight"], model.state["shared.weight"])


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(
    ("buckets", "farthest"), [(32, 128), (6, 5), (4, 3), (8, 6), (20, 14), (32, 20), (31, 500)]
)
def test_buckets_of_distances(buckets: int, farthest: int, both_ways: bool) -> None:
    """Against transformers' own assignment of all distances."""
    from transformers.models.t5.modeling_t5 import T5Attention

    distances = torch.arange(-3 * farthest, 3 * farthest + 1 if both_ways else 1)
    found = T5Attention._relative_position_bucket(distances, both_ways, buckets, farthest)
    assert len(found.unique()) == reached(buckets, farthest, both_ways)


def haar(space: Space, seed: int = 0) -> Tensor:
    shape = (space.size, space.size)
    return torch.linalg.qr(
        torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )[0]


def stretched(space: Space) -> Element:
    return Invertible.of(haar(space) * torch.linspace(0.5, 2, space.size, dtype=torch.float64))


def negative(space: Space) -> Element:
    return Monomial(torch.arange(space.size), torch.full((space.size,), -1.0, dtype=torch.float64))


def rotated(space: Space) -> Element:
    return Orthogonal(haar(space))


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "general map of the stream": ("t5", "residual", stretched),
    "negative scales before ReLU": ("t5", "units.encoder.0", negative),
    "rotated units": ("t5", "units.decoder.0", rotated),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    model = canonical(model, choose_classes(model.layout.spaces))
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


def heads(*layers: str, table: str | None = None) -> Edit:
    """Another order of heads in some layers, and in a stack's table of positions."""

    def edit(blocks: Blocks) -> None:
        for layer in layers:
            for part, axis in (("query", 0), ("key", 0), ("value", 0), ("output", 1)):
                name = f"blocks.{layer}.{part}.weight"
                blocks[name] = blocks[name].roll(1, axis)
        if table:
            blocks[f"{table}.position.table"] = blocks[f"{table}.position.table"].roll(1, 1)

    return edit


def gain_folded(*parts: str) -> Edit:
    """The encoder's last norm, folded into some of what reads it."""

    def edit(blocks: Blocks) -> None:
        gain = blocks["encoder.norm.gain"]
        for part in parts:
            name = f"blocks.decoder.0.across.{part}.weight"
            blocks[name] = blocks[name] * gain
        blocks["encoder.norm.gain"] = torch.ones_like(gain)

    return edit


def turned(*stacks: str) -> Edit:
    """A rotation of the stream in some stacks; gains are 1 in canonical form, so that it may
    pass.
    """

    def edit(blocks: Blocks) -> None:
        q = haar(blocks.layout.spaces["residual"])
        for block in blocks.layout.blocks:
            crosses = "across.key" in block.name or "across.value" in block.name
            stack = "encoder" if "encoder" in block.name or crosses else "decoder"
            reads = any(axis.space == "residual" and axis.role != "order" for axis in block.axes)
            if reads and (stack in stacks or (block.name == "token.table" and len(stacks) == 2)):
                rows = blocks.layout.rows(blocks[block.name], block, "residual")
                blocks[block.name] = blocks.layout.unrows(
                    q @ rows, block, tuple(blocks[block.name].shape), "residual"
                )

    return edit


def raised(stack: str) -> Edit:
    """One number on all distances of a head."""

    def edit(blocks: Blocks) -> None:
        table = blocks[f"{stack}.position.table"]
        blocks[f"{stack}.position.table"] = table + torch.arange(table.shape[1])

    return edit


def centred(blocks: Blocks) -> None:
    for block in blocks.layout.blocks:
        for i, axis in enumerate(block.axes):
            if axis.space == "residual" and axis.role == "writes":
                blocks[block.name] = blocks[block.name] - blocks[block.name].mean(i, keepdim=True)


SELF = ("encoder.0", "encoder.1")
WRONG: dict[str, tuple[str, Edit]] = {
    "heads without their positions": ("t5", heads(*SELF)),
    "positions without their heads": ("t5", heads(table="encoder")),
    "heads of one layer alone": ("t5", heads("encoder.1")),
    "heads of the decoder without their positions": ("t5", heads("decoder.0")),
    "heads of the encoder in the decoder": ("t5", heads(*SELF, table="decoder")),
    "centring under RMSNorm": ("t5", centred),
    "the encoder's gain in keys alone": ("t5", gain_folded("key")),
    "the encoder's gain in values alone": ("t5", gain_folded("value")),
    "a scaled gate": (
        "t5-1.1",
        scaled("blocks.encoder.0.gate.weight", "blocks.encoder.0.down.weight"),
    ),
    "queries scaled": ("t5", scaled("blocks.encoder.0.query.weight")),
    "queries across layers": ("t5", rolled("blocks.decoder.0.across.query.weight")),
    "a tied table scaled": ("t5", scaled("token.table")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-3


def test_the_edits_are_right_where_they_are_allowed() -> None:
    """The controls above fail for the reason they name: what differs from them by that alone keeps
    the function.
    """
    model = random_model("t5")
    assert error_after(model, heads(*SELF, table="encoder")) < 1e-10
    assert error_after(model, heads("decoder.0", table="decoder")) < 1e-10
    assert error_after(model, heads("decoder.0.across")) < 1e-10  # no positions across the stacks
    assert error_after(model, gain_folded("key", "value")) < 1e-10
    assert error_after(model, raised("encoder")) < 1e-10
    assert error_after(model, raised("decoder")) < 1e-10


def test_both_stacks_turn_together() -> None:
    model = random_model("t5-1.1")
    model = canonical(model, choose_classes(model.layout.spaces))
    assert error_after(model, turned("encoder", "decoder")) < 1e-10
    assert error_after(model, turned("encoder")) > 1e-3
    assert error_after(model, turned("decoder")) > 1e-3


def test_an_untied_head_takes_the_scale_along() -> None:
    tied = random_model("t5")
    apart, inputs = untied(tied), random_inputs(tied)
    assert apart.config["tie_word_embeddings"] is False
    modules: list[Any] = [tied.module(), apart.module()]
    assert [module.config.scale_decoder_outputs for module in modules] == [True, False]
    assert function_error(tied, apart, inputs, torch.float64) < 1e-12
    unscaled = apart.with_state({**apart.state, "lm_head.weight": tied.state["shared.weight"]})
    assert function_error(tied, unscaled, inputs, torch.float64) > 1
    pair = align_pair(tied, random_model("t5", 1), inputs)
    assert pair.function_error < 1e-5 and pair.a.config == pair.b.config == apart.config


def test_outputs_are_those_of_teacher_forcing() -> None:
    """Logits of the second half given the first, as transformers computes them from labels; the
    second may be longer by one.
    """
    model = random_model("t5")
    module, inputs = model.module(torch.float64), random_inputs(model)[:, :11]
    labels = inputs[:, 5:].contiguous()
    expected = module(input_ids=inputs[:, :5], labels=labels).logits
    torch.testing.assert_close(model.family.outputs(module, inputs), expected)
    assert expected.shape == (4, 6, 37)
    later = inputs.clone()
    later[:, -1] += 1  # the last token is a target alone
    later[:, -1] %= 37
    assert torch.equal(model.family.outputs(module, later), model.family.outputs(module, inputs))


@pytest.mark.parametrize("name", EXAMPLES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    round_trip(random_model(name, 1, torch.float32), tmp_path, "AutoModelForSeq2SeqLM")


def on_disk(name: str, folder: Path) -> tuple[Model, dict[str, Any], dict[str, Tensor]]:
    """A saved example: the model, its config.json and its tensors."""
    model = random_model(name, 2, torch.float32)
    model.save(folder)
    return (
        model,
        json.loads((folder / "config.json").read_text()),
        load_file(folder / "model.safetensors"),
    )


def rewritten(folder: Path, content: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    (folder / "config.json").write_text(json.dumps(content))
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return folder


def require_same(model: Model, folder: Path) -> None:
    """Both this project and transformers read the folder as the model."""
    inputs = random_inputs(model)
    assert torch.equal(run(model, inputs), run(load_folder(folder), inputs))
    module = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(model.family.outputs(module, inputs), run(model, inputs))


def test_what_is_written_says_whether_the_head_is_tied(tmp_path: Path) -> None:
    for name, tied in (("t5", True), ("t5-1.1", False)):
        _, content, tensors = on_disk(name, tmp_path / name)
        assert content["tie_word_embeddings"] is tied and "scale_decoder_outputs" not in content
        assert (
            "lm_head.weight" in tensors
        ) is not tied and "encoder.embed_tokens.weight" not in tensors
    model = random_model("t5", 0, torch.float32)
    moved = in_float32(canonical(model, choose_classes(model.layout.spaces)))
    moved.save(tmp_path / "moved")
    assert json.loads((tmp_path / "moved/config.json").read_text())["tie_word_embeddings"] is False
    require_same(moved, tmp_path / "moved")


def test_copies_of_the_table_and_an_unused_one(tmp_path: Path) -> None:
    model, content, tensors = on_disk("t5", tmp_path)
    for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors["shared.weight"].clone()
    tensors["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = torch.zeros(
        6, 3
    )
    content["architectures"] = ["T5WithLMHeadModel"]
    require_same(model, rewritten(tmp_path, content, tensors))
    del tensors["shared.weight"]
    assert torch.equal(
        load_folder(rewritten(tmp_path, content, tensors)).state["shared.weight"],
        model.state["shared.weight"],
    )


def test_a_head_of_its_own_as_transformers_5_writes_it(tmp_path: Path) -> None:
    """tie_word_embeddings is true there whatever the head is; the scale tells."""
    model, content, tensors = on_disk("t5-1.1", tmp_path)
    content |= {"tie_word_embeddings": True, "scale_decoder_outputs": False}
    require_same(model, rewritten(tmp_path, content, tensors))
    del tensors["lm_head.weight"]  # and where it is the table after all, it is not written
    tied = model.with_state({**model.state, "lm_head.weight": model.state["shared.weight"]})
    require_same(tied, rewritten(tmp_path, content, tensors))


def test_a_head_that_is_said_to_be_shared_and_is_not(tmp_path: Path) -> None:
    _, content, tensors = on_disk("t5-1.1", tmp_path)
    content["tie_word_embeddings"] = True
    with pytest.raises(BadCheckpoint, match="'lm_head.weight' differs from 'shared.weight'"):
        load_folder(rewritten(tmp_path, content, tensors))


def test_another_start_token_is_kept(tmp_path: Path) -> None:
    raw = {**FAMILIES["t5"].examples["t5"], "decoder_start_token_id": 7}
    model = random_model("t5", 0, torch.float32)
    other = Model("other", model.family, model.family.config(raw), model.state)
    assert function_error(model, other, random_inputs(model)) > 1e-3
    other.save(tmp_path)
    require_same(other, tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["T5Stack"]}, "T5Stack.*supported are T5ForConditionalGeneration"),
        ({"architectures": "T5"}, "supported are"),
        ({"architectures": ["T5ForQuestionAnswering"], "num_labels": 3}, "are 2 labels.*gives 3"),
        (
            {"architectures": ["T5ForSequenceClassification"], "eos_token_id": None},
            "should be one token",
        ),
        ({"architectures": ["T5ForTokenClassification"], "num_labels": 0}, "positive integer"),
        ({"feed_forward_proj": "gated-softmax"}, "'gated-softmax' is not supported"),
        ({"feed_forward_proj": "relu-gated"}, "is not supported"),
        ({"feed_forward_proj": None}, "is not supported"),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": True}, "reads scaled outputs"),
        ({"relative_attention_num_buckets": 3}, "at least 4 buckets"),
        ({"relative_attention_max_distance": 3}, "largest distance"),
        ({"relative_attention_num_buckets": 2**20}, "at least 4 buckets"),
        ({"d_model": "512"}, "positive integer"),
        ({"d_kv": 0}, "positive integer"),
        ({"num_decoder_layers": -2}, "positive integer"),
        ({"vocab_size": 10**10}, "positive integer"),
        ({"layer_norm_epsilon": None}, "positive number"),
        ({"decoder_start_token_id": 37}, "one of the tokens"),
        ({"pad_token_id": None}, "one of the tokens"),
        ({"eos_token_id": "</s>"}, "number of a token"),
        ({"tie_word_embeddings": "no"}, "true or false"),
    ],
)
def test_refused_configurations(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES["t5"].config({**FAMILIES["t5"].examples["t5"], **changes})
