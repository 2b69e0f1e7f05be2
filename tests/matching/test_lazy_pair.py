"""Models that are read one parameter at a time are aligned as those in memory are."""

from __future__ import annotations

import pytest
import torch

from lmc_core.matching import objective
from lmc_core.matching.pair import align_pair
from lmc_core.matching.weight import WeightSettings
from lmc_core.models.forward import random_inputs, run
from lmc_core.models.lazy import LazyState, is_lazy
from lmc_core.models.model import Model
from tests.networks import random_model


def lazily(model: Model) -> Model:
    state = model.state
    return model.with_state(LazyState(state, lambda name: state[name].clone()))


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "mixtral", "vit", "t5-1.1"])
def test_a_lazily_read_pair(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "HELD", 0)
    a, b = (random_model(name, seed) for seed in (0, 1))
    settings = WeightSettings(starts=("edges",), max_rounds=2)
    inputs = random_inputs(a, 2)
    held = align_pair(a, b, inputs, settings=settings)
    lazy = align_pair(lazily(a), lazily(b), inputs, settings=settings)
    assert is_lazy(lazy.a.state) and is_lazy(lazy.b.state)
    assert lazy.function_error < 1e-5
    assert abs(lazy.trace.objective[-1] - held.trace.objective[-1]) < 1e-4


@pytest.mark.parametrize("name", ["beit_timm", "whisper", "albert-groups", "bert"])
def test_outputs_of_a_lazily_read_model(name: str) -> None:
    """Classes that reach into their parts from outside, and layers that are run again, too."""
    model = random_model(name, dtype=torch.float32)
    inputs = random_inputs(model, 2)
    assert torch.equal(run(lazily(model), inputs), run(model, inputs))


def test_half_precision_does_not_stay_beside_float32() -> None:
    """A pair that is aligned in place is held once: 1.4 billion parameters took 19 GB, not 13."""
    a, b = (random_model("gpt_neox", seed, torch.float16) for seed in (0, 1))
    settings = WeightSettings(starts=("edges",), max_rounds=1)
    pair = align_pair(a, b, random_inputs(a, 2), settings=settings, in_place=True)
    assert not a.state and not b.state
    assert pair.function_error < 1e-5
