"""Modules that are lent again compute what new ones compute, bit for bit."""

from __future__ import annotations

import threading

import pytest
import torch

from lmc_core.models.forward import compute_outputs, run
from lmc_core.models.kept_modules import KEPT, _modules, lent_module
from lmc_core.models.model import Model
from tests.networks import CONFIGURATIONS, random_inputs, random_model

FIRST = {family: name for name, (family, _) in reversed(CONFIGURATIONS.items())}


def fresh(model: Model, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return compute_outputs(model.family, model.module(), inputs)


@pytest.mark.parametrize("name", FIRST.values())
def test_other_parameters_take_the_place_of_the_first(name: str) -> None:
    one, two = (random_model(name, seed, torch.float32) for seed in (0, 1))
    inputs = random_inputs(one)
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    wanted = [fresh(model, inputs) for model in (one, two)]
    found = [run(model, inputs) for model in (one, two, one)]
    assert torch.equal(found[0], wanted[0]) and torch.equal(found[2], wanted[0])
    assert torch.equal(found[1], wanted[1]) and not torch.equal(found[0], found[1])


def test_a_module_is_used_again_and_holds_nothing_meanwhile() -> None:
    one, two = (random_model("gpt2", seed, torch.float32) for seed in (0, 1))
    with lent_module(one) as first:
        pass
    assert not list(first.parameters())
    with lent_module(two) as second:
        assert second is first
        with lent_module(one) as beside:  # one that is out is not lent twice
            assert beside is not first
        table = two.state["transformer.wte.weight"]  # tied: in two places of the module
        assert torch.equal(second.get_parameter("lm_head.weight"), table)
    other: list[torch.nn.Module] = []

    def elsewhere() -> None:
        with lent_module(one) as module:
            other.append(module)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert other[0] is not first


def test_it_comes_back_after_an_error_and_only_a_few_are_kept() -> None:
    model = random_model("gpt2", 0, torch.float32)
    with pytest.raises(RuntimeError), lent_module(model) as first:
        raise RuntimeError
    with lent_module(model) as second:
        assert second is first
    for name in list(FIRST.values())[: KEPT + 2]:
        run(random_model(name), random_inputs(random_model(name)), torch.float64)
    assert len(_modules.kept) == KEPT
