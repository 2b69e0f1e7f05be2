"""The exact solvers against brute force on small sizes."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc_core.matching.solvers import assignment, best_value, procrustes
from lmc_core.symmetry.spaces import SymmetryClass

seeds = st.integers(0, 2**20)


def matrix(size: int, seed: int) -> torch.Tensor:
    return torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 6), seeds)
def test_assignment_is_the_best_of_all_permutations(size: int, seed: int) -> None:
    m = matrix(size, seed)
    rows = torch.arange(size)
    best = max(float(m[rows, torch.tensor(p)].sum()) for p in permutations(range(size)))
    found = assignment(m)
    assert sorted(found.tolist()) == list(range(size))
    assert float(m[rows, found].sum()) == pytest.approx(best, abs=1e-12)
    assert float(best_value(m[None], SymmetryClass.PERMUTATION)) == pytest.approx(best, abs=1e-12)


def test_ties_fall_to_the_identity() -> None:
    assert assignment(torch.zeros(7, 7, dtype=torch.float64)).tolist() == list(range(7))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seeds)
def test_procrustes_is_the_best_rotation_or_reflection_of_the_plane(seed: int) -> None:
    m = matrix(2, seed)
    angles = torch.linspace(0, 2 * torch.pi, 20_001, dtype=torch.float64)
    c, s = angles.cos(), angles.sin()
    turns = torch.stack([c, -s, s, c], -1).view(-1, 2, 2)
    flips = torch.stack([c, s, s, -c], -1).view(-1, 2, 2)
    best = float((torch.cat([turns, flips]) * m).sum((1, 2)).max())
    found = procrustes(m)
    assert float((found * m).sum()) == pytest.approx(best, rel=1e-6)
    assert float(best_value(m[None], SymmetryClass.ORTHOGONAL)) == pytest.approx(float((found * m).sum()), rel=1e-12)
    torch.testing.assert_close(found.mT @ found, torch.eye(2, dtype=torch.float64), atol=1e-12, rtol=0)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(3, 8), seeds)
def test_procrustes_that_fixes_ones_beats_random_maps_that_do(size: int, seed: int) -> None:
    from lmc_core.symmetry.elements import random_element
    from lmc_core.symmetry.spaces import Space

    m = matrix(size, seed)
    found = procrustes(m, fixes_ones=True)
    ones = torch.ones(size, 1, dtype=torch.float64)
    torch.testing.assert_close(found @ ones, ones, atol=1e-12, rtol=0)
    torch.testing.assert_close(found.mT @ found, torch.eye(size, dtype=torch.float64), atol=1e-12, rtol=0)
    space = Space("r", "residual", size, SymmetryClass.ORTHOGONAL, "", fixes_ones=True)
    generator = torch.Generator().manual_seed(seed)
    others = [random_element(space, SymmetryClass.ORTHOGONAL, generator).matrix() for _ in range(200)]
    assert float((found * m).sum()) >= max(float((other * m).sum()) for other in others) - 1e-12
    # and is a stationary point: turning a little in any direction does not gain
    for _ in range(20):
        skew = matrix(size, int(torch.randint(2**20, (1,), generator=generator)))
        skew = skew - skew.mT
        centre = torch.eye(size, dtype=torch.float64) - ones @ ones.mT / size
        turned = torch.linalg.matrix_exp(1e-4 * centre @ skew @ centre) @ found
        assert float((turned * m).sum()) <= float((found * m).sum()) + 1e-12


def test_none_keeps_the_diagonal() -> None:
    m = matrix(4, 1)
    assert float(best_value(m[None], SymmetryClass.NONE)) == pytest.approx(float(m.trace()))
