"""The maps that give both sides of every product equal shares, kept so that they can be applied to
another model, or undone.

Balancing is a choice of coordinates that follows from the model itself (`canonical`): with L^T R =
U S V^T the sides become M L and M^-T R,

    M = S^-1/2 V^T R_r,    M^-T = S^-1/2 U^T R_l,    L^T = Q_l R_l,  R^T = Q_r R_r.

The singular vectors of a model and of its fine-tuning differ by signs, and by any rotation where
singular values are close, so that their balanced forms differ in far more than what was learned.
With the maps of one model applied to both, the difference of two models stays linear in what
differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import Incompatible
from lmc_core.symmetry.canonical import Blocks, balance_blocks, equal_norm_factors, equal_ratio
from lmc_core.symmetry.elements import pair_indices
from lmc_core.symmetry.layout import Layout, State
from lmc_core.symmetry.rewrite import Product, Rewrite
from lmc_core.symmetry.spaces import Classes, Space, SymmetryClass, class_of

NOTHING = 1e-13  # a singular value below this share of the largest is rounding
UNUSED = 1e-12  # a coordinate below this share of the largest, squared, holds nothing
SAME = 1e-4  # relative; a balanced form that is stored in float32 is found again within this


@dataclass(frozen=True)
class Shares:
    """One map for each side of every product.

    Attributes:
        maps: by name of a block, (space, map) in the order that they act in; a map is float64
            `[copies, n, n]`, or `[n, n]` where the space lies within no other.
    """

    maps: Mapping[str, tuple[tuple[str, Tensor], ...]]

    def apply(self, layout: Layout, state: State) -> None:
        """Balance parameters in place, as the model was that these maps are of.

        Args:
            layout: of the model.
            state: float64, without the gains of norms (`rewrite_blocks`).
        """
        _act(layout, state, self.maps)

    def undo(self, layout: Layout, state: State) -> None:
        """Apply the inverse maps in place."""
        inverse = {
            name: tuple((space, torch.linalg.inv(value)) for space, value in reversed(maps))
            for name, maps in self.maps.items()
        }
        _act(layout, state, inverse)


def _act(layout: Layout, state: State, maps: Mapping[str, Sequence[tuple[str, Tensor]]]) -> None:
    blocks = Blocks(layout, dict(state))
    for name, steps in maps.items():
        for space, value in steps:
            _move(blocks, (name,), space, value)


def _move(blocks: Blocks, names: Sequence[str], space: str, value: Tensor) -> None:
    for name in names:
        block = blocks.layout.by_name[name]
        moved = value @ blocks.layout.copies(blocks[name], block, space)
        blocks[name] = blocks.layout.uncopies(moved, block, blocks.shape(name), space)


class _Kept(Blocks):
    """Blocks whose balancing is kept as maps."""

    def __init__(self, layout: Layout, state: dict[str, Tensor]):
        super().__init__(layout, state)
        self.maps: dict[tuple[str, str], Tensor] = {}

    def balance(self, product: Product, space: Space, chosen: SymmetryClass) -> None:
        """Find the maps, and apply them."""
        if not chosen.stretches:
            return
        groups = [names for names in (product.left, product.right, product.gate) if names]
        sides = [self.side(names, space.name) for names in groups]
        for names, value in zip(groups, _maps(sides, space, chosen), strict=True):
            _move(self, names, space.name, value)
            for name in names:
                before = self.maps.get((name, space.name))
                self.maps[name, space.name] = value if before is None else value @ before

    def rebalance(self, product: Product, space: Space, chosen: SymmetryClass) -> None:
        """The same."""
        self.balance(product, space, chosen)

    def side(self, names: Sequence[str], space: str) -> Tensor:
        """All blocks of one side, copy by copy, `[..., n, k]`."""
        parts = [self.layout.copies(self[name], self.layout.by_name[name], space) for name in names]
        return torch.cat(parts, -1)


def find_shares(
    layout: Layout, rewrite: Rewrite, state: State, classes: Classes, like: State | None = None
) -> Shares:
    """Find the maps that bring a model from the form without gains into its canonical form.

    Args:
        layout: of the (untied) model.
        rewrite: what to work on.
        state: float64, without gains: `rewrite_blocks` with ``balanced=False``.
        classes: chosen class of each kind of space.
        like: the canonical form that the maps should lead to, such as one that was computed on
            another device, whose singular vectors have other signs; None for the one found here.

    Raises:
        Incompatible: if they do not lead there.
    """
    kept = _Kept(layout, {name: tensor.clone() for name, tensor in state.items()})
    balance_blocks(kept, rewrite, classes)
    if like is not None:
        shown = _Kept(layout, {name: tensor.clone() for name, tensor in kept.state.items()})
        _turn(kept, shown, rewrite, classes, _Kept(layout, dict(like)))
        _require_same(shown.state, like)
    found: dict[str, tuple[tuple[str, Tensor], ...]] = {}
    for (name, space), value in kept.maps.items():
        found[name] = (*found.get(name, ()), (space, value))
    return Shares(found)


def _turn(kept: _Kept, shown: _Kept, rewrite: Rewrite, classes: Classes, like: _Kept) -> None:
    """Turn invertible planes as they are turned in another balanced form of the same model: by the
    orthogonal factor of sum_side L' L^T (Schoenemann 1966).

    Args:
        kept: the maps, which are turned.
        shown: the balanced form, which is turned as well; what a plane does not use becomes 0.
        rewrite: what was worked on.
        classes: chosen class of each kind of space.
        like: the other balanced form.
    """
    for product in rewrite.products:
        space = kept.layout.spaces[product.space]
        chosen = class_of(space, classes)
        if chosen not in (SymmetryClass.INVERTIBLE, SymmetryClass.ROTARY):
            continue
        first = space.pairs.rotated if chosen is SymmetryClass.ROTARY and space.pairs else 0
        groups = (product.left, product.right)
        wanted, own = (
            [each.side(names, space.name)[..., first:, :] for names in groups]
            for each in (like, shown)
        )
        seen_in = [_used(*sides)[..., None] for sides in (wanted, own)]
        moment = torch.stack(
            [one @ (other * seen_in[1]).mT for one, other in zip(wanted, own, strict=True)]
        ).sum(0)
        u, _, vt = torch.linalg.svd(moment)
        turn = torch.eye(space.size, dtype=u.dtype).expand(*u.shape[:-2], -1, -1).clone()
        turn[..., first:, first:] = u @ vt
        seen = turn.clone()
        seen[..., first:, :] *= seen_in[0]
        for name in (*product.left, *product.right):
            _move(shown, (name,), space.name, seen)
            kept.maps[name, space.name] = turn @ kept.maps[name, space.name]


def _used(left: Tensor, right: Tensor) -> Tensor:
    """Which coordinates of a plane both sides use, `[..., n]`."""
    power = left.square().sum(-1) * right.square().sum(-1)
    largest = power.amax(-1, keepdim=True) if power.shape[-1] else power
    return power > UNUSED * largest


def _require_same(state: State, like: State) -> None:
    for name, tensor in like.items():
        wanted = tensor.double()
        found = float((state[name] - wanted).norm() / wanted.norm().clamp_min(1e-300))
        if not found < SAME:
            raise Incompatible(
                f"The canonical form of {name!r} was not found again (it differs by {found:.1e}, "
                "relative); align the two models anew."
            )


def _maps(sides: Sequence[Tensor], space: Space, chosen: SymmetryClass) -> list[Tensor]:
    """The map of every side, `[..., n, n]` each; see `canonical.balance_whole`."""
    left, right, *gate = sides
    if chosen in (SymmetryClass.SCALES, SymmetryClass.SCALED):
        factors = equal_norm_factors(*sides) if gate else _ratio(left, right)
        return [torch.diag_embed(each) for each in factors]
    if chosen is not SymmetryClass.ROTARY:
        return list(_planes(left, right))
    assert space.pairs is not None
    first, second = pair_indices(space.pairs, left.device)
    ratio = equal_ratio(
        *(
            side[..., first, :].square().sum(-1) + side[..., second, :].square().sum(-1)
            for side in (left, right)
        )
    )
    cut = space.pairs.rotated
    rest = _planes(left[..., cut:, :], right[..., cut:, :])
    found = []
    for by, other in zip((ratio, 1 / ratio), rest, strict=True):
        whole = left.new_zeros(*left.shape[:-2], space.size, space.size)
        whole[..., first, first] = whole[..., second, second] = by
        whole[..., cut:, cut:] = other
        found.append(whole)
    return found


def _ratio(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    ratio = equal_ratio(left.square().sum(-1), right.square().sum(-1))
    return ratio, 1 / ratio


def _planes(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """M and M^-T, where a plane is not used in whole completed so that they stay inverse."""
    n = left.shape[-2]
    if n == 0:
        none = left.new_zeros(*left.shape[:-2], 0, 0)
        return none, none
    rl, rr = (torch.linalg.qr(side.mT)[1] for side in (left, right))
    u, s, vt = torch.linalg.svd(rl @ rr.mT, full_matrices=False)
    used = s > NOTHING * s[..., :1].clamp_min(1e-300)
    if s.shape[-1] == n and bool(used.all()):
        root = s.rsqrt()[..., None]
        return root * (vt @ rr), root * (u.mT @ rl)
    flat = [each.flatten(0, -3) if each.ndim > 2 else each[None] for each in (u, vt, rl, rr)]
    pairs = [
        _completed(
            one[mask, None].rsqrt() * (v[mask] @ b), one[mask, None].rsqrt() * (q.mT[mask] @ a)
        )
        for q, v, a, b, one, mask in zip(
            *flat, s.view(-1, s.shape[-1]), used.view(-1, s.shape[-1]), strict=True
        )
    ]
    first, second = (
        torch.stack(each).view(*left.shape[:-2], n, n) for each in zip(*pairs, strict=True)
    )
    return first, second


def _completed(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Add rows to two matrices `[r, n]` with F S^T = I, so that this holds of n rows."""
    rank, n = first.shape
    if rank == n:
        return first, second
    rows, others = (torch.linalg.svd(each)[2][rank:] for each in (second, first))
    others = torch.linalg.solve((rows @ others.mT).mT, others)
    return torch.cat([first, rows]), torch.cat([second, others])
