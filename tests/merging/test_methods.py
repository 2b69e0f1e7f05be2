"""The table of methods, and what is refused in one sentence each."""

from __future__ import annotations

import pytest
import torch

from lmc_core.errors import BadInput, Incompatible, UnknownName
from lmc_core.merging.ingredients import Ingredients
from lmc_core.merging.methods import MERGES
from tests.merging.conftest import State


def test_each_says_what_it_is() -> None:
    assert list(MERGES) == [
        "average",
        "weighted",
        "slerp",
        "task-arithmetic",
        "ties",
        "dare",
        "soup",
        "ensemble",
    ]
    for name, method in MERGES.items():
        assert (
            method.name == name
            and method.sentence.endswith(".")
            and any(digit.isdigit() for digit in method.source)
        )
        method.settings()  # a default for everything
    assert {name for name, method in MERGES.items() if method.ancestor} == {
        "task-arithmetic",
        "ties",
        "dare",
    }
    assert [name for name, method in MERGES.items() if not method.checkpoint] == ["ensemble"]


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("ties", {"density": 0.0}, "density should be above 0 and at most 1; 0.0 came"),
        ("ties", {"density": 1.5}, "at most 1"),
        ("ties", {"density": "much"}, "density should be a number"),
        ("dare", {"density": float("nan")}, "density should"),
        ("dare", {"seed": -1}, "seed should be 0 or more; -1 came"),
        ("task-arithmetic", {"scale": float("inf")}, "scale should be a finite number"),
        ("soup", {"by": "luck"}, "no criterion of a soup 'luck'"),
        ("soup", {"examples": 1}, "examples should be"),
        ("average", {"density": 0.5}, "no setting of the method average 'density'"),
    ],
)
def test_settings_that_make_no_sense(method: str, settings: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        MERGES[method].configured(settings)


def test_what_cannot_be_merged(states: list[State], ancestor: State) -> None:
    with pytest.raises(BadInput, match="At least 2 models are needed to merge; 1 came"):
        Ingredients(states[:1])
    with pytest.raises(BadInput, match="One weight for each of the 4 models is expected; 2 came"):
        Ingredients(states, weights=(0.5, 0.5))
    for weights in ((-1, 1, 1, 1), (0, 0, 0, 0), (float("nan"), 1, 1, 1), (float("inf"), 1, 1, 1)):
        with pytest.raises(BadInput, match="Weights should be 0 or more"):
            Ingredients(states, weights=weights)
    with pytest.raises(Incompatible, match="model 1 and model 2 have different parameters"):
        Ingredients([states[0], {**states[1], "c": torch.zeros(2)}])
    with pytest.raises(Incompatible, match="the common ancestor"):
        Ingredients(states, ancestor={"c": torch.zeros(1)})
    with pytest.raises(UnknownName, match="stand-in"):
        Ingredients(states, stand_in="second")
    with pytest.raises(UnknownName, match="way to merge"):
        MERGES["blender"]
