"""Widen a model: the same function in an ordinary model of the same family with larger spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from lmc_core.models.canonical_state import CanonicalState
from lmc_core.models.config import Config
from lmc_core.models.fits import REPEATED, require_fits, separate_head, unequal_spaces
from lmc_core.models.lazy import is_lazy
from lmc_core.models.model import Model
from lmc_core.models.pieced import CPU, PiecedState, cut_again, rescaled, working_type
from lmc_core.symmetry.alignment import chunks, find_cut, read_pieces
from lmc_core.symmetry.arithmetic import find_device, zeros
from lmc_core.symmetry.canonical import rewrite_in_place
from lmc_core.symmetry.embedded_blocks import embed_block, seen
from lmc_core.symmetry.embedding import (
    Embedding,
    appended,
    first_places,
    padding,
    paired,
    rectangular,
    semi_permutation,
)
from lmc_core.symmetry.layout import Block, Layout, State
from lmc_core.symmetry.rewrite import Rewrite
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, kinds_of


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
        A model of that configuration with a head of its own that computes what `narrow` does; in
        float64. Of a lazily read one the parameters are made when they are asked for, block by
        block, in float64 if it is stored so and in float32 otherwise.

    Raises:
        Incompatible: if the narrow model cannot be embedded in such a one.
    """
    target = replace(narrow, config=config, state={}, name=f"a model of the width of {narrow.name}")
    require_fits(narrow, target)
    narrow, target = separate_head(narrow), separate_head(target)
    small, large = narrow.layout, target.layout
    every = padded(narrow, target)
    chosen = {name: every[name] for name in unequal_spaces(small, large)} | dict(embeddings or {})
    state = rescaled(small, narrow.state, find_score_factors(narrow, target))
    state = _rewritten(narrow, state, chosen)
    dtype = working_type(state)
    device = CPU if is_lazy(state) else find_device(state)
    chosen = {name: each.to(device, dtype) for name, each in chosen.items()}

    def make(block: Block) -> Iterator[Tensor]:
        parts = embedded_pieces(small, large, state, block, chosen)
        if like is None or not _leaves_open(block, chosen):
            yield from parts
            return
        for part, other in zip(parts, read_pieces(large, like, block), strict=True):
            yield _filled(large, block, part, other.to(device, dtype), chosen)

    found: State = PiecedState(large, empty(large), make, dtype)
    if not is_lazy(state):
        found = hold(large, make, device)
    return replace(narrow, config=target.config, state=found, folder=None)


def empty(layout: Layout) -> State:
    """Parameters of a layout without values."""
    return {name: torch.empty(shape, device="meta") for name, shape in layout.shapes.items()}


def hold(
    layout: Layout, make: Callable[[Block], Iterator[Tensor]], device: torch.device
) -> dict[str, Tensor]:
    """All parameters of a model in memory, in the type that is worked in on a device.

    Args:
        layout: of the model.
        make: block -> its pieces, as `chunks` cuts them.
        device: where they are made.
    """
    held = {name: zeros(*shape, device=device) for name, shape in layout.shapes.items()}
    for block in layout.blocks:
        view = layout.view(held, block)
        for part, value in zip(chunks(view, block), make(block), strict=True):
            part.copy_(value)
    return held


def embedded_pieces(
    small: Layout, large: Layout, state: State, block: Block, embeddings: Mapping[str, Embedding]
) -> Iterator[Tensor]:
    """A block of a narrow model in a wide one, in the pieces that the wide one's block is cut into.

    Args:
        small: layout of the narrow model.
        large: layout of the wide one.
        state: parameters of the narrow one, held or lazily read.
        block: of either.
        embeddings: of the spaces that are embedded, in the type that is worked in.
    """
    dtype, own = working_type(state), small.by_name[block.name]
    whole = torch.empty(large.shapes[block.parameter], device="meta")
    shape = large.view({block.parameter: whole}, block).shape
    for part in cut_again(read_pieces(small, state, own), find_cut(shape, block)):
        yield embed_block(large, block, part.to(dtype), embeddings)


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
    owner: Tensor | None = first_places(n, m)
    if small.kind in REPEATED:
        return semi_permutation(owner, torch.ones(m, dtype=torch.float64), n)
    if small.fixes_ones:
        return rectangular(padding(n, m, True), normed)
    if small.largest is SymmetryClass.ROTARY:
        assert small.pairs is not None and large.pairs is not None
        owner, normed = paired(small.pairs, large.pairs, n, m), False
        assert owner is not None
    return appended(owner, n, normed)


def _rewritten(narrow: Model, state: State, chosen: Mapping[str, Embedding]) -> State:
    """Parameters in canonical form where an embedding mixes the coordinates of a stream."""
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
    rewrite = narrow.family.rewrite(narrow.config)
    return rewritten(narrow.layout, rewrite, state, classes) if mixing else state


def rewritten(layout: Layout, rewrite: Rewrite, state: State, classes: Classes) -> State:
    """Parameters in canonical form for some classes: those of a model that is held are written
    into, those of a lazily read one are rewritten when they are read.
    """
    if is_lazy(state):
        return CanonicalState(layout, rewrite, state, classes)
    held = dict(state)
    rewrite_in_place(layout, rewrite, held, classes)
    return held


def find_score_factors(narrow: Model, target: Model) -> dict[str, float]:
    """By name of block, what makes up for a larger head that divides its scores by more (queries
    and their biases), and for a table that is multiplied by a number that depends on the width.
    """
    one, two = (model.family.rewrite(model.config) for model in (narrow, target))
    found: dict[str, float] = {}
    for (name, before), (_, after) in zip(one.multiplied, two.multiplied, strict=True):
        found[name] = before / after
    for small, large in zip(one.products, two.products, strict=True):
        if small.scale != large.scale:
            for name in small.left:
                found[name] = found.get(name, 1.0) * (small.scale / large.scale)
    return found


def _leaves_open(block: Block, embeddings: Mapping[str, Embedding]) -> bool:
    """Whether an embedding leaves something of a block open: where it reads from one that is
    embedded, or stands at a place that no one reads.
    """
    return any(
        axis.space in embeddings
        and (axis.role == "reads" or embeddings[axis.space].unread is not None)
        for axis in block.axes
        if axis.space is not None
    )


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
