"""Several models into one frame: onto a chosen model, or into a universe of their own that learning
then refines.

Every model k gets one alignment g_k; the map from model j to model i is g_i^-1 g_j, so cycles
compose to the identity (`cycles`). By weights alone the frame is that of the model onto which all
others match best, or of the mean of the aligned, visited in turn (`frame`); the better one by the
objective, which sees no data, is kept. Learning goes on from there,

    minimise  E_w E_(x, y)  loss( f[sum_k w_k h_k g_k theta_k](x), y ),
    w ~ Dirichlet(c, ..., c),

over maps h_k near the identity. Moving all models by one element changes nothing, so the first
model stays and h_1 = 1.

Theus et al. 2025 (arXiv 2506.22712, several models); Crisostomi et al. 2024 (arXiv 2405.17897,
cycle-consistent permutations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lmc_core.errors import BadInput
from lmc_core.matching.consensus import Consensus
from lmc_core.matching.learned.descent import Descent
from lmc_core.matching.matcher_input import ManyInput
from lmc_core.matching.reference import ReferenceSettings
from lmc_core.matching.trace import Trace
from lmc_core.matching.universe import UniverseSettings
from lmc_core.symmetry.alignment import Alignment

CALM = 0.3  # share of the progress that is given to weights where learning follows


def match_onto(group: ManyInput, settings: ReferenceSettings) -> tuple[list[Alignment], Trace]:
    """Bring all models onto one of them by weight matching; the first stays where it is, see
    `Consensus.from_the_first`.
    """
    _, trace, frame = _onto(
        group, settings.reference, lambda share: group.progress(share, "matching the weights")
    )
    return frame.from_the_first(), trace


def match_universe(group: ManyInput, settings: UniverseSettings) -> tuple[list[Alignment], Trace]:
    """Find a universe by weights, then learn.

    Returns:
        One alignment for every model, that of the first the identity; and the trace of the
        objective, with what was learned. Never worse on the held-out examples than by weights
        alone.

    Raises:
        BadInput: if there are no examples to learn from.
    """
    if settings.steps and group.learning is None:
        raise BadInput(
            "A universe is learned from examples of a training split; give them, or set steps=0 "
            "for weights alone."
        )
    share = CALM if settings.steps else 1.0

    def tell(done: float) -> None:
        group.progress(share * done, "matching the weights")

    frame, trace, found = _onto(group, settings.reference, lambda done: tell(0.6 * done))
    values, kept = list(trace.objective), "reference"
    if settings.frame != "reference":
        at_reference = list(found.found)
        values += found.settle(
            settings.rounds, settings.tolerance, lambda done: tell(0.6 + 0.4 * done)
        )[1:]
        kept = "mean"
        if settings.frame == "best" and len(values) == 1:
            found.found, kept = at_reference, "reference"
    starts = found.from_the_first()
    about: dict[str, object] = {**trace.about, "frame": kept}
    if settings.steps:
        assert group.learning is not None
        starts, learned = _learn(group, starts, settings, share)
        about |= learned
    return starts, Trace(
        tuple(values), trace.before, trace.start, trace.starts, len(values) - 1, about
    )


def _onto(
    group: ManyInput, reference: int, tell: Callable[[float], None]
) -> tuple[int, Trace, Consensus]:
    names = [model.name for model in group.models]
    if reference > len(names):
        raise BadInput(
            f"reference should be at most {len(names)}, the number of models; {reference} came."
        )
    frame = Consensus(
        group.models[0].layout, [model.state for model in group.models], group.classes, group.masks
    )
    before = frame.objective(frame.units)
    best, tried = frame.onto(reference - 1 if reference else None, tell)
    starts = {f"{number + 1}: {names[number]}": value for number, value in tried.items()}
    start = f"{best + 1}: {names[best]}"
    return best, Trace((tried[best],), before, start, starts, 0, {"reference": best + 1}), frame


def _learn(
    group: ManyInput, starts: list[Alignment], settings: UniverseSettings, begin: float
) -> tuple[list[Alignment], dict[str, object]]:
    assert group.learning is not None
    count = len(group.models)

    def draw(generator: torch.Generator) -> list[float]:
        seed = int(torch.randint(2**31, (), generator=generator))
        return np.random.default_rng(seed).dirichlet([settings.concentration] * count).tolist()

    def whole(steps: Sequence[Alignment]) -> list[Alignment]:
        return [step.compose(start) for step, start in zip(steps, starts, strict=True)]

    moved = [
        m.with_state(g.apply(m.layout, m.state)) for m, g in zip(group.models, starts, strict=True)
    ]
    spaces = moved[0].layout.spaces
    starts = [start.to("cpu", spaces) for start in starts]  # where learned maps are, in float64
    descent = Descent(
        moved,
        group.classes,
        range(1, count),
        draw,
        settings,
        group.learning,
        [model.digest for model in group.models],
        lambda share, words: group.progress(begin + (1 - begin) * share, words),
        lambda steps: group.keeps(whole(steps)),
    )
    steps, about = descent.finish()
    return whole(steps), about
