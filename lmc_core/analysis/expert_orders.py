"""The loss in the middle of the line for every order of the experts of a mixture, the rest of the
alignment held.

Inside each order the units of the experts are matched anew. Four experts have 24 orders. With
several mixtures each is looked at by itself, the others in the order that the alignment found; and
all of them together in one common order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.experts import Mixture
from lmc_core.matching.state import MatchingState
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective
from lmc_core.models.model import Model
from lmc_core.paths.line import Line
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Element, Permutation
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks import Examples
from lmc_core.tasks.evaluator import Evaluator, States

MOST = 24  # orders that are tried
ALL = "all"


@dataclass(frozen=True)
class Orders:
    """All orders of the experts of one mixture, or one common order of all mixtures.

    Attributes:
        mixture: name of its space (``experts.0``), or ``all``.
        orders: row by row, the expert of B (as B was before it was aligned) that stands at each
            place of A, int64 `[orders, experts]`.
        losses: loss of each example in the middle of the line in nats, float32
            `[orders, examples]`.
        ends: mean of the losses of both ends in nats, float32 `[examples]`.
        naive: number of the order in which nothing changes place.
        found: number of the order that the alignment has; None where mixtures have different ones.
    """

    mixture: str
    orders: Tensor
    losses: Tensor
    ends: Tensor
    naive: int
    found: int | None

    @property
    def excess(self) -> Tensor:
        """Mean loss in the middle above that of the ends, in nats, float64 `[orders]`."""
        return (self.losses.double() - self.ends.double()).mean(1)

    @property
    def rank(self) -> int | None:
        """How many orders have less loss than the one that the alignment has."""
        return None if self.found is None else int((self.excess < self.excess[self.found]).sum())


def mixtures(layout: Layout) -> list[str]:
    """The outermost spaces of all mixtures: of their experts, or of the groups that these live
    within.
    """
    return [
        (*layout.path(name), name)[0]
        for name, space in layout.spaces.items()
        if space.kind == "experts"
    ]


def all_orders(layout: Layout, root: str) -> Tensor:
    """All orders of the experts of a mixture that its router admits, flat, int64
    `[orders, experts]`; the first is the present.

    Raises:
        BadInput: if there are more than `MOST`.
    """
    groups, each = _sizes(layout, root)
    count = number_of_orders(layout, root)
    if count > MOST:
        raise BadInput(
            f"The experts of {root} have {count} orders; all orders are tried of at most {MOST}, "
            "as of 4 experts."
        )
    inside = list(permutations(range(each)))
    return torch.tensor(
        [
            [
                group * each + place
                for group, choice in zip(outer, inner, strict=True)
                for place in choice
            ]
            for outer in permutations(range(groups))
            for inner in product(inside, repeat=groups)
        ]
    )


def number_of_orders(layout: Layout, root: str) -> int:
    """How many orders the experts of a mixture have: those of the groups times those inside
    each.
    """
    groups, each = _sizes(layout, root)
    return factorial(groups) * factorial(each) ** groups


def random_order(layout: Layout, root: str, generator: torch.Generator) -> Tensor:
    """One order of the experts of a mixture, drawn uniformly, flat, int64 `[experts]`."""
    groups, each = _sizes(layout, root)
    outer = torch.randperm(groups, generator=generator)
    inner = torch.stack([torch.randperm(each, generator=generator) for _ in range(groups)])
    return (outer[:, None] * each + inner).flatten()


def require_mixture(model: Model) -> None:
    """Refuse a network without experts."""
    if not mixtures(model.layout):
        raise BadInput(
            f"{model.name} has no experts, so there are no orders to try; choose a mixture of "
            "experts."
        )


def every_order(
    a: Model,
    b: Model,
    alignment: Alignment,
    classes: Classes,
    examples: Examples,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> list[Orders]:
    """Try every order of each mixture, then every common order of all mixtures.

    Args:
        a: the model that stays.
        b: the model that moved, where the alignment brought it.
        alignment: that brought it there.
        classes: chosen class of each kind of space; units move as it says.
        examples: what the loss is measured on.
        device: where to run.
        progress: called with the share done; may raise to stop.

    Returns:
        One entry for each mixture, in the order of the blocks, and one for all together if there
        are several.

    Raises:
        BadInput: for a network without experts, or of too many orders.
    """
    require_mixture(a)
    layout, roots = a.layout, mixtures(a.layout)
    wanted = {root: all_orders(layout, root) for root in roots}
    back = {root: find_order(layout, alignment, root).argsort() for root in roots}
    moved = MatchingState(make_objective(layout, a.state, b.state, classes, WeightSettings()))
    parts = {root: Mixture(moved, layout.spaces[root]) for root in roots}
    evaluator = Evaluator(a, examples, device)
    ends = evaluator.losses([a.state, b.state])[0].mean(0)

    tried = [[root] for root in roots] + ([roots] if len(roots) > 1 else [])
    total, done, result = sum(len(wanted[names[0]]) for names in tried), 0, []
    for names in tried:
        orders = wanted[names[0]]

        def middle(order: Tensor, names: Sequence[str] = names) -> Mapping[str, Tensor]:
            step: dict[str, Element] = {}
            for name in names:
                step |= parts[name].given(back[name][order])
            state = Alignment.of(layout.spaces, step).apply(b.layout, b.state)
            return Line(a, b.with_state(state)).state(0.5)

        def tell(share: float, done: int = done, count: int = len(orders)) -> None:
            progress((done + share * count) / total)

        losses, _ = evaluator.losses(States(middle, list(orders)), tell)
        done += len(orders)
        present = [back[name].argsort() for name in names]
        alike = all(torch.equal(each, present[0]) for each in present)
        found = int((orders == present[0]).all(1).nonzero()[0, 0]) if alike else None
        title = _experts(layout, names[0]) if len(names) == 1 else ALL
        result.append(Orders(title, orders, losses, ends, 0, found))
    return result


def find_order(layout: Layout, alignment: Alignment, root: str) -> Tensor:
    """The expert of B that an alignment puts at each place of A, flat, int64 `[experts]`."""
    groups, each = _sizes(layout, root)
    outer = alignment.elements[root]
    assert isinstance(outer, Permutation)
    if layout.spaces[root].kind == "experts":
        return outer.indices
    inner = alignment.elements[_experts(layout, root)]
    assert isinstance(inner, Permutation)
    return (outer.indices[:, None] * each + inner.indices).flatten()


def _experts(layout: Layout, root: str) -> str:
    return next(
        n
        for n, space in layout.spaces.items()
        if space.kind == "experts" and root in (n, space.within)
    )


def _sizes(layout: Layout, root: str) -> tuple[int, int]:
    """Number of groups, and of experts in each."""
    space = layout.spaces[_experts(layout, root)]
    return space.copies, space.size
