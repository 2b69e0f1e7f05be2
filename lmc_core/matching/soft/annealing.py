"""Graduated assignment: soft matches of all spaces, each given the others, while the temperature is
lowered.

    maximise   sum_p w_p <a_p, (P b)_p> + sum_s T_s H(P_s)

over one doubly stochastic matrix for every space that is permuted and one element for every other,
H the entropy. With all other spaces held it is linear in P_s but for the entropy, so that
Sinkhorn's iteration gives its exact maximiser, and at one temperature the sum never falls. T_s = T
/ n_s sum_p w_p |a_p| |b_p| over the blocks p that touch the space, n_s its number of coordinates: T
is counted in what one coordinate can contribute at the most, so that T = 0.05 is a difference of
0.05 between cosines. Two models that are alike have a similarity of 1 on the diagonal.

Of spaces within another the best match is found for every pair of copies, with its entropy; what
each pair reaches is the similarity that the outer match is made from. Queries of a group and their
plane wait for each other: two visits, not exact.

Gold and Rangarajan 1996 (IEEE PAMI 18, 377): a graduated assignment algorithm for graph matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.matching.learned.permutation_latents import MOVES
from lmc_core.matching.objective import Objective
from lmc_core.matching.soft.sinkhorn import Potentials, balanced
from lmc_core.matching.soft.soft_assignment import Match, SoftMatches, entropy
from lmc_core.matching.solvers import maximise
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import zeros
from lmc_core.symmetry.elements import Role
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space, SymmetryClass

TOLERANCE = 1e-5  # of the sums of rows; what is left is removed
LIMIT = 400  # iterations of Sinkhorn at a visit
PAIRS = 2**27  # numbers in the similarity of one tree of spaces: 1 GB


@dataclass(frozen=True)
class Term:
    """Something that the matches of a tree of spaces contribute to: a number for every pair of
    coordinates of each.

    Attributes:
        names: of the spaces, each after those that it lives within.
        roles: what their axes do.
        values: `[n1, n1, n2, n2, ...]`.
    """

    names: tuple[str, ...]
    roles: tuple[Role, ...]
    values: Tensor


class Annealing:
    """Both models and the matches as they stand.

    Args:
        problem: both models, held in float64.
        start: where the matches begin.

    Raises:
        BadInput: for models that are too large to be held, or whose similarities are.
    """

    def __init__(self, problem: Objective, start: Alignment):
        if not problem.held:
            raise BadInput(
                "Soft matches are made of models of at most 17 million parameters, held in "
                "float64; this one is larger. "
                "Use the method weight."
            )
        for root in problem.roots:
            for tree in _chains(problem, root):
                size = 1
                for space in tree:
                    size *= space.size
                if size**2 > PAIRS and len(tree) > 1:
                    raise BadInput(
                        f"The soft match of {root.name} would hold {size**2:.1e} numbers; use the "
                        "method weight."
                    )
        self.problem = problem
        self.layout = problem.layout
        self.matches: dict[str, Match] = {}
        self.begin(start)
        self.sides = {
            block.name: [problem.whole(block, side) for side in (0, 1)] for block in problem.blocks
        }
        self.scales = {}
        for name, space in problem.layout.spaces.items():
            total = 0.0
            for block in problem.touching[name]:
                a, b = self.sides[block.name]
                total += problem.weights[block.name] * float(a.norm() * b.norm())
            self.scales[name] = max(total / (space.size * space.copies), 1e-300)
        self._prices: dict[str, Potentials] = {}

    def begin(self, start: Alignment) -> None:
        """Let the matches begin at an alignment."""
        self.matches = dict(SoftMatches.of(self.layout, start).matches)

    @property
    def soft(self) -> list[Space]:
        """The spaces that have a doubly stochastic matrix."""
        return [
            space for space in self.layout.spaces.values() if self.problem.chosen(space) in MOVES
        ]

    def found(self) -> SoftMatches:
        """The matches as they stand."""
        return SoftMatches(self.layout, dict(self.matches))

    @property
    def objective(self) -> float:
        """What weight matching maximises, of the soft matches, as a share of the largest
        possible.
        """
        total, matches = 0.0, self.found()
        for block in self.problem.blocks:
            a, b = self.sides[block.name]
            total += self.problem.weights[block.name] * float((a * matches.act(block, b)).sum())
        return total / self.problem.bound

    def free(self, temperature: float) -> float:
        """The objective with the entropies, in the same unit; at one temperature no visit lets it
        fall.
        """
        total = 0.0
        for space in self.soft:
            match = self.matches[space.name]
            if match.element is None and match.order is not None:
                names = self.layout.path(space.name)
                term = Term(names, ("order",) * len(names), entropy(match.order).sum(-1))
                total += temperature * self.scales[space.name] * float(self._contracted(term, ()))
        return self.objective + total / self.problem.bound

    def round(self, temperature: float) -> None:
        """Visit every space once, the residual stream last."""
        for root in sorted(self.problem.roots, key=lambda space: space.kind == "residual"):
            self.visit(root, temperature)

    def visit(self, root: Space, temperature: float) -> None:
        """Find the matches of a root space and of those within it."""
        tree = self.problem.tree(root)
        terms = [self._term(block, root, tree) for block in self.problem.touching[root.name]]
        inner = sorted(tree[1:], key=lambda space: -len(self.layout.path(space.name)))
        names = {space.name for space in inner}
        coupled = any(
            len({n for n in t.names if n in names and not self._holds(n, t.names)}) > 1
            for t in terms
        )
        entropies: dict[str, Term] = {}
        for space in [*inner, *(inner if coupled else ()), root]:
            entropies.pop(space.name, None)
            self.matches[space.name] = match = self._best(
                space, [*terms, *entropies.values()], temperature
            )
            outer = self.layout.path(space.name)
            if match.element is None and match.order is not None and outer:
                gain = temperature * self.scales[space.name] * entropy(match.order).sum(-1)
                entropies[space.name] = Term(outer, ("order",) * len(outer), gain)

    def _holds(self, name: str, names: Sequence[str]) -> bool:
        """Whether a space has another of some spaces within it."""
        return any(name in self.layout.path(other) for other in names)

    def _term(self, block: Block, root: Space, tree: list[Space]) -> Term:
        axes = [axis.space for axis in block.axes]
        names = tuple(space.name for space in tree if space.name in axes)
        a, b = self.sides[block.name]
        b = self.found().act(block, b, skip=root.name)
        pairs = {
            block.axis(name): (chr(ord("A") + i), chr(ord("a") + i)) for i, name in enumerate(names)
        }
        rest = [chr(ord("m") + i) for i in range(len(axes))]
        left = "".join(pairs[i][0] if i in pairs else rest[i] for i in range(len(axes)))
        right = "".join(pairs[i][1] if i in pairs else rest[i] for i in range(len(axes)))
        both = "".join("".join(pairs[block.axis(name)]) for name in names)
        values = self.problem.weights[block.name] * torch.einsum(f"{left},{right}->{both}", a, b)
        return Term(names, tuple(block.axes[block.axis(name)].role for name in names), values)

    def _contracted(self, term: Term, keep: Sequence[str]) -> Tensor:
        """A term as a number for each pair of the spaces that are kept, summed over all others by
        their matches.
        """
        letters = {name: chr(ord("A") + i) + chr(ord("a") + i) for i, name in enumerate(term.names)}
        words, factors = ["".join(letters.values())], [term.values]
        for name, role in zip(term.names, term.roles, strict=True):
            if name not in keep:
                match = self.matches[name]
                by = match.order if role == "order" else match.values
                if by is None:  # a gain that is constant is not moved
                    eye = torch.eye(match.values.shape[-1], device=match.values.device)
                    by = eye.to(match.values).expand_as(match.values)
                words.append("".join(letters[each] for each in (*self.layout.path(name), name)))
                factors.append(by)
        return torch.einsum(
            f"{','.join(words)}->{''.join(letters[name] for name in keep)}", *factors
        )

    def _best(self, space: Space, terms: Sequence[Term], temperature: float) -> Match:
        outer = self.layout.path(space.name)
        sizes = [self.layout.spaces[name].size for name in (*outer, space.name)]
        shape = [n for size in sizes for n in (size, size)]
        plain, order = (zeros(*shape, device=self.problem.device) for _ in range(2))
        ordered = False
        for term in terms:
            if space.name in term.names:
                kept = term.roles[term.names.index(space.name)] == "order"
                ordered = ordered or kept
                (order if kept else plain).add_(self._contracted(term, (*outer, space.name)))
        chosen = self.problem.chosen(space)
        if chosen in MOVES:
            free = chosen is not SymmetryClass.PERMUTATION and not space.positive
            value = (plain.abs() if free else plain) + order
            scale = temperature * self.scales[space.name]
            found, self._prices[space.name] = balanced(
                value, scale, self._prices.get(space.name), TOLERANCE, LIMIT
            )
            signs = torch.where(plain < 0, -1.0, 1.0).to(plain) if free else 1.0
            return Match(found * signs, found)
        flat = [each.flatten(0, -3) if outer else each for each in (plain, order)]
        element, _ = maximise(space, chosen, flat[0], flat[1] if ordered else None)
        return Match.of(element, shape)


def _chains(problem: Objective, root: Space) -> list[list[Space]]:
    """The spaces of one tree that share a block, for every block that touches its root."""
    tree = problem.tree(root)
    return [
        [space for space in tree if any(axis.space == space.name for axis in block.axes)]
        for block in problem.touching[root.name]
    ]
