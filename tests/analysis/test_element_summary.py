"""What an element does: planted angles, moves, stretches and rotary factors are told."""

from __future__ import annotations

import pytest
import torch

from lmc_core.analysis.element_summary import summarise_element
from lmc_core.symmetry.elements import (
    Invertible,
    Monomial,
    Orthogonal,
    Permutation,
    identity,
    random_element,
    rotary_matrix,
)
from lmc_core.symmetry.spaces import (
    LINEAR,
    PERMUTATIONS,
    ROTARY,
    ROTATIONS,
    SIGNED_AND_SCALED,
    Pairs,
    Space,
    SymmetryClass,
)

ORTHOGONAL, INVERTIBLE = SymmetryClass.ORTHOGONAL, SymmetryClass.INVERTIBLE


def space(size: int, classes=LINEAR, **words) -> Space:
    return Space("s", "residual", size, classes, "of a test", **words)


def turns(*degrees: float) -> torch.Tensor:
    """A rotation by each angle in a plane of its own."""
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    blocks = [
        torch.tensor([[a.cos(), -a.sin()], [a.sin(), a.cos()]], dtype=torch.float64) for a in angles
    ]
    return torch.block_diag(*blocks)


def test_planted_angles_are_found_in_any_basis() -> None:
    basis = torch.linalg.qr(
        torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]
    element = Orthogonal(basis @ turns(10, 75, 160) @ basis.mT)
    found = summarise_element(space(6, ROTATIONS), element, ORTHOGONAL)
    assert found.angles is not None and found.condition is not None and found.moved is None
    assert found.angles[0].tolist() == pytest.approx([-160, -75, -10, 10, 75, 160], abs=1e-6)
    assert found.condition[0] == pytest.approx(1.0)
    away = torch.tensor([10.0, 75.0, 160.0]).deg2rad()
    assert found.distance[0] == pytest.approx(
        float((2 * 2 * (1 - away.cos())).sum() / 6) ** 0.5, abs=1e-6
    )


def test_a_reflection_is_at_180() -> None:
    element = Orthogonal(torch.diag(torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)))
    found = summarise_element(space(4, ROTATIONS), element, ORTHOGONAL)
    assert found.angles is not None and found.angles[0].tolist() == pytest.approx([0, 0, 180, 180])


def test_an_invertible_map_has_the_angles_of_its_orthogonal_factor() -> None:
    stretch = torch.diag(torch.tensor([4.0, 1.0, 1.0, 0.5], dtype=torch.float64))
    found = summarise_element(space(4), Invertible.of(turns(30, 90) @ stretch), INVERTIBLE)
    assert found.angles is not None and found.singular is not None and found.condition is not None
    assert found.angles[0].tolist() == pytest.approx([-90, -30, 30, 90], abs=1e-6)
    assert found.singular[0].tolist() == pytest.approx([4, 1, 1, 0.5]) and found.condition[
        0
    ] == pytest.approx(8)


def test_permutations_say_who_moved() -> None:
    found = summarise_element(
        space(5, PERMUTATIONS),
        Permutation(torch.tensor([0, 2, 1, 4, 3])),
        SymmetryClass.PERMUTATION,
    )
    assert found.moved is not None and found.moved.tolist() == [4]
    assert found.distance[0] == pytest.approx((8 / 5) ** 0.5)
    nothing = summarise_element(space(5, PERMUTATIONS), identity(space(5)), SymmetryClass.NONE)
    assert (
        nothing.moved is not None
        and nothing.moved.tolist() == [0]
        and nothing.distance.tolist() == [0]
    )


def test_signs_and_scales_are_told_and_agree_with_the_matrix() -> None:
    element = Monomial(
        torch.tensor([1, 0, 2]), torch.tensor([-2.0, 1.0, -0.5], dtype=torch.float64)
    )
    found = summarise_element(space(3, SIGNED_AND_SCALED), element, SymmetryClass.SCALED)
    assert found.flipped is not None and found.flipped.tolist() == [2]
    assert found.singular is not None and found.singular[0].tolist() == [2, 1, 0.5]
    expected = (element.matrix() - torch.eye(3)).norm() / 3**0.5
    assert found.distance[0] == pytest.approx(float(expected))


def test_rotary_pairs_are_told_as_complex_numbers() -> None:
    pairs = Pairs(4)
    factors = torch.polar(
        torch.tensor([[2.0, 0.5]], dtype=torch.float64),
        torch.tensor([[0.3, -1.2]], dtype=torch.float64),
    )
    values = rotary_matrix(pairs, factors, torch.eye(2, dtype=torch.float64)[None])
    plane = space(6, ROTARY, pairs=pairs, within="heads")
    found = summarise_element(
        plane, Invertible(values, torch.linalg.inv(values)), SymmetryClass.ROTARY
    )
    assert found.factors is not None and torch.allclose(found.factors, factors)
    assert found.angles is not None and found.angles.shape == (1, 6)


def test_copies_are_apart() -> None:
    plane = space(4, within="heads", copies=3)
    element = random_element(plane, ORTHOGONAL, torch.Generator().manual_seed(0))
    found = summarise_element(plane, element, ORTHOGONAL)
    assert (
        found.angles is not None
        and found.angles.shape == (3, 4)
        and len(set(found.distance.tolist())) == 3
    )


def test_large_maps_are_told_by_their_distance_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmc_core.analysis.element_summary.LARGEST", 3)
    found = summarise_element(space(4, ROTATIONS), Orthogonal(turns(90, 90)), ORTHOGONAL)
    assert (
        found.angles is None
        and found.condition is None
        and found.distance[0] == pytest.approx(2**0.5)
    )
