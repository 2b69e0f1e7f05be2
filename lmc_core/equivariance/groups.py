"""Finite groups, given by what they do to points: integer matrices, closed under multiplication.

Another group is one more function that lists its matrices, and one more entry of `GROUPS`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lmc_core.errors import BadInput, UnknownName

Acts = Literal["image", "set"]
MOST = 120  # elements; a network's orbits are found by going through all of them


@dataclass(frozen=True)
class Group:
    """A finite group of integer matrices.

    Attributes:
        name: "C4".
        sentence: what its elements do.
        acts: on the two coordinates of an "image", or on the elements of a "set".
        labels: of the elements, the identity first.
        matrices: `[order, n, n]`, one permutation matrix with signs for each element.
        table: ``table[g, h]`` is the index of the product g h (first h, then g).
    """

    name: str
    sentence: str
    acts: Acts
    labels: tuple[str, ...]
    matrices: np.ndarray = field(repr=False, compare=False)
    table: np.ndarray = field(repr=False, compare=False)

    @classmethod
    def of(
        cls, name: str, sentence: str, acts: Acts, elements: Sequence[tuple[str, np.ndarray]]
    ) -> Group:
        """Make a group from labelled matrices.

        Raises:
            BadInput: the matrices are no group: the first is not the identity, one occurs twice, a
                product is missing, or there are too many.
        """
        labels = tuple(label for label, _ in elements)
        matrices = np.array([matrix for _, matrix in elements], dtype=np.int64)
        if not 1 <= len(labels) <= MOST:
            raise BadInput(
                f"A group of 1 to {MOST} elements is expected; {name} has {len(labels)}."
            )
        if not (matrices[0] == np.eye(matrices.shape[1], dtype=np.int64)).all():
            raise BadInput(
                f"The first element of a group is expected to be the identity; that of {name} is "
                f"{labels[0]!r}."
            )
        known = {matrix.tobytes(): number for number, matrix in enumerate(matrices)}
        if len(known) < len(labels):
            raise BadInput(
                f"The elements of a group are expected to differ; {name} has one of them twice."
            )
        table = np.empty((len(labels), len(labels)), dtype=np.int64)
        for (g, one), (h, other) in itertools.product(enumerate(matrices), repeat=2):
            product = known.get((one @ other).tobytes())
            if product is None:
                raise BadInput(
                    f"{name} is not a group: {labels[g]!r} after {labels[h]!r} is none of its "
                    "elements. Add the missing ones."
                )
            table[g, h] = product
        return cls(name, sentence, acts, labels, matrices, table)

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.labels)

    @property
    def inverse(self) -> np.ndarray:
        """For each element the index of its inverse. A finite set closed under products that cancel
        has them all.
        """
        return np.argmin(self.table, axis=1)  # the identity is number 0


TURN = np.array([[0, -1], [1, 0]])
# left and right change places: the second coordinate counts columns
MIRROR = np.array([[1, 0], [0, -1]])


def _turns() -> list[tuple[str, np.ndarray]]:
    return [(f"{90 * k}°", np.linalg.matrix_power(TURN, k)) for k in range(4)]


def rotations() -> Group:
    """C4: the four rotations of a square."""
    return Group.of("C4", "quarter turns", "image", _turns())


def rotations_and_reflections() -> Group:
    """D4: the eight symmetries of a square."""
    turns = _turns()
    mirrored = [
        (f"mirror {label}" if k else "mirror", turn @ MIRROR)
        for k, (label, turn) in enumerate(turns)
    ]
    return Group.of("D4", "quarter turns and mirror images", "image", turns + mirrored)


def reflection() -> Group:
    """C2: an image and its mirror image, left for right."""
    return Group.of(
        "mirror", "left and right exchanged", "image", [("as it is", np.eye(2)), ("mirror", MIRROR)]
    )


def permutations(n: int) -> Group:
    """S_n: all orders of the n elements of a set."""
    if not 2 <= n <= 5:
        raise BadInput(f"Sets of 2 to 5 elements are expected; {n} came.")
    orders = list(itertools.permutations(range(n)))
    elements = [
        ("".join(str(i + 1) for i in order), np.eye(n, dtype=np.int64)[list(order)])
        for order in orders
    ]
    return Group.of(f"S{n}", f"the orders of {n} elements", "set", elements)


GROUPS: dict[str, Callable[[], Group]] = {
    "C4": rotations,
    "D4": rotations_and_reflections,
    "mirror": reflection,
    "S3": lambda: permutations(3),
    "S4": lambda: permutations(4),
}


def group(name: str) -> Group:
    """Return a group by its name.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in GROUPS:
        raise UnknownName.of("group", name, GROUPS)
    return GROUPS[name]()
