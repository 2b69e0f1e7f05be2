"""Routers fitted again: the best fit by brute force, the ends stay, a moved router is found back,
networks without experts are refused.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmc_core.analysis.reroute import RIDGE, Rerouted, find_routers
from lmc_core.errors import BadInput
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.tasks.task import Examples
from tests.networks import random_model

FAMILIES = ("mixtral", "qwen2_moe")


def examples(model: Model) -> Examples:
    """Random tokens."""
    size = int(model.config["vocab_size"])
    tokens = torch.randint(size, (6, 9), generator=torch.Generator().manual_seed(1))
    return Examples(tokens[:, :-1], tokens[:, 1:])


def hear(model: Model, given: Examples, path: str) -> tuple[Tensor, Tensor]:
    """What comes into a router and its logits, by running the module by hand."""
    module = model.module()
    rows: list[Tensor] = []
    router = module.get_submodule(path)
    router.register_forward_pre_hook(lambda part, inputs: rows.append(inputs[0].detach()))
    with torch.no_grad():
        module(given.inputs)
    x = torch.cat([each.flatten(0, -2) for each in rows]).double()
    weight = router.weight
    assert isinstance(weight, nn.Parameter)
    return x, F.linear(x, weight.detach().double())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_router_is_the_best_fit(family: str) -> None:
    a, b = random_model(family, 0), random_model(family, 1)
    line, given, lam = Line(a, b), examples(a), 0.3
    path = find_routers(a)[0]
    state = Rerouted(line, given).state(lam)
    between = a.with_state(dict(line.state(lam)))
    x, logits = hear(between, given, path)
    ends = [hear(model, given, path)[1] for model in (a, b)]
    wanted = torch.lerp(ends[0], ends[1], lam) - logits
    wanted = wanted - wanted.mean(-1, keepdim=True)
    ridge = RIDGE * x.square().sum(0).mean()
    # the ridge as further rows of a plain least-squares problem, solved another way
    rows = torch.cat([x, ridge.sqrt() * torch.eye(x.shape[1]).double()])
    right = torch.cat([wanted, torch.zeros(x.shape[1], wanted.shape[1]).double()])
    change = torch.linalg.lstsq(rows, right).solution.T
    before = between.state[f"{path}.weight"].double()
    assert torch.allclose(state[f"{path}.weight"].double(), before + change, atol=1e-5)
    assert change.norm() > 1e-2 * before.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_but_routers_changes_and_the_ends_stay(family: str) -> None:
    a, b = random_model(family, 0), random_model(family, 1)
    line, given = Line(a, b), examples(a)
    path = Rerouted(line, given)
    for end in (0.0, 1.0):
        assert all(torch.equal(path.state(end)[k], v) for k, v in line.state(end).items())
    changed = {
        name
        for name, value in path.state(0.5).items()
        if not torch.equal(value, line.state(0.5)[name])
    }
    assert changed == {f"{each}.weight" for each in find_routers(a)}


def test_a_router_that_was_disturbed_is_found_back() -> None:
    a = random_model("mixtral", 0)
    path = find_routers(a)[-1]
    name = f"{path}.weight"
    noise = torch.randn(a.state[name].shape, generator=torch.Generator().manual_seed(3))
    noise *= a.state[name].norm() / noise.norm()
    given = examples(a)

    class Disturbed(Line):
        """A line between a model and itself whose last router is wrong in between."""

        def state(self, lam: float) -> dict[str, Tensor]:
            found = dict(super().state(lam))
            if lam not in (0.0, 1.0):
                found[name] = found[name] + noise
            return found

    line = Disturbed(a, a)
    wrong, right = hear(a.with_state(line.state(0.5)), given, path)[1], hear(a, given, path)[1]
    again = hear(a.with_state(dict(Rerouted(line, given).state(0.5))), given, path)[1]

    def apart(one: Tensor, two: Tensor) -> float:
        difference = one - two
        return float((difference - difference.mean(-1, keepdim=True)).norm())

    assert apart(again, right) < 0.05 * apart(wrong, right)


def test_a_network_without_experts_is_refused() -> None:
    a = random_model("gpt2", 0)
    with pytest.raises(BadInput, match="has no experts"):
        Rerouted(Line(a, a), examples(a)).state(0.5)
