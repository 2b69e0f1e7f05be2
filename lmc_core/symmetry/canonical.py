"""The canonical rewrite: remove what a model's own architecture leaves open, function unchanged,
before two are compared.

Column vectors, y = W x + b; J = 11^T / d, C = I - J. Each step is done only when the chosen classes
ask for it, so that "permutations only" compares the weights as they are. One block at a time is in
float64; results are written in place.

With a space whose class mixes coordinates (orthogonal):

- fold gains: a reader W of a norm with gain g and offset o becomes W diag(g), its bias b + W o;
  then g = 1, o = 0.
- a reader without bias has nowhere to put W o. It goes into the all-ones direction, which LayerNorm
  leaves free: with offset o' = 1 and W' = W diag(g) C + (W o) 1^T / d we get W'(LN(x) + 1) = W
  diag(g) LN(x) + W o exactly, because LN(x) has mean zero. No gain is divided by, and any map that
  keeps the ones vector keeps o'. Readers of the same norm with a bias have W' 1 = 0.
- centre, LayerNorm alone: writers W -> C W, b -> C b, readers W -> W C. LayerNorm never sees the
  mean; RMSNorm does.
- fold LayerScale into the writer before it.

With a plane that mixes: b_o -> b_o + W_o b_v, b_v = 0, since attention rows sum to one; and b_k = 0
on coordinates that are not rotated, since it adds one constant to all scores of a query.

With a space that *stretches* only the product of its two sides is seen, so both sides get equal
shares:

- invertible: L^T R = U S V^T gives L = S^1/2 U^T, R = S^1/2 V^T (query and key, value and output;
  of all queries of a group).
- rotary: every pair gets sides of equal norm; coordinates that are not rotated are invertible.
- scaled: every unit's row of the one side and column of the other get equal norms, and that of its
  gate where a factor passes through the gate; scales: the same for gains.

A space that stretches and stands in no product, as a residual stream without norms, has all its
writers as the one side and all its readers as the other: V V^T = W^T W. Its readers are sides of
the planes behind it, and its writers too, so balancing one undoes the other, and all are balanced
in turn until they agree. They do: each step is the exact minimiser over one group of

    f = sum of the squares of all blocks between the spaces that stretch,

whose minimum over all of them is one point up to maps that keep lengths, if it is attained (Kempf,
Ness 1979; for real groups Richardson, Slodowy 1990), and f is convex along the group, so that
descent by turns has no other end. Without it what matching finds depends on which of all equal
copies of a model it was given, and of these the balanced ones have the quietest average: for one
scale c, |V_A + c V_B|^2 + |W_A + W_B / c|^2 is least at c = 1 where the sides are equal.

What is then left free is orthogonal, a rotation, or a sign, so that matching solves it exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from functools import partial

import torch
from torch import Tensor

from lmc_core.symmetry.alignment import chunks
from lmc_core.symmetry.arithmetic import TINY, find_device, precise, precise_type
from lmc_core.symmetry.elements import rotary_matrix
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.rewrite import LayerScale, Norm, Product, Rewrite
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

ROUNDS = 1000  # visits of every product before giving up on their agreement; a few dozen are usual
# names of the blocks that a part of the rewrite touches, and the part
Step = tuple[set[str], Callable[[], None]]
SETTLED = 1e-15  # share of the squares below which a round's gain is rounding


class Blocks(MutableMapping[str, Tensor]):
    """The blocks of a state dict: read in float64 (`arithmetic`), written into the state's own
    tensors.
    """

    def __init__(self, layout: Layout, state: MutableMapping[str, Tensor]):
        self.layout, self.state = layout, state

    def __getitem__(self, name: str) -> Tensor:
        return precise(self.view(name))

    def full(self, size: int, value: float) -> Tensor:
        """A vector of one number, as blocks are read."""
        device = find_device(self.state)
        return torch.full((size,), value, dtype=precise_type(device), device=device)

    def __setitem__(self, name: str, value: Tensor) -> None:
        self.view(name).copy_(value)

    def view(self, name: str) -> Tensor:
        """A block in its parameter, in its own precision; what is written into it is written into
        the model.
        """
        return self.layout.view(self.state, self.layout.by_name[name])

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a block."""
        return tuple(self.view(name).shape)

    def pieces(self, name: str) -> Iterator[Tensor]:
        """The same, in pieces if it is large."""
        return chunks(self.view(name), self.layout.by_name[name])

    def scale(self, name: str, space: str, factors: Tensor) -> None:
        """Multiply a block by one number for every coordinate of a space."""
        value = self[name]
        self[name] = value * along(factors, value, self.layout.by_name[name].axis(space))

    def centre(self, name: str, space: str) -> None:
        """Remove the mean of a block over the coordinates of a space."""
        for part in self.pieces(name):
            value = precise(part)
            part.copy_(value - value.mean(self.layout.by_name[name].axis(space), keepdim=True))

    def fold(
        self, name: str, bias: str | None, norm: Norm, gain: Tensor, offset: Tensor | None
    ) -> None:
        """Take the gain and the offset of a norm into one of its readers."""
        axis = self.layout.by_name[name].axis(norm.space)
        for part in self.pieces(name) if bias is None else (self.view(name),):
            original = precise(part)
            folded, constant = fold(original, axis, gain, offset, norm.centred, bias is None)
            if bias is not None and constant is not None:
                self[bias] = self[bias] + constant
            part.copy_(folded)

    def balance(self, product: Product, space: Space, chosen: SymmetryClass) -> None:
        """Give both sides equal shares of their product, copy by copy of the space."""
        balance_whole(self.layout, product, space, chosen, self)

    def rebalance(self, product: Product, space: Space, chosen: SymmetryClass) -> None:
        """The same for a product whose sides are those of others too, so that it is not the last
        time.
        """
        balance_whole(self.layout, product, space, chosen, self)

    def take(self, steps: Sequence[Step]) -> None:
        """Take the steps of the rewrite, each after those before it that touch the same blocks."""
        for _, step in steps:
            step()

    def __delitem__(self, name: str) -> None:
        raise TypeError("A block cannot be taken out of its parameter.")

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.by_name)

    def __len__(self) -> int:
        return len(self.layout.by_name)


def rewrite_in_place(
    layout: Layout, rewrite: Rewrite, state: MutableMapping[str, Tensor], classes: Classes
) -> None:
    """Bring the parameters into canonical form for the chosen classes; the model computes the same
    function.

    Args:
        layout: of the (untied) model.
        rewrite: what to work on.
        state: parameters, contiguous; changed in place.
        classes: chosen class of each kind of space.
    """
    rewrite_blocks(Blocks(layout, state), rewrite, classes)


def rewrite_blocks(
    blocks: Blocks, rewrite: Rewrite, classes: Classes, balanced: bool = True
) -> None:
    """The same for blocks that are read and changed in a way of their own; without the equal shares
    of products where not `balanced`, which leaves no convention that a model chooses for itself.
    """
    layout = blocks.layout

    def mixes(space: str) -> bool:
        return class_of(layout.spaces[space], classes).mixes

    for layer_scale in rewrite.layer_scales:
        if mixes(layer_scale.space):
            _fold_layer_scale(layer_scale, blocks)
    for space in rewrite.centred:
        if mixes(space):
            for name in writers(layout, rewrite, space):
                blocks.centre(name, space)
    steps: list[Step] = [
        (_blocks_of_norm(norm), partial(_fold_norm, layout, norm, blocks))
        for norm in rewrite.norms
        if mixes(norm.space)
    ]

    def share(product: Product) -> None:
        space = layout.spaces[product.space]
        if mixes(product.space):
            _drop_biases(layout, product, blocks)
        if balanced:
            blocks.balance(product, space, class_of(space, classes))

    steps += [(_blocks_of_product(each), partial(share, each)) for each in rewrite.products]
    blocks.take(steps)
    if balanced and (open_spaces := _without_product(layout, rewrite, classes)):
        _settle(layout, (*open_spaces, *rewrite.products), classes, blocks)


def _blocks_of_norm(norm: Norm) -> set[str]:
    """Names of the blocks that folding a norm reads or changes."""
    named = (norm.gain, norm.offset, *(name for reader in norm.readers for name in reader))
    return {name for name in named if name is not None}


def _blocks_of_product(product: Product) -> set[str]:
    """Names of the blocks that sharing a product reads or changes."""
    named = {*product.left, *product.right, *product.gate, *product.unseen}
    invisible = () if product.invisible is None else (product.invisible,)
    return named | set(invisible) | set(product.constant or ())


def independent(steps: Sequence[Step]) -> list[list[Callable[[], None]]]:
    """Steps in lists of which no two touch a common block; in each they keep their order."""
    lists: list[tuple[set[str], list[int]]] = []
    for number, (names, _) in enumerate(steps):
        joined = [each for each in lists if each[0] & names]
        lists = [each for each in lists if not each[0] & names]
        numbers = sorted([number, *(one for each in joined for one in each[1])])
        lists.append((names.union(*(each[0] for each in joined)), numbers))
    return [[steps[number][1] for number in numbers] for _, numbers in lists]


def balance_blocks(blocks: Blocks, rewrite: Rewrite, classes: Classes) -> None:
    """Give both sides of every product equal shares: what `rewrite_blocks` does when `balanced`,
    after everything else.
    """
    layout = blocks.layout
    for product in rewrite.products:
        space = layout.spaces[product.space]
        blocks.balance(product, space, class_of(space, classes))
    if open_spaces := _without_product(layout, rewrite, classes):
        _settle(layout, (*open_spaces, *rewrite.products), classes, blocks)


def _without_product(layout: Layout, rewrite: Rewrite, classes: Classes) -> list[Product]:
    """Spaces that stretch and of which the rewrite names no product: everything that writes,
    against everything that reads.
    """
    named = {product.space for product in rewrite.products}
    found = []
    for name, space in layout.spaces.items():
        touching = [
            block for block in layout.blocks if any(axis.space == name for axis in block.axes)
        ]
        if (
            name in named
            or not class_of(space, classes).stretches
            or any(block.twice for block in touching)
        ):
            continue
        left = tuple(writers(layout, rewrite, name))
        right = tuple(
            block.name for block in touching if block.axes[block.axis(name)].role == "reads"
        )
        if left and right:
            found.append(Product(name, left, right))
    return found


def _settle(layout: Layout, products: Sequence[Product], classes: Classes, blocks: Blocks) -> None:
    """Balance all products in turn until the sum of the squares of their blocks falls no more."""
    chosen = [
        (each, layout.spaces[each.space], class_of(layout.spaces[each.space], classes))
        for each in products
    ]
    touched = {
        name
        for each, _, by in chosen
        if by.stretches
        for name in (*each.left, *each.right, *each.gate)
    }
    before = float("inf")
    for _ in range(ROUNDS):
        for product, space, by in chosen:
            blocks.rebalance(product, space, by)
        after = sum(float(blocks[name].square().sum()) for name in touched)
        if before - after <= SETTLED * after:
            return
        before = after


def writers(layout: Layout, rewrite: Rewrite, space: str) -> list[str]:
    """Names of the blocks that write to a space. Offsets of its norms are not among them: they are
    added after the norm.
    """
    offsets = {norm.offset for norm in rewrite.norms}
    return [
        block.name
        for block in layout.blocks
        if block.name not in offsets
        and any(axis.space == space and axis.role == "writes" for axis in block.axes)
    ]


def fold(
    original: Tensor,
    axis: int,
    gain: Tensor,
    offset: Tensor | None,
    centred: bool,
    inside: bool,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """A reader, or a piece of one, with the gain and the offset of its norm taken in.

    Args:
        original: the reader.
        axis: that reads.
        gain: of the norm, `[n]`.
        offset: of the norm, or None.
        centred: whether the norm removes the mean.
        inside: whether what comes of the offset goes into the all-ones direction of the reader,
            which has no bias.
        out: where the reader is written, which may be `original`.

    Returns:
        The reader, and what comes of the offset where that belongs to a bias.
    """
    constant = None if offset is None else (original * along(offset, original, axis)).sum(axis)
    folded = torch.mul(original, along(gain, original, axis), out=out)
    if centred:
        folded -= folded.mean(axis, keepdim=True)
    if constant is None or not inside:
        return folded, constant
    folded += constant.unsqueeze(axis) / len(gain)
    return folded, None


def along(vector: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """Shape a vector so that it multiplies a tensor along one axis."""
    return vector.view([-1 if i == axis else 1 for i in range(tensor.ndim)])


def _fold_layer_scale(part: LayerScale, blocks: Blocks) -> None:
    scale = blocks[part.scale].flatten()
    for name in part.writers:
        if name is not None:
            blocks.scale(name, part.space, scale)
    blocks[part.scale] = torch.ones_like(blocks[part.scale])


def _fold_norm(layout: Layout, norm: Norm, blocks: Blocks) -> None:
    size = layout.spaces[norm.space].size
    gain = blocks.full(size, 1.0) if norm.gain is None else blocks[norm.gain] + (1 - norm.unit)
    offset = None if norm.offset is None else blocks[norm.offset]
    for weight, bias in norm.readers:
        blocks.fold(weight, bias, norm, gain, offset)
    if norm.gain is not None:
        blocks[norm.gain] = blocks.full(size, norm.unit)
    if norm.offset is not None:
        needed = any(bias is None for _, bias in norm.readers)
        blocks[norm.offset] = blocks.full(size, float(needed))


def _drop_biases(layout: Layout, product: Product, blocks: Blocks) -> None:
    space = layout.spaces[product.space]
    if product.invisible is not None:
        block = layout.by_name[product.invisible]
        value = blocks[product.invisible]
        rotated = space.pairs.rotated if space.pairs else 0
        places = torch.arange(space.size, device=value.device)
        keep = along((places < rotated).to(value), value, block.axis(product.space))
        blocks[product.invisible] = value * keep
    for name in product.unseen:
        blocks[name] = torch.zeros_like(blocks[name])
    if product.constant is not None:
        left, right, target = product.constant
        bias = blocks[left]
        blocks[target] = blocks[target] + constant_of(layout, product, bias, blocks[right])
        blocks[left] = torch.zeros_like(bias)


def constant_of(layout: Layout, product: Product, bias: Tensor, output: Tensor) -> Tensor:
    """W_o b_v, what a constant on the left of a product adds to what its right side writes to.

    Args:
        layout: of the model.
        product: with a `constant`.
        bias: b_v, the block on the left.
        output: W_o, the block on the right.
    """
    assert product.constant is not None
    left, right, target = product.constant
    path = (*layout.path(product.space), product.space)
    outer = layout.by_name[right]
    # axes of the output that the bias lacks (queries of a group) share the bias, so they are
    # summed over
    names = [axis.space for axis in outer.axes]
    first = layout.rows(output, outer, *path)  # [..., n, rest]
    rest = [i for i, name in enumerate(names) if name not in path]
    shape = [output.shape[i] for i in rest]
    constant = (
        (layout.rows(bias, layout.by_name[left], *path) * first).flatten(0, -2).sum(0).view(shape)
    )
    into = {axis.space for axis in layout.by_name[target].axes}
    summed = [i for i, axis in enumerate(rest) if names[axis] not in into]
    return constant.sum(summed) if summed else constant


def balance_whole(
    layout: Layout, product: Product, space: Space, chosen: SymmetryClass, blocks: Blocks
) -> None:
    """Give both sides equal shares of their product, copy by copy of the space.

    Invertible: with L^T = Q_l R_l and R^T = Q_r R_r (thin QR), L^T R = Q_l (R_l R_r^T) Q_r^T, so
    only an n x n matrix is decomposed and no product of full width is formed.
    """
    if not chosen.stretches:
        return
    groups = [names for names in (product.left, product.right, product.gate) if names]
    sides = [
        [layout.copies(blocks[name], layout.by_name[name], space.name) for name in names]
        for names in groups
    ]
    left, right, *gate = (torch.cat(parts, -1) for parts in sides)
    moved: tuple[Tensor, ...]
    if chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED) and gate:
        moved = _equal_norms(left, right, *gate)
    elif chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
        ratio = equal_ratio(left.square().sum(-1), right.square().sum(-1))[..., None]
        moved = left * ratio, right / ratio
    elif chosen is SymmetryClass.ROTARY:
        assert space.pairs is not None
        first, second = space.pairs.indices()
        power = [side.square().sum(-1) for side in (left, right)]
        ratio = equal_ratio(*(each[..., first] + each[..., second] for each in power))
        pieces = [side[..., space.pairs.rotated :, :] for side in (left, right)]
        eye = ratio.new_zeros(*ratio.shape[:-1], 0, 0)
        scale = torch.diagonal(
            rotary_matrix(space.pairs, torch.complex(ratio, torch.zeros_like(ratio)), eye),
            0,
            -2,
            -1,
        )
        rest = _equal_shares(*pieces)
        moved = tuple(
            torch.cat([side[..., : space.pairs.rotated, :] * by[..., None], other], -2)
            for side, by, other in zip((left, right), (scale, 1 / scale), rest, strict=True)
        )
    else:
        moved = _equal_shares(left, right)
    for names, parts, value in zip(groups, sides, moved, strict=True):
        for name, piece in zip(
            names, value.split([part.shape[-1] for part in parts], -1), strict=True
        ):
            block = layout.by_name[name]
            blocks[name] = layout.uncopies(piece, block, blocks.shape(name), space.name)


def equal_ratio(left: Tensor, right: Tensor) -> Tensor:
    """The factor (|right| / |left|)^1/2 that makes squared norms equal; 1 where one of them is
    zero.
    """
    return torch.where((left > 0) & (right > 0), (right / left) ** 0.25, 1.0)


def equal_norm_factors(*sides: Tensor) -> Tensor:
    """What the rows of all sides are multiplied by so that their norms become their geometric mean;
    1 where one of them is zero.
    """
    norms = torch.stack([side.norm(dim=-1) for side in sides])
    return torch.where((norms > 0).all(0), norms.clamp_min(TINY).log().mean(0).exp() / norms, 1.0)


def _equal_norms(*sides: Tensor) -> tuple[Tensor, ...]:
    """Scale the rows of all sides to their geometric mean, unless one of them is zero."""
    factors = equal_norm_factors(*sides)
    return tuple(side * factor[..., None] for side, factor in zip(sides, factors, strict=True))


def _equal_shares(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    if left.shape[-2] == 0:
        return left, right
    ql, rl = torch.linalg.qr(left.mT)
    qr, rr = torch.linalg.qr(right.mT)
    u, s, vt = torch.linalg.svd(rl @ rr.mT, full_matrices=False)
    n, k = left.shape[-2], s.shape[-1]
    root = s.sqrt()[..., None]
    moved = root * (ql @ u).mT, root * (qr @ vt.mT).mT
    # a side of fewer columns than the plane has dimensions: the rest of the plane is not used
    if k < n:
        pad = (0, 0, 0, n - k)
        return torch.nn.functional.pad(moved[0], pad), torch.nn.functional.pad(moved[1], pad)
    return moved
