"""How a space of n coordinates lies in one of m >= n: the rectangular counterpart of a group
element.

Along an axis that *writes* to the space a tensor is multiplied by E, along one that *reads* from it
by F, both m x n, with

    F^T E = 1,    so that reader times writer is unchanged:  (W F^T)(E V) = W V.

Residual streams. E = sqrt(m/n) Q with orthonormal columns Q, F = sqrt(n/m) Q. Then |E x|^2 / m =
|x|^2 / n: a norm of the wide model divides by what the norm of the narrow one divides by, its
epsilon included, and no setting has to change. LayerNorm also subtracts a mean, which E x must not
have: Q maps vectors without mean to vectors without mean, and the ones to the ones.

Units, heads, queries. E repeats coordinates: row j of E is row `owner[j]` of the identity, F gives
the copies shares that sum to 1 (semi-permutation; Theus et al. 2025, arXiv 2506.22712). A place
without an owner is read by no one.

Planes. E = F = Q, zeros in the new coordinates; of rotary planes each pair goes to the pair that
turns at the same speed.

Where only the product of both sides is seen, E may be stretched by any factor and F shrunk by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmc_core.symmetry.arithmetic import precise_type
from lmc_core.symmetry.elements import Role
from lmc_core.symmetry.layout import Block, Layout, rows, unrows
from lmc_core.symmetry.spaces import Pairs

NOBODY = -1  # the owner of a place that no narrow unit was given


@dataclass(frozen=True)
class Embedding:
    """E and F of one space, or of each of its copies in the wide model.

    Attributes:
        writes: E, float64 `[m, n]` or `[copies, m, n]`.
        reads: F, the same shape.
        mixes: coordinates are mixed, so that an axis that keeps order alone must be constant;
            otherwise rows of E are multiples of rows of the identity, or zero.
        unread: places that no one reads, bool `[m]` or `[copies, m]`; what is written there is seen
            by no one. None for spaces whose every coordinate is seen (a norm sees the length of a
            stream).
    """

    writes: Tensor
    reads: Tensor
    mixes: bool = True
    unread: Tensor | None = None

    def of(self, role: Role) -> Tensor:
        """What multiplies an axis of that role."""
        return self.reads if role == "reads" else self.held if role == "order" else self.writes

    @property
    def held(self) -> Tensor:
        """Which coordinate each place repeats, ones and zeros, where coordinates are not mixed."""
        return (self.writes != 0).to(self.writes)

    def to(self, device: torch.device | str) -> Embedding:
        """The same on a device, in the type that is worked in there."""
        dtype = precise_type(device)
        unread = None if self.unread is None else self.unread.to(device)
        return replace(
            self,
            writes=self.writes.to(device, dtype),
            reads=self.reads.to(device, dtype),
            unread=unread,
        )

    def stretched(self, factors: Tensor) -> Embedding:
        """The same with other lengths: E multiplied by a factor for each place `[..., m]`, F
        divided by it.
        """
        return replace(
            self, writes=self.writes * factors[..., None], reads=self.reads / factors[..., None]
        )


def rectangular(columns: Tensor, normed: bool = False) -> Embedding:
    """The embedding by orthonormal columns Q `[..., m, n]`; with the length of streams that a norm
    reads where `normed`.
    """
    m, n = columns.shape[-2:]
    stretch = (m / n) ** 0.5 if normed else 1.0
    return Embedding(columns * stretch, columns / stretch)


def semi_permutation(owner: Tensor, shares: Tensor, size: int) -> Embedding:
    """The embedding that repeats coordinates.

    Args:
        owner: int64 `[m]` or `[copies, m]`, which of the `size` coordinates each place repeats;
            `NOBODY` for none.
        shares: float64 of the same shape, those of the places of one owner sum to 1.
        size: n.
    """
    held = (owner[..., None] == torch.arange(size, device=owner.device)).to(shares)
    return Embedding(held, held * shares[..., None], mixes=False, unread=owner == NOBODY)


def padding(n: int, m: int, fixes_ones: bool = False) -> Tensor:
    """Orthonormal columns `[m, n]` that append zeros; with `fixes_ones` on vectors without mean,
    the ones going to the ones.
    """
    columns = torch.eye(m, n, dtype=torch.float64)
    return columns - columns.mean(1, keepdim=True) + (n * m) ** -0.5 if fixes_ones else columns


def paired(narrow: Pairs, wide: Pairs, n: int, m: int) -> Tensor | None:
    """Columns `[m, n]` that send every rotary pair to one of the same frequency; None where there
    is none.

    Pair j of r/2 turns by theta^(-2j/r) a position, so that of k r/2 pairs number k j does (Su et
    al. 2021, arXiv 2104.09864).
    """
    times, left = divmod(wide.rotated, narrow.rotated)
    if left or n - narrow.rotated > m - wide.rotated:
        return None
    columns = torch.zeros(m, n, dtype=torch.float64)
    for at, to in zip(narrow.indices(), wide.indices(), strict=True):
        columns[to[::times], at] = 1.0
    others = torch.arange(n - narrow.rotated)
    columns[wide.rotated + others, narrow.rotated + others] = 1.0
    return columns


def embed_block(
    layout: Layout, block: Block, tensor: Tensor, embeddings: dict[str, Embedding]
) -> Tensor:
    """Embed every axis of a block whose space has an embedding.

    Args:
        layout: of either model; only which space is within which counts.
        block: which one.
        tensor: its values in the narrow model, float64.
        embeddings: by name of space.

    Returns:
        Its values in the wide model.
    """
    for first, axis in _axes(layout, block, embeddings):
        embedding = embeddings[axis[1]]
        if axis[0] == "order" and embedding.mixes:
            shape = list(tensor.shape)
            shape[first[-1]] = embedding.writes.shape[-2]
            assert torch.equal(tensor, tensor.flatten()[:1].expand_as(tensor)), (
                f"{block.name} should be constant"
            )
            tensor = tensor.flatten()[:1].expand(shape)
        else:
            tensor = _multiply(tensor, first, embedding.of(axis[0]))
    return tensor


def seen(layout: Layout, block: Block, tensor: Tensor, embeddings: dict[str, Embedding]) -> Tensor:
    """The part of a block of a wide model that an embedded narrow one can see: every reading axis
    multiplied by F E^T.

    What is left, B - seen(B), reads nothing of what an embedded model writes, so that it may be
    added to any of its readers.
    """
    reading = [
        (first, embeddings[name])
        for first, (role, name) in _axes(layout, block, embeddings)
        if role == "reads"
    ]
    # planes stand at the places of the wide model, so they go first here
    for first, embedding in reversed(reading):
        tensor = _multiply(tensor, first, embedding.writes.mT)
    for first, embedding in reading:
        tensor = _multiply(tensor, first, embedding.reads)
    return tensor


def restrict_block(
    layout: Layout, block: Block, tensor: Tensor, embeddings: dict[str, Embedding]
) -> Tensor:
    """What an embedded model holds of the narrow one along some spaces: E^T where a block reads,
    F^T where it writes.
    """
    for first, (role, name) in reversed(_axes(layout, block, embeddings)):
        embedding = embeddings[name]
        tensor = _multiply(
            tensor, first, (embedding.writes if role == "reads" else embedding.reads).mT
        )
    return tensor


def _axes(
    layout: Layout, block: Block, embeddings: dict[str, Embedding]
) -> list[tuple[list[int], tuple[Role, str]]]:
    """Axes with an embedding, outer spaces first: the axes of the spaces around and its own, its
    role and its space.
    """
    found = []
    for position, axis in enumerate(block.axes):
        if axis.space is not None and axis.space in embeddings:
            path = layout.path(axis.space)
            found.append(
                (
                    len(path),
                    [*(block.axis(outer) for outer in path), position],
                    (axis.role, axis.space),
                )
            )
    return [(first, about) for _, first, about in sorted(found, key=lambda each: each[0])]


def _multiply(tensor: Tensor, first: list[int], matrix: Tensor) -> Tensor:
    """Multiply along the last of the named axes, copy by copy of those before it."""
    found = rows(tensor, first)
    flat = found.flatten(0, -3) if found.ndim > 2 else found
    shape = list(tensor.shape)
    shape[first[-1]] = matrix.shape[-2]
    return unrows(matrix @ flat, first, tuple(shape))
