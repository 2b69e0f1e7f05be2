"""Soft matches of all spaces, and what they make of a model: averages of its rows.

A space that is permuted has a doubly stochastic matrix P (with signs S where signs are free) in
place of a permutation: (T x)_i = sum_j P_ij S_ij x_j along axes that write and along axes that
read, sum_j P_ij x_j along axes that keep order alone. Spaces within another have a map for every
*pair* of copies: head i becomes sum_j P_ij A_ij x_j with A_ij the best plane of head i of A and
head j of B, expert i becomes sum_j E_ij U_ij x_j with U_ij the soft match of their units. Maps that
mix coordinates are not softened.

A soft match is no symmetry: unless every P is a permutation, the model it makes computes another
function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.matching.solvers import assignment
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.arithmetic import precise
from lmc_core.symmetry.elements import Element, Monomial, Permutation
from lmc_core.symmetry.layout import Block, Layout, State


@dataclass(frozen=True)
class Match:
    """The map of one space, for every pair of copies of the spaces that it lives within, outermost
    first.

    Attributes:
        values: what acts along axes that write or read, float64 `[n1, n1, ..., n, n]`.
        order: what acts along axes that keep order alone, same shape; None for what does not move
            them.
        element: the same, flat over all pairs, of what is not soft; None for a doubly stochastic
            matrix.
    """

    values: Tensor
    order: Tensor | None
    element: Element | None = None

    @classmethod
    def of(cls, element: Element, shape: Sequence[int]) -> Match:
        """A match that is an element for each pair, flat; `shape` is that of `values`."""
        order = (
            Permutation(element.indices).matrix()
            if isinstance(element, Permutation | Monomial)
            else None
        )
        return cls(
            element.matrix().view(*shape), None if order is None else order.view(*shape), element
        )


@dataclass(frozen=True)
class SoftMatches:
    """A match for every space of a layout.

    Attributes:
        layout: whose.
        matches: by name of space.
    """

    layout: Layout
    matches: Mapping[str, Match]

    @classmethod
    def of(cls, layout: Layout, alignment: Alignment) -> SoftMatches:
        """The matches that an alignment is: the element of a place, whatever copy comes there."""
        found = {}
        for name, element in alignment.elements.items():
            sizes = [layout.spaces[outer].size for outer in layout.path(name)]
            shape = [*(n for size in sizes for n in (size, size)), *(layout.spaces[name].size,) * 2]
            if sizes:
                device = element.tensors().popitem()[1].device
                places = (
                    torch.arange(math.prod(sizes), device=device)
                    .view([n for size in sizes for n in (size, 1)])
                    .expand(shape[:-2])
                )
                element = element.select(places.flatten())
            found[name] = Match.of(element, shape)
        return cls(layout, found)

    def act(self, block: Block, tensor: Tensor, skip: str = "") -> Tensor:
        """Apply the matches to one block, but not that of the root space `skip` and of what lives
        within it.
        """
        for root, positions in trees(self.layout, block):
            if root == skip:
                continue
            words, factors, here = [], [], []
            for position in positions:
                axis = block.axes[position]
                match = self.matches[str(axis.space)]
                by = match.order if axis.role == "order" else match.values
                if by is not None:
                    outer = [block.axis(name) for name in self.layout.path(str(axis.space))]
                    words.append("".join(_pair(p) for p in (*outer, position)))
                    factors.append(by.to(tensor))
                    here.append(position)
            if here:
                joint = "".join(_pair(p) for p in here)
                before = "".join(_old(p) for p in range(tensor.ndim))
                after = "".join(_new(p) if p in here else _old(p) for p in range(tensor.ndim))
                together = torch.einsum(f"{','.join(words)}->{joint}", *factors)
                tensor = torch.einsum(f"{joint},{before}->{after}", together, tensor)
        return tensor

    def apply(self, state: State) -> dict[str, Tensor]:
        """The parameters of the model that the matches make; computed in float64, returned in the
        precision of `state`.
        """
        result = {name: tensor.clone().contiguous() for name, tensor in state.items()}
        for block in self.layout.blocks:
            if any(axis.space is not None for axis in block.axes):
                view = self.layout.view(result, block)
                view.copy_(self.act(block, precise(view)))
        return result

    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Entropy in nats and largest entry of every row of every soft match, and how much the row
        counts.

        A row of a space within others counts as much as the pair of copies that it belongs to;
        together the rows of one place count as one.
        """
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for name, match in self.matches.items():
            if match.element is not None or match.order is None:
                continue
            count = match.order.new_ones(())
            for outer in self.layout.path(name):
                order = self.matches[outer].order
                assert order is not None
                count = count[..., None, None] * order
            rows = match.order
            found.append((entropy(rows), rows.amax(-1), count[..., None].expand(rows.shape[:-1])))
        if not found:
            none = torch.zeros(0, dtype=torch.float64)
            return none, none, none
        first, second, third = (
            torch.cat([part.flatten() for part in parts]) for parts in zip(*found, strict=True)
        )
        return first, second, third

    def hardened(self) -> Alignment:
        """The alignment nearest to the matches: an assignment of every soft one, level by level."""
        elements: dict[str, Element] = {}
        # by space: which pairs of copies, of it and of those it lives within, meet
        pairs: dict[str, tuple[Tensor, ...]] = {}
        for name, space in self.layout.spaces.items():
            match = self.matches[name]
            outer = pairs.get(space.within, ()) if space.within else ()
            shape = outer[0].shape if outer else torch.Size(())
            if match.element is None:
                assert match.order is not None
                order, values = match.order[outer], match.values[outer]
                flat = order.reshape(-1, space.size, space.size)
                indices = assignment(flat).view(*shape, space.size)
                signs = values.gather(-1, indices[..., None])[..., 0].sign()
                flat_indices, flat_signs = (
                    t.reshape(-1, space.size) if outer else t for t in (indices, signs)
                )
                negative = bool((flat_signs < 0).any())
                elements[name] = (
                    Monomial(flat_indices, torch.where(flat_signs < 0, -1.0, 1.0).to(values))
                    if negative
                    else Permutation(flat_indices)
                )
            else:
                place = torch.zeros(shape, dtype=torch.int64, device=match.values.device)
                for number, index in enumerate(outer):
                    place = place * match.values.shape[number] + index
                elements[name] = match.element.select(place.flatten()) if outer else match.element
            element = elements[name]
            if isinstance(element, Permutation | Monomial):
                after = element.indices.view(*shape, space.size)
                pairs[name] = (
                    *(t[..., None].expand_as(after) for t in outer),
                    torch.arange(space.size, device=after.device).expand_as(after),
                    after,
                )
        device = next(iter(self.matches.values())).values.device
        return Alignment.of(self.layout.spaces, elements, device)


def entropy(rows: Tensor) -> Tensor:
    """-sum_j P_j log P_j of every row, in nats, `[...]`."""
    return -torch.special.xlogy(rows, rows).sum(-1)


def trees(layout: Layout, block: Block) -> Iterator[tuple[str, list[int]]]:
    """The axes of a block by root space, those of one tree together, each after those that its
    space lives within.
    """
    found: dict[str, list[int]] = {}
    for position, axis in enumerate(block.axes):
        if axis.space is not None:
            path = layout.path(axis.space)
            found.setdefault(path[0] if path else axis.space, []).append(position)
    for root, positions in found.items():
        names = [block.axes[position].space for position in positions]
        # one after the other, of a space that has nothing within it
        if len(set(names)) < len(names):
            yield from ((root, [position]) for position in positions)
        else:
            yield (
                root,
                sorted(
                    positions,
                    key=lambda position: len(layout.path(str(block.axes[position].space))),
                ),
            )


def _new(position: int) -> str:
    return chr(ord("a") + position)


def _old(position: int) -> str:
    return chr(ord("A") + position)


def _pair(position: int) -> str:
    return _new(position) + _old(position)
