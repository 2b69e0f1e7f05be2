"""Embeddings of spaces within spaces, against one matrix over all of them."""

from __future__ import annotations

import pytest
import torch

from lmc_core.symmetry.elements import Role
from lmc_core.symmetry.embedded_blocks import seen
from lmc_core.symmetry.embedding import NOBODY, Columns, appended, rectangular, semi_permutation
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import LINEAR, PERMUTATIONS, Space


def test_what_an_embedded_model_sees_is_a_product_of_its_levels_written_out() -> None:
    """Planes of wide heads that each lie elsewhere, heads that are repeated: F E^T as one matrix
    over both.
    """
    generator = torch.Generator().manual_seed(0)
    heads, narrow_heads, size, narrow_size = 3, 2, 4, 2
    spaces = {
        "heads": Space("heads", "heads", heads, PERMUTATIONS, "of the test"),
        "plane": Space("plane", "value-output", size, LINEAR, "of the test", "heads", heads),
    }
    block = Block("w", "w", "-heads -plane")
    layout = Layout("of the test", spaces, (block,), {"w": (heads, size)})
    outer = semi_permutation(
        torch.tensor([0, 1, 0]), torch.tensor([0.3, 1.0, 0.7]).double(), narrow_heads
    )
    columns = torch.linalg.qr(
        torch.randn(heads, size, narrow_size, generator=generator, dtype=torch.float64)
    )[0]
    factors = 1 + torch.rand(heads, size, generator=generator, dtype=torch.float64)
    inner = rectangular(columns).stretched(factors)
    whole = {
        role: torch.einsum("hg,hij->higj", outer.of(role), inner.of(role)).reshape(
            heads * size, narrow_heads * narrow_size
        )
        for role in ("writes", "reads")
    }
    torch.testing.assert_close(
        whole["reads"].mT @ whole["writes"], torch.eye(4, dtype=torch.float64)
    )
    wide = torch.randn(heads, size, generator=generator, dtype=torch.float64)
    expected = whole["reads"] @ whole["writes"].mT @ wide.flatten()
    torch.testing.assert_close(
        seen(layout, block, wide, {"heads": outer, "plane": inner}).flatten(), expected
    )


@pytest.mark.parametrize("copies", [None, 3])
def test_owners_and_factors_do_what_their_matrices_do(copies: int | None) -> None:
    """Repeated, stretched and appended coordinates, one embedding for all copies or one for each;
    F^T E = 1.
    """
    generator = torch.Generator().manual_seed(0)
    n, m, outer = 4, 7, () if copies is None else (copies,)
    owner = torch.tensor([2, 0, 1, 3, 3, NOBODY, 2])
    shares = torch.tensor([0.3, 1, 1, 0.6, 0.4, 0, 0.7]).double()
    factors = 1 + torch.rand(*outer, m, generator=generator, dtype=torch.float64)
    places = torch.tensor([0, NOBODY, 1, 2, NOBODY, NOBODY, 3])
    for one in (semi_permutation(owner, shares, n), appended(places, n), appended(places, n, True)):
        found = one.stretched(factors)
        dense = Columns(found.writes, found.reads)
        torch.testing.assert_close(
            found.reads.mT @ found.writes, torch.eye(n).double().expand(*outer, n, n)
        )
        x, y = (torch.randn(*outer, k, 5, generator=generator).double() for k in (n, m))
        roles: tuple[Role, ...] = ("writes", "reads")
        for role in roles:
            assert torch.equal(found.act(x, role), dense.act(x, role))
            torch.testing.assert_close(found.restrict(y, role), dense.restrict(y, role))
        held = (found.writes != 0).double()
        assert torch.equal(found.act(x, "order"), held @ x)
