"""Which narrow unit each place of a wide space is given to, and what part of its output comes from
there.

Everything else held, a place j with the rows b_j may repeat the unit i with the rows a_i: along
what comes in it gets a_i, along what goes out s a_i. It is worth |b_j|^2 - |b_j - s a_i|^2 more
than a place that stays empty. Places are assigned by that, one at least and ceil(m / n) at most to
each unit; then copies get the shares of least squares: with p_j = <b_j, a> / |a|^2 for what goes
out, s_j = p_j + (1 - sum_j p_j) / k is the nearest with sum 1.

Blocks are read one at a time, in pieces where they are large. Held at once are the worth of all
places for all units of one space, and what it is assigned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lmc_core.large_blocks import return_freed
from lmc_core.matching.objective import Objective
from lmc_core.matching.widened import Places
from lmc_core.models.model import Model
from lmc_core.models.pieced import working_type
from lmc_core.models.widen import embedded_pieces
from lmc_core.symmetry.alignment import Alignment, read_pieces
from lmc_core.symmetry.arithmetic import zeros
from lmc_core.symmetry.elements import Monomial, Permutation
from lmc_core.symmetry.embedded_blocks import restrict_block
from lmc_core.symmetry.embedding import NOBODY, Copies, Embedding, gathered, semi_permutation, taken
from lmc_core.symmetry.layout import Block
from lmc_core.symmetry.spaces import Space


def give_away(
    narrow: Model, wide: Model, embeddings: Mapping[str, Embedding], problem: Objective
) -> dict[str, Copies]:
    """The semi-permutation that fits best of every space whose coordinates are repeated, with
    everything else held.

    Args:
        narrow: with the scores that it has in the wide one.
        wide: where it stands.
        embeddings: by name of space, those that are there now.
        problem: of the widened and the wide model.
    """
    chosen = _worked_in(narrow, problem.device, embeddings)
    return {
        name: _shared_out(narrow, wide, narrow.layout.spaces[name], chosen, problem)
        for name, embedding in embeddings.items()
        if not embedding.mixes
    }


def find_places(
    narrow: Model, held: Model, embeddings: Mapping[str, Embedding], found: Alignment
) -> dict[str, Places]:
    """Owners and their shares in a widened model, in the numbering of the wide model before it
    moved.

    Args:
        narrow: with the scores that it has in the wide one.
        held: the widened model.
        embeddings: by name of space.
        found: what moved the wide model.
    """
    result: dict[str, Places] = {}
    for name, embedding in embeddings.items():
        element = found.elements[name]
        if not isinstance(embedding, Copies) or embedding.unread is None:
            continue
        if not isinstance(element, Permutation | Monomial):
            continue
        chosen = _worked_in(narrow, embedding.owner.device, embeddings)
        owner = embedding.owner.expand(element.indices.shape)
        blocks = {block.name: 1.0 for block in held.layout.blocks if _role(block, name) == "reads"}
        # E undoes the stretch of a place, by which its reader is shorter
        shares = _parts(narrow, held, name, owner, chosen, blocks) * embedding.into
        back = element.indices.argsort(-1)
        owner, shares = owner.gather(-1, back).cpu(), shares.gather(-1, back).cpu()
        result[name] = Places(owner, shares.double())
    return result


def _worked_in(
    narrow: Model, device: torch.device, embeddings: Mapping[str, Embedding]
) -> dict[str, Embedding]:
    """Embeddings in the type that blocks of a model are worked on in."""
    dtype = working_type(narrow.state)
    return {name: each.to(device, dtype) for name, each in embeddings.items()}


def _role(block: Block, space: str) -> str | None:
    """What a block does along a space; None where it has no axis there."""
    return next((axis.role for axis in block.axes if axis.space == space), None)


def _shared_out(
    narrow: Model,
    wide: Model,
    space: Space,
    embeddings: Mapping[str, Embedding],
    problem: Objective,
) -> Copies:
    """The semi-permutation of one space that fits best, with everything else held."""
    n, m = space.size, wide.layout.spaces[space.name].size
    readers = {
        block.name: problem.weights[block.name]
        for block in problem.touching[space.name]
        if _role(block, space.name) == "reads"
    }
    gain = _gains(narrow, wide, space, embeddings, problem)
    outer, device = gain.shape[:-2], gain.device
    return_freed()
    owner = torch.stack([_owners(each) for each in gain.cpu().reshape(-1, n, m)])
    del gain
    owner = owner.view(*outer, m).to(device)
    parts = _parts(narrow, wide, space.name, owner, embeddings, readers)
    counted = torch.stack([parts, (owner != NOBODY).to(parts)], -1)
    total, copies = gathered(counted, owner, n).unbind(-1)
    left = (1 - total) / copies
    shares = parts + taken(left[..., None], owner)[..., 0]
    return semi_permutation(owner, torch.where(owner == NOBODY, 0.0, shares), n)


def _gains(
    narrow: Model,
    wide: Model,
    space: Space,
    embeddings: Mapping[str, Embedding],
    problem: Objective,
) -> Tensor:
    """What every owner of a place is worth over an empty one, |b_j|^2 - |b_j - s a_i|^2 with the
    usual share s = n / m where a block reads, `[n, m]` or copy by copy.
    """
    usual = space.size / wide.layout.spaces[space.name].size
    gain: Tensor | None = None
    for block in problem.touching[space.name]:
        weight, share = problem.weights[block.name], 1.0
        if _role(block, space.name) == "reads":
            share = usual
        for ours, theirs in _sides(narrow, wide, block, space.name, embeddings):
            worth = (weight * ours) @ theirs.mT
            worth *= 2 * share
            worth -= share**2 * (weight * ours.square().sum(-1)[..., None])
            gain = worth if gain is None else gain.add_(worth)
    assert gain is not None
    return gain


def _parts(
    narrow: Model,
    wide: Model,
    space: str,
    owner: Tensor,
    embeddings: Mapping[str, Embedding],
    weights: Mapping[str, float],
) -> Tensor:
    """p_j = <b_j, a> / |a|^2 over some blocks that read from a space, a of the owner of place j,
    0 where there is none; float64 (`arithmetic`) `[..., m]`.
    """
    inner, own = zeros(*owner.shape, device=owner.device), zeros(device=owner.device)
    dtype = inner.dtype
    for name, weight in weights.items():
        block = wide.layout.by_name[name]
        for ours, theirs in _sides(narrow, wide, block, space, embeddings):
            inner = inner + weight * (taken(ours, owner) * theirs).sum(-1, dtype=dtype)
            own = own + weight * ours.square().sum(-1, dtype=dtype)
    known = inner / taken(own[..., None], owner)[..., 0]
    return torch.where(owner == NOBODY, 0.0, known.nan_to_num())


def _owners(gain: Tensor) -> Tensor:
    """Give m places to n units, one at least and ceil(m / n) at most to each, the others to
    `NOBODY`, whose gain is zero.

    Args:
        gain: of each place for each unit, `[n, m]`.
    """
    n, m = gain.shape
    first = 2 * m * float(gain.abs().max())  # whatever it costs
    most = -(-m // n)
    # places by slots: no fewer columns than rows, or SciPy would make a copy
    costs = torch.zeros(m, n * most + m - n, dtype=torch.float64)
    for copy in range(most):
        part = costs[:, n * copy : n * (copy + 1)]
        part.copy_(gain.mT).neg_()
        if copy == 0:
            part -= first
    places, slots = (torch.from_numpy(each) for each in linear_sum_assignment(costs.numpy()))
    owner = torch.empty(m, dtype=torch.int64)
    owner[places] = torch.where(slots < n * most, slots % n, NOBODY)
    return owner


def _sides(
    narrow: Model, wide: Model, block: Block, space: str, embeddings: Mapping[str, Embedding]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of a block along a space, `[n, k]` and `[m, k]` or copy by copy, in pieces if it is
    large.

    Of the narrow model all other spaces are embedded; those within this one, of which both have
    another number, are restricted of the wide one.
    """
    layout, dtype = wide.layout, working_type(narrow.state)
    inner = {name: each for name, each in embeddings.items() if space in layout.path(name)}
    others = {
        name: each for name, each in embeddings.items() if name != space and name not in inner
    }
    mine = embedded_pieces(narrow.layout, layout, narrow.state, block, others)
    for ours, theirs in zip(mine, read_pieces(layout, wide.state, block), strict=True):
        theirs = restrict_block(layout, block, theirs.to(dtype), inner)
        yield layout.copies(ours, block, space), layout.copies(theirs, block, space)
