"""Which places of a wide space go to which narrow unit, against all ways to give them away."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from lmc_core.matching.places import _owners
from lmc_core.symmetry.embedding import NOBODY


@pytest.mark.parametrize(("n", "m"), [(2, 5), (3, 5), (2, 4), (1, 3), (3, 3)])
@pytest.mark.parametrize("offset", [-1.0, 0.0, 2.0])  # of what a place is worth over an empty one
def test_no_way_to_give_places_away_is_better(n: int, m: int, offset: float) -> None:
    gain = (
        torch.randn(n, m, generator=torch.Generator().manual_seed(n * m), dtype=torch.float64)
        + offset
    )
    most = -(-m // n)

    def worth(owners: tuple[int, ...]) -> float:
        return sum(
            float(gain[owner, place]) for place, owner in enumerate(owners) if owner != NOBODY
        )

    allowed = [
        owners
        for owners in product((NOBODY, *range(n)), repeat=m)
        if all(1 <= owners.count(unit) <= most for unit in range(n))
    ]
    found = tuple(_owners(gain).tolist())
    assert found in allowed
    assert worth(found) == pytest.approx(max(map(worth, allowed)))
