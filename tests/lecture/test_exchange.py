import numpy as np
import pytest
import torch

from lmc_core.lecture.exchange import exchange_heads, exchange_units, scores, swapped
from lmc_core.lecture.experts import exchange_experts
from lmc_core.models.forward import run

EXACT = 1e-12


def test_swapped():
    assert swapped(4, 1, 3).tolist() == [0, 3, 2, 1]


def test_live_outputs_are_those_of_the_model(vit):
    assert torch.equal(vit.reference, run(vit.model, vit.examples.inputs, torch.float64))


def test_units_exchanged_wholly_or_by_half(vit):
    whole = exchange_units(vit, 1, 2, 5)
    assert whole.difference < EXACT
    assert exchange_units(vit, 1, 2, 5, columns=False).difference > 1e-4
    assert exchange_units(vit, 1, 2, 5, rows=False).difference > 1e-4
    still = exchange_units(vit, 1, 2, 5, rows=False, columns=False)
    assert still.difference == 0
    for name in ("incoming", "outgoing"):
        before, after = getattr(still, name), getattr(whole, name)
        np.testing.assert_array_equal(after[[5, 2]], before[[2, 5]])
        np.testing.assert_array_equal(np.delete(after, [2, 5], 0), np.delete(before, [2, 5], 0))
    weight = vit.model.state["blocks.1.mlp.fc1.weight"].numpy()
    np.testing.assert_array_equal(still.incoming, weight)
    np.testing.assert_array_equal(
        still.outgoing, vit.model.state["blocks.1.mlp.fc2.weight"].numpy().T
    )


def test_attention_is_that_of_the_network(vit):
    layer = vit.module.blocks[1].attn
    found = scores(vit, 1, vit.model.state).softmax(-1)
    _, stream = vit.reading("blocks.1.attn", vit.model.state)
    examples, tokens, width = stream.shape
    parts = layer.qkv(stream).reshape(examples, tokens, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
    slow = (found @ parts[2]).transpose(1, 2).flatten(2)
    assert torch.allclose(layer.proj(slow), layer(stream), atol=1e-12)


def test_heads_exchanged_with_and_without_their_outputs(vit):
    found = exchange_heads(vit, 1, 0, 3)
    assert found.difference < EXACT
    np.testing.assert_allclose(found.attention, found.before[[3, 1, 2, 0]], atol=1e-12)
    assert not np.allclose(found.before[0], found.before[3], atol=1e-3)
    np.testing.assert_allclose(found.after, found.outputs, atol=1e-12)
    half = exchange_heads(vit, 1, 0, 3, outputs=False)
    assert half.difference > 1e-4 and not np.allclose(half.after, half.outputs, atol=1e-5)
    # each place writes with what it wrote with, unless the output matrix follows
    np.testing.assert_array_equal(found.writing, half.writing[[3, 1, 2, 0]])


def test_experts_exchanged_with_and_without_their_rows(mixture):
    still = exchange_experts(mixture, 1, 0, 0)
    found = exchange_experts(mixture, 1, 0, 2)
    assert found.difference < EXACT and found.loss == pytest.approx(still.loss, abs=1e-12)
    assert found.expert.tolist() == [2, 1, 0, 3]
    np.testing.assert_array_equal(found.router, still.router[[2, 1, 0, 3]])
    # each is served by the same expert
    np.testing.assert_array_equal(found.expert[found.choice], still.expert[still.choice])
    broken = exchange_experts(mixture, 1, 0, 2, follow=False)
    assert broken.difference > 1e-4
    # the router sends where it always sent, to another expert
    np.testing.assert_array_equal(broken.choice, still.choice)
