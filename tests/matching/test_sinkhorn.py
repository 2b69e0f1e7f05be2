"""Sinkhorn's iteration: doubly stochastic, both limits, a closed form, and the optimum of its own
objective.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.soft.sinkhorn import balanced, sinkhorn
from lmc_core.matching.soft.soft_assignment import entropy
from lmc_core.matching.solvers import assignment


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1e-6, 1e-2, 0.3, 1.0, 50.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (3, 2, 9, 9)])
def test_rows_and_columns_sum_to_one(shape: tuple[int, ...], temperature: float) -> None:
    found = sinkhorn(drawn(*shape), temperature)
    assert found.shape == shape and found.dtype is torch.float64 and float(found.min()) >= 0
    assert (
        float((found.sum(-1) - 1).abs().max()) < 1e-12
        and float((found.sum(-2) - 1).abs().max()) < 1e-12
    )


def test_one_normalisation_is_not_enough() -> None:
    rows = drawn(7, 7).softmax(-1)
    assert float((rows.sum(-2) - 1).abs().max()) > 0.1


def test_cold_is_the_assignment_and_hot_the_uniform_matrix() -> None:
    value = drawn(4, 12, 12)
    hard = torch.stack([torch.eye(12, dtype=torch.float64)[assignment(m)] for m in value])
    assert torch.equal(sinkhorn(value, 0.0), hard)
    assert float((sinkhorn(value, 1e-5) - hard).abs().max()) < 1e-6
    assert float((sinkhorn(value, 0.3) - hard).abs().max()) > 0.1
    assert torch.equal(sinkhorn(value, math.inf), torch.full_like(value, 1 / 12))
    assert float((sinkhorn(value, 1e6) - 1 / 12).abs().max()) < 1e-6


def test_two_by_two_has_a_closed_form() -> None:
    """P11 P22 / (P12 P21) = exp((a + d - b - c) / T) and P11 = P22."""
    value = torch.tensor([[0.3, -0.2], [0.9, 1.1]], dtype=torch.float64)
    for temperature in (0.05, 0.2, 3.0):
        share = torch.sigmoid(
            (value[0, 0] + value[1, 1] - value[0, 1] - value[1, 0]) / (2 * temperature)
        )
        found = sinkhorn(value, temperature)
        assert float(found[0, 0]) == pytest.approx(float(share), abs=1e-8)


def test_nothing_near_it_is_better() -> None:
    """<M, P> + T H(P) falls along every exchange that keeps rows and columns."""
    value, temperature = drawn(6, 6), 0.4
    found = sinkhorn(value, temperature)

    def free(match: Tensor) -> float:
        return float((value * match).sum() + temperature * entropy(match).sum())

    best = free(found)
    for i, j, k, m in ((0, 1, 2, 3), (4, 5, 0, 1), (2, 5, 3, 4)):
        for step in (-1e-3, 1e-3):
            other = found.clone()
            other[i, k] += step
            other[j, m] += step
            other[i, m] -= step
            other[j, k] -= step
            assert free(other) < best
    assert free(torch.eye(6, dtype=torch.float64)[assignment(value)]) < best
    assert free(torch.full_like(value, 1 / 6)) < best


def test_potentials_are_in_the_unit_of_the_similarity() -> None:
    value = drawn(8, 8)
    found, (f, g) = balanced(value, 0.3)
    assert torch.allclose(found, ((value + f[:, None] + g) / 0.3).exp(), atol=1e-8)
    again, _ = balanced(value + 0.01 * drawn(8, 8, seed=1), 0.3, (f, g))
    assert float((again - found).abs().max()) < 0.1


def test_a_shift_of_rows_and_columns_changes_nothing() -> None:
    value = drawn(8, 8)
    shifted = value + drawn(8, 1, seed=2) + drawn(1, 8, seed=3)
    assert torch.allclose(sinkhorn(value, 0.2), sinkhorn(shifted, 0.2), atol=1e-7)


@pytest.mark.parametrize(
    ("value", "temperature", "words"),
    [
        (torch.zeros(2, 3), 1.0, r"square .* shape \[2, 3\] came"),
        (torch.full((2, 2), float("nan")), 1.0, "finite numbers"),
        (torch.zeros(2, 2), -1.0, "0 or more; -1.0 came"),
        (torch.zeros(2, 2), float("nan"), "nan came"),
    ],
)
def test_bad_input_is_refused(value: Tensor, temperature: float, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        sinkhorn(value, temperature)
