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
from lmc_core.symmetry.spaces import Pairs

NOBODY = -1  # the owner of a place that no narrow coordinate was given


@dataclass(frozen=True)
class Columns:
    """E and F of one space, or of each of its copies in the wide model, as matrices; coordinates
    are mixed, so that an axis that keeps order alone must be constant.

    Attributes:
        writes: E, float64 `[m, n]` or `[copies, m, n]`.
        reads: F, the same shape.
    """

    writes: Tensor
    reads: Tensor
    mixes = True
    unread = None

    @property
    def places(self) -> int:
        """How many places there are, m."""
        return self.writes.shape[-2]

    def of(self, role: Role) -> Tensor:
        """What multiplies an axis of that role."""
        return self.reads if role == "reads" else self.writes

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Embed `[n, k]`, or `[copies, n, k]` copy by copy."""
        return self.of(role) @ x

    def restrict(self, x: Tensor, role: Role) -> Tensor:
        """Multiply `[m, k]`, or `[copies, m, k]` copy by copy, by the transposed map of a role."""
        return self.of(role).mT @ x

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Columns:
        """The same on a device, in a type; by default in that which is worked in there."""
        dtype = dtype or precise_type(device)
        return Columns(self.writes.to(device, dtype), self.reads.to(device, dtype))

    def stretched(self, factors: Tensor) -> Columns:
        """The same with other lengths: E multiplied by a factor for each place `[..., m]`, F
        divided by it.
        """
        return Columns(self.writes * factors[..., None], self.reads / factors[..., None])


@dataclass(frozen=True)
class Copies:
    """E and F of one space, or of each of its copies in the wide model, whose rows are multiples of
    rows of the identity, or zero: a few numbers for a place in place of a row.

    Attributes:
        owner: int64 `[m]` or `[copies, m]`, the narrow coordinate that each place repeats; `NOBODY`
            for none.
        into: float64 of the same shape, what a place is multiplied by in E.
        out: what it is multiplied by in F.
        size: n.
        mixes: whether it stands for a map that mixes coordinates (zeros appended to a stream or to
            a plane), so that an axis that keeps order alone must be constant.
        unread: places that no one reads, bool of the same shape; what is written there is seen by
            no one. None for spaces whose every coordinate is seen (a norm sees the length of a
            stream).
    """

    owner: Tensor
    into: Tensor
    out: Tensor
    size: int
    mixes: bool = False
    unread: Tensor | None = None

    @property
    def places(self) -> int:
        """How many places there are, m."""
        return self.owner.shape[-1]

    @property
    def writes(self) -> Tensor:
        """E as a matrix, `[m, n]` or `[copies, m, n]`."""
        return self.of("writes")

    @property
    def reads(self) -> Tensor:
        """F as a matrix."""
        return self.of("reads")

    def of(self, role: Role) -> Tensor:
        """What multiplies an axis of that role, as a matrix; along one that keeps order alone ones
        and zeros, which coordinate each place repeats.
        """
        coordinates = torch.arange(self.size, device=self.owner.device)
        return (self.owner[..., None] == coordinates).to(self.into) * self._factors(role)[..., None]

    def _factors(self, role: Role) -> Tensor:
        """What each place is multiplied by along an axis of a role, 0 for one of nobody."""
        if role == "order":
            return (self.owner != NOBODY).to(self.into)
        return self.out if role == "reads" else self.into

    def act(self, x: Tensor, role: Role) -> Tensor:
        """Embed `[n, k]`, or `[copies, n, k]` copy by copy."""
        return taken(x, self.owner) * self._factors(role)[..., None]

    def restrict(self, x: Tensor, role: Role) -> Tensor:
        """Multiply `[m, k]`, or `[copies, m, k]` copy by copy, by the transposed map of a role."""
        return gathered(x * self._factors(role)[..., None], self.owner, self.size)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Copies:
        """The same on a device, in a type; by default in that which is worked in there."""
        dtype = dtype or precise_type(device)
        return replace(
            self,
            owner=self.owner.to(device),
            into=self.into.to(device, dtype),
            out=self.out.to(device, dtype),
            unread=None if self.unread is None else self.unread.to(device),
        )

    def stretched(self, factors: Tensor) -> Copies:
        """The same with other lengths: E multiplied by a factor for each place `[..., m]`, F
        divided by it.
        """
        owner = self.owner.expand(torch.broadcast_shapes(self.owner.shape, factors.shape))
        return replace(self, owner=owner, into=self.into * factors, out=self.out / factors)


Embedding = Columns | Copies


def taken(x: Tensor, owner: Tensor) -> Tensor:
    """Row `owner[j]` of `[n, k]`, or of each of `[copies, n, k]`, for every place j: `[..., m, k]`;
    some row where there is no owner.
    """
    owner = owner.clamp_min(0)
    if owner.ndim == 1:
        return x.index_select(-2, owner)
    index = owner[..., None].expand(*owner.shape, x.shape[-1])
    return x.expand(*owner.shape[:-1], *x.shape[-2:]).gather(-2, index)


def gathered(x: Tensor, owner: Tensor, size: int) -> Tensor:
    """The sum of the rows `[..., m, k]` of every owner: `[..., n, k]`.

    Args:
        x: zero where there is no owner.
        owner: int64 `[m]` or `[copies, m]`.
        size: n.
    """
    found, owner = x.new_zeros(*x.shape[:-2], size, x.shape[-1]), owner.clamp_min(0)
    if owner.ndim == 1:
        return found.index_add_(-2, owner, x)
    return found.scatter_add_(-2, owner[..., None].expand(x.shape), x)


def rectangular(columns: Tensor, normed: bool = False) -> Columns:
    """The embedding by orthonormal columns Q `[..., m, n]`; with the length of streams that a norm
    reads where `normed`.
    """
    m, n = columns.shape[-2:]
    stretch = _length(m, n, normed)
    return Columns(columns * stretch, columns / stretch)


def appended(owner: Tensor, size: int, normed: bool = False) -> Copies:
    """The embedding by columns Q of ones and zeros, for spaces that mix: zeros are appended.

    Args:
        owner: int64 `[m]`, the coordinate that stands at each place; `NOBODY` for zeros.
        size: n.
        normed: whether a norm reads the length of the space.
    """
    held = (owner != NOBODY).double()
    stretch = _length(len(owner), size, normed)
    return Copies(owner, held * stretch, held / stretch, size, mixes=True)


def _length(m: int, n: int, normed: bool) -> float:
    """What E makes a vector longer by, sqrt(m / n) where a norm divides by its length."""
    return (m / n) ** 0.5 if normed else 1.0


def semi_permutation(owner: Tensor, shares: Tensor, size: int) -> Copies:
    """The embedding that repeats coordinates.

    Args:
        owner: int64 `[m]` or `[copies, m]`, which of the `size` coordinates each place repeats;
            `NOBODY` for none.
        shares: float64 of the same shape, those of the places of one owner sum to 1.
        size: n.
    """
    held = (owner != NOBODY).to(shares)
    return Copies(owner, held, held * shares, size, unread=owner == NOBODY)


def padding(n: int, m: int, fixes_ones: bool = False) -> Tensor:
    """Orthonormal columns `[m, n]` that append zeros; with `fixes_ones` on vectors without mean,
    the ones going to the ones.
    """
    columns = torch.eye(m, n, dtype=torch.float64)
    return columns - columns.mean(1, keepdim=True) + (n * m) ** -0.5 if fixes_ones else columns


def first_places(n: int, m: int) -> Tensor:
    """Owners int64 `[m]`: every coordinate at its own number, nobody behind them."""
    places = torch.arange(m)
    return torch.where(places < n, places, NOBODY)


def paired(narrow: Pairs, wide: Pairs, n: int, m: int) -> Tensor | None:
    """Owners int64 `[m]` that send every rotary pair to one of the same frequency; None where there
    is none.

    Pair j of r/2 turns by theta^(-2j/r) a position, so that of k r/2 pairs number k j does (Su et
    al. 2021, arXiv 2104.09864).
    """
    times, left = divmod(wide.rotated, narrow.rotated)
    if left or n - narrow.rotated > m - wide.rotated:
        return None
    owner = torch.full((m,), NOBODY)
    for at, to in zip(narrow.indices(), wide.indices(), strict=True):
        owner[to[::times]] = torch.tensor(at)
    others = torch.arange(n - narrow.rotated)
    owner[wide.rotated + others] = narrow.rotated + others
    return owner
