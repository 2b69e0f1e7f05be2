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
    counts: Counts = {}

    def add(what: str, number: int) -> None:
        if number:
            counts[what] = counts.get(what, 0) + number

    def numel(name: str) -> int:
        return math.prod(_shape(layout, name))

    for space in layout.spaces.values():
        add(f"{space.kind}: {space.largest.value}", space.dimension)
    for norm in rewrite.norms:
        size = layout.spaces[norm.space].size
        add("gains of norms", size if norm.gain else 0)
        add("offsets of norms", size if norm.offset else 0)
        if norm.centred:
            for weight, bias in norm.readers:
                add(
                    "means that LayerNorm removes",
                    numel(weight) // size if bias or not norm.offset else 0,
                )
    for space in rewrite.centred:
        for name in writers(layout, rewrite, space):
            add("means that LayerNorm removes", numel(name) // layout.spaces[space].size)
    for product in rewrite.products:
        space = layout.spaces[product.space]
        if product.invisible:
            rotated = space.pairs.rotated if space.pairs else 0
            add(
                "biases that no output sees",
                numel(product.invisible) * (space.size - rotated) // space.size,
            )
        for name in product.unseen:
            add("biases that no output sees", numel(name))
        if product.gate:
            add("scales of gates", space.size * space.copies)
        if product.constant:
            add("biases that no output sees", numel(product.constant[0]))
    for part in rewrite.layer_scales:
        add("layer scales", layout.spaces[part.space].size)
    for group in rewrite.sums:
        block = layout.by_name[group[0]]
        names = [axis.space for axis in block.axes if axis.space]
        seen = layout.spaces[names[-1]].size - int(names[-1] in rewrite.centred)
        add("sums of constants", (len(group) - 1) * seen)
    for block in layout.blocks:
        over = block.ignores_mean_over
        axes = () if over is None else (over,) if isinstance(over, int) else over
        if axes and block.axes[axes[0]].space is not None:
            shape = _shape(layout, block.name)
            add(
                "shifts common to all experts",
                numel(block.name) // math.prod(shape[axis] for axis in axes),
            )
    add("scales that norms undo", len(rewrite.scales))
    for what, number in rewrite.further:
        add(what, number)
    return counts


def _shape(layout: Layout, name: str) -> tuple[int, ...]:
    block = layout.by_name[name]
    whole = block.view_shape(layout.spaces, math.prod(layout.shapes[block.parameter]))
    cuts = zip(whole, block.slices, strict=True)
    return tuple(
        len(range(*index.indices(size))) for size, index in cuts if isinstance(index, slice)
    )
