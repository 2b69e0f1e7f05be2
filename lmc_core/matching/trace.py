"""What a matcher did, in numbers that can be stored and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it loads torch
    from torch import Tensor

    from lmc_core.models.model import Model


@dataclass(frozen=True)
class Trace:
    """What a matcher did.

    Attributes:
        objective: of matching without gradients, after every visit of a space, as a share of the
            largest possible; the first is that of the start. Of large models: after every round.
        before: its value with nothing moved.
        start: which start won.
        starts: the last objective of every start.
        rounds: rounds until convergence of the winner.
        about: what else the method has to say, as plain JSON values.
    """

    objective: tuple[float, ...]
    before: float
    start: str
    starts: Mapping[str, float]
    rounds: int
    about: Mapping[str, Any] = field(default_factory=dict)

    def soft_end(self, model: Model) -> Model | None:
        """Where the line leads in place of model B in A's coordinates, for a method that averages
        its rows: another function than B. None for the others.
        """
        return None

    def displacement(self) -> Mapping[str, Tensor] | None:
        """How far the control point of a curve that was learned with the alignment lies from the
        midpoint of the line, by parameter, in A's coordinates. None for a straight line.
        """
        return None
