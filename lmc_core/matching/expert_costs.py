"""How far apart every pair of experts of two mixtures is, in the three ways by which experts are
ordered, and those orders.

For expert i of A and expert j of B, both as they stand and everything else held,

    cost_ij = (|a_i|^2 + |b_j|^2 - 2 <a_i, b_j>) / mean over pairs of (|a_i|^2 + |b_j|^2),

with what `experts` maximises in the place of <a_i, b_j>: the product of the rows of the routers
(``router``), the products that no order of units changes (``gram``), or the best value that any
order of units reaches, plus that of the rows (``exact``). The lengths add the same to every
assignment, so that the least sum of costs is the greatest value. A cost of 0 means equal, one of 1
means nothing in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.matching.experts import Mixture
from lmc_core.symmetry.arithmetic import TINY, precise

WAYS = ("router", "gram", "exact")
NAIVE = "naive"


@dataclass(frozen=True)
class ExpertCosts:
    """The experts of one mixture, pair by pair.

    Attributes:
        costs: by one of `WAYS`, row by row the cost of each expert of B at a place of A, float64
            `[experts, experts]`; without ``exact`` where experts are too many and too large to be
            compared unit by unit.
        orders: by one of `WAYS` and ``naive`` (as numbered), the expert of B at each place of A,
            int64 `[experts]`.
    """

    costs: Mapping[str, Tensor]
    orders: Mapping[str, Tensor]

    def seen_from(self, present: Tensor) -> ExpertCosts:
        """The same with the experts of B numbered as before an alignment that put expert
        `present[i]` at place i.
        """
        back = present.argsort()
        orders = {way: present[order] for way, order in self.orders.items() if way != NAIVE}
        naive = {NAIVE: torch.arange(len(present), device=present.device)}
        return ExpertCosts({way: cost[:, back] for way, cost in self.costs.items()}, naive | orders)


def expert_costs(mixture: Mixture) -> ExpertCosts:
    """Compare the experts of both models as they stand.

    Args:
        mixture: of both models.
    """
    values, lengths = (
        {"router": mixture.routers, "gram": mixture.products()},
        {"router": mixture.row_lengths},
    )
    squares = [torch.zeros_like(mixture.row_lengths) for _ in range(2)]
    for part in mixture.parts:
        whole = torch.stack([precise(side).square().sum((1, 2)) for side in part.sides])
        products = torch.stack(
            [torch.stack([precise(w @ w.mT).square().sum() for w in side]) for side in part.sides]
        )
        squares[0] += part.weight * products / whole.clamp_min(TINY)
        squares[1] += part.weight * whole
    lengths["gram"] = squares[0]
    if mixture.small:
        values["exact"], lengths["exact"] = mixture.pairs(), squares[1] + mixture.row_lengths
    naive = torch.arange(mixture.count, device=mixture.routers.device)
    orders = {NAIVE: naive} | {way: mixture.ordered(way) for way in WAYS}
    return ExpertCosts({way: _cost(value, lengths[way]) for way, value in values.items()}, orders)


def _cost(value: Tensor, lengths: Tensor) -> Tensor:
    both = lengths[0][:, None] + lengths[1]
    return (both - 2 * value) / both.mean().clamp_min(TINY)
