"""What activation matching compares at one site, against numpy and sums written out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lmc_core.matching.activation_search import _similarity
from lmc_core.matching.responses import Draw, Response, Site
from lmc_core.symmetry.layout import Axis, Block, Layout
from lmc_core.symmetry.spaces import PERMUTATIONS, ROTATIONS, Space, SymmetryClass

GENERATOR = torch.Generator().manual_seed(0)
# means far from zero
X = torch.randn(60, 4, generator=GENERATOR).double() * torch.tensor([1.0, 2.0, 3.0, 4.0]) + 7
Y = X.roll(1, 1) + torch.randn(60, 4, generator=GENERATOR).double() - 3


def similarity(chosen: SymmetryClass, x: torch.Tensor = X, y: torch.Tensor = Y) -> torch.Tensor:
    kind, classes = ("residual", ROTATIONS) if chosen.mixes else ("units", PERMUTATIONS)
    block = Block("w", "w", "* -s")
    layout = Layout(
        "of the test", {"s": Space("s", kind, 4, classes, "of the test")}, (block,), {"w": (1, 4)}
    )
    site = Site("w.input", "w", block, (1,), (Axis("s"),), (4,))
    given: Any = SimpleNamespace(layout=layout, classes={kind: chosen})
    return _similarity(given, site, Response.of(x, y))


def test_where_units_are_reordered_it_is_the_mean_correlation_of_pairs() -> None:
    expected = np.corrcoef(X.numpy().T, Y.numpy().T)[:4, 4:] / 4
    assert similarity(SymmetryClass.PERMUTATION).numpy() == pytest.approx(expected, abs=1e-12)
    assert float(similarity(SymmetryClass.PERMUTATION, X, 5 * X - 2).trace()) == pytest.approx(1.0)


def test_where_coordinates_are_mixed_it_is_the_product_of_what_varies_over_its_lengths() -> None:
    x, y = X - X.mean(0), Y - Y.mean(0)
    expected = x.mT @ y / (x.square().sum() * y.square().sum()).sqrt()
    torch.testing.assert_close(similarity(SymmetryClass.ORTHOGONAL), expected)
    assert not torch.allclose(expected, expected.mT, atol=0.05)


def test_a_unit_that_is_constant_is_like_no_other() -> None:
    still = X.clone()
    still[:, 2] = 7.0
    found = similarity(SymmetryClass.PERMUTATION, still)
    assert not found[2].any() and bool(found.isfinite().all()) and bool(found[1].all())


def test_each_example_has_a_draw_of_its_own_whatever_the_batches() -> None:
    draw = Draw(examples=6, tokens=18, seed=1)
    # places within each example
    whole = draw.rows(0, 6, 10).view(6, 3) - 10 * torch.arange(6)[:, None]
    assert bool((whole.diff(dim=1) > 0).all()) and int(whole.min()) >= 0 and int(whole.max()) < 10
    assert len({tuple(row) for row in whole.tolist()}) > 1
    batches = [(start, count, draw.rows(start, count, 10)) for start, count in ((0, 4), (4, 2))]
    parts = [rows.view(count, 3) - 10 * torch.arange(count)[:, None] for _, count, rows in batches]
    assert torch.equal(torch.cat(parts), whole)
    assert draw.rows(0, 2, 3).tolist() == [0, 1, 2, 3, 4, 5]  # of few places all are taken
