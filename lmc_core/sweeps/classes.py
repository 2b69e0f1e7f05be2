"""Symmetry classes as a sweep file names them: presets, and a class for each kind of space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmc_core.errors import BadInput
from lmc_core.limits import shown
from lmc_core.sweeps.values import unknown
from lmc_core.symmetry.spaces import KINDS, Space, SymmetryClass, at_most, permutations_only

ALL, PERMUTATIONS = "all", "permutations"
PRESETS = (ALL, PERMUTATIONS)
NAMES = tuple(each.value for each in SymmetryClass)


@dataclass(frozen=True)
class ClassChoice:
    """A choice of classes, before it is known which spaces there are.

    Attributes:
        label: in tables.
        preset: ``all`` (the largest of every space) or ``permutations`` (of residual stream, units,
            heads and experts; planes stay).
        chosen: (kind of space, class) that differ from the preset; the kind ``all`` lowers every
            space to at most that class.
    """

    label: str
    preset: str = ALL
    chosen: tuple[tuple[str, str], ...] = ()

    def for_spaces(self, spaces: Mapping[str, Space]) -> dict[str, str]:
        """Kind of space -> class, for the spaces of a layout; kinds that are left out get their
        largest class.
        """
        found = {} if self.preset == ALL else permutations_only(spaces)
        for kind, name in self.chosen:
            if kind == ALL:
                found = at_most(spaces, SymmetryClass.parse(name))
        named = {kind: name for kind, name in self.chosen if kind != ALL}
        return {kind: chosen.value for kind, chosen in found.items()} | named


def read_classes(place: str, content: object) -> list[ClassChoice]:
    """Read the entry ``classes``: a choice, a list of choices, or a table of named ones.

    Args:
        place: of the entry, for messages ("methods.weight.classes").
        content: a preset, a table KIND = CLASS, a list of these, or a table NAME = one of these.

    Raises:
        BadInput: it is none of these.
    """
    if isinstance(content, list):
        if not content:
            raise BadInput(f"{place} is empty; leave it out for all classes.")
        return [_read_one(place, each) for each in content]
    if isinstance(content, Mapping) and not set(content) <= {ALL, *KINDS}:
        if unnamed := [name for name, each in content.items() if each in NAMES]:
            raise unknown(place, "kind of space", unnamed[0], (ALL, *KINDS))
        return [_read_one(f"{place}.{name}", each, name) for name, each in content.items()]
    return [_read_one(place, content)]


def _read_one(place: str, content: object, label: str | None = None) -> ClassChoice:
    if isinstance(content, str):
        if content not in PRESETS:
            raise unknown(place, "choice of classes", content, PRESETS)
        return ClassChoice(label or content, content)
    if not isinstance(content, Mapping) or not content:
        raise BadInput(
            f"{place} should be all, permutations, or a table KIND = CLASS; {shown(content)} came."
        )
    for kind, name in content.items():
        if kind not in (ALL, *KINDS):
            raise unknown(place, "kind of space", kind, (ALL, *KINDS))
        if name not in NAMES:
            raise unknown(f"{place}.{kind}", "symmetry class", name, NAMES)
    chosen = tuple((str(kind), str(name)) for kind, name in content.items())
    words = ", ".join(f"{kind}={name}" for kind, name in chosen)
    return ClassChoice(label or words, ALL, chosen)
