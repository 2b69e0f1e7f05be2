"""Differences of two models of one layout, in coordinates in which maps act linearly on them.

What a space's map does to parameters is linear, but for the gains of norms and other factors of one
number per coordinate, which a map that mixes coordinates cannot pass. So the factors are taken into
their readers, of either model its own (`folded`), which loses nothing of what a fine-tuning did to
a gain:

    D = W_f diag(g_f) C - W_0 diag(g_0) C.

A difference is brought back into a model whose norms keep their gains g and offsets o by solving
for what has to be added to its own parameters (`add_difference`):

    (W + dW) diag(g) C = W diag(g) C + D       gives   dW = D diag(1 / g),
    b + db + (W + dW) o = b + W o + D_b        gives   db = D_b - dW o,
    b_o + db_o + (W_o + dW_o) b_v = b_o + W_o b_v + D_o    gives   db_o = D_o - dW_o b_v.

Only a norm that has an offset and a reader without a bias, or a gain near zero, keeps the form
without them: gain 1, function unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from lmc_core.symmetry.canonical import Blocks, along, constant_of, rewrite_blocks
from lmc_core.symmetry.layout import Layout, State
from lmc_core.symmetry.rewrite import LayerScale, Norm, Rewrite
from lmc_core.symmetry.spaces import Classes, class_of

SMALL = 1e-4  # a gain below this share of the largest is not divided by


def folded(layout: Layout, rewrite: Rewrite, state: State, classes: Classes) -> dict[str, Tensor]:
    """A copy of the parameters without factors of single coordinates, float64; what the model
    computes stays.

    Args:
        layout: of the (untied) model.
        rewrite: what to work on.
        state: parameters in any precision.
        classes: chosen class of each kind of space.
    """
    copy = {name: tensor.double().clone().contiguous() for name, tensor in state.items()}
    rewrite_blocks(Blocks(layout, copy), rewrite, classes, balanced=False)
    return copy


def add_difference(
    layout: Layout,
    rewrite: Rewrite,
    state: State,
    difference: Mapping[str, Tensor],
    classes: Classes,
) -> dict[str, Tensor]:
    """The parameters whose `folded` form is that of `state` with a difference added.

    Args:
        layout: of the (untied) model.
        rewrite: what to work on.
        state: parameters in coordinates of their own; they are not written into.
        difference: of two folded models, float64, with the names of `state`.
        classes: chosen class of each kind of space.

    Returns:
        Parameters in float64.
    """
    used = _mixing(layout, rewrite, classes)
    own = {name: tensor.double().clone().contiguous() for name, tensor in state.items()}
    blocks = Blocks(layout, own)
    stays = replace(
        used,
        norms=tuple(norm for norm in used.norms if not _divides(norm, blocks)),
        layer_scales=tuple(
            each for each in used.layer_scales if _near_zero(blocks[each.scale].flatten())
        ),
        products=(),
        centred=(),
    )
    rewrite_blocks(blocks, stays, classes, balanced=False)
    before = {name: tensor.clone() for name, tensor in own.items()}
    rewrite_blocks(Blocks(layout, before), replace(used, products=()), classes, balanced=False)
    added = Blocks(layout, {name: each.clone().contiguous() for name, each in difference.items()})
    for product in reversed(used.products):
        if product.constant is not None:
            left, right, target = product.constant
            bias = Blocks(layout, before)[left]
            added[target] = added[target] - constant_of(layout, product, bias, added[right])
    for norm in reversed(used.norms):
        if norm not in stays.norms:
            _unfold(norm, blocks, added)
    for each in reversed(used.layer_scales):
        if each not in stays.layer_scales:
            _unscale(each, blocks, added)
    return {name: tensor + added.state[name] for name, tensor in own.items()}


def _mixing(layout: Layout, rewrite: Rewrite, classes: Classes) -> Rewrite:
    """The steps of a rewrite that the chosen classes ask for."""

    def mixes(space: str) -> bool:
        return class_of(layout.spaces[space], classes).mixes

    return replace(
        rewrite,
        norms=tuple(norm for norm in rewrite.norms if mixes(norm.space)),
        layer_scales=tuple(each for each in rewrite.layer_scales if mixes(each.space)),
        products=tuple(each for each in rewrite.products if mixes(each.space)),
    )


def _near_zero(factors: Tensor) -> bool:
    size = factors.abs()
    return not float(size.min()) > SMALL * float(size.max())


def _divides(norm: Norm, blocks: Blocks) -> bool:
    """Whether a norm may keep its gain and its offset."""
    if norm.gain is not None and _near_zero(blocks[norm.gain] + (1 - norm.unit)):
        return False
    return norm.offset is None or all(bias is not None for _, bias in norm.readers)


def _unfold(norm: Norm, own: Blocks, added: Blocks) -> None:
    for name, bias in norm.readers:
        value, axis = added[name], own.layout.by_name[name].axis(norm.space)
        if norm.gain is not None:
            value = value / along(own[norm.gain] + (1 - norm.unit), value, axis)
            added[name] = value
        if norm.offset is not None and bias is not None:
            constant = (value * along(own[norm.offset], value, axis)).sum(axis)
            added[bias] = added[bias] - constant


def _unscale(part: LayerScale, own: Blocks, added: Blocks) -> None:
    factors = 1 / own[part.scale].flatten()
    for name in part.writers:
        if name is not None:
            added.scale(name, part.space, factors)
