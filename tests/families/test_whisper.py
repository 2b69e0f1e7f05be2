"""Whisper: its classes counted, tried just outside what is admitted, written as themselves, and
aligned without data.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmc_core.errors import BadCheckpoint, Inadmissible
from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.models.families import FAMILIES
from lmc_core.models.families.whisper import HEARD, LABELS, heard_tokens
from lmc_core.models.forward import function_error
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model, untied_state
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.canonical import Blocks
from lmc_core.symmetry.elements import Element, Monomial, Orthogonal
from lmc_core.symmetry.spaces import Space, SymmetryClass, choose_classes
from tests.cli.conftest import Run, lmc  # noqa: F401  (a fixture)
from tests.families.mixtures import (
    Edit,
    error_after,
    nullity_and_dimension,
    rolled,
    round_trip,
    scaled,
)
from tests.networks import random_inputs, random_model

TINY: dict[str, Any] = {
    "model_type": "whisper",
    "vocab_size": 11,
    "num_mel_bins": 2,
    "d_model": 6,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 4,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 4,
    "max_source_positions": 4,
    "max_target_positions": 6,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
    "decoder_start_token_id": 3,
    "tie_word_embeddings": False,
}
FEW = {"encoder_ffn_dim": 2, "decoder_ffn_dim": 2}
LABELLED = {"architectures": [LABELS], "num_labels": 3, "classifier_proj_size": 4}
# changes, number of inputs, seed (at which every ReLU is on at some places and off at others)
COUNTED: dict[str, tuple[dict[str, Any], int, int]] = {
    "text": (FEW, 26, 0),
    "relu": (FEW | {"activation_function": "relu"}, 40, 1),
    "two layers of the encoder": (FEW | {"encoder_layers": 2}, 40, 0),
    "features, two layers of the decoder": (
        FEW | {"architectures": ["WhisperModel"], "decoder_layers": 2},
        30,
        0,
    ),
    "labels": (LABELLED, 200, 0),
    "more labels than the projection has coordinates": (LABELLED | {"num_labels": 6}, 100, 0),
    "a wide projection": (LABELLED | {"classifier_proj_size": 8}, 200, 0),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_dimension_is_the_nullity_of_the_jacobian(name: str) -> None:
    changes, count, seed = COUNTED[name]
    found, expected = nullity_and_dimension("whisper", TINY | changes, count, seed)
    assert found == expected


def turned(space: Space) -> Element:
    """A small rotation that keeps the ones vector, as a stream between LayerNorms alone would admit
    it.
    """
    n = space.size
    noise = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plane = noise - noise.T
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    return Orthogonal(torch.linalg.matrix_exp(0.1 * centre @ plane @ centre))


def rotated(space: Space) -> Element:
    noise = torch.randn(
        space.size, space.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return Orthogonal(torch.linalg.qr(noise)[0])


def stretched(space: Space) -> Element:
    return Monomial(torch.arange(space.size), torch.full((space.size,), 1.5, dtype=torch.float64))


def negative(space: Space) -> Element:
    return Monomial(torch.arange(space.size), torch.full((space.size,), -1.0, dtype=torch.float64))


def reversed_order(space: Space) -> Element:
    return Monomial(torch.arange(space.size).flip(0), torch.ones(space.size, dtype=torch.float64))


# example, space, element, whether the function stays
MOVES: dict[str, tuple[str, str, Any, bool]] = {
    "the encoder's stream rotated": ("whisper", HEARD, turned, False),
    "the encoder's stream scaled": ("whisper", HEARD, stretched, False),
    "signs of the encoder's stream": ("whisper", HEARD, negative, False),
    "the encoder's stream in another order": ("whisper", HEARD, reversed_order, True),
    "the encoder's stream, an output, in another order": (
        "whisper-features",
        HEARD,
        reversed_order,
        False,
    ),
    "the decoder's stream, an output, in another order": (
        "whisper-features",
        "residual",
        reversed_order,
        False,
    ),
    "the decoder's stream rotated": ("whisper", "residual", turned, True),
    "the decoder's stream rotated, the ones too": ("whisper", "residual", rotated, False),
    "channels of the convolutions in another order": (
        "whisper",
        "units.conv",
        reversed_order,
        True,
    ),
    "channels of the convolutions rotated": ("whisper", "units.conv", turned, False),
    "channels of the convolutions scaled": ("whisper", "units.conv", stretched, False),
    "channels scaled, though units are ReLU": ("whisper", "units.decoder.0", stretched, True),
    "labels' projection in another order": ("whisper-labels", "latent", reversed_order, True),
    "the stream behind labels rotated": ("whisper-labels", HEARD, turned, False),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_a_space_admits_and_what_is_just_outside(name: str) -> None:
    example, space, draw, stays = MOVES[name]
    model = random_model(example)
    form = canonical(model, choose_classes(model.layout.spaces))
    if space == HEARD:  # without gains nothing but GELU stands against a rotation
        form = form.with_state(without_gains(form))
    alignment = Alignment.of(form.layout.spaces, {space: draw(form.layout.spaces[space])})
    moved = form.with_state(alignment.apply(form.layout, form.state))
    error = function_error(form, moved, random_inputs(model), torch.float64)
    assert error < 1e-10 if stays else error > 1e-3


def without_gains(model: Model) -> dict[str, Tensor]:
    """The same parameters, gains 1 and offsets 0 in the encoder's norms."""
    found = {name: tensor.clone() for name, tensor in model.state.items()}
    blocks = Blocks(model.layout, found)
    for name, block in model.layout.by_name.items():
        if name.endswith((".gain", ".offset")) and any(axis.space == HEARD for axis in block.axes):
            blocks[name] = torch.full_like(blocks[name], float(name.endswith(".gain")))
    return found


def test_a_rotation_is_not_offered_for_the_encoder() -> None:
    spaces = random_model("whisper").layout.spaces
    spaces["residual"].require(SymmetryClass.ORTHOGONAL)
    with pytest.raises(Inadmissible, match="second convolution"):
        spaces[HEARD].require(SymmetryClass.ORTHOGONAL)


def raised(block: str) -> Edit:
    """One more number on all coordinates of each row of a table, or of a bias."""

    def edit(blocks: Blocks) -> None:
        value = blocks[block]
        numbers = torch.arange(len(value), dtype=torch.float64)
        blocks[block] = value + (numbers[:, None] if value.ndim > 1 else 0.5)

    return edit


RIGHT: dict[str, Edit] = {
    "means of the encoder's positions": raised("heard.table"),
    "means of the decoder's positions": raised("position.table"),
}
WRONG: dict[str, Edit] = {
    "the encoder's positions moved by one": rolled("heard.table"),
    "a mean of what the second convolution gives": raised("conv2.bias"),
    "what the second convolution gives, alone": rolled("conv2.weight", "conv2.bias"),
    "channels without their reader": rolled("conv1.weight", "conv1.bias"),
    "scaled convolutions": scaled("conv1.weight", "conv2.weight"),
    "queries without keys": rolled("blocks.decoder.0.query.weight", "blocks.decoder.0.query.bias"),
    "queries of the cross-attention alone": rolled("blocks.decoder.1.across.query.weight"),
    "the encoder's last norm without its readers": rolled("heard.norm.gain"),
    "units without their readers": rolled("blocks.encoder.0.up.weight", "blocks.encoder.0.up.bias"),
}


@pytest.mark.parametrize("name", [*RIGHT, *WRONG])
def test_edits(name: str) -> None:
    error = error_after(random_model("whisper"), (RIGHT | WRONG)[name])
    assert error < 1e-12 if name in RIGHT else error > 1e-3


def test_a_probe_reaches_all_rows_and_each_example_stands_alone() -> None:
    model = random_model("whisper")
    module = model.module(torch.float64)
    features = random_inputs(model, 20)
    tokens = heard_tokens(module.config, features)
    assert tokens.shape == (20, 8) and (tokens[:, 0] == 3).all()
    assert len(tokens.unique()) == 37
    whole = model.family.outputs(module, features)
    assert whole.shape == (20, 8, 37)
    assert torch.allclose(whole[5:6], model.family.outputs(module, features[5:6]))
    longer = SimpleNamespace(max_target_positions=600, vocab_size=37, decoder_start_token_id=3)
    assert heard_tokens(longer, features).shape == (20, 600)
    assert heard_tokens(
        SimpleNamespace(**vars(longer) | {"max_target_positions": 1}), features
    ).shape == (20, 1)


@pytest.mark.parametrize(
    ("name", "auto"),
    [
        ("whisper", "AutoModelForSpeechSeq2Seq"),
        ("whisper-features", "AutoModel"),
        ("whisper-labels", "AutoModelForAudioClassification"),
    ],
)
def test_files_reopen_in_their_own_class(name: str, auto: str, tmp_path: Path) -> None:
    round_trip(random_model(name, dtype=torch.float32), tmp_path, auto)


def test_other_classes_from_a_whole_checkpoint(tmp_path: Path) -> None:
    """What a class does not have is left over; a body is found with its prefix or without."""
    model = random_model("whisper", dtype=torch.float32)
    model.save(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(content | {"architectures": ["WhisperModel"]}))
    assert len(load_folder(tmp_path).state) == len(model.state)
    labels = {"architectures": [LABELS], "num_labels": 2, "classifier_proj_size": 4}
    (tmp_path / "config.json").write_text(json.dumps(content | labels))
    head = {
        "projector.weight": torch.ones(4, 24),
        "projector.bias": torch.ones(4),
        "classifier.weight": torch.ones(2, 4),
        "classifier.bias": torch.ones(2),
    }
    save_file(tensors | head, tmp_path / "model.safetensors")
    found = load_folder(tmp_path)
    assert not any("decoder" in name for name in found.state)
    assert torch.equal(
        found.state["encoder.conv1.weight"], model.state["model.encoder.conv1.weight"]
    )


def test_a_head_that_differs_from_the_table_it_should_share_is_refused(tmp_path: Path) -> None:
    random_model("whisper", dtype=torch.float32).save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert "proj_out.weight" not in tensors
    tensors["proj_out.weight"] = tensors["model.decoder.embed_tokens.weight"] + 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=r"proj_out.weight"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder_start_token_id": 11}, "decoder_start_token_id"),
        ({"encoder_attention_heads": 4}, "should divide"),
        ({"decoder_attention_heads": 4}, "should divide"),
        ({"max_source_positions": 0}, "max_source_positions"),
        ({"activation_function": "softmax"}, "activation"),
        ({"architectures": ["WhisperForCausalLM"]}, "WhisperForCausalLM"),
        (LABELLED | {"use_weighted_layer_sum": True}, "weighted sum of all layers"),
        (LABELLED | {"classifier_proj_size": -1}, "classifier_proj_size"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        FAMILIES["whisper"].config(TINY | changes)


@pytest.mark.parametrize("cls", FAMILIES["whisper"].classes)
def test_whisper_tiny_has_these_shapes(cls: str) -> None:
    """Transformers' defaults are those of whisper-tiny."""
    family = FAMILIES["whisper"]
    config = family.config({"model_type": "whisper", "architectures": [cls]})
    with torch.device("meta"):
        module = family.build(config)
    assert type(module).__name__ == cls
    family.layout(config).check(untied_state(module))


def test_two_models_are_aligned_without_data(lmc: Run, tmp_path: Path) -> None:  # noqa: F811
    """A model and its moved copy: the copy comes back to the model, in a checkpoint that
    transformers opens.
    """
    import transformers

    model = random_model("whisper", dtype=torch.float32)
    form = canonical(model, choose_classes(model.layout.spaces))
    element = Alignment.random(
        form.layout.spaces, choose_classes(model.layout.spaces), torch.Generator().manual_seed(1)
    )
    moved = in_float32(form.with_state(element.apply(form.layout, form.state)))
    for name, each in (("a", model), ("b", moved)):
        each.save(tmp_path / name)
    said = {
        "lang_to_id": {"<|en|>": 5},
        "task_to_id": {"transcribe": 6},
        "alignment_heads": [[0, 1]],
    }
    (tmp_path / "b" / "generation_config.json").write_text(json.dumps(said))
    outcome = lmc("align", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert outcome.code == 0 and "random inputs" in outcome.out, outcome.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["function_error"] < 1e-5 and max(report["written_errors"]) < 1e-5
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert generation["lang_to_id"] == said["lang_to_id"] and "alignment_heads" not in generation
    written = load_folder(tmp_path / "out")
    assert function_error(moved, written, random_inputs(model).float()) < 1e-5
    rewritten = in_float32(form)
    for name, tensor in written.state.items():
        assert torch.allclose(tensor, rewritten.state[name], atol=1e-3), name
    loaded = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        found = model.family.outputs(loaded, random_inputs(model).float())
    assert torch.allclose(
        found, model.family.outputs(written.module(), random_inputs(model).float()), atol=1e-4
    )
    lmc("barrier", tmp_path / "a", tmp_path / "b", "--task", "text:somewhere").refused(
        "takes audio"
    )
