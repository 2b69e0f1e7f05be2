"""Several models brought into one frame by their weights alone: onto one of them, or onto the mean
of the others, in turn.

With x_k the parameters of model k as the matcher of pairs compares them (layers at one norm for
their size, readers in the metric of what they see, rows that count), the objective is the mean over
pairs of what pairs are matched by,

    J(g) = mean over j < k of <g_j x_j, g_k x_k> / bound.

For one model with the others held it is linear, <sum over j != k of g_j x_j, g_k x_k> + const, so a
visit of a model is weight matching onto the mean of the others where they stand, and J never falls.
(The mean with the model itself in it would pull it to where it is.) Every step moves a model as a
whole, so maps agree around cycles whatever the visits find.

After the rewrite, matched elements keep lengths, so the norms are those of the models before they
move. Moving all models by one element changes neither J nor what any mixture of them computes; it
is used to let the first model stay.

Of models that are read one parameter at a time nothing is kept but the alignments: a model as it is
compared, where it stands, and the mean of the others are made block by block whenever they are
looked at (`models.pieced`).

Ainsworth, Hayase, Srinivasa 2022 (arXiv 2209.04836, MergeMany) for permutations; Theus et al. 2025
(arXiv 2506.22712) for a universe of orthogonal maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from lmc_core.matching.objective import Objective, compared
from lmc_core.matching.state import MatchingState
from lmc_core.matching.weight import ALL, WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.models.lazy import is_lazy
from lmc_core.models.pieced import PiecedState, mean, moved
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.alignment import Alignment, read_pieces
from lmc_core.symmetry.arithmetic import find_device, inner, zeros
from lmc_core.symmetry.layout import Block, Layout, State
from lmc_core.symmetry.spaces import Classes

Tell = Callable[[float], None]
PAIRS = WeightSettings("none", spread=0.0)  # of what is scaled already
# from where the model stands
VISIT = WeightSettings("none", (ALL,), scout_rounds=0, max_rounds=4, spread=0.0)


def cover_pairs(count: int) -> list[tuple[int, ...]]:
    """Triples of `count` things, few of them, that hold every two together; of two that pair."""
    if count == 2:
        return [(0, 1)]
    left, found = set(combinations(range(count), 2)), []
    while left:
        best = max(
            combinations(range(count), 3), key=lambda each: len(left & {*combinations(each, 2)})
        )
        left -= {*combinations(best, 2)}
        found.append(best)
    return found


def _gram(layout: Layout, states: Sequence[State], block: Block) -> Tensor:
    """The inner products of a block of several models, in the type that is worked in, `[k, k]`."""
    total = zeros(len(states), len(states), device="cpu")
    for parts in zip(*(read_pieces(layout, state, block) for state in states), strict=True):
        for i, one in enumerate(parts):
            for j in range(i, len(parts)):
                total[i, j] += inner(one, parts[j])
    return total


class Consensus:
    """Several models as they are compared, and their alignments as they stand.

    Args:
        layout: of all of them.
        states: their parameters, in canonical form and on one device; not changed.
        classes: chosen class of each kind of space.
        masks: by parameter, the rows that count.
    """

    def __init__(
        self, layout: Layout, states: Sequence[State], classes: Classes, masks: Mapping[str, Tensor]
    ):
        self.layout, self.classes, self.masks = layout, classes, masks
        lazy = is_lazy(states[0])  # such parameters come to the CPU
        self.device = torch.device("cpu") if lazy else find_device(states[0])
        self.units: list[State] = [self._in_units(state) for state in states]
        self.found = [Alignment.of(layout.spaces, device=self.device) for _ in states]

    def _in_units(self, state: State) -> State:
        problem = make_objective(
            self.layout, state, state, self.classes, WeightSettings(), self.masks
        )
        if is_lazy(state):

            def make(block: Block) -> Iterator[Tensor]:
                if block.name not in problem.weights:
                    yield from read_pieces(self.layout, state, block)
                    return
                for part in problem.parts(block, 0):
                    yield part * problem.weights[block.name] ** 0.5

            return PiecedState(self.layout, state, make, problem.precision)
        scaled = {
            name: tensor.to(problem.precision, copy=True).contiguous()
            for name, tensor in state.items()
        }
        for block in problem.blocks:
            self.layout.view(scaled, block).copy_(
                problem.whole(block, 0) * problem.weights[block.name] ** 0.5
            )
        return scaled

    def moved(self, found: Sequence[Alignment]) -> list[State]:
        """The models, as they are compared, where some alignments bring them."""
        return [
            self._move(alignment, unit) for alignment, unit in zip(found, self.units, strict=True)
        ]

    def _move(self, alignment: Alignment, state: State) -> State:
        if isinstance(state, PiecedState):
            return moved(self.layout, state, alignment, state.dtype)
        return alignment.apply(self.layout, state)

    def _mean(self, states: Sequence[State]) -> State:
        if isinstance(states[0], PiecedState):
            return mean(self.layout, states, states[0].dtype)
        return {name: torch.stack([each[name] for each in states]).mean(0) for name in states[0]}

    def objective(self, states: Sequence[State]) -> float:
        """J, as a share of the largest possible."""
        if isinstance(states[0], PiecedState):
            return self._look_at(states)
        pairs = [
            MatchingState(Objective(self.layout, a, b, self.classes, False)).objective
            for a, b in combinations(states, 2)
        ]
        return sum(pairs) / len(pairs)

    def _look_at(self, states: Sequence[State]) -> float:
        """The same, three models at a time read block by block."""
        values: dict[tuple[int, int], float] = {}
        blocks = compared(self.layout)
        for chosen in cover_pairs(len(states)):
            some = [states[k] for k in chosen]
            looks = [partial(_gram, self.layout, some, block) for block in blocks]
            grams = torch.stack(list(side_by_side(looks, self.device)))
            norms = grams.diagonal(dim1=1, dim2=2).sqrt()
            bounds = torch.einsum("bi,bj->ij", norms, norms)
            found = grams.sum(0) / torch.where(bounds > 0, bounds, 1.0)
            for (i, one), (j, two) in combinations(enumerate(chosen), 2):
                values[one, two] = float(found[i, j])
        return sum(values.values()) / len(values)

    def pairs(self, onto: int | None, progress: Tell) -> dict[tuple[int, int], Alignment]:
        """Weight matching of pairs: (i, j) -> what moves model j onto model i, i < j; of all, or
        onto model `onto` alone.
        """
        found: dict[tuple[int, int], Alignment] = {}
        wanted = [
            pair for pair in combinations(range(len(self.units)), 2) if onto is None or onto in pair
        ]
        for number, (i, j) in enumerate(wanted):

            def tell(share: float, number: int = number) -> None:
                progress((number + share) / len(wanted))

            found[i, j], _ = match_weights(
                self.layout, self.units[i], self.units[j], self.classes, PAIRS, progress=tell
            )
        return found

    def onto(self, reference: int | None, progress: Tell) -> tuple[int, dict[int, float]]:
        """Bring all models onto one of them; the one with the largest J unless `reference` names
        it.

        Returns:
            Which one, and J of each that was tried.
        """
        pairs = self.pairs(reference, progress)
        one = Alignment.of(self.layout.spaces, device=self.device)

        def onto_it(chosen: int) -> list[Alignment]:
            return [
                one
                if k == chosen
                else pairs[chosen, k]
                if chosen < k
                else pairs[k, chosen].inverse()
                for k in range(len(self.units))
            ]

        tried = {
            chosen: self.objective(self.moved(onto_it(chosen)))
            for chosen in (range(len(self.units)) if reference is None else (reference,))
        }
        best = max(tried, key=lambda chosen: tried[chosen])
        self.found = onto_it(best)
        return best, tried

    def settle(self, rounds: int, tolerance: float, progress: Tell) -> list[float]:
        """Visit every model in turn, matching it onto the mean of the others, until a round adds
        less than `tolerance`.

        Returns:
            J at the start and after every round that was kept.
        """
        states = self.moved(self.found)
        values = [self.objective(states)]
        for number in range(rounds):
            kept = list(self.found)
            for k, state in enumerate(states):
                step = self._visit(states, k)
                self.found[k] = step.compose(self.found[k])
                if isinstance(state, PiecedState):  # it is moved once, by all that has moved it
                    states[k] = self._move(self.found[k], self.units[k])
                else:
                    states[k] = step.apply(self.layout, state)
                progress(min(1.0, (number + (k + 1) / len(states)) / rounds))
            value = self.objective(states)
            # only where a visit does not begin where the model stands (latent streams)
            if value <= values[-1]:
                self.found = kept
                break
            values.append(value)
            if value - values[-2] < tolerance:
                break
        progress(1.0)
        return values

    def _visit(self, states: Sequence[State], k: int) -> Alignment:
        """What moves model k onto the mean of the others, which is held no longer than here."""
        mean_of_others = self._mean([each for j, each in enumerate(states) if j != k])
        return match_weights(self.layout, mean_of_others, states[k], self.classes, VISIT)[0]

    def from_the_first(self) -> list[Alignment]:
        """The alignments, all moved by one element so that the first model stays."""
        back = self.found[0].inverse()
        return [
            Alignment.of(self.layout.spaces, device=self.device),
            *(back.compose(found) for found in self.found[1:]),
        ]
