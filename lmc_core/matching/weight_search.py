"""Weight matching: move model B so that its parameters lie along those of model A; no data is used.

    maximise   sum_p  w_p <a_p, (g b)_p>     over one group element g_s per space s,

a_p and b_p the blocks of both models; by default w_p = n_l^1/2 / (|a_l| |b_l|) with l the layer of
p (a weight and its bias count as one matrix [W b]) and n_l its number of entries: the cosine of
every layer counts in standard deviations of that of independent layers. w_p = 1 is the
least-squares distance of the parameters. Readers of the residual stream are compared in a metric
that says, from the weights alone, in which directions the stream carries much (`metric`). The
spaces are visited in turn: with all others held, the objective is linear in g_s and its exact
maximiser is known (an assignment, or a Procrustes map), so the objective never falls. Spaces within
another are solved with it: heads are assigned by the best value that their planes can reach for
each pair, experts by that of their units (`steps`).

The cycle has many local optima. The first visit of the residual stream decides most, so several
starts are tried that differ in which blocks that first visit sees. After a few rounds of each, the
best by the objective alone goes on to its end. Latent streams, which are made from the residual
stream, are visited next, by what makes them alone: heads are not aligned yet.

Ainsworth, Hayase, Srinivasa 2022 (arXiv 2209.04836, section 3.2) for permutations; Theus et al.
2025 (arXiv 2506.22712) for orthogonal maps of the residual stream of transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from lmc_core.matching.matcher_input import MatcherInput
from lmc_core.matching.objective import Objective
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import solve
from lmc_core.matching.trace import Trace
from lmc_core.matching.weight import ALL, EDGES, WeightSettings
from lmc_core.progress import part
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.elements import Element, converted, random_element
from lmc_core.symmetry.layout import Layout, State
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass

# What the other blocks count in a first visit of the edges. Few tokens or classes leave directions
# of the stream open, and an SVD would fill them with rounding errors, differently for every number
# of threads.
FAINT = {torch.float64: 1e-6, torch.float32: 1e-3}  # by the precision of products
# relative, by the precision that is solved in; singular values below this say nothing of their
# directions
RANK = {torch.float64: 1e-9, torch.float32: 1e-5}
# of all that the search of a large model has gained: a round that adds less is the last. Between
# independent models rounds keep adding for long: of 124 million random parameters rounds 4 to 20
# take four fifths of the time and add 3 % to the objective
WORTH = 0.01
USUAL_ROUNDS = 25  # until convergence, for the progress shown
GIVEN = "given"  # name of a start that is an alignment, such as that of earlier checkpoints


def match_by_weights(given: MatcherInput, settings: WeightSettings) -> tuple[Alignment, Trace]:
    """Find the alignment that moves `given.b` onto `given.a`, by the weights alone."""
    return match_weights(
        given.layout,
        given.a.state,
        given.b.state,
        given.classes,
        settings,
        given.masks,
        part(given.progress, words="matching the weights"),
        given.start,
    )


def match_weights(
    layout: Layout,
    a: State,
    b: State,
    classes: Classes,
    settings: WeightSettings | None = None,
    masks: Mapping[str, Tensor] | None = None,
    progress: Callable[[float], None] = lambda share: None,
    first: Alignment | None = None,
) -> tuple[Alignment, Trace]:
    """Find the alignment that moves `b` onto `a`.

    Args:
        layout: of both models.
        a: parameters of the model that stays, in canonical form.
        b: parameters of the model that moves, in canonical form, on the same device; there all is
            computed, assignments alone on the CPU.
        classes: chosen class of each kind of space.
        settings: how to search.
        masks: by parameter, the weight of each row (bool or float `[rows]`); tokens never seen
            carry no information.
        progress: called with the share done, in [0, 1]; may raise to stop.
        first: where the search begins, in place of the starts of the settings.

    Returns:
        The alignment, and the trace of its objective.
    """
    settings = settings or WeightSettings()
    problem = make_objective(layout, a, b, classes, settings, masks)
    streams = [root for root in problem.roots if root.kind == "residual"]
    moving = any(problem.chosen(stream) is not SymmetryClass.NONE for stream in streams)
    searches: list[_Search] = []
    if first is not None:
        searches.append(_Search(problem, GIVEN, settings.experts, first))
    for start in () if first is not None else settings.starts[: None if moving else 1]:
        if start != ALL or not any(search.determined for search in searches):
            searches.append(_Search(problem, start, settings.experts))
    scouting = settings.scout_rounds * (len(searches) - 1)
    # a few rounds tell which start is worth following to its end
    for number, search in enumerate(searches):
        for done in range(settings.scout_rounds if len(searches) > 1 else 0):
            search.round()
            progress(
                (number * settings.scout_rounds + done)
                / (scouting + settings.scout_rounds + USUAL_ROUNDS)
            )
    best = max(searches, key=lambda search: search.values[-1]) if len(searches) > 1 else searches[0]
    while len(best.gains) < settings.max_rounds and best.worth_going_on(settings.tolerance):
        best.round()
        progress(min(1.0, (scouting + len(best.gains)) / (scouting + USUAL_ROUNDS)))
    progress(1.0)
    return best.moved.found, Trace(
        objective=tuple(best.values),
        before=best.before,
        start=str(best.start),
        starts={str(search.start): search.values[-1] for search in searches},
        rounds=len(best.gains),
    )


def make_objective(
    layout: Layout,
    a: State,
    b: State,
    classes: Classes,
    settings: WeightSettings,
    masks: Mapping[str, Tensor] | None = None,
) -> Objective:
    """What `match_weights` maximises; for its arguments see there."""
    unit = settings.block_weights == "unit"
    spread = 0.0 if settings.spread is None and not unit else settings.spread
    return Objective(layout, a, b, classes, unit, masks, sizes=settings.sizes, spread=spread)


def _from_tables(stream: Space) -> bool:
    """Whether it is a stream of embeddings behind a LayerNorm, which its tables alone write."""
    return stream.kind == "latent" and stream.fixes_ones


def _made(stream: Space) -> bool:
    """Whether it is a narrower stream that is made from another."""
    return stream.kind == "latent" and not _from_tables(stream)


class _Search:
    """One start of the cycle, and how far it has come."""

    def __init__(
        self, problem: Objective, start: str | int, experts: str, first: Alignment | None = None
    ):
        self.start, self.experts = start, experts
        self.moved = MatchingState(problem)
        self.before = self.moved.objective
        self.gains: list[float] = []
        self.values: list[float] = []
        # whether the edges alone say where every direction of the stream goes
        self.determined = False
        self.roots = sorted(problem.roots, key=lambda space: space.kind == "residual")
        # what a latent stream is made from stands still when it is visited first; tables alone say
        # where their own stream goes
        if first is not None:
            self.moved.take(first.to(problem.device).elements)
        for turn in (
            ()
            if first is not None
            else (_from_tables, lambda stream: stream.kind == "residual", _made)
        ):
            for stream in filter(turn, problem.roots):
                self.moved.take(self._first_visit(stream))
        if self.moved.known:
            self.values.append(self.moved.objective)

    def _first_visit(self, stream: Space) -> dict[str, Element]:
        problem = self.moved.problem
        chosen = problem.chosen(stream)
        if chosen is SymmetryClass.NONE:
            return {}
        edges = self.start == EDGES
        # tables and heads; not the biases and gains, of which any can be turned onto any other
        seen = [{stream.name, None}]
        if _from_tables(stream):
            edges = True
        elif stream.kind == "latent":
            edges, seen = (
                True,
                [
                    *seen,
                    *(
                        {stream.name, root.name}
                        for root in problem.roots
                        if root.kind == "residual"
                    ),
                ],
            )
        elif isinstance(self.start, int):
            drawn = random_element(stream, chosen, torch.Generator().manual_seed(self.start))
            return {stream.name: converted(drawn, problem.device)}
        else:  # what one stream writes to the next says where it goes, once that was visited
            streams = [root.name for root in problem.roots if root.kind == "residual"]
            seen += [
                {stream.name, before, None} for before in streams[: streams.index(stream.name)]
            ]
        inner = [
            b.name
            for b in problem.touching[stream.name]
            if {axis.space for axis in b.axes} not in seen
        ]
        if not edges:
            return solve(self.moved, stream)
        alone, _ = self.moved.sums(stream, dict.fromkeys(inner, 0.0))
        values = torch.linalg.svdvals(alone)
        rank = int((values > RANK[alone.dtype] * values[0]).sum())
        known = rank >= stream.size - stream.fixes_ones
        self.determined = stream.kind == "residual" and chosen is SymmetryClass.ORTHOGONAL and known
        alone_suffices = self.determined or (known and _from_tables(stream))
        return solve(
            self.moved,
            stream,
            dict.fromkeys(inner, 0.0 if alone_suffices else FAINT[problem.precision]),
        )

    def worth_going_on(self, tolerance: float) -> bool:
        """Whether another round may gain enough."""
        if not self.gains:
            return True
        enough = tolerance
        if not self.moved.problem.held:
            enough = max(enough, WORTH * (self.values[-1] - float(self.before)))
        return self.gains[-1] >= enough

    def round(self) -> None:
        """Visit every space once, the residual stream last; of a large model those that touch no
        common block side by side.
        """
        before = self.values[-1] if self.values else float("-inf")
        seen: list[Tensor] = []
        problem = self.moved.problem
        for roots in (
            [[root] for root in self.roots] if problem.held else apart(problem, self.roots)
        ):
            visits = [partial(solve, self.moved, root, experts=self.experts) for root in roots]
            for step in list(side_by_side(visits, problem.device)):
                self.moved.take(step)
                if self.moved.known:
                    seen.append(self.moved.value)
        if not self.moved.known:
            seen.append(self.moved.value)
        self.values += torch.stack(seen).tolist()  # one copy from an accelerator for a whole round
        self.gains.append(self.values[-1] - before)


def apart(problem: Objective, roots: Sequence[Space]) -> list[list[Space]]:
    """Root spaces in their order, divided where one touches a block that one before it touches:
    visits of those between see nothing of each other. A residual stream stands alone, as what it
    has seen tells the objective.
    """
    found: list[list[Space]] = []
    taken: set[str] = set()
    for root in roots:
        own = {space.name for space in problem.tree(root)}
        if not found or root.kind == "residual" or taken & problem.neighbours(root):
            found.append([])
            taken = set()
        found[-1].append(root)
        taken |= own
    return found
