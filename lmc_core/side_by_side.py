"""Independent pieces of work on all cores that torch may use, each on one of them.

A product of matrices of one layer gains little from several threads: on two cores a round of weight
matching of 410 million parameters took 72 s by the clock with one thread, 50 to 65 s (and 100 s of
the processor) with two for every product, and 38 to 41 s with layers that do not touch each other
worked on side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from lmc_core.lazy_torch import torch

T = TypeVar("T")
AHEAD = 2  # pieces for each thread, begun or done, so that one that takes long lets others go on


def side_by_side(pieces: Sequence[Callable[[], T]], device: torch.device) -> Iterator[T]:
    """Results of independent pieces of work, in their order.

    Args:
        pieces: called on threads of their own where `device` is the CPU and torch may use several
            threads; as many at a time as these are, and `AHEAD` times as many results wait at the
            most. One piece alone is called on this thread, with all of them.
        device: where they compute; an accelerator gets its work from one thread.
    """
    count = torch.get_num_threads()
    if min(count, len(pieces)) == 1 or device.type != "cpu":
        yield from (piece() for piece in pieces)
        return
    rest = iter(pieces)
    with ThreadPoolExecutor(count, "layer", _begin, (torch.is_grad_enabled(),)) as pool:
        waiting = [pool.submit(piece) for piece in islice(rest, AHEAD * count)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(piece) for piece in islice(rest, 1)]


def _begin(gradients: bool) -> None:
    """Set what torch keeps for each thread: one core, and gradients as whoever asked has them."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(gradients)
