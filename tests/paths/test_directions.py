"""Filter normalisation against a loop over the filters of every kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lmc_core.paths.directions import filter_normalised, random_plane
from tests.tiny import tiny


def slow(model, name: str, direction: torch.Tensor) -> None:
    """Look at every filter of a parameter by itself, by the class of the module that owns it."""
    owner, _, leaf = name.rpartition(".")
    module = model.module().get_submodule(owner)
    theta = model.state[name]
    if theta.ndim == 1:
        assert not direction.any()
        return
    if isinstance(module, nn.Conv2d):
        pairs = [(theta[i], direction[i]) for i in range(len(theta))]
    elif type(module).__name__ == "Conv1D":  # y = x W: a column makes one output
        pairs = [(theta[:, j], direction[:, j]) for j in range(theta.shape[1])]
    elif isinstance(module, nn.Linear | nn.Embedding):
        pairs = [(theta[i], direction[i]) for i in range(len(theta))]
    else:
        assert leaf in ("cls_token", "pos_embed")
        pairs = [(theta[0, i], direction[0, i]) for i in range(theta.shape[1])]
    for weights, drawn in pairs:
        assert float(drawn.norm()) == pytest.approx(float(weights.norm()), rel=1e-5)


@pytest.mark.parametrize("family", ["vit", "gpt2"])
def test_every_filter_is_as_long_as_the_models(family: str) -> None:
    model = tiny(family, 3)
    direction = filter_normalised(model, torch.Generator().manual_seed(0))
    assert direction.keys() == model.state.keys()
    for name, tensor in direction.items():
        slow(model, name, tensor)


def test_a_filter_of_zeros_stays() -> None:
    model = tiny("vit", 3)
    name = "blocks.0.mlp.fc1.weight"
    weight = model.state[name].clone()
    weight[2] = 0
    direction = filter_normalised(
        model.with_state({**model.state, name: weight}), torch.Generator().manual_seed(0)
    )
    assert (
        not direction[name][2].any()
        and bool(direction[name][3].any())
        and bool(direction[name].isfinite().all())
    )


def test_the_seed_decides() -> None:
    model = tiny("vit", 0)
    one, again, other = (random_plane(model, seed) for seed in (0, 0, 1))
    name = "blocks.0.mlp.fc1.weight"
    assert torch.equal(one.first[name], again.first[name]) and torch.equal(
        one.second[name], again.second[name]
    )
    assert not torch.equal(one.first[name], other.first[name]) and not torch.equal(
        one.first[name], one.second[name]
    )


def test_the_order_in_which_a_checkpoint_is_stored_does_not_matter() -> None:
    model = tiny("gpt2", 0)
    turned = model.with_state(dict(reversed(model.state.items())))
    one, other = (
        filter_normalised(each, torch.Generator().manual_seed(0)) for each in (model, turned)
    )
    assert all(torch.equal(one[name], other[name]) for name in model.state)


def test_the_plane_is_spanned_by_the_directions() -> None:
    model = tiny("gpt2", 0)
    plane = random_plane(model, 5)
    generator = torch.Generator().manual_seed(5)
    first, second = (filter_normalised(model, generator) for _ in range(2))
    found = plane.state(0.3, -0.7)
    for name, tensor in model.state.items():
        assert torch.allclose(
            found[name], tensor + 0.3 * first[name] - 0.7 * second[name], atol=1e-6
        )
    assert all(
        torch.equal(tensor, model.state[name]) for name, tensor in plane.state(0.0, 0.0).items()
    )
