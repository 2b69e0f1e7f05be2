"""Match a narrow model with a wider one: widen it so that it lies close to the other, and move the
other onto it.

The widened model computes what the narrow one does whatever the embedding; matching chooses the
embedding.

1. Streams and planes get zeros appended, units and heads are repeated evenly, each copy with an
   equal share of what goes out.
2. Weight matching moves the wide model onto that. At equal sizes a rotation of the wide stream is
   all that can be chosen about how the narrow one lies in it, since Q^T R runs through all
   orthonormal columns when R runs through the rotations.
3. The places of the wide model are shared out anew (`places`): to the narrow units that they
   resemble, or to nobody where an empty place is nearer. Then step 2 again from where the wide
   model is; what does not raise the objective is taken back.
4. What the embedding leaves open takes the values of the wide model (`widen`, its argument `like`),
   which is the nearest.

Theus et al. 2025 (arXiv 2506.22712) match different widths by semi-permutations of units and
rectangular orthogonal maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from lmc_core.matching.places import find_places, give_away
from lmc_core.matching.state import MatchingState
from lmc_core.matching.steps import solve
from lmc_core.matching.weight import WeightSettings
from lmc_core.matching.weight_search import make_objective, match_weights
from lmc_core.matching.widened import Widened
from lmc_core.models.fits import REPEATED, unequal_spaces
from lmc_core.models.lazy import is_lazy
from lmc_core.models.model import Model
from lmc_core.models.moved import move
from lmc_core.models.pieced import CPU, moved, rescaled, working_type
from lmc_core.models.widen import find_score_factors, padded, rewritten, widen
from lmc_core.side_by_side import side_by_side
from lmc_core.symmetry.alignment import Alignment, read_pieces
from lmc_core.symmetry.arithmetic import find_device, precise_type
from lmc_core.symmetry.embedding import Copies, Embedding, semi_permutation
from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.rewrite import Product
from lmc_core.symmetry.spaces import Classes, class_of

ROUNDS = 4  # of giving places away and matching again
# of the length of a space, what an axis is multiplied by
POWERS = {"writes": 1, "reads": -1, "order": 0}


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
        wide: in canonical form, with a head of its own. If both are lazily read, so are the models
            of the result, and nothing is held but maps.
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
    there = _moved(wide, found)
    objective, rounds = list(trace.objective), trace.rounds
    for number in range(ROUNDS if any(not each.mixes for each in embeddings.values()) else 0):
        problem = make_objective(layout, held.state, there.state, classes, settings, masks)
        given_away, other = _balanced(
            narrow, wide, {**embeddings, **give_away(compared, there, embeddings, problem)}, classes
        )
        step, values = _go_on(layout, other, there, classes, settings, masks)
        if values[-1] <= objective[-1] + settings.tolerance:
            break
        held, embeddings, objective, rounds = other, given_away, [*objective, *values], rounds + 1
        found = step.compose(found)
        there = _moved(wide, found)
        progress(0.8 + 0.2 * (number + 1) / ROUNDS)
    if is_lazy(wide.state):
        there = move(wide, found)  # as it is written, in float64
    if fill:
        held = widen(narrow, wide.config, embeddings, there.state)
    places = find_places(compared, held, embeddings, found)
    progress(1.0)
    trace = replace(trace, objective=tuple(objective), rounds=rounds)
    return Widened(replace(held, name=narrow.name), there, found, trace, places)


def even(narrow: Model, wide: Model) -> dict[str, Embedding]:
    """Zeros appended to streams and planes; units and heads repeated in turn, copies with equal
    shares.
    """
    every = padded(narrow, wide)
    chosen = {name: every[name] for name in unequal_spaces(narrow.layout, wide.layout)}
    for name in chosen:
        n, m = narrow.layout.spaces[name].size, wide.layout.spaces[name].size
        if narrow.layout.spaces[name].kind in REPEATED:
            owner = torch.arange(m) % n
            chosen[name] = semi_permutation(owner, 1 / owner.bincount().double()[owner], n)
    device = CPU if is_lazy(wide.state) else find_device(wide.state)
    return {name: embedding.to(device) for name, embedding in chosen.items()}


def _as_long(narrow: Model, wide: Model, classes: Classes) -> tuple[Model, Model]:
    """The narrow model with its planes balanced as they are seen from the wide one, and the same
    with the scores it has there.

    A wider stream is longer, larger heads divide scores by more: with biases beside the weights,
    balance depends on both. Either is one number for a block, so that of a lazily read model
    nothing is held but what balances its planes.
    """
    layout, rewrite = narrow.layout, narrow.family.rewrite(narrow.config)
    normed = {norm.space for norm in rewrite.norms}
    longer = {
        name: (wide.layout.spaces[name].size / layout.spaces[name].size) ** 0.5
        for name in unequal_spaces(layout, wide.layout)
        if name in normed
    }
    scores = find_score_factors(narrow, wide)
    lengths = {
        block.name: math.prod(
            longer.get(axis.space or "", 1.0) ** POWERS[axis.role] for axis in block.axes
        )
        for block in layout.blocks
    }
    seen = {name: length * scores.get(name, 1.0) for name, length in lengths.items()}
    balanced = rewritten(
        layout,
        replace(rewrite, norms=(), layer_scales=(), centred=()),
        rescaled(layout, narrow.state, seen),
        classes,
    )
    back, compared = (
        rescaled(layout, balanced, {name: 1 / factor for name, factor in factors.items()})
        for factors in (seen, lengths)
    )
    return narrow.with_state(back), narrow.with_state(compared)


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
    products = [
        product
        for product in held.family.rewrite(held.config).products
        if class_of(layout.spaces[product.space], classes).stretches
    ]
    device = CPU if is_lazy(held.state) else find_device(held.state)
    looks = [partial(_stretch, held, product) for product in products]
    factors = side_by_side(looks, device) if is_lazy(held.state) else (look() for look in looks)
    for product, found in zip(products, factors, strict=True):
        space = layout.spaces[product.space]
        if space.name not in chosen:
            size = small.spaces[space.name].size
            owner = torch.arange(size, device=device)
            ones = torch.ones_like(owner, dtype=found.dtype)
            chosen[space.name] = Copies(owner, ones, ones, size, mixes=space.largest.mixes)
        chosen[space.name] = chosen[space.name].stretched(found)
    return chosen, widen(narrow, wide.config, chosen)


def _stretch(held: Model, product: Product) -> Tensor:
    """What every place of a product's space is stretched by so that its sides are equally long,
    `[..., m]`: one factor for a plane, whatever may be mixed in it; 1 where a side is zero.
    """
    layout = held.layout
    space = layout.spaces[product.space]
    left, right = (
        torch.stack([_squares(held, layout.by_name[name], space.name) for name in names]).sum(0)
        for names in (product.left, product.right)
    )
    if space.kind not in ("units", "gains", "states"):
        left, right = (side.sum(-1, keepdim=True).expand(side.shape) for side in (left, right))
    return torch.where((left > 0) & (right > 0), (right / left) ** 0.25, 1.0)


def _squares(model: Model, block: Block, space: str) -> Tensor:
    """The squared norms of the rows of a block along a space, float64 (`arithmetic`)
    `[..., m]`.
    """
    layout = model.layout
    parts = [
        layout.copies(part, block, space).square().sum(-1, dtype=precise_type(part.device))
        for part in read_pieces(layout, model.state, block)
    ]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def _moved(wide: Model, found: Alignment) -> Model:
    """The wide model where it stands while it is matched."""
    if is_lazy(wide.state):
        state = moved(wide.layout, wide.state, found, working_type(wide.state))
        return wide.with_state(state)
    return move(wide, found)


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
