"""Which places of a wide space go to which narrow unit, against all ways to give them away, and
with which shares.
"""

from __future__ import annotations

from itertools import product

import pytest
import torch

from lmc_core.matching.aligned import canonical
from lmc_core.matching.objective import Objective
from lmc_core.matching.places import _gains, _owners, _sides, give_away
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective
from lmc_core.matching.widths import even
from lmc_core.models.common import untied
from lmc_core.models.model import Model
from lmc_core.models.widen import widen
from lmc_core.symmetry.embedding import NOBODY, Embedding, taken
from lmc_core.symmetry.spaces import choose_classes
from tests.matching.test_widths import random_wide
from tests.networks import random_model


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


def setting(name: str) -> tuple[Model, Model, dict[str, Embedding], Objective]:
    """A narrow model in canonical form, units repeated in turn, and a wide one near to that."""
    empty = random_wide(name, random_model(name), 3)
    classes = choose_classes(empty.layout.spaces)
    narrow = canonical(untied(random_model(name)), classes)
    chosen = even(narrow, empty)
    held = widen(narrow, empty.config, chosen)
    wide = held.with_state({n: held.state[n] + 0.3 * noise for n, noise in empty.state.items()})
    problem = make_objective(wide.layout, held.state, wide.state, classes, WeightSettings())
    return narrow, wide, chosen, problem


@pytest.mark.parametrize("name", ["gpt2", "llama", "mixtral"])
def test_an_owner_is_worth_what_it_brings_nearer(name: str) -> None:
    narrow, wide, chosen, problem = setting(name)
    space = next(s for s in narrow.layout.spaces.values() if s.kind == "units")
    n, m = space.size, wide.layout.spaces[space.name].size
    gain = _gains(narrow, wide, space, chosen, problem)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        i, j = (int(torch.randint(size, (), generator=generator)) for size in (n, m))
        wanted = torch.zeros(gain.shape[:-2], dtype=torch.float64)
        for block in problem.touching[space.name]:
            reads = block.axes[block.axis(space.name)].role == "reads"
            for ours, theirs in _sides(narrow, wide, block, space.name, chosen):
                place, unit = theirs[..., j, :], ours[..., i, :] * (n / m if reads else 1)
                nearer = place.square().sum(-1) - (place - unit).square().sum(-1)
                wanted += problem.weights[block.name] * nearer
        assert torch.allclose(
            gain[..., i, j], wanted, rtol=1e-9, atol=1e-9 * float(gain.abs().max())
        )


@pytest.mark.parametrize("name", ["gpt2", "mixtral"])
def test_shares_are_the_nearest_that_add_up_to_one(name: str) -> None:
    """Any other shares with sum 1 are farther from what the wide model writes from these places."""
    narrow, wide, chosen, problem = setting(name)
    space = next(s for s in narrow.layout.spaces.values() if s.kind == "units")
    found = give_away(narrow, wide, chosen, problem)[space.name]
    coordinates = torch.arange(space.size)[:, None]
    held = (found.owner[..., None, :] == coordinates).double()
    assert torch.allclose((held * found.out[..., None, :]).sum(-1), torch.ones(()).double())

    def distance(shares: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for block in problem.touching[space.name]:
            if block.axes[block.axis(space.name)].role == "reads":
                for ours, theirs in _sides(narrow, wide, block, space.name, chosen):
                    part = shares[..., None] * taken(ours, found.owner)
                    total += problem.weights[block.name] * (theirs - part).square().sum()
        return total

    least = distance(found.out)
    generator = torch.Generator().manual_seed(1)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(5):
            step = torch.randn(found.out.shape, generator=generator).double()
            step = torch.where(found.owner == NOBODY, 0.0, step)
            mean = (held * step[..., None, :]).sum(-1) / held.sum(-1)
            step = size * (step - taken(mean[..., None], found.owner)[..., 0])
            step = torch.where(found.owner == NOBODY, 0.0, step)
            assert float(step.abs().max()) > 0
            assert distance(found.out + step) > least
