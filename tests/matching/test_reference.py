"""The slow reference of `benchmarks/speed.py` solves what it should: otherwise the comparison would
be unfair.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import torch

from lmc_core.matching.pair import canonical
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Permutation
from lmc_core.symmetry.spaces import SymmetryClass, choose_classes
from tests.networks import random_model


def reference() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "reference_matching.py"
    spec = importlib.util.spec_from_file_location("reference_matching", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_finds_a_planted_alignment() -> None:
    model = random_model("gpt2-untied", 3)
    classes = choose_classes(model.layout.spaces)
    form = canonical(model, classes)
    planted_classes = classes | {
        "query-key": SymmetryClass.NONE,
        "value-output": SymmetryClass.NONE,
    }
    planted = Alignment.random(
        form.layout.spaces, planted_classes, torch.Generator().manual_seed(4)
    )
    copy = planted.apply(form.layout, form.state)
    heads, layers = model.config["n_head"], model.config["n_layer"]
    found = reference().match_reference(form.layout, form.state, copy, layers, heads, rounds=3)
    both = found.compose(planted)
    for name, element in both.elements.items():
        if isinstance(element, Permutation):
            assert torch.equal(
                element.indices,
                torch.arange(element.indices.shape[-1]).expand(element.indices.shape),
            ), name
    assert both.distance(Alignment.of(form.layout.spaces)) < 1e-5
    one_round = reference().match_reference(
        form.layout, form.state, random_model("gpt2-untied", 5).state, layers, heads, 1
    )
    # a stranger is not
    assert one_round.compose(planted).distance(Alignment.of(form.layout.spaces)) > 0.1
