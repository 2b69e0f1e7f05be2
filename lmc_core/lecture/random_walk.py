"""A hundred permutations and one function: random moves along the symmetries against random moves
of the same length.
"""

from __future__ import annotations

import math

import torch

from lmc_core.lecture.measured import Wander
from lmc_core.lecture.sandbox import Live, distance
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import SymmetryClass, permutations_only


def wander(live: Live, count: int, seed: int) -> Wander:
    """Permute units, heads and coordinates of the residual stream at random, `count` times: of some
    spaces, of many, of all.

    Args:
        live: the model.
        count: how many moves.
        seed: of the permutations and of the random directions.
    """
    generator = torch.Generator().manual_seed(seed)
    layout, state = live.model.layout, live.model.state
    classes = permutations_only(layout.spaces)
    movable = [
        name
        for name, space in layout.spaces.items()
        if classes[space.kind] is SymmetryClass.PERMUTATION
    ]
    length = math.sqrt(sum(float(tensor.square().sum()) for tensor in state.values()))
    found = Wander([], [], [])
    for _ in range(count):
        drawn = Alignment.random(layout.spaces, classes, generator).elements
        share = float(torch.rand((), generator=generator))
        kept = [
            name for name in movable if float(torch.rand((), generator=generator)) < share
        ] or movable[:1]
        moved = live.moved({name: drawn[name] for name in kept})
        found.distances.append(distance(state, moved))
        found.permuted.append(live.difference(moved))
        noise = {
            n: torch.randn(t.shape, generator=generator, dtype=torch.float64)
            for n, t in state.items()
        }
        scale = (
            found.distances[-1]
            * length
            / math.sqrt(sum(float(tensor.square().sum()) for tensor in noise.values()))
        )
        found.random.append(
            live.difference({name: tensor + scale * noise[name] for name, tensor in state.items()})
        )
    return found


def orders(live: Live) -> float:
    """Decimal logarithm of the number of permutations of a model: of its residual stream, units,
    heads and experts.
    """
    layout = live.model.layout
    classes = permutations_only(layout.spaces)
    total = 0.0
    for space in layout.spaces.values():
        if classes[space.kind] is SymmetryClass.PERMUTATION:
            total += space.copies * math.lgamma(space.size + 1)
    return total / math.log(10)
