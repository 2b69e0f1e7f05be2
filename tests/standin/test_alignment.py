"""Alignment on the device: the numbers of the CPU, and how often it waits for the device."""

from __future__ import annotations

import pytest
import torch

from lmc_core.matching import sparse_assignment
from lmc_core.matching.aligned import AlignedPair, canonical
from lmc_core.matching.many import align_models
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.matching.pair import align_pair
from lmc_core.matching.weight import ALL, WeightSettings
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.model import Model
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples
from tests.matching.test_widths import planted
from tests.networks import random_inputs, random_model
from tests.standin.device import counting

# one of every way that layers are built: encoders, decoders, pictures, grouped queries, experts in
# groups, norms behind, two stacks, states, windows
EACH = ("gpt2", "vit", "qwen3", "mixtral", "deepseek_v2-groups", "bert", "t5", "mamba", "swin")
FEW = {
    "weight": {"max_rounds": 4},
    "activation": {"examples": 8, "tokens": 64},
    "soft": {"rounds": 3},
    "learned": {"steps": 4, "batch": 4, "checks": 2},
    "dual": {"steps": 4, "batch": 4, "checks": 2},
}
# of float64 after some rounds; of models that run in float32
ROUNDING = {"weight": 1e-8, "soft": 1e-8, "activation": 1e-3}


def learning(models: list[Model], device: str) -> Learning:
    """A few random examples to learn from."""
    inputs = random_inputs(models[0], 12, 3)
    if inputs.is_floating_point():
        examples = Examples(inputs.float(), torch.arange(12) % 3)
    else:
        examples = Examples(inputs[:, :-1], inputs[:, 1:])
    return Learning.split(examples, 4, 0, device)


def align(name: str, method: str, device: str, seed: int = 0) -> AlignedPair:
    """Two random models, aligned on a device."""
    models = [random_model(name, seed), random_model(name, seed + 1)]
    return align_pair(
        models[0],
        models[1],
        random_inputs(models[0], 2),
        method=method,
        settings=METHODS[method].configured(FEW[method]),
        learning=learning(models, device) if METHODS[method].uses_data else None,
        device=device,
    )


def require_alike(name: str, method: str, device: str) -> None:
    """The same pair on both devices has the same alignment and objective, or learns the same."""
    here, there = align(name, method, "cpu"), align(name, method, device)
    assert all(tensor.device.type == "cpu" for tensor in there.b.state.values())
    assert there.function_error < 1e-5
    if method not in ROUNDING:  # the optimiser makes rounding errors large
        assert losses(there) == pytest.approx(losses(here), rel=0.02)
        assert losses(there)[0] == pytest.approx(losses(here)[0], rel=1e-5)
        return
    apart = ROUNDING[method]
    assert here.alignment.distance(there.alignment) < apart
    assert there.trace.objective == pytest.approx(here.trace.objective, abs=apart)
    if here.soft is not None:
        assert there.soft is not None
        for key, tensor in here.soft.model.state.items():
            torch.testing.assert_close(there.soft.model.state[key], tensor, rtol=1e-4, atol=1e-5)


def losses(pair: AlignedPair) -> list[float]:
    """Held-out losses while something was learned, in nats."""
    history = pair.trace.about["history"]
    assert isinstance(history, list)
    return [loss for _, _, loss in history]


@pytest.mark.parametrize("name", EACH)
def test_weights_are_matched_as_on_the_cpu(standin: str, name: str) -> None:
    require_alike(name, "weight", standin)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("vit", "activation"),
        ("mixtral", "activation"),
        ("gpt2", "soft"),
        ("vit", "learned"),
        ("mixtral", "learned"),
        ("gpt2", "dual"),
    ],
)
def test_every_method_finds_what_it_finds_on_the_cpu(standin: str, name: str, method: str) -> None:
    require_alike(name, method, standin)


@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
@pytest.mark.parametrize("name", ["llama", "mixtral"])
def test_unequal_widths_are_matched_as_on_the_cpu(standin: str, name: str, second: bool) -> None:
    narrow, wide = planted(name, 1)
    models = (narrow, wide) if second else (wide, narrow)
    here, there = (
        align_pair(*models, random_inputs(narrow, 2), device=device) for device in ("cpu", standin)
    )
    assert here.alignment.distance(there.alignment) < 1e-8
    for place, found in here.places.items():
        assert torch.equal(there.places[place].owner, found.owner)
        torch.testing.assert_close(there.places[place].shares, found.shares)


def test_models_with_different_heads_are_matched_as_on_the_cpu(standin: str) -> None:
    models = random_model("bert", 0), random_model("bert-classifier", 1)
    here, there = (
        align_pair(*models, random_inputs(models[0], 2), device=device)
        for device in ("cpu", standin)
    )
    assert here.alignment.distance(there.alignment) < 1e-8


@pytest.mark.alone
@pytest.mark.parametrize("method", MANY_METHODS)
def test_several_models_are_brought_together_as_on_the_cpu(standin: str, method: str) -> None:
    models = [random_model("gpt2", seed) for seed in range(3)]
    inputs = random_inputs(models[0], 2)
    settings = MANY_METHODS[method].configured({"steps": 3} if method == "universe" else {})
    here, there = (
        align_models(
            models, inputs, None, method, settings, learning=learning(models, device), device=device
        )
        for device in ("cpu", standin)
    )
    assert max(there.function_errors) < 1e-5
    assert there.trace.objective == pytest.approx(here.trace.objective, abs=1e-8)
    for one, two in zip(here.alignments, there.alignments, strict=True):
        assert one.distance(two) < (1e-8 if method == "reference" else 0.1)


@pytest.mark.parametrize("name", ["gpt2", "qwen3", "mixtral"])
@pytest.mark.parametrize("held", [None, 0], ids=["small", "large"])
def test_a_round_waits_twice_for_an_assignment(
    standin: str, name: str, held: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for the similarity, once for what is gained; the objective is read once in a round, and
    of large models how far the residual stream has moved.
    """
    if held is not None:
        monkeypatch.setattr("lmc_core.matching.objective.HELD", held)
    solved: list[int] = []
    solve = sparse_assignment.linear_sum_assignment

    def counted(cost: object) -> object:
        solved.append(1)
        return solve(cost)

    monkeypatch.setattr(sparse_assignment, "linear_sum_assignment", counted)
    classes = choose_classes(random_model(name).layout.spaces)
    a, b = (canonical(random_model(name, seed), classes, device=standin) for seed in (0, 1))
    found = []
    for rounds in (1, 3):
        settings = WeightSettings(starts=(ALL,), max_rounds=rounds, tolerance=0.0)
        solved.clear()
        with counting() as counts:
            _, trace = match_weights(a.layout, a.state, b.state, classes, settings)
        assert trace.rounds == rounds
        found.append((counts.to_host, len(solved)))
    (first, few), (last, many) = found
    assert many > few
    beside = 0 if held is None else 2 * 2  # of both rounds
    assert last - first <= 2 * (many - few) + beside
