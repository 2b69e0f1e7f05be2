"""One part of a network at a time: the parts cover it, the losses are those of models made by
hand.
"""

from __future__ import annotations

import pytest
import torch

import lmc_core
from lmc_core.analysis.parts import find_parts, part_costs, part_state
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.tasks.evaluator import evaluate
from tests.networks import random_model

FAMILIES = ("vit", "gpt2", "llama")


@pytest.fixture(scope="module")
def line() -> Line:
    return Line(
        lmc_core.load("zoo:vit-fashion-narrow-s0"),
        shifted(lmc_core.load("zoo:vit-fashion-narrow-s0")),
    )


def shifted(model: Model) -> Model:
    """The same model with noise on its parameters, but for the norms."""
    generator = torch.Generator().manual_seed(0)
    noisy = {
        n: t + 0.05 * torch.randn(t.shape, generator=generator)
        for n, t in model.state.items()
        if "norm" not in n
    }
    return model.with_state({**model.state, **noisy})


@pytest.mark.parametrize("name", sorted(lmc_core.zoo()))
def test_every_parameter_is_in_one_part(name: str) -> None:
    layout = lmc_core.load(f"zoo:{name}").layout
    parts = find_parts(layout)
    listed = [parameter for part in parts for parameter in part.parameters]
    assert sorted(listed) == sorted(layout.shapes)
    names = [part.name for part in parts]
    assert (
        names[0] == "input"
        and names[-1] == "output"
        and {"attention 0", "feed-forward 0"} <= set(names)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_biases_go_with_their_weights(family: str) -> None:
    where = {
        parameter: part.name
        for part in find_parts(random_model(family).layout)
        for parameter in part.parameters
    }
    for parameter, part in where.items():
        if parameter.endswith(".bias"):
            assert where[parameter.removesuffix("bias") + "weight"] == part


def test_losses_are_those_of_models_made_by_hand(line: Line) -> None:
    examples = lmc_core.get_task("fashion-mnist").examples("validation", 40)
    found = part_costs(line, examples)
    assert not [part for part in found.parts if part.name.startswith("norms")]  # the same in both
    for index, part in enumerate(found.parts):
        inside = set(part.parameters)
        for lam, row in ((0.5, found.half), (1.0, found.swapped)):
            by_hand = {
                n: t + lam * (line.b.state[n] - t) if n in inside else t
                for n, t in line.a.state.items()
            }
            losses, _ = evaluate(line.a, [by_hand], examples)
            torch.testing.assert_close(row[index], losses[0], rtol=1e-4, atol=1e-5)
    cost, error = found.above(found.swapped)
    assert (
        cost.shape == error.shape == (len(found.parts),)
        and float(cost.max()) > 10 * float(error.min()) > 0
    )


def test_a_part_alone_leaves_the_others(line: Line) -> None:
    part = next(part for part in find_parts(line.a.layout) if part.name == "attention 0")
    state = part_state(line, part, 1.0)
    for name, tensor in state.items():
        assert torch.equal(tensor, (line.b if name in part.parameters else line.a).state[name])


def test_progress_can_stop_it(line: Line) -> None:
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        part_costs(
            line, lmc_core.get_task("fashion-mnist").examples("validation", 8), progress=stop
        )
