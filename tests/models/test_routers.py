"""Routers found through the layout are those that the classes of transformers have."""

from __future__ import annotations

import pytest

from lmc_core.models.routers import router_modules, routers
from tests.networks import CONFIGURATIONS, random_model

MIXTURES = [
    name
    for name, (family, _) in CONFIGURATIONS.items()
    if any(part in family for part in ("moe", "deepseek", "mixtral", "gpt_oss"))
]


@pytest.mark.parametrize("name", MIXTURES)
def test_every_router_is_found(name: str) -> None:
    model = random_model(name)
    module = model.module()
    found = router_modules(module, model.layout)
    assert list(found.values()) == [
        part for part in module.modules() if type(part).__name__.lower().endswith("topkrouter")
    ]
    assert found and list(found) == [
        space.name for space in model.layout.spaces.values() if space.kind == "experts"
    ]


def test_dense_networks_have_none() -> None:
    assert routers(random_model("llama").layout) == {}
