"""Everything that runs on a device runs on one without float64, as MPS is; numbers are those of the
CPU to the rounding of float32.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.function_check import FunctionCheck
from lmc_core.matching.many import align_models
from lmc_core.matching.methods import MANY_METHODS, METHODS
from lmc_core.matching.pair import align_pair
from lmc_core.models.common import in_float32
from lmc_core.models.model import Model
from tests.matching.test_widths import planted
from tests.networks import random_inputs, random_model
from tests.standin.test_alignment import EACH, FEW, learning, losses

BENT = {"steps": 4, "batch": 4, "checks": 2}


def pair_of(name: str) -> tuple[Model, Model]:
    first, second = (random_model(name, seed, torch.float32) for seed in (0, 1))
    return first, second


def align(name: str, method: str, device: str) -> AlignedPair:
    a, b = pair_of(name)
    inputs = random_inputs(a, 2)
    return align_pair(
        a,
        b,
        inputs.float() if inputs.is_floating_point() else inputs,
        method=method,
        settings=METHODS[method].configured(FEW.get(method, BENT)),
        learning=learning([a, b], device) if METHODS[method].uses_data else None,
        device=device,
    )


@pytest.mark.parametrize("name", EACH)
def test_weights_are_matched(float32_alone: str, name: str) -> None:
    here, there = (align(name, "weight", device) for device in ("cpu", float32_alone))
    assert there.function_error < 1e-5
    assert there.trace.objective[-1] == pytest.approx(here.trace.objective[-1], rel=0.02)


@pytest.mark.parametrize("second", [True, False], ids=["narrow-wide", "wide-narrow"])
@pytest.mark.parametrize("name", ["llama", "mixtral"])
def test_unequal_widths_are_matched(float32_alone: str, name: str, second: bool) -> None:
    models = [in_float32(model) for model in planted(name, 1)]
    one, two = models if second else models[::-1]
    inputs = random_inputs(models[0], 2)
    assert align_pair(one, two, inputs, device=float32_alone).function_error < 1e-5


def test_models_with_different_heads_are_matched(float32_alone: str) -> None:
    a = random_model("bert", 0, torch.float32)
    b = random_model("bert-classifier", 1, torch.float32)
    assert align_pair(a, b, random_inputs(a, 2), device=float32_alone).function_error < 1e-5


@pytest.mark.parametrize("name", ["gpt2", "vit", "qwen3", "mixtral", "bert"])
def test_models_are_exact_before_they_are_rounded(
    float32_alone: str, name: str, measured: list[float]
) -> None:
    """Maps that were found in float32 are orthogonal, and keep the ones vector where LayerNorm has
    it kept, to the rounding of float64.
    """
    align(name, "weight", float32_alone)
    assert len(measured) == 2 and max(measured) < 1e-12


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What function checks measure in float64, whether or not they need it."""
    found: list[float] = []
    exact = FunctionCheck._exact

    def measure(check: FunctionCheck, number: int, moved: Model) -> Callable[[], float] | None:
        error = exact(check, number, moved)
        assert error is not None
        found.append(error())
        return error

    monkeypatch.setattr(FunctionCheck, "_exact", measure)
    return found


@pytest.mark.alone
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("vit", "activation"),
        ("mixtral", "activation"),
        ("gpt2", "soft"),
        ("gpt2", "learned"),
        ("qwen3", "learned"),
        ("mixtral", "learned"),
        ("vit", "dual"),
        ("gpt2", "joint"),
    ],
)
def test_every_method_runs(float32_alone: str, name: str, method: str) -> None:
    here, there = (align(name, method, device) for device in ("cpu", float32_alone))
    assert there.function_error < 1e-5
    assert all(tensor.device.type == "cpu" for tensor in there.b.state.values())
    if method in ("learned", "dual", "joint"):
        assert losses(there)[0] == pytest.approx(losses(here)[0], rel=1e-3)


@pytest.mark.alone
@pytest.mark.parametrize("method", MANY_METHODS)
def test_several_models_are_brought_together(
    float32_alone: str, method: str, measured: list[float]
) -> None:
    models = [random_model("gpt2", seed, torch.float32) for seed in range(3)]
    settings = MANY_METHODS[method].configured({"steps": 3} if method == "universe" else {})
    found = align_models(
        models,
        random_inputs(models[0], 2),
        None,
        method,
        settings,
        learning=learning(models, float32_alone),
        device=float32_alone,
    )
    assert max(found.function_errors) < 1e-5
    assert len(measured) >= 3 and max(measured) < 1e-12
