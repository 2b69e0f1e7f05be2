"""Renormalisation: statistics become those asked for, the ends stay, norms and missing biases are
refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from lmc_core.analysis.repair import Repaired, hidden_layers, statistics
from lmc_core.errors import BadInput
from lmc_core.models.custom import own_model
from lmc_core.models.model import Model
from lmc_core.models.structure import Structure
from lmc_core.paths.curve import curve
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SCALED, SymmetryClass
from lmc_core.tasks.task import Examples
from tests.networks import random_model

INPUTS = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))


def perceptron(seed: int, bias: bool = True) -> Model:
    """Three hidden layers of ReLU units without norms, parameters in general position."""
    torch.manual_seed(seed)
    sizes = (6, 40, 40, 40, 3)
    layers: list[nn.Module] = []
    s = Structure("perceptron")
    reads = "*"
    for i, (size, out) in enumerate(zip(sizes, sizes[1:], strict=False)):
        linear = nn.Linear(size, out, bias or i == 3)
        nn.init.normal_(linear.weight, std=(2 / size) ** 0.5)
        layers += [linear, nn.ReLU()]
        writes = "*"
        if i < 3:
            writes = "+" + s.space(f"units.{i}", "units", out, SCALED, "ReLU", positive=True)
        s.parameter(f"{i}.weight", f"{2 * i}.weight", f"{writes} {reads}", (out, size))
        if linear.bias is not None:
            nn.init.normal_(linear.bias, std=0.3)
            s.parameter(f"{i}.bias", f"{2 * i}.bias", writes, (out,))
        reads = writes.replace("+", "-")
    return own_model(nn.Sequential(*layers[:-1]), s, name=f"perceptron-{seed}")


def convolutions(seed: int) -> Model:
    """Two convolutions without norms, and a head."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 9, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(9, 3),
    )
    s = Structure("convolutions")
    for i, (size, before) in enumerate(((8, "*"), (9, "-units.0"))):
        units = s.space(f"units.{i}", "units", size, SCALED, "ReLU", positive=True)
        s.parameter(
            f"{i}.weight",
            f"{2 * i}.weight",
            f"+{units} {before} *" if i else f"+{units} *",
            (size, 8 if i else 1, 3, 3),
        )
        s.parameter(f"{i}.bias", f"{2 * i}.bias", f"+{units}", (size,))
    s.linear("head", "6", "*", "-units.1", rows=3)
    return own_model(module, s, name=f"convolutions-{seed}")


IMAGES = torch.randn(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("make", "inputs"), [(perceptron, INPUTS), (convolutions, IMAGES)])
def test_statistics_are_the_interpolation_of_the_ends(make, inputs: Tensor) -> None:  # type: ignore[no-untyped-def]
    a, b = make(0), make(1)
    examples = Examples(inputs, torch.zeros(len(inputs), dtype=torch.long))
    path = Repaired(Line(a, b), examples)
    layers = hidden_layers(a)
    one, two = path.ends
    for lam in (0.2, 0.5):
        state = path.state(lam)
        found = statistics(a.with_state(state), layers, examples)
        plain = statistics(a.with_state(Line(a, b).state(lam)), layers, examples)
        assert list(found) == [layer.module for layer in layers]
        for name in found:
            wanted = (1 - lam) * one[name] + lam * two[name]
            torch.testing.assert_close(found[name], wanted, atol=1e-4, rtol=1e-4)
            assert float((plain[name] - wanted).abs().max()) > 0.05  # it was needed
        a.with_state(state).check()


def test_the_ends_and_equal_models_stay() -> None:
    a, b = perceptron(0), perceptron(1)
    examples = Examples(INPUTS, torch.zeros(300, dtype=torch.long))
    path = Repaired(Line(a, b), examples)
    for lam, model in ((0.0, a), (1.0, b)):
        assert all(
            torch.equal(path.state(lam)[name], tensor) for name, tensor in model.state.items()
        )
    near = path.state(1e-7)  # no jump next to an end
    assert max(float((near[name] - tensor).abs().max()) for name, tensor in a.state.items()) < 1e-4
    same = Repaired(Line(a, a), examples).state(0.5)
    assert max(float((same[name] - tensor).abs().max()) for name, tensor in a.state.items()) < 1e-5


def test_it_is_measured_like_a_line_and_the_middle_is_no_longer_flat() -> None:
    """A network and a copy with its units in another order: the midpoint forgets its input unless
    it is renormalised.
    """
    a = perceptron(0)
    generator = torch.Generator().manual_seed(3)
    classes = {"units": SymmetryClass.PERMUTATION}
    b = a.with_state(Alignment.random(a.layout.spaces, classes, generator).apply(a.layout, a.state))
    examples = Examples(INPUTS, a.module()(INPUTS).argmax(1))
    line = Line(a, b)
    path = Repaired(line, examples)

    def spread(state: Mapping[str, Tensor]) -> float:
        return float(a.with_state(state).module()(INPUTS).std(0).mean())

    assert spread(line.state(0.5)) < 0.5 * spread(a.state) and spread(
        path.state(0.5)
    ) > 1.5 * spread(line.state(0.5))
    found = curve(path, examples, points=3, refine=0)
    assert torch.equal(found.losses[0], curve(line, examples, points=3, refine=0).losses[0])
    assert float(found.correct[1].mean()) > 0


def test_the_end_models_are_left_alone() -> None:
    a, b = perceptron(0), perceptron(1)
    before = {name: tensor.clone() for name, tensor in a.state.items()}
    Repaired(Line(a, b), Examples(INPUTS, torch.zeros(300, dtype=torch.long))).state(0.3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in a.state.items())


@pytest.mark.parametrize("name", ["vit", "gpt2", "llama", "bert", "mixtral", "olmo"])
def test_networks_with_norms_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="without norms"):
        hidden_layers(random_model(name))


def test_a_layer_without_a_bias_is_refused() -> None:
    with pytest.raises(BadInput, match="has none"):
        hidden_layers(perceptron(0, bias=False))
