"""The orthogonal factor by iteration is that of the decomposition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmc_core.matching.polar import iterate, orthogonal_factor
from lmc_core.symmetry.arithmetic import refined


def drawn(condition: float, *batch: int, size: int = 24) -> tuple[Tensor, Tensor]:
    """Matrices of a condition number, and their factors."""
    generator = torch.Generator().manual_seed(3)
    rotation, basis = (
        torch.linalg.qr(torch.randn(*batch, size, size, generator=generator).double())[0]
        for _ in range(2)
    )
    values = torch.logspace(0, -torch.tensor(condition).log10().item(), size, dtype=torch.float64)
    return rotation @ (basis * values) @ basis.mT, rotation


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8])
def test_the_iteration_finds_the_factor(condition: float) -> None:
    matrix, rotation = drawn(condition, 3)
    found = iterate(matrix)
    assert found is not None
    assert float((found - rotation).abs().max()) < 1e-15 * 100 * condition
    assert float((found - orthogonal_factor(matrix)).abs().max()) < 1e-13 * condition
    assert float((found.mT @ found - torch.eye(24, dtype=torch.float64)).abs().max()) < 1e-13


def test_float32_finds_it_to_its_rounding() -> None:
    matrix, rotation = drawn(100.0)
    found = iterate(matrix.float())
    assert found is not None
    assert float((found - rotation).abs().max()) < 1e-4


def test_a_singular_matrix_has_none() -> None:
    matrix, _ = drawn(10.0, 2)
    matrix[1, 0] = 0
    assert iterate(matrix) is None
    assert torch.isfinite(orthogonal_factor(matrix)).all()


def test_of_a_matrix_with_equal_rows_a_factor_may_be_found() -> None:
    """Rounding decides whether such rows leave a zero behind, and which factor it is; it is one."""
    matrix, _ = drawn(10.0, 2)
    matrix[1, 0] = matrix[1, 1]
    found = iterate(matrix)
    if found is None:
        found = orthogonal_factor(matrix)
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    assert float((found.mT @ found - eye).abs().max()) < 1e-9
    traces = (found * matrix).sum((-2, -1))
    torch.testing.assert_close(traces, torch.linalg.svdvals(matrix).sum(-1))


def test_refining_squares_the_error() -> None:
    _, rotation = drawn(1.0)
    stretched = rotation * 1.001
    error = float((refined(stretched) - rotation).abs().max())
    assert error < 2e-6 < float((stretched - rotation).abs().max())
