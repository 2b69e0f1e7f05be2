"""How a group acts on a space of a network: permutation representations.

    (rho(g) x)_i = x_{p_g(i)}

Coordinates are permuted and nothing else: that is what commutes with a nonlinearity that works
coordinate by coordinate. A vector space that several groups of coordinates share is built from
smaller ones: an image with three channels is `grid(group, side) * trivial(group, 3)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lmc_core.equivariance.groups import Group
from lmc_core.errors import BadInput


@dataclass(frozen=True)
class Action:
    """A permutation representation of a group.

    Attributes:
        group: that acts.
        name: what the coordinates are, for messages.
        places: `[order, size]`; element g moves to place i what was at place ``places[g, i]``.
    """

    group: Group
    name: str
    places: np.ndarray = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that products of elements act as their actions one after the other.

        Raises:
            BadInput: they do not.
        """
        order, size = self.places.shape
        if order != self.group.order or (np.sort(self.places, axis=1) != np.arange(size)).any():
            raise BadInput(
                f"The action on {self.name} is expected to be one permutation for each of "
                f"{self.group.order} elements."
            )
        # rho(g) rho(h) x takes first the places of g, then those of h: x[p_h[p_g]].
        # [g, h, i] = p_h[p_g[i]]
        both = self.places[np.arange(order)[None, :, None], self.places[:, None, :]]
        if (both != self.places[self.group.table]).any():
            raise BadInput(
                f"The action on {self.name} does not follow the products of {self.group.name}; it "
                "is no representation."
            )

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.places.shape[1]

    @property
    def character(self) -> np.ndarray:
        """For each element the trace of its matrix: how many coordinates stay where they are,
        `[order]`.
        """
        return (self.places == np.arange(self.size)).sum(axis=1)

    def matrices(self) -> np.ndarray:
        """The permutation matrices, `[order, size, size]`."""
        return np.eye(self.size)[self.places]

    def __mul__(self, other: Action) -> Action:
        """The tensor product: pairs of coordinates, those of `other` varying fastest."""
        joint = self.places[:, :, None] * other.size + other.places[:, None, :]
        return Action(
            self.group, f"{self.name} x {other.name}", joint.reshape(self.group.order, -1)
        )


def trivial(group: Group, size: int) -> Action:
    """The action that leaves every coordinate alone."""
    return Action(
        group, f"{size} fixed", np.broadcast_to(np.arange(size), (group.order, size)).copy()
    )


def regular(group: Group) -> Action:
    """The group on itself: coordinate k becomes g k, so rho(g) takes to place k what was at g^-1
    k.
    """
    return Action(group, "regular", group.table[group.inverse])


def natural(group: Group) -> Action:
    """A group of permutation matrices on the elements of a set.

    Raises:
        BadInput: for a group that acts on images.
    """
    if group.acts != "set":
        raise BadInput(
            f"A group that permutes the elements of a set is expected; {group.name} acts on images."
        )
    return Action(group, "elements", group.matrices.argmax(axis=2))


def grid(group: Group, side: int) -> Action:
    """A group of the square on the `side * side` places of a grid, row by row: (rho(g) x)(c) =
    x(g^-1 c), from the centre.

    Raises:
        BadInput: for a group that acts on sets.
    """
    if group.acts != "image":
        raise BadInput(
            f"A group of rotations and reflections is expected; {group.name} permutes the "
            "elements of a set."
        )
    row, column = np.divmod(np.arange(side * side), side)
    centred = 2 * np.stack([row, column]) - (side - 1)  # twice the distance, so that it stays whole
    source = group.matrices[group.inverse] @ centred + side - 1
    return Action(group, f"{side}x{side} grid", (source[:, 0] // 2) * side + source[:, 1] // 2)
