"""Learn the maps and the bend of a curve together.

    theta(t) = (1 - t) A + t g B + 2 t (1 - t) D
    minimise over g and D   E_t E_(x, y)  loss( f[theta(t)](x), y ),   t ~ U(1/2 - s, 1/2 + s)

theta is the quadratic Bezier curve from A to g B with the control point (A + g B) / 2 + D
(Garipov et al. 2018, arXiv 1802.10026), written so that D = 0 is the straight line and the maps g
are learned as on it. D is in the coordinates of A and stays where it is when a map moves B. The
maps keep the function of B; D is a further set of parameters, and no point of the curve but its
ends is a model that was trained.

Maps follow SOAP and D follows Muon and Adam (`bend_optimiser`), in the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from statistics import fmean
from typing import cast

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.learned.bend_optimiser import BendOptimiser, BendOptimiserState
from lmc_core.matching.learned.learn import match_and_learn
from lmc_core.matching.learned.learner import Learner, LearnerState
from lmc_core.matching.learned.method import JointSettings
from lmc_core.matching.learned.mixture import Mixture
from lmc_core.matching.learned.moved_state import Slopes
from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.trace import Trace
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.layout import State
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks.task import Examples

WATCHED = (0.25, 0.5, 0.75)  # where the held-out loss is measured


@dataclass(frozen=True)
class BentTrace(Trace):
    """What learning a curve did.

    Attributes:
        bend: D by parameter, in float32; None before it is known.
    """

    bend: Mapping[str, Tensor] | None = None

    def displacement(self) -> Mapping[str, Tensor] | None:
        """D by parameter."""
        return self.bend


class BentState(LearnerState):
    """What an interrupted run needs besides: D and its optimiser."""

    bend: dict[str, Tensor]
    bending: BendOptimiserState


class BentMixture(Mixture):
    """A point of the curve; for the other arguments see `Mixture`.

    Args:
        bend: D by parameter.
    """

    def __init__(self, bend: State, *arguments: object, **named: object):
        super().__init__(*arguments, **named)  # type: ignore[arg-type]  (passed on)
        self.bend = bend

    def parameter(self, name: str) -> Tensor:
        """One parameter, differentiable in D."""
        height = 2 * self.weights[0] * self.weights[1]
        straight = super().parameter(name)
        return torch.add(straight, self.bend[name], alpha=height) if height else straight


class BentLearner(Learner):
    """Maps of B, and the bend of the curve to it.

    Args:
        rates: of the bend, of Adam and of Muon.
        models: two, as for `Learner`, like the other arguments.
        classes: chosen class of each kind of space.
        moves: numbers of the models that have smooth maps.
        rate: how far a vector turns in one step.
        rows_rate: how far latents of permutations move in one step.
        device: where to run.

    Raises:
        BadInput: for models that run layer by layer, of which no further copies are held.
    """

    def __init__(
        self,
        rates: tuple[float, float],
        models: Sequence[Model],
        classes: Classes,
        moves: Sequence[int],
        rate: float,
        rows_rate: float,
        device: str,
    ):
        super().__init__(models, classes, moves, rate, rows_rate, device)
        if self.by_layer is not None:
            raise BadInput(
                "The method joint holds four further copies of a model, which is done below 67 "
                f"million parameters; {models[0].name} has {models[0].parameters:,}. Use the "
                "method learned and a bend after it."
            )
        self.bend = {
            name: torch.zeros_like(tensor).requires_grad_() for name, tensor in self.ends[0].items()
        }
        self.bending = BendOptimiser(self.layout, self.bend, *rates)

    @property
    def mix(self) -> Callable[..., Mixture]:
        """What makes a point of the curve."""
        return partial(BentMixture, self.bend)

    def find_slopes(
        self, batch: Examples, soft: Sequence[Tensor] | None, weights: Sequence[float], rows: bool
    ) -> tuple[Tensor, dict[int, Slopes]]:
        """The loss of a batch at a point, and its slopes for the maps; those for D are kept with
        it.
        """
        self.bending.zero_grad()
        return super().find_slopes(batch, soft, weights, rows)

    def follow(self, slopes: Mapping[int, Slopes], share: float, rows: bool) -> None:
        """Move maps and bend."""
        super().follow(slopes, share, rows)
        self.bending.step(share)

    def loss(self, examples: Examples, size: int, weights: Sequence[float] | None = None) -> float:
        """Mean loss in nats at a point of the curve, by default over three of them."""
        if weights is not None:
            return super().loss(examples, size, weights)
        return fmean(super(BentLearner, self).loss(examples, size, [1 - t, t]) for t in WATCHED)

    def complete(self, trace: Trace) -> Trace:
        """Add D to a trace."""
        known = {field.name: getattr(trace, field.name) for field in fields(Trace)}
        bend = {name: tensor.detach().cpu() for name, tensor in self.bend.items()}
        return BentTrace(**known, bend=bend)

    def state(self) -> BentState:
        """Everything that an interrupted run needs."""
        bend = {name: tensor.detach() for name, tensor in self.bend.items()}
        return {**super().state(), "bend": bend, "bending": self.bending.state_dict()}

    def restore(self, state: LearnerState, optimiser: bool = True) -> None:
        """Go back to what `state` returned."""
        super().restore(state, optimiser)
        bent = cast(BentState, state)
        with torch.no_grad():
            for name, tensor in self.bend.items():
                tensor.copy_(bent["bend"][name])
        if optimiser:
            self.bending.load_state_dict(bent["bending"])


def match_jointly(given: MatcherInput, settings: JointSettings) -> tuple[Alignment, Trace]:
    """Find a start by another method, and learn maps and bend; for errors see `learn`."""
    return match_and_learn(given, settings, make=partial(BentLearner, settings.bend_rates))
