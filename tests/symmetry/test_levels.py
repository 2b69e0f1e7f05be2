"""Alignments of spaces within spaces within spaces: units of experts of groups, against indices
followed by hand.
"""

from __future__ import annotations

import pytest
import torch

from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import PERMUTATIONS, Space, SymmetryClass

GROUPS, EXPERTS, UNITS = 3, 2, 4
SPACES = {
    space.name: space
    for space in (
        Space("groups", "expert-groups", GROUPS, PERMUTATIONS, "of the test"),
        Space("experts", "experts", EXPERTS, PERMUTATIONS, "of the test", "groups", GROUPS),
        Space("units", "units", UNITS, PERMUTATIONS, "of the test", "experts", GROUPS * EXPERTS),
    )
}
LAYOUT = Layout(
    "of the test",
    SPACES,
    (Block("w", "w", "+groups +experts +units"),),
    {"w": (GROUPS, EXPERTS, UNITS)},
)
STATE = {"w": torch.arange(float(GROUPS * EXPERTS * UNITS)).view(GROUPS, EXPERTS, UNITS)}


def drawn(seed: int) -> Alignment:
    classes = {space.kind: SymmetryClass.PERMUTATION for space in SPACES.values()}
    return Alignment.random(SPACES, classes, torch.Generator().manual_seed(seed))


def moved(alignment: Alignment, state: dict[str, torch.Tensor]) -> torch.Tensor:
    return alignment.apply(LAYOUT, state)["w"]


def test_an_element_acts_on_the_copy_that_stands_there_now() -> None:
    one = drawn(0)
    groups, experts, units = (
        one.elements[name].tensors()["indices"] for name in ("groups", "experts", "units")
    )
    found = moved(one, STATE)
    for g in range(GROUPS):
        for e in range(EXPERTS):
            for u in range(UNITS):
                unit = units[g * EXPERTS + e, u]
                assert found[g, e, u] == STATE["w"][groups[g], experts[g, e], unit]


@pytest.mark.parametrize("seed", range(8))
def test_composing_and_undoing_follow_all_levels(seed: int) -> None:
    one, two = drawn(seed), drawn(seed + 100)
    assert torch.equal(moved(two.compose(one), STATE), moved(two, {"w": moved(one, STATE)}))
    assert torch.equal(moved(one.inverse(), {"w": moved(one, STATE)}), STATE["w"])
    assert Alignment.of(SPACES).distance(one.inverse().compose(one)) == 0.0
