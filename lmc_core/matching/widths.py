"""Match a narrow model with a wider one: widen it so that it lies close to the other, and move the
other onto it.

The widened model computes what the narrow one does whatever the embedding; matching chooses the
embedding.

1. Streams and planes get zeros appended, units and heads are repeated evenly, each copy with an
   equal share of what goes out.
2. Weight matching moves the wide model onto that. At equal sizes a rotation of the wide stream is
   all that can be chosen about how the narrow one lies in it, since Q^T R runs through all
   orthonormal columns when R runs through the rotations.
3. The places of the wide model are shared out anew by linear assignment: to the narrow units that
   they resemble, one at least and ceil(m / n) at most for each, or to nobody where an empty place
   is nearer. Copies get the shares of least squares: with p_j = <b_j, a> / |a|^2 for what goes out,
   s_j = p_j + (1 - sum_j p_j) / k is the nearest with sum 1. Then step 2 again from where the wide
   model is; what does not raise the objective is taken back.
4. What the embedding leaves open takes the values of the wide model (`widen`, its argument `like`),
   which is the nearest.

Theus et al. 2025 (arXiv 2506.22712) match different widths by semi-permutations of units and
rectangular orthogonal maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lmc_core.matching.objective import Objective
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import solve
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.matching.widened import Places, Widened
from lmc_core.models.fits import REPEATED, unequal_spaces
from lmc_core.models.model import Model
from lmc_core.models.widen import padded, scale_scores, widen
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import find_device, precise
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.embedding import (
    NOBODY,
    Embedding,
    embed_block,
    restrict_block,
    semi_permutation,
)
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import Classes, Space, class_of

ROUNDS = 4  # of giving places away and matching again


def match_widths(
    narrow: Model,
    wide: Model,
    classes: Classes,
    settings: WeightSettings | None = None,
    masks: Mapping[str, Tensor] | None = None,
    progress: Callable[[float], None] = lambda share: None,
    fill: bool = True,
) -> Widened:
    """Widen one model and move the other onto it.

    Args:
        narrow: in canonical form.
        wide: in canonical form, with a head of its own.
        classes: chosen class of each kind of space, for how the wide model may move.
        settings: of weight matching.
        masks: by parameter of the wide model, the rows that count.
        progress: called with the share done; may raise to stop.
        fill: let what the embedding leaves open take the values of the wide model; otherwise it is
            zero.
    """
    settings = settings or WeightSettings()
    layout = wide.layout
    narrow, compared = _as_long(narrow, wide, classes)
    embeddings, held = _balanced(narrow, wide, even(narrow, wide), classes)
    found, trace = match_weights(
        layout,
        held.state,
        wide.state,
        classes,
        settings,
        masks,
        lambda share: progress(0.8 * share),
    )
    moved = wide.with_state(found.apply(layout, wide.state))
    objective, rounds = list(trace.objective), trace.rounds
    for number in range(ROUNDS if any(not each.mixes for each in embeddings.values()) else 0):
        problem = make_objective(layout, held.state, moved.state, classes, settings, masks)
        given_away, other = _balanced(
            narrow, wide, embeddings | _given_away(compared, moved, embeddings, problem), classes
        )
        step, values = _go_on(layout, other, moved, classes, settings, masks)
        if values[-1] <= objective[-1] + settings.tolerance:
            break
        held, embeddings, objective, rounds = other, given_away, [*objective, *values], rounds + 1
        found = step.compose(found)
        moved = wide.with_state(found.apply(layout, wide.state))
        progress(0.8 + 0.2 * (number + 1) / ROUNDS)
    if fill:
        held = widen(narrow, wide.config, embeddings, moved.state)
    places = _places(compared, held, embeddings, found)
    progress(1.0)
    trace = replace(trace, objective=tuple(objective), rounds=rounds)
    return Widened(replace(held, name=narrow.name), moved, found, trace, places)


def even(narrow: Model, wide: Model) -> dict[str, Embedding]:
    """Zeros appended to streams and planes; units and heads repeated in turn, copies with equal
    shares.
    """
    chosen = {
        name: padded(narrow, wide)[name] for name in unequal_spaces(narrow.layout, wide.layout)
    }
    for name in chosen:
        n, m = narrow.layout.spaces[name].size, wide.layout.spaces[name].size
        if narrow.layout.spaces[name].kind in REPEATED:
            owner = torch.arange(m) % n
            chosen[name] = semi_permutation(owner, 1 / owner.bincount().double()[owner], n)
    device = find_device(wide.state)
    return {name: embedding.to(device) for name, embedding in chosen.items()}


def _as_long(narrow: Model, wide: Model, classes: Classes) -> tuple[Model, Model]:
    """The narrow model with its planes balanced as they are seen from the wide one, and the same
    with the scores it has there.

    A wider stream is longer, larger heads divide scores by more: with biases beside the weights,
    balance depends on both.
    """
    layout, rewrite = narrow.layout, narrow.family.rewrite(narrow.config)
    normed = {norm.space for norm in rewrite.norms}
    longer: dict[str, Element] = {}
    for name in unequal_spaces(layout, wide.layout):
        n, m = layout.spaces[name].size, wide.layout.spaces[name].size
        if name in normed:
            scales = torch.full((n,), (m / n) ** 0.5, dtype=torch.float64)
            longer[name] = Monomial(torch.arange(n), scales)
    stretch = Alignment.of(layout.spaces, longer)
    state = {name: precise(tensor).clone() for name, tensor in narrow.state.items()}
    scale_scores(narrow, wide, state)
    state = stretch.apply(layout, state, in_place=True)
    rewrite_in_place(
        layout, replace(rewrite, norms=(), layer_scales=(), centred=()), state, classes
    )
    compared = stretch.inverse().apply(layout, state, in_place=True)
    state = {name: tensor.clone() for name, tensor in compared.items()}
    scale_scores(narrow, wide, state, back=True)
    return narrow.with_state(state), narrow.with_state(compared)


def _balanced(
    narrow: Model, wide: Model, embeddings: Mapping[str, Embedding], classes: Classes
) -> tuple[dict[str, Embedding], Model]:
    """Stretch embeddings so that both sides of planes and of gated units are equally long in the
    widened model, and widen.

    That is what the canonical rewrite does to the wide model: a stream of other width and shares of
    copies change the lengths.
    """
    chosen = dict(embeddings)
    held = widen(narrow, wide.config, chosen)
    layout, small = held.layout, narrow.layout
    for product in held.family.rewrite(held.config).products:
        space = layout.spaces[product.space]
        if not class_of(space, classes).stretches:
            continue
        left, right = (
            sum(
                layout.copies(
                    layout.view(held.state, layout.by_name[name]), layout.by_name[name], space.name
                )
                .square()
                .sum(-1)
                for name in names
            )
            for names in (product.left, product.right)
        )
        assert isinstance(left, Tensor) and isinstance(right, Tensor)
        # one factor for a plane, whatever may be mixed in it
        if space.kind not in ("units", "gains", "states"):
            left, right = (side.sum(-1, keepdim=True).expand(side.shape) for side in (left, right))
        factors = torch.where((left > 0) & (right > 0), (right / left) ** 0.25, 1.0)
        if space.name not in chosen:
            eye = torch.eye(small.spaces[space.name].size).to(factors)
            chosen[space.name] = Embedding(eye, eye, mixes=space.largest.mixes)
        chosen[space.name] = chosen[space.name].stretched(factors)
    return chosen, widen(narrow, wide.config, chosen)


def _go_on(
    layout: Layout,
    a: Model,
    b: Model,
    classes: Classes,
    settings: WeightSettings,
    masks: Mapping[str, Tensor] | None,
) -> tuple[Alignment, list[float]]:
    """Weight matching from where `b` stands, until convergence."""
    moved = MatchingState(make_objective(layout, a.state, b.state, classes, settings, masks))
    values = [moved.objective]
    for _ in range(settings.max_rounds):
        for root in sorted(moved.problem.roots, key=lambda space: space.kind == "residual"):
            moved.take(solve(moved, root))
        values.append(moved.objective)
        if values[-1] - values[-2] < settings.tolerance:
            break
    return moved.found, values


def _given_away(
    narrow: Model, wide: Model, embeddings: Mapping[str, Embedding], problem: Objective
) -> dict[str, Embedding]:
    """Step 3 for every space whose coordinates are repeated."""
    return {
        name: _shared_out(narrow, wide, narrow.layout.spaces[name], embeddings, problem)
        for name, embedding in embeddings.items()
        if not embedding.mixes
    }


def _shared_out(
    narrow: Model,
    wide: Model,
    space: Space,
    embeddings: Mapping[str, Embedding],
    problem: Objective,
) -> Embedding:
    """The semi-permutation of one space that fits best, with everything else held."""
    n, m = space.size, wide.layout.spaces[space.name].size
    usual = n / m  # share of a copy
    gains, products, lengths = [], [], []
    for block in problem.touching[space.name]:
        ours, theirs = _sides(narrow, wide, block, space.name, embeddings)
        weight = problem.weights[block.name]
        inner, own = weight * ours @ theirs.mT, weight * ours.square().sum(-1)[..., None]
        share = 1.0
        if block.axes[block.axis(space.name)].role == "reads":
            share = usual
            products.append(inner)
            lengths.append(own)
        # |b|^2 - |b - s a|^2: what an owner is worth over an empty place
        gains.append(2 * share * inner - share**2 * own)
    gain = torch.stack(gains).sum(0)
    owner = torch.stack([_owners(each) for each in gain.cpu().reshape(-1, n, m)])
    owner = owner.view(*gain.shape[:-2], m).to(gain.device)
    held = (owner[..., None, :] == torch.arange(n, device=owner.device)[:, None]).to(gain)
    parts = held * (torch.stack(products).sum(0) / torch.stack(lengths).sum(0)).nan_to_num()
    left = (1 - parts.sum(-1, keepdim=True)) / held.sum(-1, keepdim=True)
    return semi_permutation(owner, ((parts + left) * held).sum(-2), n)


def _owners(gain: Tensor) -> Tensor:
    """Give m places to n units, one at least and ceil(m / n) at most to each, the others to
    `NOBODY`, whose gain is zero.

    Args:
        gain: of each place for each unit, `[n, m]`.
    """
    n, m = gain.shape
    first = gain + 2 * m * gain.abs().max()  # whatever it costs
    slots = torch.cat([first, gain.repeat(-(-m // n) - 1, 1), gain.new_zeros(m - n, m)])
    rows, columns = (torch.from_numpy(each) for each in linear_sum_assignment(-slots.numpy()))
    owner = torch.empty(m, dtype=torch.int64)
    owner[columns] = torch.where(rows < len(slots) - (m - n), rows % n, NOBODY)
    return owner


def _sides(
    narrow: Model, wide: Model, block: Block, space: str, embeddings: Mapping[str, Embedding]
) -> tuple[Tensor, Tensor]:
    """Rows of a block along a space, `[n, k]` and `[m, k]` or copy by copy.

    Of the narrow model all other spaces are embedded; those within this one, of which both have
    another number, are restricted of the wide one.
    """
    layout = wide.layout
    inner = {name: each for name, each in embeddings.items() if space in layout.path(name)}
    others = {
        name: each for name, each in embeddings.items() if name != space and name not in inner
    }
    mine = narrow.layout.view(narrow.state, narrow.layout.by_name[block.name])
    mine = embed_block(layout, block, precise(mine), others)
    theirs = restrict_block(layout, block, precise(layout.view(wide.state, block)), inner)
    return layout.copies(mine, block, space), layout.copies(theirs, block, space)


def _places(
    narrow: Model, held: Model, embeddings: Mapping[str, Embedding], found: Alignment
) -> dict[str, Places]:
    """Owners and their shares in the widened model, in the numbering of the wide model before it
    moved.
    """
    result = {}
    for name, embedding in embeddings.items():
        element = found.elements[name]
        if embedding.unread is None or not isinstance(element, Permutation | Monomial):
            continue
        owner = torch.where(embedding.unread, NOBODY, embedding.writes.argmax(-1)).expand(
            element.indices.shape
        )
        inner = own = embedding.writes.new_zeros(())
        for block in held.layout.blocks:
            if any(axis.space == name and axis.role == "reads" for axis in block.axes):
                ours, theirs = _sides(narrow, held, block, name, embeddings)
                inner, own = inner + ours @ theirs.mT, own + ours.square().sum(-1)[..., None]
        # E undoes the stretch of a place, by which its reader is shorter
        shares = ((inner / own).nan_to_num() * embedding.writes.mT).sum(-2).expand(owner.shape)
        back = element.indices.argsort(-1)
        owner, shares = owner.gather(-1, back).cpu(), shares.gather(-1, back).cpu()
        result[name] = Places(owner, shares.double())
    return result
