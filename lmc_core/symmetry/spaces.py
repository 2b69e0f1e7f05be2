"""Symmetry classes, and the spaces inside a network that they act on.

A *space* is a vector space inside the network whose coordinates are a convention: change its basis, change every parameter
that writes to it or reads from it, and the function stays. Its *largest class* is the largest group for which that holds in
the given architecture. A person may ask for any smaller one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import total_ordering

from lmc_core.errors import Inadmissible, UnknownName


@total_ordering
class SymmetryClass(Enum):
    """Groups in increasing order: each contains the one before it."""

    NONE = "none"
    PERMUTATION = "permutation"
    ORTHOGONAL = "orthogonal"
    INVERTIBLE = "invertible"

    def __lt__(self, other: SymmetryClass) -> bool:
        order = list(SymmetryClass)
        return order.index(self) < order.index(other)

    @classmethod
    def parse(cls, text: str) -> SymmetryClass:
        """Return the class of that name.

        Raises:
            UnknownName: if there is none.
        """
        try:
            return cls(text)
        except ValueError:
            raise UnknownName.of("symmetry class", text, [c.value for c in cls]) from None


KINDS: dict[str, str] = {
    "residual": "the residual stream, which every block reads and writes",
    "units": "the hidden units of each feed-forward block",
    "heads": "the order of the attention heads of each block",
    "query-key": "the plane in which one head compares queries with keys",
    "value-output": "the plane through which one head passes values to its output",
}


@dataclass(frozen=True)
class Space:
    """One space of one network.

    Attributes:
        name: unique in the layout, e.g. ``units.3``.
        kind: what it is called when classes are chosen, a key of `KINDS`.
        size: number of coordinates.
        largest: the largest admissible class.
        reason: why no larger class is admissible, as a clause ("GELU acts on each unit by itself").
        within: the space whose every coordinate has a copy of this one (the planes live within the heads), or None.
        copies: how many copies there are (the size of `within`), 1 otherwise.
        fixes_ones: the map must keep the all-ones vector, as a residual stream under LayerNorm asks for.
    """

    name: str
    kind: str
    size: int
    largest: SymmetryClass
    reason: str
    within: str | None = None
    copies: int = 1
    fixes_ones: bool = False

    def require(self, chosen: SymmetryClass) -> None:
        """Raise `Inadmissible` if `chosen` is larger than the largest class."""
        if chosen > self.largest:
            raise Inadmissible(
                f"{self.kind}={chosen.value} is not admissible: the largest class of {self.kind} here is "
                f"{self.largest.value}, because {self.reason}."
            )


Classes = dict[str, SymmetryClass]  # kind of space -> chosen class


def choose_classes(spaces: Mapping[str, Space], chosen: Mapping[str, str | SymmetryClass] | None = None) -> Classes:
    """Return a class for every kind of space: the chosen one, or the largest.

    Args:
        spaces: of the layout.
        chosen: kind -> class; kinds that are left out get the largest class of their spaces.

    Raises:
        UnknownName: for a kind or class that does not exist.
        Inadmissible: for a class larger than the largest of any space of its kind.
    """
    kinds = list(dict.fromkeys(space.kind for space in spaces.values()))
    result = {kind: min(s.largest for s in spaces.values() if s.kind == kind) for kind in kinds}
    for kind, value in (chosen or {}).items():
        if kind not in result:
            raise UnknownName.of("kind of space", kind, kinds)
        wanted = value if isinstance(value, SymmetryClass) else SymmetryClass.parse(value)
        for space in spaces.values():
            if space.kind == kind:
                space.require(wanted)
        result[kind] = wanted
    return result


def permutations_only(spaces: Mapping[str, Space]) -> Classes:
    """Permutations of residual, units and heads; the planes inside each head stay as they are."""
    return {
        kind: SymmetryClass.NONE if kind in ("query-key", "value-output") else SymmetryClass.PERMUTATION
        for kind in choose_classes(spaces)
    }
