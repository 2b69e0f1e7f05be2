"""Weight matching: move model B so that its parameters lie along those of model A; no data is used.

    maximise   sum_p  w_p <a_p, (g b)_p>     over one group element g_s per space s,

a_p and b_p the blocks of both models; by default w_p = 1 / (|a_l| |b_l|) with l the layer of p (a weight and its bias count as
one matrix [W b]), so that every layer counts alike whatever its size. w_p = 1 is the least-squares distance of the parameters.
The spaces are visited in turn: with all others held, the objective is linear in g_s and its exact maximiser is known (an
assignment, or a Procrustes map), so the objective never falls. Heads and the planes inside them are solved together: heads are
assigned by the best value that a plane map can reach for each pair.

The cycle has many local optima. The first visit of the residual stream decides most, so several starts are tried that differ
in which blocks that first visit sees. After a few rounds of each, the best by the objective alone goes on to its end.

Ainsworth, Hayase, Srinivasa 2022 (arXiv 2209.04836, section 3.2) for permutations; Theus et al. 2025 (arXiv 2506.22712) for
orthogonal maps of the residual stream of transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import UnknownName
from lmc_core.matching.solvers import assignment, best_value, procrustes
from lmc_core.symmetry.alignment import Alignment, act_on_block
from lmc_core.symmetry.elements import Element, Orthogonal, Permutation, identity, random_element
from lmc_core.symmetry.layout import Block, Layout, State
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass

EDGES = "edges"
ALL = "all"
# What the other blocks count in a first visit of the edges. Few tokens or classes leave directions of the stream open, and an
# SVD would fill them with rounding errors, differently for every number of threads.
FAINT = 1e-6
USUAL_ROUNDS = 25  # until convergence, for the progress shown


@dataclass(frozen=True)
class Settings:
    """How weight matching searches.

    Attributes:
        block_weights: ``unit`` (w_p = 1 / (|a_l| |b_l|)) or ``none`` (w_p = 1).
        starts: what the first visit of the residual stream sees: ``edges`` (blocks that only the residual touches: tables,
            positions, head), ``all`` (every block), or a number (a random rotation drawn with that seed).
        scout_rounds: rounds every start is given; only the one with the best objective then goes on.
        max_rounds: visits of every space before giving up on convergence.
        tolerance: stop when a round adds less than this share of the largest possible objective.
    """

    block_weights: str = "unit"
    starts: tuple[str | int, ...] = (EDGES, ALL)
    scout_rounds: int = 4
    max_rounds: int = 100
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        if self.block_weights not in ("unit", "none"):
            raise UnknownName.of("kind of block_weights", self.block_weights, ("unit", "none"))
        for start in self.starts:
            if not (start in (EDGES, ALL) or isinstance(start, int)):
                raise UnknownName.of("start", str(start), (EDGES, ALL, "a number"))


@dataclass(frozen=True)
class Trace:
    """What a matcher did.

    Attributes:
        objective: value after every visit of a space, as a share of the largest possible; the first is that of the start.
        before: value with nothing moved.
        start: which start won.
        starts: the last objective of every start.
        rounds: rounds until convergence of the winner.
    """

    objective: tuple[float, ...]
    before: float
    start: str
    starts: Mapping[str, float]
    rounds: int


class _Problem:
    """Both models as weighted blocks, and the linear functional of each space."""

    def __init__(self, layout: Layout, a: State, b: State, classes: Classes, settings: Settings, masks: Mapping[str, Tensor]):
        self.layout, self.classes = layout, classes
        self.blocks: list[Block] = []
        self.a: dict[str, Tensor] = {}
        self.b: dict[str, Tensor] = {}
        for block in layout.blocks:
            if all(axis.space is None for axis in block.axes()):
                continue
            x, y = layout.view(a, block).double(), layout.view(b, block).double()
            if block.ignores_mean_over is not None:
                x, y = (t - t.mean(block.ignores_mean_over, keepdim=True) for t in (x, y))
            if block.parameter in masks:
                weight = masks[block.parameter].double().sqrt()[:, None]  # the product of both sides gets the weight once
                x, y = x * weight, y * weight
            self.blocks.append(block)
            self.a[block.name], self.b[block.name] = x, y
        if settings.block_weights == "unit":
            for names in _layers(self.blocks).values():
                norms = [sum(float(side[n].square().sum()) for n in names) ** 0.5 for side in (self.a, self.b)]
                for name in names:
                    self.a[name] = self.a[name] / max(norms[0] * norms[1], 1e-300)
        self.bound = sum(float(self.a[n].norm() * self.b[n].norm()) for n in self.a)
        self.roots = [space for space in layout.spaces.values() if space.within is None]
        self.children = {root.name: [s for s in layout.spaces.values() if s.within == root.name] for root in self.roots}
        self.touching = {
            name: [block for block in self.blocks if any(axis.space == name for axis in block.axes())] for name in layout.spaces
        }

    def objective(self, b: Mapping[str, Tensor]) -> float:
        return sum(float((self.a[n] * b[n]).sum()) for n in self.a) / self.bound

    def gram(self, block: Block, b: Mapping[str, Tensor], *spaces: str) -> Tensor:
        """Sum over the other axes of a b^T: `[n, n]`, or for heads and a plane `[heads, heads, n, n]`."""
        x = self.layout.rows(self.a[block.name], block, *spaces)
        y = self.layout.rows(b[block.name], block, *spaces)
        if len(spaces) == 1:
            return x @ y.mT
        return torch.einsum("hik,gjk->hgij", x, y)

    def solve(self, root: Space, b: Mapping[str, Tensor], shares: Mapping[str, float] | None = None) -> dict[str, Element]:
        """The exact maximiser for one space and those within it, given everything else.

        `shares` multiplies the weights of blocks, by name; blocks that it leaves out count fully.
        """
        chosen = self.classes[root.kind]
        children = self.children[root.name]
        inner_names = {child.name for child in children}
        own = torch.zeros(root.size, root.size, dtype=torch.float64)
        grams = {c.name: torch.zeros(root.size, root.size, c.size, c.size, dtype=torch.float64) for c in children}
        for block in self.touching[root.name]:
            share = (shares or {}).get(block.name, 1.0)
            plane = next((axis.space for axis in block.axes() if axis.space in inner_names), None)
            if plane is None:
                own += share * self.gram(block, b, root.name)
            else:
                grams[plane] += share * self.gram(block, b, root.name, plane)
        if chosen >= SymmetryClass.ORTHOGONAL:
            return {root.name: Orthogonal(procrustes(own, root.fixes_ones))}
        for child in children:
            if chosen is SymmetryClass.NONE:
                diagonal = grams[child.name][torch.arange(root.size), torch.arange(root.size)]
                own += torch.diag(best_value(diagonal, self.classes[child.kind]))
            else:
                own += best_value(grams[child.name], self.classes[child.kind])
        outer = identity(root) if chosen is SymmetryClass.NONE else Permutation(assignment(own))
        found: dict[str, Element] = {root.name: outer}
        for child in children:
            matched = grams[child.name][torch.arange(root.size), outer.indices]
            kind = self.classes[child.kind]
            if kind is SymmetryClass.PERMUTATION:
                found[child.name] = Permutation(torch.stack([assignment(m) for m in matched]))
            elif kind >= SymmetryClass.ORTHOGONAL:
                found[child.name] = Orthogonal(procrustes(matched, child.fixes_ones))
        return found

    def move(self, b: dict[str, Tensor], elements: Mapping[str, Element]) -> dict[str, Tensor]:
        """Apply elements to the blocks they touch."""
        touched = {block.name: block for name in elements for block in self.touching[name]}
        moved = {n: act_on_block(self.layout, block, b[n], elements) for n, block in touched.items()}
        return b | moved


def _layers(blocks: Sequence[Block]) -> dict[str, list[str]]:
    """Names of blocks by layer: a weight and its bias count as one matrix [W b].

    A bias on its own, at unit weight, would decide everything: any vector can be rotated onto any other.
    """
    layers: dict[str, list[str]] = {}
    for block in blocks:
        layers.setdefault(block.name.rpartition(".")[0], []).append(block.name)
    return layers


def _first_visit(problem: _Problem, start: str | int) -> dict[str, Element]:
    """The element of the residual stream (and of other roots) with which a start begins."""
    (residual,) = (space for space in problem.roots if space.kind == "residual")
    if problem.classes["residual"] is SymmetryClass.NONE:
        return {}
    if isinstance(start, int):
        generator = torch.Generator().manual_seed(start)
        return {residual.name: random_element(residual, problem.classes["residual"], generator)}
    inner = [b.name for b in problem.touching[residual.name] if {axis.space for axis in b.axes()} != {residual.name, None}]
    return problem.solve(residual, problem.b, dict.fromkeys(inner, FAINT) if start == EDGES else None)


def match_weights(
    layout: Layout,
    a: State,
    b: State,
    classes: Classes,
    settings: Settings | None = None,
    masks: Mapping[str, Tensor] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Alignment, Trace]:
    """Find the alignment that moves `b` onto `a`.

    Args:
        layout: of both models.
        a: parameters of the model that stays, in canonical form.
        b: parameters of the model that moves, in canonical form.
        classes: chosen class of each kind of space.
        settings: how to search.
        masks: by parameter, the weight of each row (bool or float `[rows]`); tokens never seen carry no information.
        progress: called with the share done, in [0, 1]; may raise to stop.

    Returns:
        The alignment, and the trace of its objective.
    """
    settings = settings or Settings()
    problem = _Problem(layout, a, b, classes, settings, masks or {})
    starts = settings.starts if classes["residual"] is not SymmetryClass.NONE else settings.starts[:1]
    searches = [_Search(problem, start) for start in starts]
    scouting = settings.scout_rounds * (len(searches) - 1)
    for number, search in enumerate(searches):  # a few rounds tell which start is worth following to its end
        for done in range(settings.scout_rounds if len(searches) > 1 else 0):
            search.round()
            progress((number * settings.scout_rounds + done) / (scouting + settings.scout_rounds + USUAL_ROUNDS))
    best = max(searches, key=lambda search: search.values[-1])
    while len(best.gains) < settings.max_rounds and (not best.gains or best.gains[-1] >= settings.tolerance):
        best.round()
        progress(min(1.0, (scouting + len(best.gains)) / (scouting + USUAL_ROUNDS)))
    progress(1.0)
    return best.found, Trace(
        objective=tuple(best.values),
        before=problem.objective(problem.b),
        start=str(best.start),
        starts={str(search.start): search.values[-1] for search in searches},
        rounds=len(best.gains),
    )


class _Search:
    """One start of the cycle, and how far it has come."""

    def __init__(self, problem: _Problem, start: str | int):
        self.problem, self.start = problem, start
        self.found = Alignment.of(problem.layout.spaces)
        self.blocks = problem.b
        self.gains: list[float] = []
        self.values: list[float] = []
        self._take(_first_visit(problem, start))

    def _take(self, step: Mapping[str, Element]) -> None:
        self.blocks = self.problem.move(self.blocks, step)
        self.found = Alignment.of(self.problem.layout.spaces, step).compose(self.found)
        self.values.append(self.problem.objective(self.blocks))

    def round(self) -> None:
        """Visit every space once, the residual stream last."""
        before = self.values[-1]
        for root in sorted(self.problem.roots, key=lambda space: space.kind == "residual"):
            self._take(self.problem.solve(root, self.blocks))
        self.gains.append(self.values[-1] - before)
