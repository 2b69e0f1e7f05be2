"""The stand-in itself: it computes what the CPU computes, refuses what a GPU would, and counts."""

from __future__ import annotations

import pytest
import torch

from lmc_core.models.functional import Forward
from lmc_core.models.model import named_ties
from tests.networks import random_inputs, random_model
from tests.standin.compare import Compared
from tests.standin.device import counting, refusing_float64


def test_tensors_of_two_devices_do_not_meet(standin: str) -> None:
    here, there = torch.ones(3), torch.ones(3, device=standin)
    with pytest.raises(RuntimeError, match="both devices|same device"):
        torch.add(here, there)
    with pytest.raises(RuntimeError, match="both devices|same device"):
        torch.stack([there, here])
    assert (there + torch.tensor(1.0)).tolist() == [2.0] * 3  # numbers go along, as on a GPU


def test_float64_is_refused_on_demand(standin: str) -> None:
    with refusing_float64():
        x = torch.ones(3, device=standin)
        for make in (
            lambda: x.double(),
            lambda: torch.ones(3).double().to(standin),
            lambda: x.sum(dtype=torch.float64),
            lambda: torch.zeros(2, dtype=torch.complex128, device=standin),
            lambda: x.to("cpu", torch.float64),
        ):
            with pytest.raises(TypeError, match="no float64"):
                make()
        assert float((x * 0.5).sum()) == 1.5
    assert x.double().dtype is torch.float64


def test_copies_and_memory_are_counted(standin: str) -> None:
    with counting() as found:
        x = torch.ones(8, 4).to(standin)
        y = (x @ x.mT).relu_()
        assert float(y.sum()) == 8 * 8 * 4
        assert y.cpu().shape == (8, 8)
    assert (found.to_device, found.to_host, found.bytes_to_host) == (1, 2, 4 + 4 * 64)
    assert found.peak >= 4 * (8 * 4 + 8 * 8)


def test_what_is_written_in_place_keeps_its_strides(standin: str) -> None:
    x = torch.arange(12.0).view(3, 4)
    y = x.to(standin)
    for each in (x, y):
        each.t()[1:].mul_(2).add_(1)
        each.unfold(1, 2, 2).clamp_(max=15)
        each.view(-1)[::5].zero_()
    assert torch.equal(x, y.cpu())


@pytest.mark.parametrize("name", ["gpt2", "vit", "llama", "mixtral", "bert"])
def test_every_operator_of_a_model_is_that_of_the_cpu(standin: str, name: str) -> None:
    model = random_model(name, dtype=torch.float32)
    inputs = random_inputs(model, 2)
    x = inputs.float() if inputs.is_floating_point() else inputs
    forward = Forward(model, model.module(device=standin))
    with Compared() as seen, torch.no_grad():
        found = forward(x.to(standin))
    assert not seen.differing
    torch.testing.assert_close(found.cpu(), Forward(model)(x), rtol=1e-5, atol=1e-5)


def test_a_shared_table_stays_shared(standin: str) -> None:
    """Moving a module later unties it, and other parameters then reach its table alone."""
    model = random_model("gpt2", dtype=torch.float32)
    assert named_ties(model.module(device=standin)) == named_ties(model.module()) != []
    assert named_ties(model.module().to(standin)) == []
