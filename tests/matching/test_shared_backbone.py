"""The networks of `benchmarks/shared_backbone_runs.py`: what a mixture computes, what may move while
the backbone is shared, and that nothing but the mixtures is trained.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lmc_core.matching.aligned import canonical
from lmc_core.matching.weight_search import match_weights
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.training.batches import make_batches

CHANGES = 1e-3  # of outputs, where something that is no symmetry was done


def find_runs() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "shared_backbone_runs.py"
    spec = importlib.util.spec_from_file_location("shared_backbone_runs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks its annotations up
    spec.loader.exec_module(module)
    return module


RUNS = find_runs()
SETTING = RUNS.Setting("vit-fashion-narrow-s0", (1, 2), "shared", 3, 8, 4, 8, 1e-2, 0.05)


@pytest.mark.parametrize("active, shared", [(4, 0), (2, 0), (2, 5)])
def test_a_mixture_adds_its_experts_by_the_softmax_of_those_that_are_chosen(
    active: int, shared: int
) -> None:
    torch.manual_seed(0)
    mixture = RUNS.Mixture(6, 4, 8, active, shared).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    for token, made in zip(x, mixture(x), strict=True):
        scores = mixture.gate(token)
        chosen = scores.argsort(descending=True)[:active]
        shares = scores[chosen].exp() / scores[chosen].exp().sum()
        wanted = torch.zeros(6, dtype=torch.float64)
        for expert, share in zip(chosen.tolist(), shares, strict=True):
            units = (mixture.up[expert] @ token + mixture.up_bias[expert]).clamp_min(0)
            wanted += share * (mixture.down[expert] @ units + mixture.down_bias[expert])
        if shared:
            wanted += mixture.shared_down(mixture.shared_up(token).clamp_min(0))
        assert torch.allclose(made, wanted, atol=1e-12)


@pytest.mark.parametrize("routing", RUNS.ROUTINGS)
def test_a_planted_alignment_keeps_the_function_and_is_found(routing: str) -> None:
    model, _ = replace(SETTING, routing=routing).model(0)
    classes = choose_classes(model.layout.spaces)
    double = model.with_state({name: tensor.double() for name, tensor in model.state.items()})
    drawn = Alignment.random(model.layout.spaces, classes, torch.Generator().manual_seed(3))
    copy = double.with_state(drawn.apply(model.layout, double.state))
    x = torch.randn(6, 1, 28, 28, dtype=torch.float64)

    def outputs(state: dict[str, torch.Tensor]) -> torch.Tensor:
        module = model.module(torch.float64)
        module.load_state_dict(state)
        return model.family.outputs(module, x)

    whole = outputs(dict(double.state))
    assert torch.allclose(outputs(dict(copy.state)), whole, atol=1e-10)
    gates = {name: copy.state[name].roll(1, 0) for name in copy.state if ".gate." in name}
    assert (outputs({**copy.state, **gates}) - whole).abs().max() > CHANGES

    one, two = canonical(double, classes), canonical(copy, classes)
    found, trace = match_weights(model.layout, one.state, two.state, classes)
    assert trace.objective[-1] == pytest.approx(1.0, abs=1e-9)
    back = found.apply(model.layout, two.state)
    assert all(torch.allclose(back[name], one.state[name], atol=1e-9) for name in back)


def test_nothing_but_the_mixtures_is_trained() -> None:
    model, module = SETTING.model(0)
    places = {f"blocks.{layer}.mlp" for layer in SETTING.layers}
    assert {".".join(name.split(".")[:3]) for name in model.state} == places
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    assert before and not any(".mlp." in name for name in before if name.startswith("blocks.1"))
    RUNS.fit(SETTING, model, module, make_batches(SETTING.recipe(0), subset=True))
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    after = module.state_dict()
    assert all(not torch.equal(after[name], tensor) for name, tensor in model.state.items())


def test_seeds_differ_in_their_mixtures_and_share_the_rest() -> None:
    (one, first), (two, second) = SETTING.model(0), SETTING.model(1)
    assert all(not torch.equal(one.state[name], two.state[name]) for name in one.state)
    theirs = dict(second.named_buffers())
    assert all(torch.equal(buffer, theirs[name]) for name, buffer in first.named_buffers())
