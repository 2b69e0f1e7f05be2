"""Widen a model: the same function in an ordinary model of the same family with larger spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from lmc_core.models.config import Config
from lmc_core.models.fits import REPEATED, require_fits, separate_head, unequal_spaces
from lmc_core.models.model import Model
from lmc_core.symmetry.arithmetic import find_device, precise, precise_type, zeros
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.embedding import (
    Embedding,
    embed_block,
    padding,
    paired,
    rectangular,
    seen,
    semi_permutation,
)
from lmc_core.symmetry.layout import Block, Layout, State
from lmc_core.symmetry.spaces import Space, SymmetryClass, kinds_of


def widen(
    narrow: Model,
    config: Config,
    embeddings: Mapping[str, Embedding] | None = None,
    like: State | None = None,
) -> Model:
    """The function of a narrow model in a model of the configuration of a wider one.

    An embedding leaves much of the wide model open: what reads parts of a stream that are never
    written, what is written to units that are never read. Without `like` these parameters are zero;
    with it they are those of a given model, so that the result is the nearest of all wide models
    that hold the narrow one in this way:

        readers                  W' = W F^T + W_like (1 - E F^T)
        units that no one reads  their writers are those of `like`

    (Simsek et al. 2021, arXiv 2105.12221, describe these sets for units of a feed-forward network.)

    Args:
        narrow: any model; it is brought into canonical form as far as that is needed.
        config: of a model of the same family, as wide or wider in every space.
        embeddings: by name of space; those that are left out are zero padding (`padded`).
        like: parameters of a wide model whose head is its own.

    Returns:
        A model of that configuration with a head of its own, in float64, that computes what
        `narrow` does.

    Raises:
        Incompatible: if the narrow model cannot be embedded in such a one.
    """
    target = replace(narrow, config=config, state={}, name=f"a model of the width of {narrow.name}")
    require_fits(narrow, target)
    narrow, target = separate_head(narrow), separate_head(target)
    small, large = narrow.layout, target.layout
    device = find_device(narrow.state)
    chosen = {name: padded(narrow, target)[name] for name in unequal_spaces(small, large)}
    chosen = {name: each.to(device) for name, each in {**chosen, **(embeddings or {})}.items()}
    state = _rewritten(narrow, chosen)
    scale_scores(narrow, target, state)
    result = {name: zeros(*shape, device=device) for name, shape in large.shapes.items()}
    for block in large.blocks:
        value = embed_block(large, block, small.view(state, small.by_name[block.name]), chosen)
        if like is not None:
            value = _filled(large, block, value, precise(large.view(like, block)), chosen)
        large.view(result, block).copy_(value)
    return replace(narrow, config=target.config, state=result, folder=None)


def padded(narrow: Model, target: Model) -> dict[str, Embedding]:
    """The embedding that appends zeros, for every space: of streams, units, heads and planes as
    they are numbered.
    """
    normed = {norm.space for norm in narrow.family.rewrite(narrow.config).norms}
    return {
        name: _padding(space, target.layout.spaces[name], name in normed)
        for name, space in narrow.layout.spaces.items()
    }


def _padding(small: Space, large: Space, normed: bool) -> Embedding:
    n, m = small.size, large.size
    if small.kind in REPEATED:
        owner = torch.where(torch.arange(m) < n, torch.arange(m), -1)
        return semi_permutation(owner, torch.ones(m, dtype=torch.float64), n)
    if small.largest is SymmetryClass.ROTARY:
        assert small.pairs is not None and large.pairs is not None
        columns = paired(small.pairs, large.pairs, n, m)
        assert columns is not None
        return rectangular(columns)
    return rectangular(padding(n, m, small.fixes_ones), normed)


def _rewritten(narrow: Model, chosen: Mapping[str, Embedding]) -> dict[str, Tensor]:
    """The parameters in float64, in canonical form where an embedding mixes the coordinates of a
    stream.
    """
    spaces = narrow.layout.spaces
    mixing = {
        spaces[name].kind
        for name, embedding in chosen.items()
        if embedding.mixes and spaces[name].within is None
    }
    classes = {
        kind: all_[-1] if kind in mixing else SymmetryClass.NONE
        for kind, all_ in kinds_of(spaces).items()
    }
    state = {
        name: tensor.to(
            precise_type(tensor.device), copy=True, memory_format=torch.contiguous_format
        )
        for name, tensor in narrow.state.items()
    }
    rewrite_in_place(narrow.layout, narrow.family.rewrite(narrow.config), state, classes)
    return state


def scale_scores(
    narrow: Model, target: Model, state: Mapping[str, Tensor], back: bool = False
) -> None:
    """Larger heads divide their scores by more; multiply queries and their biases by what makes up
    for it (`back`: divide).

    Likewise for token tables that are multiplied by a number that depends on the width.
    """
    one, two = (model.family.rewrite(model.config) for model in (narrow, target))
    for (name, before), (_, after) in zip(one.multiplied, two.multiplied, strict=True):
        factor = after / before if back else before / after
        narrow.layout.view(state, narrow.layout.by_name[name]).mul_(factor)
    for small, large in zip(one.products, two.products, strict=True):
        if small.scale != large.scale:
            factor = large.scale / small.scale if back else small.scale / large.scale
            for name in small.left:
                narrow.layout.view(state, narrow.layout.by_name[name]).mul_(factor)


def _filled(
    layout: Layout, block: Block, value: Tensor, like: Tensor, embeddings: Mapping[str, Embedding]
) -> Tensor:
    """Put the values of a wide model where the embedding leaves them open; see `widen`."""
    chosen = dict(embeddings)
    value = value + like - seen(layout, block, like, chosen)
    for axis in block.axes:
        unread = chosen[axis.space].unread if axis.space in chosen else None
        if axis.space is None or unread is None:
            continue
        first = [*layout.path(axis.space), axis.space]
        shape = [1] * value.ndim
        for name, size in zip(first, _shape(layout, unread, first), strict=True):
            shape[block.axis(name)] = size
        order = sorted(range(len(first)), key=lambda i: block.axis(first[i]))
        mask = unread.view(_shape(layout, unread, first)).permute(order).reshape(shape)
        value = torch.where(mask, torch.zeros_like(value) if axis.role == "reads" else like, value)
    return value


def _shape(layout: Layout, unread: Tensor, spaces: list[str]) -> list[int]:
    """The sizes of a space and those around it, outermost first; 1 for outer ones where all copies
    share one mask.
    """
    sizes = [layout.spaces[name].size for name in spaces]
    return sizes if unread.ndim > 1 else [*[1] * (len(sizes) - 1), sizes[-1]]
