"""Lines to a soft end, which is another function than B: they are measured against what A and B
lose themselves.

    excess(lam) = L(lam) - [(1 - lam) L_A + lam L_B],

L_B the loss of B itself, not that of the soft end, so that the excess at lam = 1 is what B lost by being averaged, and counts. Against the chord to its
own end a line to a model that is bad would look flat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.pair import align_pair
from lmc_core.matching.soft.method import SoftSettings
from lmc_core.models.model import Model
from lmc_core.paths.barrier import Barrier
from lmc_core.paths.curve import Curve, evaluate, measure
from lmc_core.paths.line import Line
from lmc_core.symmetry.spaces import SymmetryClass
from lmc_core.tasks import Examples

CHECKED = 16  # examples the function check runs on


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


@dataclass(frozen=True)
class SweepPoint:
    """One temperature of a sweep; losses are means in nats.

    Attributes:
        temperature: of the soft end; 0 for none.
        hard_midpoint: loss half way to the hard end.
        hard_barrier: of the line to the hard end, and its standard error.
        midpoint: loss half way to the soft end; that of the hard end at temperature 0.
        end: loss of the soft end.
        barrier: of the line to the soft end, against the chord between A and B themselves, and its
            standard error.
        function_error: largest relative difference of the soft end's outputs from B's.
        about: what the matcher says of its matches: ``entropy`` in nats, ``sharp``, ``objective``.
        objective: of the hard end, as a share of the largest possible.
        seconds: of the alignment.
    """

    temperature: float
    hard_midpoint: float
    hard_barrier: tuple[float, float]
    midpoint: float
    end: float
    barrier: tuple[float, float]
    function_error: float
    about: Mapping[str, Any]
    objective: float
    seconds: float


def sweep(
    a: Model,
    b: Model,
    examples: Examples,
    temperatures: Sequence[float],
    settings: SoftSettings | None = None,
    classes: Mapping[str, str | SymmetryClass] | None = None,
    masks: Mapping[str, Tensor] | None = None,
    points: int = 11,
    device: str = "cpu",
    progress: Callable[[float, str], None] = lambda share, words: None,
) -> list[SweepPoint]:
    """Soft matching at several temperatures, from soft to hard.

    Args:
        a: stays.
        b: moves.
        examples: what to measure on; to choose a temperature, not of the test split.
        temperatures: each is a run of its own; 0 has no soft end.
        settings: of everything else.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        masks: by parameter, the rows that count.
        points: of each line.
        device: where to measure.
        progress: called with the share done and a few words; may raise to stop.
    """
    require_counts(points=points)
    found = []
    lam = torch.linspace(0, 1, points, dtype=torch.float64)
    for number, temperature in enumerate(temperatures):

        def tell(share: float, words: str, number: int = number) -> None:
            progress((number + 0.9 * share) / len(temperatures), words)

        chosen = replace(settings or SoftSettings(), temperature=float(temperature))
        pair = align_pair(
            a, b, examples.first(CHECKED).inputs, classes, "soft", chosen, masks, tell
        )
        tell(1.0, "measuring")
        found.append(_point(pair, float(temperature), lam, examples, device))
    return found


def _point(
    pair: AlignedPair, temperature: float, lam: Tensor, examples: Examples, device: str
) -> SweepPoint:
    hard = measure(Line(pair.a, pair.b), lam, examples, device)
    own, _ = evaluate(pair.b, [pair.b.state], examples, device)
    soft = (
        hard if pair.soft is None else measure(Line(pair.a, pair.soft.model), lam, examples, device)
    )
    ends = against_true_ends(soft, own[0])
    middle = int((lam - 0.5).abs().argmin())
    return SweepPoint(
        temperature=temperature,
        hard_midpoint=float(hard.mean[middle]),
        hard_barrier=(hard.barrier.value, hard.barrier.stderr),
        midpoint=float(soft.mean[middle]),
        end=float(soft.mean[-1]),
        barrier=(ends.barrier.value, ends.barrier.stderr),
        function_error=pair.function_error if pair.soft is None else pair.soft.function_error,
        about={name: pair.trace.about["soft"][name] for name in ("entropy", "sharp", "objective")},
        objective=pair.trace.objective[-1],
        seconds=pair.seconds,
    )
