"""Small random networks for tests of the mathematics: float64, every parameter away from its
special initial value.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from lmc_core.models import forward
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state

# The families' own examples take every branch of their layouts.
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (family.name, dict(raw))
    for family in FAMILIES.values()
    for name, raw in family.examples.items()
}


def random_model(name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> Model:
    """A model of one of the configurations, with gains, offsets and biases that are far from 1 and
    0.
    """
    model, generator = _make_model(name, seed)
    torch.set_rng_state(generator)  # as after the first time, whichever test asked then
    return model.with_state({n: t.to(dtype, copy=True) for n, t in model.state.items()})


@cache
def _make_model(name: str, seed: int) -> tuple[Model, Tensor]:
    """A model in float64, and where torch's generator stands after it: building takes longer than
    most tests that use it.
    """
    family_name, raw = CONFIGURATIONS[name]
    family = FAMILIES[family_name]
    config = family.config(raw)
    torch.manual_seed(seed)
    state = {n: t.double() for n, t in untied_state(family.build(config)).items()}
    state = {n: t + 0.3 * torch.randn_like(t) for n, t in state.items()}
    return Model(f"{name}-s{seed}", family, config, state).check(), torch.get_rng_state()


def random_inputs(model: Model, count: int = 4, seed: int = 0) -> Tensor:
    """Inputs of the right shape, in float64."""
    return forward.random_inputs(model, count, seed, torch.float64)
