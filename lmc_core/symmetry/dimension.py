"""How large the continuous part of a model's symmetry group is: the number of directions of its
parameters that no output sees.

Counted from the layout and the rewrite, at parameters in general position:

- every space gives the dimension of its largest class, over all its copies (`Space.dimension`);
- a norm's gain and offset can be moved into its readers: d each. The mean of a reader's row is not
  seen behind a LayerNorm: one for each output of a reader that has a bias, or whose norm has no
  offset;
- a writer's mean is not seen by a LayerNorm: one for each column;
- biases that reach no output or only as a constant, sums of which only the total is seen, shifts
  common to all rows of a softmax router, LayerScale, and positive numbers that a norm undoes.

For a Llama of L layers and width d with G key/value heads of size d_h and F units this is d (d - 1)
/ 2 + 1 + (2 L + 1) d + L G (d_h + d_h^2) + L F. The number equals the nullity of the Jacobian of
all outputs with respect to all parameters, with epsilon 0 in the norms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from lmc_core.symmetry.canonical import writers
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.rewrite import Rewrite

Counts = dict[str, int]  # what gives directions -> how many


def symmetry_dimension(layout: Layout, rewrite: Rewrite) -> Counts:
    """Count the directions of parameter space along which no output changes, by where they come
    from.

    Args:
        layout: of the model, its head untied.
        rewrite: of the same configuration.

    Returns:
        What gives directions -> how many; the dimension is the sum of the values.
    """
    found = [
        *(
            (f"{space.kind}: {space.largest.value}", space.dimension)
            for space in layout.spaces.values()
        ),
        *_count_norms(layout, rewrite),
        *_count_products(layout, rewrite),
        *(("layer scales", layout.spaces[part.space].size) for part in rewrite.layer_scales),
        *_count_shifts(layout, rewrite),
        ("scales that norms undo", len(rewrite.scales)),
        *rewrite.further,
    ]
    counts: Counts = {}
    for what, number in found:
        if number:
            counts[what] = counts.get(what, 0) + number
    return counts


def _count_norms(layout: Layout, rewrite: Rewrite) -> Iterator[tuple[str, int]]:
    """Gains, offsets, and means that norms remove."""
    for norm in rewrite.norms:
        size = layout.spaces[norm.space].size
        yield "gains of norms", size if norm.gain else 0
        yield "offsets of norms", size if norm.offset else 0
        for weight, bias in norm.readers if norm.centred else ():
            if bias or not norm.offset:
                yield "means that LayerNorm removes", _numel(layout, weight) // size
    for space in rewrite.centred:
        for name in writers(layout, rewrite, space):
            number = _numel(layout, name) // layout.spaces[space].size
            yield "means that LayerNorm removes", number


def _count_products(layout: Layout, rewrite: Rewrite) -> Iterator[tuple[str, int]]:
    """Biases that do not show in a product, and scales of gates."""
    for product in rewrite.products:
        space = layout.spaces[product.space]
        if product.invisible:
            rotated = space.pairs.rotated if space.pairs else 0
            number = _numel(layout, product.invisible) * (space.size - rotated) // space.size
            yield "biases that no output sees", number
        for name in product.unseen:
            yield "biases that no output sees", _numel(layout, name)
        if product.gate:
            yield "scales of gates", space.size * space.copies
        if product.constant:
            yield "biases that no output sees", _numel(layout, product.constant[0])


def _count_shifts(layout: Layout, rewrite: Rewrite) -> Iterator[tuple[str, int]]:
    """Constants that several parameters share, and numbers common to all experts."""
    for group in rewrite.sums:
        block = layout.by_name[group[0]]
        names = [axis.space for axis in block.axes if axis.space]
        seen = layout.spaces[names[-1]].size - int(names[-1] in rewrite.centred)
        yield "sums of constants", (len(group) - 1) * seen
    for block in layout.blocks:
        over = block.ignores_mean_over
        axes = () if over is None else (over,) if isinstance(over, int) else over
        if axes and block.axes[axes[0]].space is not None:
            shape = _shape(layout, block.name)
            number = _numel(layout, block.name) // math.prod(shape[axis] for axis in axes)
            yield "shifts common to all experts", number


def _numel(layout: Layout, name: str) -> int:
    return math.prod(_shape(layout, name))


def _shape(layout: Layout, name: str) -> tuple[int, ...]:
    block = layout.by_name[name]
    whole = block.view_shape(layout.spaces, math.prod(layout.shapes[block.parameter]))
    cuts = zip(whole, block.slices, strict=True)
    return tuple(
        len(range(*index.indices(size))) for size, index in cuts if isinstance(index, slice)
    )
