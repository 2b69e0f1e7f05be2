"""The loss along the line for many orders of the experts of a mixture: the fan of curves that the
order alone opens.

Everything but the experts stays as an alignment found it, and the units inside each expert are
matched anew for every order. A fan belongs to one mixture, all others in the order that their exact
costs choose; or to all mixtures together, which have far too many orders to try, so that those with
a name and a few drawn at random are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from lmc_core.analysis.expert_orders import (
    ALL,
    MOST,
    all_orders,
    find_order,
    mixtures,
    number_of_orders,
    random_order,
)
from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.matching.expert_costs import NAIVE, WAYS, ExpertCosts, expert_costs
from lmc_core.matching.experts import Mixture
from lmc_core.matching.state import MatchingState
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective
from lmc_core.models.model import Model
from lmc_core.paths.barrier import Barrier, barrier
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator, States

BEST, WORST = "best", "worst"
FOUND = "found"  # the order that an alignment has, where that is not one by weights


@dataclass(frozen=True)
class Fan:
    """The curves of some orders.

    Attributes:
        mixture: name of the outermost space of its experts, or ``all``.
        orders: the expert of B, as B was numbered before it was aligned, at each place of A, int64
            `[orders, mixtures, experts]`; one mixture, or all of them.
        losses: of each example in nats, float32 `[orders, points, examples]`.
        named: number of the order by ``naive``, ``router``, ``gram``, ``exact``, ``best`` and
            ``worst``; that of the alignment by ``found``, where it was asked for.
        there: how many orders there are; more than were measured where they were drawn.
    """

    mixture: str
    orders: Tensor
    losses: Tensor
    named: Mapping[str, int]
    there: int

    def barriers(self, lam: Tensor) -> list[Barrier]:
        """The barrier of every curve at the points `lam`."""
        return [barrier(lam, each) for each in self.losses]


class Orders:
    """The experts of two aligned models, ready to be put into any order.

    Args:
        a: the model that stays.
        b: the model that moved, where the alignment brought it.
        alignment: that brought it there.
        classes: chosen class of each kind of space; units move as it says.
        found: whether the order that the alignment has is one of those with a name.

    Raises:
        BadInput: for a network without experts.
    """

    def __init__(
        self, a: Model, b: Model, alignment: Alignment, classes: Classes, found: bool = False
    ):
        self.a, self.b, self.layout, self.roots = a, b, a.layout, mixtures(a.layout)
        if not self.roots:
            raise BadInput(
                f"{a.name} has no experts, so there are no orders to try; choose a mixture of "
                "experts."
            )
        moved = MatchingState(
            make_objective(self.layout, a.state, b.state, classes, WeightSettings())
        )
        self._parts = {root: Mixture(moved, self.layout.spaces[root]) for root in self.roots}
        self._present = {root: find_order(self.layout, alignment, root) for root in self.roots}
        self.costs: dict[str, ExpertCosts] = {
            root: expert_costs(part).seen_from(self._present[root])
            for root, part in self._parts.items()
        }
        self.ways = (NAIVE, *WAYS, FOUND) if found else (NAIVE, *WAYS)
        if found:
            self.costs = {
                root: ExpertCosts(each.costs, {**each.orders, FOUND: self._present[root]})
                for root, each in self.costs.items()
            }

    def chosen(self, way: str) -> dict[str, Tensor]:
        """The order of every mixture by one of `ways`."""
        return {root: costs.orders[way] for root, costs in self.costs.items()}

    def line(self, orders: Mapping[str, Tensor]) -> Line:
        """The line to B with its experts in some order, the units inside them matched for it.

        Args:
            orders: by mixture, the expert of B at each place of A; those left out stay where the
                alignment put them.
        """
        elements: dict[str, Element] = {}
        for root, order in orders.items():
            back = self._present[root].argsort()
            elements |= self._parts[root].given(back[order])
        state = Alignment.of(self.layout.spaces, elements).apply(self.b.layout, self.b.state)
        return Line(self.a, self.b.with_state(state))


def fans(
    orders: Orders,
    examples: Examples,
    lam: Tensor,
    draws: int = MOST,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> list[Fan]:
    """Measure the fan of every mixture, then that of all together if there are several.

    Args:
        orders: of two aligned models.
        examples: what the loss is measured on.
        lam: points from 0 to 1, both included, float64 `[points]`.
        draws: orders drawn at random, besides those with a name, where not all can be tried.
        seed: of the draw.
        device: where to run.
        progress: called with the share done; may raise to stop.
    """
    require_counts(draws=draws, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    wanted = {root: _wanted(orders, root, draws, generator) for root in orders.roots}
    several = len(orders.roots) > 1
    count = sum(len(each) for each in wanted.values()) + several * (draws + len(orders.ways) + 2)
    measure = _Measure(orders, examples, lam, device, lambda done: progress(min(1.0, done / count)))
    exact, found = orders.chosen("exact"), []
    for root in orders.roots:
        losses = measure([exact | {root: order} for order in wanted[root]])
        named = _named(wanted[root], {way: orders.costs[root].orders[way] for way in orders.ways})
        above = torch.tensor([barrier(lam, each).value for each in losses])
        named |= {BEST: int(above.argmin()), WORST: int(above.argmax())}
        found.append(
            Fan(root, wanted[root][:, None], losses, named, number_of_orders(orders.layout, root))
        )
    if several:
        found.append(_together(orders, found, draws, generator, measure))
    progress(1.0)
    return found


def _wanted(orders: Orders, root: str, draws: int, generator: torch.Generator) -> Tensor:
    """The orders of one mixture that are measured, `[orders, experts]`, each once."""
    if number_of_orders(orders.layout, root) <= MOST:
        return all_orders(orders.layout, root)
    rows = [orders.costs[root].orders[way] for way in orders.ways]
    return _distinct([*rows, *(random_order(orders.layout, root, generator) for _ in range(draws))])


def _together(
    orders: Orders, apart: Sequence[Fan], draws: int, generator: torch.Generator, measure: _Measure
) -> Fan:
    """All mixtures at once: each by one way, each in its best or worst order, and orders drawn at
    random.
    """
    ways = {way: torch.stack([*orders.chosen(way).values()]) for way in orders.ways}
    ways |= {
        end: torch.stack([fan.orders[fan.named[end], 0] for fan in apart]) for end in (BEST, WORST)
    }
    drawn = [
        torch.stack([random_order(orders.layout, root, generator) for root in orders.roots])
        for _ in range(draws)
    ]
    rows = _distinct([*ways.values(), *drawn])
    losses = measure([dict(zip(orders.roots, row, strict=True)) for row in rows])
    return Fan(ALL, rows, losses, _named(rows, ways), prod(fan.there for fan in apart))


def _distinct(rows: Sequence[Tensor]) -> Tensor:
    """The rows, each where it comes first."""
    return torch.stack(
        [
            row
            for i, row in enumerate(rows)
            if not any(torch.equal(row, other) for other in rows[:i])
        ]
    )


def _named(rows: Tensor, ways: Mapping[str, Tensor]) -> dict[str, int]:
    return {
        way: next(i for i, row in enumerate(rows) if torch.equal(row, order))
        for way, order in ways.items()
    }


class _Measure:
    """The losses of orders at all points; the ends are measured once, as no order changes what B
    computes.
    """

    def __init__(
        self,
        orders: Orders,
        examples: Examples,
        lam: Tensor,
        device: str,
        tell: Callable[[float], None],
    ):
        self.orders, self.examples, self.lam, self.device, self.tell = (
            orders,
            examples,
            lam,
            device,
            tell,
        )
        self.evaluator = Evaluator(orders.a, examples, device)
        self.ends, _ = self.evaluator.losses([orders.a.state, orders.b.state])
        self.done = 0

    def __call__(self, chosen: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Losses of each order, float32 `[orders, points, examples]`."""
        rows = []
        for each in chosen:
            line = self.orders.line(each).on(self.device)
            inner, _ = self.evaluator.losses(States(line.state, self.lam[1:-1].tolist()))
            rows.append(torch.cat([self.ends[:1], inner, self.ends[1:]]))
            self.done += 1
            self.tell(self.done)
        return torch.stack(rows)
