"""Streams of a model and of its moved copy: CKA is 1 all along, the cosine only once the copy is
brought back.
"""

from __future__ import annotations

import pytest
import torch

from lmc_core.analysis.streams import compare_streams, stream_sites
from lmc_core.matching.pair import canonical
from lmc_core.models.common import in_float32
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.task import Examples
from tests.networks import random_inputs, random_model


@pytest.mark.parametrize("name", ["vit", "gpt2", "llama", "gpt_neox", "mixtral", "qwen2_moe"])
def test_a_turned_copy_has_cka_one_and_is_brought_back(name: str) -> None:
    model = random_model(name, 1)
    a = canonical(model, choose_classes(model.layout.spaces))
    classes = choose_classes(a.layout.spaces)
    planted = Alignment.random(a.layout.spaces, classes, torch.Generator().manual_seed(1))
    inputs = (
        random_inputs(model, 8).float()
        if model.family.takes == "images"
        else random_inputs(model, 8)
    )
    examples = Examples(inputs, torch.zeros(8, dtype=torch.int64))
    a = in_float32(a)
    found = compare_streams(a, a, "residual", planted.inverse().elements["residual"], examples, 64)
    assert found.after == pytest.approx([1.0] * len(found.layers), abs=1e-5)
    assert max(abs(value) for value in found.before) < 0.8
    assert found.cka == pytest.approx([1.0] * len(found.layers), abs=1e-5)
    assert torch.allclose(
        found.matrix.diagonal(), torch.ones(len(found.layers), dtype=torch.float64), atol=1e-5
    )
    blocks = [layer for layer in found.layers if layer.startswith("blocks")]
    assert blocks == [f"blocks.{k}" for k in range(len(blocks))] and found.layers[-1] == "output"
    assert found.matrix.nan_to_num(0).fill_diagonal_(0).max() < 1 - 1e-4


def test_another_model_is_less_alike() -> None:
    a, b = (in_float32(random_model("gpt2", seed)) for seed in (1, 2))
    still = Alignment.of(a.layout.spaces).elements["residual"]
    found = compare_streams(
        a, b, "residual", still, Examples(random_inputs(a, 8), torch.zeros(8)), 64
    )
    assert max(found.cka[1:]) < 0.95 and found.before == pytest.approx(found.after)
    assert all(low < high for low, high in zip(found.unbiased, found.cka, strict=True))


def test_before_is_what_it_was_in_the_models_own_coordinates() -> None:
    a, b = (
        in_float32(
            canonical(
                random_model("gpt2", seed), choose_classes(random_model("gpt2").layout.spaces)
            )
        )
        for seed in (1, 2)
    )
    classes = choose_classes(b.layout.spaces)
    moving = Alignment.random(b.layout.spaces, classes, torch.Generator().manual_seed(3))
    moved = b.with_state({n: t.float() for n, t in moving.apply(b.layout, b.state).items()})
    examples, still = (
        Examples(random_inputs(a, 8), torch.zeros(8)),
        Alignment.of(a.layout.spaces).elements["residual"],
    )
    own = compare_streams(a, b, "residual", still, examples, 64)
    found = compare_streams(a, moved, "residual", moving.elements["residual"], examples, 64)
    assert found.before == pytest.approx(own.after, abs=1e-5)
    assert found.after != pytest.approx(own.after, abs=1e-2)


def test_tokens_are_as_many_as_asked_for_and_class_tokens_apart() -> None:
    model = in_float32(random_model("vit", 1))
    still = Alignment.of(model.layout.spaces).elements["residual"]
    examples = Examples(random_inputs(model, 8).float(), torch.zeros(8))
    found = compare_streams(model, model, "residual", still, examples, 16)
    assert set(found.tokens[:-1]) == {16} and found.tokens[-1] == 8
    assert found.matrix[-1, :-1].isnan().all() and found.matrix[-1, -1] == pytest.approx(1)


def test_each_layer_has_one_place() -> None:
    layout = random_model("llama", 1).layout
    places = stream_sites(layout, "residual")
    assert [site.block.name for site in places.values()][0] == "blocks.0.query.weight"
    assert list(places)[-1] == "output" and len(set(places)) == len(places)
