"""Tiny random models that the steps of the lecture are checked on, in float64."""

import pytest
import torch

from lmc_core.lecture.sandbox import Live
from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state
from lmc_core.tasks import Examples
from tests.tiny import tiny


@pytest.fixture(scope="module")
def pictures() -> Examples:
    generator = torch.Generator().manual_seed(1)
    return Examples(torch.randn(6, 1, 28, 28, generator=generator), torch.arange(6))


@pytest.fixture(scope="module")
def vit(pictures) -> Live:
    return Live.of(tiny("vit", 0, num_heads=4), pictures)


@pytest.fixture(scope="module")
def canonical_vit(pictures) -> Live:
    return Live.canonical(tiny("vit", 0, num_heads=4), pictures)


@pytest.fixture(scope="module")
def mixture() -> Live:
    family = FAMILIES["mixtral"]
    config = family.config(family.examples["mixtral"])
    torch.manual_seed(0)
    state = {
        name: tensor + 0.1 * torch.randn_like(tensor)
        for name, tensor in untied_state(family.build(config)).items()
    }
    tokens = torch.randint(37, (2, 12), generator=torch.Generator().manual_seed(2))
    return Live.of(
        Model("tiny-mixtral", family, config, state), Examples(tokens, tokens.roll(-1, 1))
    )
