"""Sums and orders that are computed in the order that numbers lie in, against the plain way."""

from __future__ import annotations

import pytest
import torch

from lmc_core.symmetry.arithmetic import PIECE, inner
from lmc_core.symmetry.elements import Permutation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, PIECE), (700, 300), (5,), (2 * PIECE + 1,), (40, 30, 90)])
def test_inner_products(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
    found = inner(x, y)
    exact = (x.double() * y.double()).sum()
    scale = float(x.double().norm() * y.double().norm())
    assert found.dtype is torch.float64
    assert abs(float(found - exact)) < (1e-7 if dtype is torch.float32 else 1e-15) * scale


@pytest.mark.parametrize("across", [False, True])
def test_rows_are_reordered_however_they_lie(across: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 20, generator=generator)
    x = x.mT.contiguous().mT if across else x
    order = torch.randperm(30, generator=generator)
    assert Permutation(order).act(x, "writes").equal(x[order])
