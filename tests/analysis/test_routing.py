"""Routing along a path: agreement at the ends, after alignment and by chance; loads against the
logits of the routers.
"""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import combinations, product
from typing import Any

import pytest
import torch

from lmc_core.analysis.routing import Routing, routing
from lmc_core.errors import BadInput
from lmc_core.matching.weight_search import match_weights
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import permutations_only
from lmc_core.tasks import Examples
from tests.families.mixtures import decided
from tests.matching.test_lazy_pair import lazily
from tests.networks import random_inputs, random_model

NAMES = ["mixtral", "qwen2_moe-some-dense", "deepseek_v2-groups", "deepseek_v3"]


def tokens(model: Model, count: int = 6) -> Examples:
    inputs = random_inputs(model, count)
    return Examples(inputs, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_agreement_is_one_at_the_own_end_and_loads_sum_to_one(name: str) -> None:
    a, b = random_model(name, 0, torch.float32), random_model(name, 1, torch.float32)
    found = routing(Line(a, b), tokens(a), points=3)
    assert torch.equal(found.with_a[0], torch.ones(len(found.mixtures), dtype=torch.float64))
    assert torch.equal(found.with_b[-1], found.with_a[0])
    # A's choices with B's, seen from both ends
    assert torch.equal(found.with_a[-1], found.with_b[0])
    assert float(found.with_a[-1].max()) < 1
    assert torch.allclose(found.load.sum(-1), torch.ones(found.load.shape[:2], dtype=torch.float64))
    assert found.load.shape == (3, len(found.mixtures), a.family.sizes(a.config)["experts"])
    assert found.active == a.config["num_experts_per_tok"]
    listed = json.loads(json.dumps(found.listed()))
    assert listed["load"] == found.load.tolist() and listed["mixtures"] == list(found.mixtures)
    assert listed.keys() == {field.name for field in fields(Routing)} | {"chance"}


@pytest.mark.parametrize("name", NAMES)
def test_models_that_are_not_held_choose_the_same_experts(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = random_model(name, 0, torch.float32), random_model(name, 1, torch.float32)
    held = routing(Line(a, b), tokens(a, 9), points=4)
    monkeypatch.setattr("lmc_core.analysis.routing.Evaluator", None)
    for batch in (9, 2):  # all at once, and several batches that wait for each other
        monkeypatch.setattr("lmc_core.tasks.streamed_losses.BATCH", batch)
        told: list[float] = []
        found = routing(Line(lazily(a), lazily(b)), tokens(a, 9), 4, progress=told.append)
        assert found.mixtures == held.mixtures and found.active == held.active
        for part in ("lam", "with_a", "with_b", "load"):
            assert torch.equal(getattr(found, part), getattr(held, part))
        assert told == sorted(told) and told[-1] == 1.0
    # the order of examples does not matter, which are followed does
    other = routing(Line(lazily(a), lazily(b)), tokens(a, 5), points=4)
    assert not torch.equal(other.load, held.load)


def test_a_moved_copy_agrees_once_it_is_aligned() -> None:
    model = decided("mixtral")
    classes = permutations_only(model.layout.spaces)
    element = Alignment.random(model.layout.spaces, classes, torch.Generator().manual_seed(2))
    copy = model.with_state(element.apply(model.layout, model.state))
    before = routing(Line(model, copy), tokens(model), points=3)
    assert float(before.with_a[-1].min()) < 0.9
    back, _ = match_weights(model.layout, model.state, copy.state, classes)
    after = routing(
        Line(model, copy.with_state(back.apply(model.layout, copy.state))), tokens(model), points=3
    )
    assert float(after.with_a.min()) == float(after.with_b.min()) == 1.0
    assert torch.allclose(after.load[0], after.load[2]) and not torch.allclose(
        before.load[0], before.load[2]
    )


def test_loads_are_those_of_the_routers_logits() -> None:
    """Straight from what enters each mixture: the two largest logits of each token."""
    a, b = random_model("mixtral", 0, torch.float32), random_model("mixtral", 1, torch.float32)
    examples = tokens(a)
    found = routing(Line(a, b), examples, points=3)
    middle = a.with_state(Line(a, b).state(0.5))
    sets = {}
    for model in (a, middle):
        module: Any = model.module()
        entered: list[torch.Tensor] = []
        for layer in module.model.layers:
            layer.mlp.register_forward_pre_hook(
                lambda part, given, entered=entered: entered.append(given[0])
            )
        model.family.outputs(module, examples.inputs)
        rows = [model.state[f"model.layers.{i}.mlp.gate.weight"] for i in range(2)]
        sets[model is a] = [
            (x.flatten(0, 1) @ w.T).topk(2).indices.tolist()
            for x, w in zip(entered, rows, strict=True)
        ]
    for layer in range(2):
        here, end = sets[False][layer], sets[True][layer]
        share = [len({*s} & {*t}) / len({*s} | {*t}) for s, t in zip(here, end, strict=True)]
        assert float(found.with_a[1, layer]) == pytest.approx(sum(share) / len(share))
        visits = torch.bincount(torch.tensor(here).flatten(), minlength=4)
        assert torch.allclose(found.load[1, layer].float(), visits / visits.sum(), atol=1e-7)


@pytest.mark.parametrize("n,k", [(4, 2), (6, 2), (5, 3), (4, 4), (8, 1)])
def test_chance_is_the_mean_over_all_pairs_of_choices(n: int, k: int) -> None:
    nothing = torch.zeros(1, 1)
    sets = [set(each) for each in combinations(range(n), k)]
    mean = sum(len(s & t) / len(s | t) for s, t in product(sets, sets)) / len(sets) ** 2
    assert Routing(nothing, (), nothing, nothing, torch.zeros(1, 1, n), k).chance == pytest.approx(
        mean
    )


def test_what_has_no_experts_or_no_line_is_refused() -> None:
    model = random_model("llama", 0, torch.float32)
    with pytest.raises(BadInput, match="no experts"):
        routing(Line(model, model), tokens(model))
    mixture = random_model("mixtral", 0, torch.float32)
    with pytest.raises(BadInput, match="2 points"):
        routing(Line(mixture, mixture), tokens(mixture), points=1)
