"""The exact solvers against brute force on small sizes."""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmc_core.matching.solvers import assignment, maximise, procrustes, reach
from lmc_core.symmetry.elements import Permutation, random_element, rotary_matrix
from lmc_core.symmetry.spaces import (
    LINEAR,
    PAIR_SIGNS,
    ROTARY,
    ROTATIONS,
    SCALES,
    SIGNED_AND_SCALED,
    TURNS,
    Pairs,
    Space,
    SymmetryClass,
)

seeds = st.integers(0, 2**20)


def matrix(size: int, seed: int) -> torch.Tensor:
    return torch.randn(
        size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def value(
    space: Space, chosen: SymmetryClass, m: torch.Tensor, order: torch.Tensor | None = None
) -> float:
    """The maximum that is claimed, after checking that the element reaches it."""
    element, claimed = maximise(space, chosen, m, order)
    reached = float((element.matrix() * m).sum())
    if order is not None:
        reached += float((element.matrix().abs() * order).sum())
    assert reached == pytest.approx(float(claimed), rel=1e-11, abs=1e-11)
    return float(claimed)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 6), seeds)
def test_assignment_is_the_best_of_all_permutations(size: int, seed: int) -> None:
    m = matrix(size, seed)
    rows = torch.arange(size)
    best = max(float(m[rows, torch.tensor(p)].sum()) for p in permutations(range(size)))
    found = assignment(m)
    assert sorted(found.tolist()) == list(range(size))
    assert float(m[rows, found].sum()) == pytest.approx(best, abs=1e-12)
    space = Space("s", "units", size, LINEAR, "")
    assert value(space, SymmetryClass.PERMUTATION, m) == pytest.approx(best, abs=1e-12)


def test_assignment_leaves_its_argument_alone() -> None:
    m = matrix(5, 0)
    before = m.clone()
    assignment(m)
    assert torch.equal(m, before)


def test_ties_fall_to_the_identity() -> None:
    assert assignment(torch.zeros(7, 7, dtype=torch.float64)).tolist() == list(range(7))


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("sign", [1, -1])
def test_ties_of_any_size_fall_to_the_identity_and_differences_do_not(
    size: float, sign: int
) -> None:
    """The pull is relative: as much below small entries as below large ones, and above the rounding
    of either.
    """
    tied = sign * size * torch.ones(9, 9, dtype=torch.float64)
    assert assignment(tied).tolist() == list(range(9))
    # the identity is one of the best, not SciPy's own
    for values in ([[1, 2], [1, 2]], [[3, 2, 2], [3, 2, 3], [1, 2, 3]]):
        some = size * torch.tensor(values, dtype=torch.float64)
        assert assignment(some if sign > 0 else some - 9 * size).tolist() == list(
            range(len(values))
        )
    turned = tied + size * 1e-7 * torch.eye(9, dtype=torch.float64).roll(1, 1)
    assert assignment(turned).tolist() == [*range(1, 9), 0]


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
    space = Space("r", "residual", 2, ROTATIONS, "")
    assert value(space, SymmetryClass.ORTHOGONAL, m) == pytest.approx(best, rel=1e-6)
    torch.testing.assert_close(
        found.mT @ found, torch.eye(2, dtype=torch.float64), atol=1e-12, rtol=0
    )


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(3, 8), seeds)
def test_procrustes_that_fixes_ones_beats_random_maps_that_do(size: int, seed: int) -> None:
    m = matrix(size, seed)
    found = procrustes(m, fixes_ones=True)
    ones = torch.ones(size, 1, dtype=torch.float64)
    torch.testing.assert_close(found @ ones, ones, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        found.mT @ found, torch.eye(size, dtype=torch.float64), atol=1e-12, rtol=0
    )
    space = Space("r", "residual", size, ROTATIONS, "", fixes_ones=True)
    generator = torch.Generator().manual_seed(seed)
    others = [
        random_element(space, SymmetryClass.ORTHOGONAL, generator).matrix() for _ in range(200)
    ]
    assert float((found * m).sum()) >= max(float((other * m).sum()) for other in others) - 1e-12
    # and is a stationary point: turning a little in any direction does not gain
    for _ in range(20):
        skew = matrix(size, int(torch.randint(2**20, (1,), generator=generator)))
        skew = skew - skew.mT
        centre = torch.eye(size, dtype=torch.float64) - ones @ ones.mT / size
        turned = torch.linalg.matrix_exp(1e-4 * centre @ skew @ centre) @ found
        assert float((turned * m).sum()) <= float((found * m).sum()) + 1e-12


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 4), seeds)
def test_signed_permutations_are_the_best_of_all(size: int, seed: int) -> None:
    m, order = matrix(size, seed), matrix(size, seed + 1)
    rows = torch.arange(size)
    best = max(
        float(
            (torch.tensor(signs) * m[rows, torch.tensor(p)]).sum()
            + order[rows, torch.tensor(p)].sum()
        )
        for p in permutations(range(size))
        for signs in product((-1.0, 1.0), repeat=size)
    )
    space = Space("u", "units", size, SIGNED_AND_SCALED, "")
    for chosen in (SymmetryClass.SIGNED, SymmetryClass.SCALED):
        assert value(space, chosen, m, order) == pytest.approx(best, abs=1e-12)
    positive = Space("u", "units", size, SIGNED_AND_SCALED, "", positive=True)
    element, _ = maximise(positive, SymmetryClass.SCALED, m, order)
    # after balancing there is no scale left, and no sign is allowed
    assert isinstance(element, Permutation)
    assert value(positive, SymmetryClass.SCALED, m, order) == pytest.approx(
        max(float((m + order)[rows, torch.tensor(p)].sum()) for p in permutations(range(size))),
        abs=1e-12,
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds, st.booleans())
def test_rotations_of_pairs_are_the_best_of_a_grid(seed: int, interleaved: bool) -> None:
    m = matrix(7, seed)
    space = Space("p", "query-key", 7, ROTARY, "", pairs=Pairs(4, interleaved))
    angles = torch.linspace(0, 2 * torch.pi, 40_001, dtype=torch.float64)
    best = float(torch.linalg.svdvals(m[4:, 4:]).sum())
    for i, j in ((0, 1), (2, 3)) if interleaved else ((0, 2), (1, 3)):
        best += float(
            ((m[i, i] + m[j, j]) * angles.cos() + (m[j, i] - m[i, j]) * angles.sin()).max()
        )
    for chosen in (SymmetryClass.ROTATION, SymmetryClass.ROTARY):
        assert value(space, chosen, m) == pytest.approx(best, rel=1e-6)
    element, _ = maximise(space, SymmetryClass.ROTATION, m)
    random = random_element(
        space, SymmetryClass.ROTATION, torch.Generator().manual_seed(seed)
    ).matrix()
    blocks = element.matrix()
    assert torch.equal(blocks != 0, (random != 0) & (blocks != 0)) and float(
        torch.linalg.det(blocks[:4, :4])
    ) == pytest.approx(1)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds)
def test_signs_of_pairs_are_the_best_of_all(seed: int) -> None:
    m = matrix(6, seed)
    pairs = Space("p", "query-key", 6, PAIR_SIGNS, "", pairs=Pairs(6))
    each = m.diagonal()
    best = max(
        sum(s * float(each[i] + each[i + 3]) for i, s in enumerate(signs))
        for signs in product((-1, 1), repeat=3)
    )
    assert value(pairs, SymmetryClass.SIGNS, m) == pytest.approx(best)
    alone = Space("p", "query-key", 6, PAIR_SIGNS, "")
    assert value(alone, SymmetryClass.SIGNS, m) == pytest.approx(float(each.abs().sum()))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds, st.booleans())
def test_quarter_turns_of_pairs_are_the_best_of_all(seed: int, interleaved: bool) -> None:
    m = matrix(5, seed)
    space = Space("p", "query-key", 5, TURNS, "", pairs=Pairs(4, interleaved))
    angles = torch.pi / 2 * torch.tensor(list(product(range(4), repeat=2)), dtype=torch.float64)
    turns = torch.polar(torch.ones_like(angles), angles)
    every = rotary_matrix(Pairs(4, interleaved), turns, torch.ones(16, 1, 1, dtype=torch.float64))
    assert value(space, SymmetryClass.TURNS, m) == pytest.approx(
        float((every * m).sum((1, 2)).max())
    )
    random = random_element(
        space, SymmetryClass.TURNS, torch.Generator().manual_seed(seed)
    ).matrix()
    assert float((every - random).abs().amax((1, 2)).min()) < 1e-12


def test_scales_are_balanced_already() -> None:
    m = matrix(4, 1)
    space = Space("g", "gains", 4, SCALES, "")
    assert value(space, SymmetryClass.SCALES, m) == pytest.approx(float(m.trace()))
    random = random_element(space, SymmetryClass.SCALES, torch.Generator().manual_seed(1)).matrix()
    assert torch.equal(random, random.diagonal().diag()) and bool((random.diagonal() > 0).all())


def test_none_keeps_the_diagonal() -> None:
    m = matrix(4, 1)
    assert value(Space("s", "units", 4, LINEAR, ""), SymmetryClass.NONE, m) == pytest.approx(
        float(m.trace())
    )


def test_copies_are_solved_one_by_one() -> None:
    m = torch.stack([matrix(4, seed) for seed in range(3)])
    for chosen in (SymmetryClass.PERMUTATION, SymmetryClass.SIGNED, SymmetryClass.ORTHOGONAL):
        space = Space(
            "s", "units", 4, (*SIGNED_AND_SCALED, SymmetryClass.ORTHOGONAL), "", "heads", 3
        )
        element, values = maximise(space, chosen, m)
        for i in range(3):
            one, best = maximise(space, chosen, m[i])
            assert torch.allclose(element.matrix()[i], one.matrix(), rtol=0, atol=1e-12) and float(
                values[i]
            ) == pytest.approx(float(best))


@pytest.mark.parametrize("chosen", ["orthogonal", "invertible", "permutation", "none"])
def test_the_value_within_reach_is_that_of_the_best_element(chosen: str) -> None:
    space = Space("plane", "value-output", 5, LINEAR, "a test", within="heads", copies=4)
    similarity = torch.randn(
        4, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    kind = SymmetryClass(chosen)
    assert reach(space, kind, similarity).tolist() == pytest.approx(
        maximise(space, kind, similarity)[1].tolist(), rel=1e-12
    )
