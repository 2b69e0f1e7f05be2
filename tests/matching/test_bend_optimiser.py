"""Muon moves whole matrices, one expert at a time, Adam the rest; what is saved goes on the same."""

from __future__ import annotations

from copy import deepcopy

import torch

from lmc_core import load
from lmc_core.matching.learned.bend_optimiser import BendOptimiser, hidden_matrices
from lmc_core.models.model import Model
from tests.tiny import tiny


def leaves(model: Model) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(t).float().requires_grad_() for name, t in model.state.items()}


def push(bend: dict[str, torch.Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for tensor in bend.values():
        tensor.grad = torch.randn(tensor.shape, generator=generator)


def test_tables_and_vectors_are_no_hidden_matrices() -> None:
    model = tiny("gpt2", 0)
    found = hidden_matrices(model.layout, model.state)
    left = model.state.keys() - found
    assert {"transformer.wte.weight", "transformer.wpe.weight"} <= left
    assert all(
        model.state[name].ndim == 1 or name.endswith(("wte.weight", "wpe.weight")) for name in left
    )
    assert "transformer.h.0.mlp.c_fc.weight" in found


def test_a_step_of_a_matrix_is_nearly_orthogonal_and_of_its_rate() -> None:
    model = load("zoo:mixtral-plays-s0")
    bend = leaves(model)
    optimiser = BendOptimiser(model.layout, bend, 1e-3, 0.02)
    push(bend, 0)
    optimiser.step(0.5)
    hidden = hidden_matrices(model.layout, bend)
    assert any(bend[name].ndim == 3 for name in hidden)
    for name, tensor in bend.items():
        if name not in hidden:
            assert torch.allclose(tensor.abs(), torch.full_like(tensor, 5e-4), rtol=1e-3)
            continue
        for matrix in tensor.detach().view(-1, *tensor.shape[-2:]):
            scale = 0.01 * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            values = torch.linalg.svdvals(matrix) / scale
            assert 0.6 < float(values.median()) < 1.2 and float(values.max()) < 1.4, name


def test_what_is_saved_goes_on_the_same() -> None:
    model = tiny("gpt2", 0)
    one = leaves(model)
    optimiser = BendOptimiser(model.layout, one, 1e-3, 0.02)
    push(one, 0)
    optimiser.step(1.0)
    other = {name: t.detach().clone().requires_grad_() for name, t in one.items()}
    resumed = BendOptimiser(model.layout, other, 1e-3, 0.02)
    resumed.load_state_dict(deepcopy(optimiser.state_dict()))
    for each, bend in ((optimiser, one), (resumed, other)):
        each.zero_grad()
        push(bend, 1)
        each.step(0.7)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_a_rate_for_matrices_it_is_adam() -> None:
    model = tiny("gpt2", 0)
    one, other = leaves(model), leaves(model)
    optimiser = BendOptimiser(model.layout, one, 1e-3, None, (0.9, 0.999))
    adam = torch.optim.Adam(list(other.values()), lr=1e-3)
    for seed in (0, 1):
        push(one, seed)
        push(other, seed)
        optimiser.step(1.0)
        adam.step()
    assert all(torch.equal(one[name], other[name]) for name in one)
