"""Embeddings of spaces within spaces, against one matrix over all of them."""

from __future__ import annotations

import torch

from lmc_core.symmetry.embedded_blocks import seen
from lmc_core.symmetry.embedding import rectangular, semi_permutation
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
