"""BERT and RoBERTa: what their layouts say, counted and tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmc_core.errors import Inadmissible
from lmc_core.matching.common_form import common_form
from lmc_core.matching.pair import align_pair, canonical
from lmc_core.models.common import untied
from lmc_core.models.forward import function_error, run
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.dimension import symmetry_dimension
from lmc_core.symmetry.elements import Element, Monomial, Orthogonal, Permutation
from lmc_core.symmetry.spaces import Space, SymmetryClass, choose_classes
from tests.families.mixtures import Edit, error_after, rolled, scaled
from tests.networks import CONFIGURATIONS, random_inputs, random_model
from tests.symmetry.nullity import nullity, small_model

TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 6,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 5,
    "type_vocab_size": 1,
    "pad_token_id": None,
}
ROBERTA = TINY | {"model_type": "roberta", "max_position_embeddings": 8, "pad_token_id": 2}
UNTIED = {"tie_word_embeddings": False}


def of(cls: str, raw: dict[str, Any] = TINY) -> dict[str, Any]:
    return raw | {"architectures": [cls]}


# configuration, number of inputs, seed (at which every ReLU is on for some tokens and off for
# others)
COUNTED: dict[str, tuple[dict[str, Any], int, int]] = {
    "tied": (of("BertForMaskedLM"), 20, 0),
    "untied": (of("BertForMaskedLM") | UNTIED, 20, 0),
    "relu": (of("BertForMaskedLM") | {"hidden_act": "relu", "vocab_size": 17}, 40, 10),
    "two heads": (of("BertForPreTraining"), 50, 0),
    "classifier": (of("BertForSequenceClassification") | {"num_labels": 3}, 220, 0),
    "features": (of("BertModel") | {"num_hidden_layers": 2}, 30, 0),
    "no pooler": (of("BertModel") | {"add_pooling_layer": False}, 16, 0),
    "roberta, tied": (of("RobertaForMaskedLM", ROBERTA), 24, 0),
    "roberta, untied": (of("RobertaForMaskedLM", ROBERTA) | UNTIED, 24, 0),
    "roberta, two types": (
        of("RobertaModel", ROBERTA) | {"type_vocab_size": 2, "add_pooling_layer": False},
        20,
        0,
    ),
    "roberta, classifier": (
        of("RobertaForSequenceClassification", ROBERTA) | {"num_labels": 3},
        220,
        0,
    ),
}


def all_outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """Of both heads, and of both types of tokens where there are two."""
    base = getattr(module, module.base_model_prefix, module)  # type: ignore[arg-type]
    kinds = range(base.config.type_vocab_size)
    found = [module(inputs, token_type_ids=torch.full_like(inputs, kind)) for kind in kinds]
    return torch.cat([each.flatten(1) for one in found for each in one.to_tuple()], 1)


def with_all_gradients(
    model: Model, outputs: Callable[[nn.Module, Tensor], Tensor] = all_outputs
) -> Model:
    """The same, where the embedding of padding has a gradient too (transformers keeps it from being
    trained).
    """

    def build(config: Any) -> nn.Module:
        module = model.family.build(config)
        for part in module.modules():
            if isinstance(part, nn.Embedding):
                part.padding_idx = None
        return module

    return replace(model, family=replace(model.family, build=build, outputs=outputs))


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    raw, count, seed = COUNTED[name]
    model = with_all_gradients(small_model(raw["model_type"], raw, seed))
    found, gap = nullity(model, count)
    counts = symmetry_dimension(model.layout, model.family.rewrite(model.config))
    assert found == sum(counts.values()), counts
    assert gap > 1e4


def signs(space: Space) -> Element:
    return Monomial(
        torch.arange(space.size), torch.where(torch.arange(space.size) == 1, -1.0, 1.0).double()
    )


def doubled(space: Space) -> Element:
    return Monomial(torch.arange(space.size), torch.full((space.size,), 2.0, dtype=torch.float64))


def reordered(space: Space) -> Element:
    return Permutation(torch.arange(space.size).roll(1))


def rotated(space: Space) -> Element:
    generator = torch.Generator().manual_seed(0)
    return Orthogonal(
        torch.linalg.qr(
            torch.randn(space.size, space.size, generator=generator, dtype=torch.float64)
        )[0]
    )


MOVES: dict[str, tuple[str, str, Callable[[Space], Element]]] = {
    "a sign in a stream that norms write to": ("bert", "residual", signs),
    "a stream that is the output": ("bert-features", "residual", reordered),
    "a pooled state that is an output": ("bert-features", "pooled", reordered),
    "a scale before tanh": ("bert-classifier", "pooled", doubled),
    "a rotation before tanh": ("bert-classifier", "pooled", rotated),
    "a scale before tanh, RoBERTa": ("roberta-classifier", "pooled", doubled),
    "a negative scale before ReLU": ("bert-untied-relu", "units.0", signs),
    "a sign before the head's norm": ("bert-untied-relu", "units.head", signs),
    "a scale before GELU": ("bert", "units.0", doubled),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_is_just_outside_a_class_changes_the_function(name: str) -> None:
    example, space, draw = MOVES[name]
    model = random_model(example)
    alignment = Alignment.of(model.layout.spaces, {space: draw(model.layout.spaces[space])})
    moved = model.with_state(alignment.apply(model.layout, model.state))
    assert function_error(model, moved, random_inputs(model), torch.float64) > 1e-3


def test_a_stream_that_norms_write_to_does_not_rotate() -> None:
    model = random_model("bert")
    space = model.layout.spaces["residual"]
    assert space.largest is SymmetryClass.PERMUTATION
    with pytest.raises(Inadmissible, match="one by one"):
        Alignment.of(model.layout.spaces, {"residual": rotated(space)}).apply(
            model.layout, model.state
        )


def test_the_output_of_an_encoder_alone_holds_its_stream() -> None:
    space = random_model("bert-features").layout.spaces["residual"]
    with pytest.raises(
        Inadmissible,
        match="admits none, because the outputs are the coordinates of the stream themselves",
    ):
        space.require(SymmetryClass.PERMUTATION)


def only(*words: str) -> Edit:
    """Reorder the stream in some blocks alone."""

    def edit(blocks: Blocks) -> None:
        for block in blocks.layout.blocks:
            if any(word in block.name for word in words):
                value = blocks[block.name]
                for i, axis in enumerate(block.axes):
                    value = value.roll(1, i) if axis.space == "residual" else value
                blocks[block.name] = value

    return edit


def shifted(blocks: Blocks) -> None:
    """The offset of a norm into the stream, against the biases behind it and the one that is added
    next.
    """
    move = torch.linspace(-1, 1, len(blocks["norm.offset"]), dtype=torch.float64)
    blocks["norm.offset"] = blocks["norm.offset"] + move
    for part in ("query", "key", "value"):
        change = (blocks[f"blocks.0.{part}.weight"] * move).sum(-1)
        blocks[f"blocks.0.{part}.bias"] = blocks[f"blocks.0.{part}.bias"] - change
    blocks["blocks.0.output.bias"] = blocks["blocks.0.output.bias"] - move


def stretched(*added: str) -> Edit:
    """The scale of a norm into the stream, against what reads it; `added` is what has to follow, as
    it is added next.
    """

    def edit(blocks: Blocks) -> None:
        for name in ("norm.gain", "norm.offset", *added):
            # its sign is free as well: the next norm's gain takes it
            blocks[name] = blocks[name] * -1.5
        for part in ("query", "key", "value"):
            blocks[f"blocks.0.{part}.weight"] = blocks[f"blocks.0.{part}.weight"] / -1.5
        if added:
            blocks["blocks.0.norm1.gain"] = -blocks["blocks.0.norm1.gain"]

    return edit


def reader_moved(by_gain: bool) -> Edit:
    """A reader's rows along 1/g of the norm before it, the bias against the constant that comes of
    it.
    """

    def edit(blocks: Blocks) -> None:
        gain, offset = blocks["norm.gain"], blocks["norm.offset"]
        along = 1 / gain if by_gain else torch.ones_like(gain)
        blocks["blocks.0.query.weight"] = blocks["blocks.0.query.weight"] + along
        blocks["blocks.0.query.bias"] = blocks["blocks.0.query.bias"] - (along * offset).sum()

    return edit


def centred(*names: str) -> Edit:
    def edit(blocks: Blocks) -> None:
        for name in names:
            axis = blocks.layout.by_name[name].axis("residual")
            blocks[name] = blocks[name] - blocks[name].mean(axis, keepdim=True)

    return edit


WRONG: dict[str, tuple[str, Edit]] = {
    "the stream without the head's layer": (
        "bert",
        only("table", "norm", "query", "key", "value", "output", "up", "down"),
    ),
    "the head's layer without the stream": (
        "bert",
        rolled("head.dense.weight", "head.dense.bias", "head.norm.gain"),
    ),
    "the table without the stream": ("roberta", only("table")),
    "heads apart": ("bert", rolled("blocks.0.value.weight")),
    "queries without keys": ("roberta", rolled("blocks.0.query.weight", "blocks.0.query.bias")),
    "a norm scaled, what is added not": ("bert", stretched()),
    "a reader's mean, without the gain": ("bert", reader_moved(False)),
    "a tied table centred": ("bert", centred("token.table")),
    "a norm's offset centred": ("bert", centred("norm.offset")),
    "a tied head's gain taken out": ("bert", scaled("head.norm.gain")),
    "the last norm's gain, one head of two": (
        "bert-pretraining",
        scaled("blocks.0.norm2.gain", "pooler.weight"),
    ),
    "positions moved by one": ("roberta", rolled("position.table")),
    "the pooled state without its reader": (
        "bert-classifier",
        rolled("pooler.weight", "pooler.bias"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_edits_change_the_function(name: str) -> None:
    example, edit = WRONG[name]
    assert error_after(random_model(example), edit) > 1e-3


def test_the_edits_are_right_where_they_are_allowed() -> None:
    """The controls above fail for the reason they name: what differs from them by that alone keeps
    the function.
    """
    everything = only(*(block.name for block in random_model("bert").layout.blocks))
    assert error_after(random_model("bert"), everything) < 1e-10
    assert error_after(random_model("bert"), shifted) < 1e-10
    assert (
        error_after(
            random_model("bert"), stretched("blocks.0.output.weight", "blocks.0.output.bias")
        )
        < 1e-10
    )
    assert error_after(random_model("bert"), reader_moved(True)) < 1e-10
    assert error_after(random_model("bert-untied-relu"), centred("token.table")) < 1e-10
    assert (
        error_after(
            random_model("bert"), centred("position.table", "type.table", "blocks.0.down.weight")
        )
        < 1e-10
    )


def test_positions_before_the_padding_are_not_seen() -> None:
    def edit(blocks: Blocks) -> None:
        table = blocks["position.table"]
        table[0] += 1
        blocks["position.table"] = table

    assert error_after(random_model("roberta"), edit) == 0


def test_the_second_head_keeps_its_outputs_too() -> None:
    """The function check sees the masked tokens alone; whether two sentences follow is checked
    here.
    """
    model = random_model("bert-pretraining")
    classes = choose_classes(model.layout.spaces)
    assert classes["pooled"] is SymmetryClass.SIGNED
    moved = canonical(model, classes)
    alignment = Alignment.random(moved.layout.spaces, classes, torch.Generator().manual_seed(0))
    moved = moved.with_state(alignment.apply(moved.layout, moved.state))
    inputs = random_inputs(model)
    before, after = (
        each.module(torch.float64)(inputs).seq_relationship_logits for each in (model, moved)
    )
    torch.testing.assert_close(before, after)
    wrong = model.with_state(
        {**model.state, "bert.pooler.dense.bias": -model.state["bert.pooler.dense.bias"]}
    )
    assert not torch.allclose(before, wrong.module(torch.float64)(inputs).seq_relationship_logits)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_tied_and_an_untied_model_meet(name: str) -> None:
    """The tied one gets a head of its own; then the head's layer has a space of its own and a
    planted order is found.
    """
    tied, inputs = random_model(name), random_inputs(random_model(name))
    apart = untied(tied)
    assert "units.head" in apart.layout.spaces and "units.head" not in tied.layout.spaces
    assert function_error(tied, apart, inputs, torch.float64) < 1e-14
    move = Alignment.of(
        apart.layout.spaces,
        {s: reordered(apart.layout.spaces[s]) for s in ("units.head", "residual")},
    )
    moved = apart.with_state(move.apply(apart.layout, apart.state))
    assert function_error(tied, moved, inputs, torch.float64) < 1e-12
    left, right = common_form(tied, moved)
    assert left.state.keys() == right.state.keys()
    pair = align_pair(tied, moved, inputs)
    assert pair.trace.objective[-1] == pytest.approx(1.0, abs=1e-9)
    assert max(float((pair.a.state[n] - pair.b.state[n]).abs().max()) for n in pair.a.state) < 1e-5


@pytest.mark.parametrize(
    "name", [name for name, (family, _) in CONFIGURATIONS.items() if family in ("bert", "roberta")]
)
def test_shapes_of_outputs(name: str) -> None:
    model = random_model(name)
    inputs, sizes = random_inputs(model), model.family.sizes(model.config)
    predicts = model.family.predicts(model.config)
    found = tuple(run(model, inputs, torch.float64).shape)
    pooled = int(predicts == "features" and "pooled" in model.layout.spaces)
    expected = {
        "masked": (4, sizes["context"], sizes["tokens"]),
        "next": (4, sizes["context"], sizes["tokens"]),
        "label": (4, sizes.get("classes")),
        "features": (4, sizes["context"] + pooled, sizes["width"]),
    }
    assert found == expected[predicts]
