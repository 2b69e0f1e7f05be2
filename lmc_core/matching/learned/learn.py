"""Learned matching: go on from another method by following the gradient of the task's loss on the
line.

    minimise  E_lam E_(x, y)  loss( f[(1 - lam) g_A A + lam g_B g_0 B](x), y ),
    lam ~ U(1/2 - s, 1/2 + s)

over maps g near the identity (`charts`) and permutations (`rows`); g_0 is what the other method
found. One-sided learning moves B alone. Dual learning moves both ends towards a common line; its
path has an exact one-sided twin, because every move multiplies weights by fixed matrices: (1 - lam)
g_A A + lam g_B g_0 B = g_A [(1 - lam) A + lam g_A^-1 g_B g_0 B] computes what the bracket computes.
So what is returned is one alignment of B either way.

The targets are by default what the end models themselves predict, mixed like their weights. They
are known for nothing, as no map changes them, and carry less noise than labels (see docs/LOG.md).

Theus et al. 2025 (arXiv 2506.22712) for learned maps (with projections, one-sided, lam in U(0.4,
0.6)), arXiv 2606.23607 (2026) for both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from lmc_core.errors import BadInput
from lmc_core.matching.activation import ActivationSettings
from lmc_core.matching.activation_search import match_activations
from lmc_core.matching.learned.descent import Descent
from lmc_core.matching.learned.kept_start import forget_start, kept_start
from lmc_core.matching.learned.learner import Learner
from lmc_core.matching.learned.method import LearnedSettings
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.trace import Trace
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import match_by_weights
from lmc_core.symmetry.alignment import Alignment
from lmc_core.tasks.learning import Learning


def match_and_learn(
    given: MatcherInput,
    settings: LearnedSettings,
    both: bool = False,
    make: Callable[..., Learner] = Learner,
) -> tuple[Alignment, Trace]:
    """Find a start by another method, or take the one that an interrupted run kept, and learn; for
    the arguments see `learn`.
    """
    first = given.within(0.0, 0.05)

    def find() -> tuple[Alignment, Trace]:
        if settings.start == "activation":  # on examples that it has anyway
            return match_activations(first, ActivationSettings())
        return match_by_weights(first, WeightSettings())

    start = kept_start(given, settings.start, find)
    found = learn(given.within(0.05, 1.0), *start, settings, both, make)
    forget_start(given)
    return found


def match_both(given: MatcherInput, settings: LearnedSettings) -> tuple[Alignment, Trace]:
    """The same with both ends moving."""
    return match_and_learn(given, settings, both=True)


def learn(
    given: MatcherInput,
    start: Alignment,
    trace: Trace,
    settings: LearnedSettings,
    both: bool = False,
    make: Callable[..., Learner] = Learner,
) -> tuple[Alignment, Trace]:
    """Go on from `start` by gradient.

    Args:
        given: both models in canonical form, and examples of the training split.
        start: what brings B over before anything is learned.
        trace: of the method that found it.
        settings: how to learn.
        both: whether both ends move.
        make: makes the learner, of the arguments of `Learner`.

    Returns:
        The alignment of B alone, and the trace with what was learned in `about`. Never worse than
        the start on the held-out examples, and one that `given.keeps`, unless that is the start
        itself.

    Raises:
        BadInput: if there are no examples to learn from.
    """
    if given.train is None or given.held_out is None:
        raise BadInput(
            "Learned matching needs examples of a training split; choose a task that has one."
        )
    kept = start.to("cpu", given.layout.spaces)  # where learned maps are, in float64

    def draw(generator: torch.Generator) -> list[float]:
        lam = 0.5 + settings.spread * (2 * float(torch.rand((), generator=generator)) - 1)
        return [1 - lam, lam]

    def of_b_alone(found: Sequence[Alignment]) -> Alignment:
        of_a, of_b = found
        return of_a.inverse().compose(of_b).compose(kept)

    descent = Descent(
        # the learner has copies of its own: B is not held a second time here
        (given.a, given.b.with_state(start.apply(given.layout, given.b.state))),
        given.classes,
        (0, 1) if both else (1,),
        draw,
        settings,
        Learning(given.train, given.held_out, given.device, given.checkpoint, given.seed),
        (given.a.digest, given.b.digest),
        given.progress,
        lambda found: given.keeps(of_b_alone(found)),
        make,
    )
    found, about = descent.finish()
    told = replace(trace, about={**trace.about, **about})
    return of_b_alone(found), descent.learner.complete(told)
