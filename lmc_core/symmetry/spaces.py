"""Symmetry classes, and the spaces inside a network that they act on.

A *space* is a vector space inside the network whose coordinates are a convention: change its basis,
change every parameter that writes to it or reads from it, and the function stays. Which groups do
that depends on the architecture: each space names the classes it admits, from the smallest to the
largest. A person may ask for any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from lmc_core.errors import Inadmissible, UnknownName


class SymmetryClass(Enum):
    """A group of maps of one space. Not every one contains the one before it: what a space admits
    is a chain of its own.

    none            the identity alone
    permutation     reordering of coordinates
    signs           a sign for every coordinate, or for every rotary pair, no reordering
    turns           a quarter turn, or several, of every rotary pair
    signed          reordering with signs
    scales          a positive scale for every coordinate, no reordering
    scaled          reordering with a scale for every coordinate
    rotation        a rotation of every rotary pair; an orthogonal map of the coordinates that are
                    not rotated
    rotary          a scaled rotation of every rotary pair; an invertible map of the coordinates
                    that are not rotated
    orthogonal      rotations and reflections
    invertible      every invertible map
    """

    NONE = "none"
    PERMUTATION = "permutation"
    SIGNS = "signs"
    TURNS = "turns"
    SIGNED = "signed"
    SCALES = "scales"
    SCALED = "scaled"
    ROTATION = "rotation"
    ROTARY = "rotary"
    ORTHOGONAL = "orthogonal"
    INVERTIBLE = "invertible"

    @property
    def mixes(self) -> bool:
        """Whether its elements mix coordinates, so that gains have to be folded and biases moved
        before.
        """
        return self in MIXING

    @property
    def stretches(self) -> bool:
        """Whether its elements change lengths, so that both sides of the space have to be balanced
        before.
        """
        return self in STRETCHING

    def contains(self, other: SymmetryClass) -> bool:
        """Whether every map of the other class is one of this class."""
        return other in CONTAINED[self] or other is self

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


_NAMES = {
    "none": "",
    "permutation": "none",
    "signs": "none",
    "turns": "none signs",
    "signed": "none permutation signs turns",
    "scales": "none",
    "scaled": "none permutation signs turns signed scales",
    "rotation": "none signs turns",
    "rotary": "none signs turns rotation",
    "orthogonal": "none permutation signs turns signed rotation",
    "invertible": "none permutation signs turns signed scales scaled rotation rotary orthogonal",
}
CONTAINED = {
    SymmetryClass(name): {SymmetryClass(each) for each in inner.split()}
    for name, inner in _NAMES.items()
}
MIXING = {
    SymmetryClass.ROTATION,
    SymmetryClass.ROTARY,
    SymmetryClass.ORTHOGONAL,
    SymmetryClass.INVERTIBLE,
}
STRETCHING = {
    SymmetryClass.SCALES,
    SymmetryClass.SCALED,
    SymmetryClass.ROTARY,
    SymmetryClass.INVERTIBLE,
}

NONE = (SymmetryClass.NONE,)
PERMUTATIONS = (SymmetryClass.NONE, SymmetryClass.PERMUTATION)
SIGNED = (*PERMUTATIONS, SymmetryClass.SIGNED)
SCALED = (*PERMUTATIONS, SymmetryClass.SCALED)
SIGNED_AND_SCALED = (*SIGNED, SymmetryClass.SCALED)
PAIR_SIGNS = (SymmetryClass.NONE, SymmetryClass.SIGNS)
TURNS = (*PAIR_SIGNS, SymmetryClass.TURNS)
SCALES = (SymmetryClass.NONE, SymmetryClass.SCALES)
ROTARY = (SymmetryClass.NONE, SymmetryClass.ROTATION, SymmetryClass.ROTARY)
ROTATIONS = (*PERMUTATIONS, SymmetryClass.ORTHOGONAL)
LINEAR = (*ROTATIONS, SymmetryClass.INVERTIBLE)

KINDS: dict[str, str] = {
    "residual": "the residual stream, which every block reads and writes",
    "units": "the hidden units of each feed-forward block",
    "heads": "the order of the attention heads of each block",
    "queries": "the order of the queries that share one key and value head",
    "query-key": "the plane in which one head compares queries with keys",
    "rotary-key": "the plane of the rotary part of queries and keys, where it is apart from the "
    "rest",
    "gains": "the gains of norms on queries and keys, of which only the product is seen",
    "value-output": "the plane through which one head passes values to its output",
    "latent": "a stream of smaller width: of token embeddings, or from which queries, or keys and "
    "values, are made",
    "experts": "the order of the experts of each mixture",
    "expert-groups": "the order of the groups of experts that a router chooses between",
    "embedding": "the space in which images and texts are compared",
    "pooled": "the pooled state that a classifier reads",
    "channels": "the order of the channels of each recurrence",
    "filters": "one factor for each channel between what it reads and its filter over time",
    "states": "the states that each recurrence keeps",
    "time-step": "the small space from which the time steps of all channels are made",
}


@dataclass(frozen=True)
class Pairs:
    """Which coordinates of a plane a rotary position encoding turns together (Su et al. 2021, arXiv
    2104.09864).

    Attributes:
        rotated: number of coordinates that are rotated, an even number; the others come after them.
        interleaved: pairs are (2j, 2j+1); otherwise (j, j + rotated/2), the half-split order.
    """

    rotated: int
    interleaved: bool = False

    def indices(self) -> tuple[list[int], list[int]]:
        """First and second coordinates of all pairs."""
        half = self.rotated // 2
        if self.interleaved:
            return list(range(0, self.rotated, 2)), list(range(1, self.rotated, 2))
        return list(range(half)), list(range(half, self.rotated))


@dataclass(frozen=True)
class Space:
    """One space of one network.

    Attributes:
        name: unique in the layout, e.g. ``units.3``.
        kind: what it is called when classes are chosen, a key of `KINDS`.
        size: number of coordinates.
        classes: the admissible classes from the smallest (none) to the largest, each containing
            those before it.
        reason: what admits the largest class and no larger one, as a clause ("GELU acts on each
            unit by itself").
        within: the space whose every coordinate has a copy of this one (the planes live within the
            heads), or None.
        copies: how many copies there are, 1 otherwise; with several levels the product of their
            sizes.
        fixes_ones: an orthogonal map must keep the all-ones vector, as a residual stream under
            LayerNorm asks for.
        pairs: which coordinates are rotated together, for planes with rotary positions.
        positive: scales and signs must be positive (ReLU); for the class scaled alone.
    """

    name: str
    kind: str
    size: int
    classes: tuple[SymmetryClass, ...]
    reason: str
    within: str | None = None
    copies: int = 1
    fixes_ones: bool = False
    pairs: Pairs | None = None
    positive: bool = False

    @property
    def largest(self) -> SymmetryClass:
        """The largest admissible class."""
        return self.classes[-1]

    def require(self, chosen: SymmetryClass) -> None:
        """Raise `Inadmissible` if `chosen` is not one of its classes."""
        if chosen not in self.classes:
            others = ", ".join(c.value for c in self.classes)
            raise Inadmissible(
                f"{self.kind}={chosen.value} is not admissible: {self.kind} here admits {others}, "
                f"because {self.reason}."
            )

    @property
    def dimension(self) -> int:
        """Dimension of the largest class as a Lie group, over all copies."""
        n = self.size
        if self.largest is SymmetryClass.ORTHOGONAL:
            n -= int(self.fixes_ones)
            each = n * (n - 1) // 2
        elif self.largest is SymmetryClass.INVERTIBLE:
            each = n * n
        elif self.largest is SymmetryClass.ROTARY and self.pairs is not None:
            each = self.pairs.rotated + (n - self.pairs.rotated) ** 2
        elif self.largest in (SymmetryClass.SCALES, SymmetryClass.SCALED):
            each = n
        else:
            each = 0
        return each * self.copies


# kind of space -> chosen class; what a space does not admit falls to what it does
Classes = dict[str, SymmetryClass]


def class_of(space: Space, classes: Mapping[str, SymmetryClass]) -> SymmetryClass:
    """The class a space gets when classes are chosen by kind: the chosen one, or the largest that
    it admits below that.

    Spaces of one kind may differ (a first dense layer among mixtures, one layer without rotary
    positions).
    """
    return [c for c in space.classes if classes[space.kind].contains(c)][-1]


def kinds_of(spaces: Mapping[str, Space]) -> dict[str, tuple[SymmetryClass, ...]]:
    """Kind -> the classes that any space of the kind admits, in increasing order."""
    found: dict[str, set[SymmetryClass]] = {}
    for space in spaces.values():
        found.setdefault(space.kind, set()).update(space.classes)
    return {
        kind: tuple(c for c in SymmetryClass if c in classes) for kind, classes in found.items()
    }


def choose_classes(
    spaces: Mapping[str, Space], chosen: Mapping[str, str | SymmetryClass] | None = None
) -> Classes:
    """Return a class for every kind of space: the chosen one, or the largest.

    Args:
        spaces: of the layout.
        chosen: kind -> class; kinds that are left out get the largest class of their spaces.

    Raises:
        UnknownName: for a kind or class that does not exist.
        Inadmissible: for a class that no space of the kind admits.
    """
    kinds = kinds_of(spaces)
    result = {kind: classes[-1] for kind, classes in kinds.items()}
    for kind, value in (chosen or {}).items():
        if kind not in kinds:
            raise UnknownName.of("kind of space", kind, kinds)
        wanted = value if isinstance(value, SymmetryClass) else SymmetryClass.parse(value)
        if wanted not in kinds[kind]:
            next(space for space in spaces.values() if space.kind == kind).require(wanted)
        result[kind] = wanted
    return result


# within heads or channels, or beside the stream
PLANES = ("query-key", "rotary-key", "gains", "value-output", "latent", "filters", "time-step")


def permutations_only(spaces: Mapping[str, Space]) -> Classes:
    """Permutations of residual, units, heads and experts; the planes inside each head stay as they
    are.
    """
    return {
        kind: SymmetryClass.NONE
        if kind in PLANES or SymmetryClass.PERMUTATION not in classes
        else SymmetryClass.PERMUTATION
        for kind, classes in kinds_of(spaces).items()
    }


def at_most(spaces: Mapping[str, Space], largest: SymmetryClass) -> Classes:
    """Every kind at the largest of its classes that `largest` contains."""
    return {
        kind: [c for c in classes if largest.contains(c)][-1]
        for kind, classes in kinds_of(spaces).items()
    }
