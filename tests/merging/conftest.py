"""A few sets of parameters to merge."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

State = Mapping[str, Tensor]


def random_state(seed: int) -> State:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a.weight": (5, 7), "a.bias": (5,), "b.table": (11, 3), "c": (1,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture
def states() -> list[State]:
    return [random_state(seed) for seed in range(4)]


@pytest.fixture
def ancestor() -> State:
    return random_state(99)
