"""The canonical rewrite: remove what a model's own architecture leaves open, function unchanged, before two are compared.

Column vectors, y = W x + b; J = 11^T / d, C = I - J. Each step is done only when the chosen classes ask for it, so that
"permutations only" compares the weights as they are.

With the residual stream *orthogonal* (LayerNorm models):

- fold gains: a reader W of a norm with gain g and offset o becomes W diag(g), its bias b + W o; then g = 1, o = 0.
- a head without bias has nowhere to put W o. It goes into the all-ones direction, which LayerNorm leaves free: with offset
  o' = 1 and W' = W diag(g) C + (W o) 1^T / d we get W'(LN(x) + 1) = W diag(g) LN(x) + W o exactly, because LN(x) has mean zero.
  No gain is divided by, and any map that keeps the ones vector keeps o'.
- centre: writers W -> C W, b -> C b, readers W -> W C. LayerNorm never sees the mean.
- untie: a head that shares the token table gets a matrix of its own.

With the value/output plane at least orthogonal: b_o -> b_o + W_o b_v, b_v = 0, since attention rows sum to one.
With the query/key plane at least orthogonal: b_k = 0, since it adds one constant to all scores of a query.
With a plane *invertible*: only the product of its two sides is seen, so both get the singular values' square root
([W_q b_q]^T W_k = U S V^T; query S^1/2 U^T, key S^1/2 V^T). What is then left free is orthogonal, so Procrustes is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmc_core.symmetry.layout import Block, Layout
from lmc_core.symmetry.spaces import Classes, SymmetryClass


@dataclass(frozen=True)
class Norm:
    """A LayerNorm and what reads it, by names of blocks; `readers` pairs each weight with its bias or None."""

    gain: str
    offset: str
    readers: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Attention:
    """One attention layer, by names of blocks, and of its three spaces."""

    query: tuple[str, str]
    key: tuple[str, str]
    value: tuple[str, str]
    output: tuple[str, str]
    heads: str
    query_key: str
    value_output: str


@dataclass(frozen=True)
class LayerScale:
    """A vector that scales what a layer writes, and the layer's weight and bias."""

    scale: str
    writers: tuple[str, str]


@dataclass(frozen=True)
class Rewrite:
    """What the canonical rewrite of a family works on.

    Attributes:
        residual: name of the residual space.
        norms: every LayerNorm that reads the residual stream.
        attentions: every attention layer.
        layer_scales: every LayerScale.
        tied: (parameter of the head, parameter of the token table) when they are one, else None.
        untied_config: what the configuration says once they are two.
    """

    residual: str
    norms: tuple[Norm, ...]
    attentions: tuple[Attention, ...]
    layer_scales: tuple[LayerScale, ...] = ()
    tied: tuple[str, str] | None = None
    untied_config: tuple[tuple[str, Any], ...] = ()


def rewrite_blocks(layout: Layout, rewrite: Rewrite, blocks: dict[str, Tensor], classes: Classes) -> dict[str, Tensor]:
    """Return the blocks in canonical form for the chosen classes.

    Args:
        layout: of the (untied) model.
        rewrite: what to work on.
        blocks: all blocks, float64.
        classes: chosen class of each kind of space.

    Returns:
        All blocks, float64; the model they make computes the same function.
    """
    blocks = dict(blocks)
    by_name = {block.name: block for block in layout.blocks}
    if classes["residual"] >= SymmetryClass.ORTHOGONAL:
        for layer_scale in rewrite.layer_scales:
            _fold_layer_scale(layer_scale, blocks, by_name, rewrite.residual)
        _centre(layout, rewrite, blocks)
        for norm in rewrite.norms:
            _fold_norm(norm, blocks, by_name, rewrite.residual)
    for attention in rewrite.attentions:
        if classes["value-output"] >= SymmetryClass.ORTHOGONAL:
            _fold_value_bias(layout, attention, blocks, by_name)
        if classes["query-key"] >= SymmetryClass.ORTHOGONAL:
            blocks[attention.key[1]] = torch.zeros_like(blocks[attention.key[1]])
        if classes["query-key"] is SymmetryClass.INVERTIBLE:
            _balance(layout, attention.heads, attention.query_key, attention.query, attention.key[:1], blocks, by_name)
        if classes["value-output"] is SymmetryClass.INVERTIBLE:
            spaces = (attention.heads, attention.value_output)
            _balance(layout, *spaces, attention.value[:1], attention.output[:1], blocks, by_name)
    return blocks


def _axis(block: Block, space: str) -> int:
    return [axis.space for axis in block.axes()].index(space)


def _along(vector: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """Shape a vector so that it multiplies a tensor along one axis."""
    return vector.view([-1 if i == axis else 1 for i in range(tensor.ndim)])


def _fold_layer_scale(part: LayerScale, blocks: dict[str, Tensor], by_name: Mapping[str, Block], residual: str) -> None:
    scale = blocks[part.scale]
    for name in part.writers:
        blocks[name] = blocks[name] * _along(scale, blocks[name], _axis(by_name[name], residual))
    blocks[part.scale] = torch.ones_like(scale)


def _centre(layout: Layout, rewrite: Rewrite, blocks: dict[str, Tensor]) -> None:
    """Writers lose their mean along the residual axis. Offsets of norms are no writers of the stream."""
    offsets = {norm.offset for norm in rewrite.norms}
    for block in layout.blocks:
        for position, axis in enumerate(block.axes()):
            if axis.space == rewrite.residual and axis.role == "writes" and block.name not in offsets:
                blocks[block.name] = blocks[block.name] - blocks[block.name].mean(position, keepdim=True)


def _fold_norm(norm: Norm, blocks: dict[str, Tensor], by_name: Mapping[str, Block], residual: str) -> None:
    gain, offset = blocks[norm.gain], blocks[norm.offset]
    without_bias = [bias is None for _, bias in norm.readers]
    assert all(without_bias) or not any(without_bias), "readers of one norm either all have a bias or none has"
    for weight, bias in norm.readers:
        axis = _axis(by_name[weight], residual)
        original = blocks[weight]
        constant = (original * _along(offset, original, axis)).sum(axis)
        folded = original * _along(gain, original, axis)
        folded = folded - folded.mean(axis, keepdim=True)
        if bias is None:
            folded = folded + constant.unsqueeze(axis) / len(gain)
        else:
            blocks[bias] = blocks[bias] + constant
        blocks[weight] = folded
    blocks[norm.gain] = torch.ones_like(gain)
    blocks[norm.offset] = torch.ones_like(offset) if all(without_bias) else torch.zeros_like(offset)


def _fold_value_bias(layout: Layout, part: Attention, blocks: dict[str, Tensor], by_name: Mapping[str, Block]) -> None:
    spaces = (part.heads, part.value_output)
    bias = layout.rows(blocks[part.value[1]], by_name[part.value[1]], *spaces)  # [heads, head_dim, 1]
    output = layout.rows(blocks[part.output[0]], by_name[part.output[0]], *spaces)  # [heads, head_dim, width]
    blocks[part.output[1]] = blocks[part.output[1]] + (bias * output).sum((0, 1))
    blocks[part.value[1]] = torch.zeros_like(blocks[part.value[1]])


def _balance(
    layout: Layout,
    heads: str,
    plane: str,
    left: tuple[str, ...],
    right: tuple[str, ...],
    blocks: dict[str, Tensor],
    by_name: Mapping[str, Block],
) -> None:
    """Give both sides of a plane the square root of the singular values of their product, head by head.

    With L^T = Q_l R_l and R^T = Q_r R_r (thin QR), L^T R = Q_l (R_l R_r^T) Q_r^T, so only a head_dim x head_dim
    matrix is decomposed and no product of full width is formed.
    """
    sides = []
    for names in (left, right):
        parts = [layout.rows(blocks[name], by_name[name], heads, plane) for name in names]
        sides.append((parts, torch.cat(parts, -1)))
    ql, rl = torch.linalg.qr(sides[0][1].mT)
    qr, rr = torch.linalg.qr(sides[1][1].mT)
    u, s, vt = torch.linalg.svd(rl @ rr.mT)
    root = s.sqrt()[:, :, None]
    for names, (parts, _), value in [
        (left, sides[0], root * (ql @ u).mT),
        (right, sides[1], root * (qr @ vt.mT).mT),
    ]:
        sizes = [part.shape[-1] for part in parts]
        for name, piece in zip(names, value.split(sizes, -1), strict=True):
            shape = tuple(blocks[name].shape)
            blocks[name] = layout.unrows(piece, by_name[name], shape, heads, plane)
