"""What an alignment matched, as matrices: how alike every pair of coordinates of a space is, before
and after.

Row i of model A is everything that writes or reads coordinate i of a space, row j of model B the
same of its coordinate j:

    C[i, j] = sum_l w_l <a_li, b_lj> / (sum_l w_l |a_li|^2  sum_l w_l |b_lj|^2)^1/2,

l the layers (a weight and its bias count as one), w_l = n_l^1/2 / (|a_l| |b_l|) as in weight
matching. *Before* means model B in canonical form and its own coordinates, *after* means where the
alignment brought all of it. Gains that are constant say nothing of coordinates and are left out.

Heads and experts are compared by the best that the spaces within them can reach (planes and the
queries of a group; the units of an expert), as their assignment sees them, so that the matrix does
not depend on those. Where the maps within keep lengths this is at most 1, and above 0 for heads
that have nothing in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmc_core.matching.aligned import AlignedPair
from lmc_core.matching.experts import Mixture
from lmc_core.matching.objective import Objective
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import pair_values
from lmc_core.symmetry.elements import Monomial, Permutation
from lmc_core.symmetry.embedding import NOBODY
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import Classes, Space

INPUT, OUTPUT = "input", "output"  # what lies before the first layer and behind the last
TINY = 1e-300
FAINT = 1e-5  # of the longest row of its space: rounding of float32, of which a cosine says nothing
Tell = Callable[[float], None]


@dataclass(frozen=True)
class SpaceSimilarity:
    """One space of an aligned pair.

    Attributes:
        space: which one.
        layers: what touches it, in the order of the network: ``blocks.3``, or several for the
            residual stream.
        before: C before the alignment, float64 `[copies, n, n]`.
        after: C after it.
        matched: of each coordinate after it, `[copies, n]`; NaN where there is nothing to compare:
            at places that no unit of a narrower model owns, and of coordinates that nothing writes
            or reads.
        by_layer: layer -> mean of C[i, i] before and after, from that layer's parameters alone.
    """

    space: Space
    layers: tuple[str, ...]
    before: Tensor
    after: Tensor
    matched: Tensor
    by_layer: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Mean of C[i, i] of every copy, before and after, `[copies]` each."""
        owned = ~self.matched.isnan()
        before = torch.where(owned, self.before.diagonal(dim1=-2, dim2=-1), torch.nan)
        return before.nanmean(-1), self.matched.nanmean(-1)


def find_layer(block: str) -> str | None:
    """The layer a block belongs to, ``blocks.3`` of ``blocks.3.query.weight``; None for what lies
    outside of all layers.
    """
    parts = block.split(".")
    number = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    return None if number is None else ".".join(parts[: number + 1])


def order_layers(layout: Layout) -> dict[str, str]:
    """By name of block its layer, the layers in the order of the network.

    What is outside of all layers is ``input`` where the layout names it before the first of them,
    ``output`` otherwise.
    """
    found: dict[str, str] = {}
    outside = INPUT
    for block in layout.blocks:
        layer = find_layer(block.name)
        outside = outside if layer is None else OUTPUT
        found[block.name] = layer or outside
    order = list(
        dict.fromkeys([INPUT, *(layer for layer in found.values() if layer != OUTPUT), OUTPUT])
    )
    return {name: found[name] for name in sorted(found, key=lambda name: order.index(found[name]))}


def compare_spaces(
    pair: AlignedPair,
    classes: Classes,
    masks: Mapping[str, Tensor] | None = None,
    second: bool = True,
    progress: Tell = lambda share: None,
) -> Iterator[SpaceSimilarity]:
    """Compare both models along every space, before and after the alignment, one space after the
    other.

    Args:
        pair: as `align_pair` returns it.
        classes: chosen class of each kind of space.
        masks: by parameter, the rows that count; tokens never seen carry no information.
        second: of unequal widths, whether B is the wider.
        progress: called with the share done; may raise to stop.

    Yields:
        Every space that a parameter tells something of.
    """
    layout = pair.a.layout
    problem = Objective(layout, pair.a.state, pair.b.state, classes, masks=masks, sizes=0.5)
    after = MatchingState(problem)
    before = MatchingState(problem)
    before.take(pair.alignment.inverse().elements)
    layers = order_layers(layout)
    told = {block.name for block in problem.blocks if not _constant(problem, block)}
    for number, space in enumerate(layout.spaces.values()):
        touching = [block for block in problem.touching[space.name] if block.name in told]
        if not touching:  # tied tables that touch one space twice, and nothing else
            continue
        (was, was_by), (now, now_by) = (
            _compare(side, space, touching, layers) for side in (before, after)
        )
        names = tuple(
            dict.fromkeys(
                layers[name] for name in layers if name in {block.name for block in touching}
            )
        )
        matched = now.diagonal(dim1=-2, dim2=-1).clone()
        matched[_unowned(pair, space, second)] = torch.nan
        was, now = was.nan_to_num(0.0), now.nan_to_num(0.0)
        by_layer = {
            name: (was_by[name], now_by[name])
            for name in names
            if len(names) > 1 and name in now_by
        }
        yield SpaceSimilarity(space, names, was, now, matched, by_layer)
        progress((number + 1) / len(layout.spaces))


def _constant(problem: Objective, block: Block) -> bool:
    """Whether a block is a gain of one value in both models."""
    if {axis.role for axis in block.axes if axis.space} != {"order"}:
        return False
    views = [problem.layout.view(state, block) for state in problem.states]
    return all(bool((view == view.flatten()[0]).all()) for view in views)


def _unowned(pair: AlignedPair, space: Space, second: bool) -> Tensor:
    """Places of the wider model that no unit of the narrower one was given, by A's coordinates,
    bool `[copies, n]`.
    """
    outer = None if space.within is None else pair.a.layout.spaces[space.within]
    result = torch.zeros(space.copies, space.size, dtype=torch.bool)
    if outer is not None:
        result |= _unowned(pair, outer, second).flatten()[:, None]
    places = pair.places.get(space.name)
    if places is None:
        return result
    owner, element = places.owner, pair.alignment.elements[space.name]
    if second and isinstance(element, Permutation | Monomial):  # numbered as B was before it moved
        owner = owner.expand_as(element.indices).gather(-1, element.indices)
    return result | (owner == NOBODY)


def _compare(
    moved: MatchingState, space: Space, blocks: list[Block], layers: Mapping[str, str]
) -> tuple[Tensor, dict[str, float]]:
    """C of one space as the models stand, `[copies, n, n]`, and the mean of its diagonal by
    layer.
    """
    if space.kind == "heads":
        return _heads(moved, space), {}
    if space.kind == "experts":
        return _experts(moved, space), {}
    n, copies = space.size, space.copies
    gram = torch.zeros(copies, n, n, dtype=torch.float64)
    squares: dict[str, Tensor] = {}  # by layer: |a|^2, |b|^2 and <a, b> of every coordinate
    for block in blocks:
        weight = moved.problem.weights[block.name]
        sums = squares.setdefault(
            layers[block.name], torch.zeros(3, copies, n, dtype=torch.float64)
        )
        for pieces in moved.pairs(block):
            x, y = (_copies(moved, block, piece, space) for piece in pieces)
            gram += weight * (x @ y.mT).double()
            sums += (
                weight * torch.stack([(x * x).sum(-1), (y * y).sum(-1), (x * y).sum(-1)]).double()
            )
    total = torch.stack(list(squares.values())).sum(0)
    by_layer = {
        name: float((s[2] / _lengths(s[:2]).prod(0)).nanmean().nan_to_num(0.0))
        for name, s in squares.items()
    }
    lengths = _lengths(total[:2])
    return gram / lengths[0][..., :, None] / lengths[1][..., None, :], by_layer


def _lengths(squares: Tensor) -> Tensor:
    """Roots of squares `[2, copies, n]`; NaN where they are at the level of rounding."""
    lengths = squares.sqrt()
    return torch.where(lengths > FAINT * lengths.amax(-1, keepdim=True), lengths, torch.nan)


def _copies(moved: MatchingState, block: Block, values: Tensor, space: Space) -> Tensor:
    rows = moved.problem.layout.copies(values, block, space.name)
    return rows if rows.ndim == 3 else rows[None]


def _heads(moved: MatchingState, space: Space) -> Tensor:
    """Heads by the best that planes (and queries) reach, over their lengths, `[1, n, n]`."""
    problem = moved.problem
    lengths = torch.zeros(2, space.size, dtype=torch.float64)
    for block in problem.touching[space.name]:
        for pieces in moved.pairs(block):
            rows = torch.stack([problem.layout.rows(piece, block, space.name) for piece in pieces])
            lengths += problem.weights[block.name] * rows.square().flatten(2).sum(-1).double()
    return _over(pair_values(moved, space), lengths)[None]


def _experts(moved: MatchingState, space: Space) -> Tensor:
    """Experts by the best that their units reach, over their lengths, `[copies, n, n]`; by products
    where they are too many.
    """
    problem = moved.problem
    path = problem.layout.path(space.name)
    mixture = Mixture(moved, problem.layout.spaces[path[0]] if path else space)
    lengths = mixture.row_lengths.clone()
    if mixture.small:
        value = mixture.pairs()
        for part in mixture.parts:
            lengths += part.weight * torch.stack(
                [side.square().sum((1, 2)).double() for side in part.sides]
            )
    else:
        value = mixture.routers + mixture.products()
        for part in mixture.parts:
            sizes = [
                torch.stack([(w @ w.mT).double().square().sum() for w in side])
                for side in part.sides
            ]
            whole = [side.double().square().sum((1, 2)) for side in part.sides]
            lengths += part.weight * torch.stack(
                [s / w.clamp_min(TINY) for s, w in zip(sizes, whole, strict=True)]
            )
    found = _over(value, lengths)
    each = space.size
    return torch.stack(
        [found[k * each : (k + 1) * each, k * each : (k + 1) * each] for k in range(space.copies)]
    )


def _over(value: Tensor, squares: Tensor) -> Tensor:
    lengths = squares.sqrt().clamp_min(TINY)
    return value / lengths[0][:, None] / lengths[1]
