"""Soft matching: doubly stochastic matches whose temperature is lowered, and the two ends that they
have.

The matches are annealed from `start` to `temperature` (`annealing`). Then there are two ends:

    hard    every soft match becomes the nearest assignment, and the cycle of weight matching goes
            on from there until it gains nothing; an alignment like any other, and the function is
            kept
    soft    above temperature 0: model B with its rows averaged by the matches as they are. An
            ordinary checkpoint of another function: what it loses has to be measured

At a low temperature both are one. At a high one the soft end is a model whose units are all alike.

Gold and Rangarajan 1996 (IEEE PAMI 18, 377); Sinkhorn 1964; Cuturi 2013 (arXiv 1306.0895).
"""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.objective import Objective
from lmc_core.matching.soft.annealing import Annealing
from lmc_core.matching.soft.method import SoftSettings
from lmc_core.matching.soft.soft_assignment import SoftMatches
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import solve
from lmc_core.matching.trace import Trace
from lmc_core.matching.weight import EDGES, WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment

LAST = 10  # visits of every space at the last temperature, at the most
GAIN = 1e-5  # of the largest possible objective: less than this gained by a round is an end


@dataclass(frozen=True)
class SoftTrace(Trace):
    """What soft matching did.

    Attributes:
        matches: what makes the soft end; None at temperature 0.
    """

    matches: SoftMatches | None = None

    def soft_end(self, model: Model) -> Model | None:
        """The soft end of a model, in float32; its scores are not those of the model. None at
        temperature 0.
        """
        if self.matches is None:
            return None
        state = {name: tensor.float() for name, tensor in self.matches.apply(model.state).items()}
        card = {name: value for name, value in model.card.items() if name == "task"}
        return model.with_state(state, name=f"{model.name}-soft", card=card)


def match_soft(given: MatcherInput, settings: SoftSettings) -> tuple[Alignment, SoftTrace]:
    """Anneal soft matches.

    Args:
        given: both models and what may move.
        settings: how.

    Returns:
        The hard end, and what was done with the matches of the soft end.

    Raises:
        BadInput: for models of more than 17 million parameters.
    """
    layout, a, b = given.layout, given.a.state, given.b.state
    problem = make_objective(layout, a, b, given.classes, WeightSettings(), given.masks)
    # refuses before anything is computed
    annealing = Annealing(problem, Alignment.of(layout.spaces, device=problem.device))
    origin = (
        WeightSettings()
        if settings.origin == "weight"
        else WeightSettings(starts=(EDGES,), scout_rounds=0, max_rounds=0)
    )
    begin = given.within(0.0, 0.3 if settings.origin == "weight" else 0.05)
    begun, trace = match_weights(
        layout,
        a,
        b,
        given.classes,
        origin,
        given.masks,
        lambda share: begin.progress(share, "matching the weights"),
    )
    annealing.begin(begun)
    rest = given.within(0.3 if settings.origin == "weight" else 0.05, 1.0)
    visits = _anneal(annealing, settings, rest)
    matches = annealing.found()
    nearest = matches.hardened()
    found, objective = harden(problem, nearest)
    entropy, largest, count = matches.rows()
    total = max(float(count.sum()), 1e-300)
    about = {
        "soft": {
            "temperature": settings.temperature,
            "entropy": float((entropy * count).sum()) / total,
            "sharp": float(((largest > 0.5) * count).sum()) / total,
            "objective": annealing.objective,
            "rounds": visits,
            "softened": sorted({space.kind for space in annealing.soft}),
        },
        "objective_of_origin": trace.objective[-1],
    }
    return found, SoftTrace(
        objective=tuple(objective),
        before=trace.before,
        start=settings.origin,
        starts={settings.origin: objective[-1]},
        rounds=len(objective) - 1,
        about=about,
        matches=matches if settings.temperature > 0 else None,
    )


def _anneal(annealing: Annealing, settings: SoftSettings, given: MatcherInput) -> int:
    """Lower the temperature, and stay at the last until nothing is gained; returns how many rounds
    there were.
    """
    schedule = settings.schedule
    for number, temperature in enumerate(schedule):
        given.progress(
            number / (len(schedule) + 2), f"soft matching at temperature {temperature:.2g}"
        )
        annealing.round(temperature)
    value = annealing.free(schedule[-1])
    for more in range(LAST):
        given.progress(
            min(0.99, (len(schedule) + 0.2 * more) / (len(schedule) + 2)),
            "soft matching at the last temperature",
        )
        annealing.round(schedule[-1])
        before, value = value, annealing.free(schedule[-1])
        if value - before < GAIN:
            return len(schedule) + more + 1
    return len(schedule) + LAST


def harden(
    problem: Objective, start: Alignment, rounds: int = 100, tolerance: float = 1e-4
) -> tuple[Alignment, list[float]]:
    """Go on from an alignment by the cycle of weight matching until a round gains less than a share
    of the largest objective.

    Returns:
        The alignment, and the objective at the start and after every round, as shares of the
        largest possible.
    """
    moved = MatchingState(problem)
    moved.take(start.elements)
    values = [moved.objective]
    for _ in range(rounds):
        for root in sorted(problem.roots, key=lambda space: space.kind == "residual"):
            moved.take(solve(moved, root))
        values.append(moved.objective)
        if values[-1] - values[-2] < tolerance:
            break
    return moved.found, values
