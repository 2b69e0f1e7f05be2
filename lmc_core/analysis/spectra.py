"""Singular values of the matrices of a network, and what follows from them.

With shares p_i = s_i / sum s of the singular values,

    effective rank = exp(-sum p_i log p_i)      (Roy and Vetterli 2007)
    stable rank    = sum s_i^2 / max s_i^2      (Rudelson and Vershynin 2007)

Both lie between 1 and the shorter side. Averages of matrices that are no match of each other lose
norm, as independent directions cancel (by a factor of the root of 2 half way between two), and gain
rank, as their leading directions differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.models.model import Model
from lmc_core.symmetry.layout import Block, Layout

TINY = 1e-8  # of the largest singular value, below which others are rounding in float32


@dataclass(frozen=True)
class Matrix:
    """A block of parameters as a matrix, or one for each expert.

    Attributes:
        name: of the block.
        copies: how many there are.
        rows: of each.
        columns: of each.
    """

    name: str
    copies: int
    rows: int
    columns: int

    @property
    def values(self) -> int:
        """How many singular values all copies have."""
        return self.copies * min(self.rows, self.columns)


def find_matrices(layout: Layout) -> list[Matrix]:
    """The blocks of two axes or more, as data flows: the residual stream (or the first space)
    against everything else, expert by expert.
    """
    found = []
    for block in layout.blocks:
        first = _first_axes(layout, block)
        if first is None:
            continue
        shape = _shape(layout, block)
        copies, rows = (1, shape[first[0]]) if len(first) == 1 else [shape[i] for i in first]
        total = 1
        for size in shape:
            total *= size
        columns = total // (copies * rows)
        if min(rows, columns) > 1:
            found.append(Matrix(block.name, copies, rows, columns))
    return found


def singular_values(model: Model, name: str) -> Tensor:
    """The singular values of one of its matrices, from the largest down.

    Args:
        model: whose parameters are meant.
        name: of a block among `find_matrices`.

    Returns:
        float64 `[copies, shorter side]`.
    """
    layout = model.layout
    block = layout.by_name[name]
    first = _first_axes(layout, block)
    assert first is not None
    tensor = layout.view(model.state, block).double()
    others = [i for i in range(tensor.ndim) if i not in first]
    moved = tensor.permute([*first, *others]).flatten(len(first))
    stack = moved if len(first) == 2 else moved[None]
    return torch.linalg.svdvals(stack)


def _first_axes(layout: Layout, block: Block) -> list[int] | None:
    """The axes that come first in its matrix: of the experts, if any, and of the rows; None where
    that leaves no second axis.
    """
    kinds = [layout.spaces[axis.space].kind if axis.space else "" for axis in block.axes]
    experts = [i for i, kind in enumerate(kinds) if kind == "experts"]
    others = [i for i in range(len(kinds)) if i not in experts[:1]]
    residual = [i for i in others if kinds[i] == "residual"]
    if len(layout.shapes[block.parameter]) < 2 or len(kinds) < 2:
        return None  # a bias, which heads may share among them
    if experts and len(others) > 1:
        return [experts[0], (residual or others)[0]]
    if residual or not experts:
        return [(residual or others)[0]]  # of a router, whose columns are the experts, too
    return None


def _shape(layout: Layout, block: Block) -> tuple[int, ...]:
    empty = torch.empty(layout.shapes[block.parameter], device="meta")
    return tuple(layout.view({block.parameter: empty}, block).shape)


@dataclass(frozen=True)
class Spectrum:
    """What follows from the singular values of a matrix; means over its copies.

    Attributes:
        effective: rank.
        stable: rank.
        norm: Frobenius, of all copies together.
        top: the largest singular value of all copies.
    """

    effective: float
    stable: float
    norm: float
    top: float


def describe_spectrum(values: Tensor) -> Spectrum:
    """Effective rank, stable rank and norms.

    Args:
        values: singular values, `[copies, n]`.
    """
    values = values.double()
    top = values.max(1, keepdim=True).values
    if float(top.max()) <= 0:
        return Spectrum(0.0, 0.0, 0.0, 0.0)
    kept = torch.where(values > TINY * top, values, 0.0)
    shares = kept / kept.sum(1, keepdim=True).clamp_min(1e-300)
    effective = torch.exp(torch.special.entr(shares).sum(1))
    stable = kept.square().sum(1) / top[:, 0].square().clamp_min(1e-300)
    live = top[:, 0] > 0
    return Spectrum(
        float(effective[live].mean()),
        float(stable[live].mean()),
        float(values.square().sum().sqrt()),
        float(top.max()),
    )
