"""Assignments from few candidates against SciPy's of all."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from lmc_core.matching import sparse_assignment
from lmc_core.matching.sparse_assignment import assignment

N = 120
ROWS = torch.arange(N)


def draw(kind: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(N, N, generator=generator, dtype=torch.float64)
    if kind == "planted":
        noise[ROWS, torch.randperm(N, generator=generator)] += 2
    if kind == "low rank":
        noise = noise[:, :3] @ noise[:3]
    if kind == "ties":
        noise = noise.round()
    if kind == "skewed":  # far fewer entries than of normal numbers are far above the mean
        noise = noise.exp().exp()
    return noise


@pytest.mark.parametrize("kind", ["independent", "planted", "low rank", "ties", "skewed"])
@pytest.mark.parametrize("candidates", [2, 20])
def test_the_best_of_all(kind: str, candidates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_assignment, "SMALL", 0)
    monkeypatch.setattr(sparse_assignment, "CANDIDATES", candidates)
    monkeypatch.setattr(sparse_assignment, "SPREAD", 0.0)  # so that all kinds come there
    value = draw(kind)
    found = assignment(value)
    assert found.sort().values.equal(ROWS)
    best = value[linear_sum_assignment(value.numpy(), maximize=True)].sum()
    assert abs(float(value[ROWS, found].sum() - best)) < N * 2**-22 * float(value.abs().max())


@pytest.mark.parametrize("kind", ["independent", "skewed", "ties", "alike"])
def test_candidates_are_the_largest_of_every_row(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_assignment, "CANDIDATES", 8)
    value = torch.ones(N, N) if kind == "alike" else draw(kind)
    rows, columns = sparse_assignment._candidates(value)
    chosen = torch.zeros(N, N, dtype=torch.bool)
    chosen[rows, columns] = True
    assert len(rows) == int(chosen.sum()) and bool(chosen.diagonal().all())
    assert bool((rows.diff() >= 0).all())  # sorted, as the solver takes them
    assert bool((value.where(chosen, -torch.inf).amax(0) == value.amax(0)).all())
    assert bool((value.where(chosen, -torch.inf).amax(1) == value.amax(1)).all())
    # beside the largest of columns and the diagonal
    assert int(chosen.sum(1).min()) >= 2 and int(chosen.sum()) < N * (4 * 8 + 2)


def test_few_candidates_are_added_to_until_the_order_is_proved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the proof the order would be a worse one: the control."""
    monkeypatch.setattr(sparse_assignment, "CANDIDATES", 2)
    monkeypatch.setattr(sparse_assignment, "SOLVED", 50)
    value = draw("independent")
    best = value[linear_sum_assignment(value.numpy(), maximize=True)].sum()
    found = sparse_assignment._from_candidates(value)
    assert found is not None and abs(float(value[ROWS, found].sum() - best)) < 1e-4
    monkeypatch.setattr(
        sparse_assignment, "_broken", lambda *arguments: torch.empty(0, dtype=torch.int64)
    )
    unproved = sparse_assignment._from_candidates(value)
    assert unproved is not None and float(value[ROWS, unproved].sum()) < best - 0.1


def test_ties_fall_to_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_assignment, "SMALL", 0)
    assert assignment(torch.zeros(N, N)).equal(ROWS)
    assert assignment(torch.ones(N, N, dtype=torch.float64)).equal(ROWS)


def test_a_similarity_of_low_rank_is_solved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_assignment, "CANDIDATES", 20)
    assert sparse_assignment._from_candidates(draw("low rank")) is None
    assert sparse_assignment._from_candidates(draw("independent")) is not None
