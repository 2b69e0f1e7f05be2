"""Lines to a soft end, which is another function than B: they are measured against what A and B
lose themselves.

    excess(lam) = L(lam) - [(1 - lam) L_A + lam L_B],

L_B the loss of B itself, not that of the soft end, so that the excess at lam = 1 is what B lost by
being averaged, and counts. Against the chord to its own end a line to a model that is bad would
look flat.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.paths.barrier import Barrier
from lmc_core.paths.curve import Curve


@dataclass(frozen=True)
class TrueEnds:
    """A curve against the chord between the losses of the two models themselves.

    Attributes:
        chord: in nats, float64 `[points]`.
        excess: of each example, float64 `[points, examples]`; zero at 0, what the soft end lost at
            1.
        barrier: the largest mean excess over all points but the first.
        own: mean loss of B itself.
    """

    chord: Tensor
    excess: Tensor
    barrier: Barrier
    own: float


def place_to_soft_end(mean: Tensor) -> Tensor:
    """Which point of a line to a soft end its barrier is at: the largest mean excess
    `[..., points]` but for the first.
    """
    return 1 + mean[..., 1:].argmax(-1)


def against_true_ends(found: Curve, own: Tensor) -> TrueEnds:
    """Compare a line from A to a soft end of B with what A and B lose themselves.

    Args:
        found: the curve, from 0 to 1.
        own: losses of B itself on the same examples, `[examples]`.
    """
    weight, losses, own = found.lam.double()[:, None], found.losses.double(), own.double()
    chord = (1 - weight) * losses[:1] + weight * own
    above = losses - chord
    index = int(place_to_soft_end(above.mean(1)))
    row = above[index]
    barrier = Barrier(
        float(row.mean()), float(stderr(row, found.groups)), float(found.lam[index]), index
    )
    return TrueEnds(chord.mean(1), above, barrier, float(own.mean()))
