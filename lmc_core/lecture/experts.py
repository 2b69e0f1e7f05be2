"""Experts of a mixture change places: with the rows of their router, or without."""

from __future__ import annotations

from torch import Tensor

from lmc_core.lecture.exchange import swapped
from lmc_core.lecture.measured import Routed
from lmc_core.lecture.sandbox import Live, State
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.elements import Permutation
from lmc_core.tasks import losses


def exchange_experts(live: Live, block: int, i: int, j: int, follow: bool = True) -> Routed:
    """Exchange experts i and j of one block.

    Args:
        live: a decoder with a mixture in that block.
        block: number of the block.
        i: an expert.
        j: another, or the same for nothing.
        follow: whether the rows of the router follow their experts.
    """
    space, name = f"experts.{block}", f"blocks.{block}.router.weight"
    order = swapped(live.model.layout.spaces[space].size, i, j)
    state = live.moved({space: Permutation(order)})
    if not follow:
        live.block(name, state).copy_(live.block(name))
    outputs, choice = run(live, name, state)
    loss, _ = losses(outputs, live.examples.targets)
    return Routed(
        choice.numpy(),
        order.numpy(),
        live.block(name, state).numpy().copy(),
        float(loss.mean()),
        relative_difference(live.reference, outputs),
    )


def run(live: Live, name: str, state: State) -> tuple[Tensor, Tensor]:
    """The outputs, and the place that a router scores highest for each token of the first example,
    `[tokens]`.
    """
    parameter = live.model.layout.by_name[name].parameter
    outputs, read = live.reading(parameter.removesuffix(".weight"), state)
    tokens = read.flatten(0, -2)[: live.examples.inputs.shape[1]]
    return outputs, (tokens @ state[parameter].mT).argmax(-1)
