"""What a group acts on at the input: the pixels of a square image, or the elements of a set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lmc_core.equivariance.actions import Action, grid, natural, regular, trivial
from lmc_core.equivariance.groups import Group


@dataclass(frozen=True)
class Domain:
    """The inputs of a network and the group that acts on them; an input is one flat vector.

    Attributes:
        group: that acts.
        places: side of a square image in pixels, or number of elements of a set.
        features: numbers at each place.
        classes: of the task, which the group leaves alone.
    """

    group: Group
    places: int
    features: int
    classes: int

    @property
    def images(self) -> bool:
        """Whether an input is an image; else it is a set."""
        return self.group.acts == "image"

    @cached_property
    def positions(self) -> Action:
        """The action on the places."""
        return grid(self.group, self.places) if self.images else natural(self.group)

    @cached_property
    def input(self) -> Action:
        """The action on a flat input, place by place."""
        return self.positions * trivial(self.group, self.features)

    @cached_property
    def output(self) -> Action:
        """The action on the outputs."""
        return trivial(self.group, self.classes)

    def hidden(self, width: int) -> Action:
        """An action on about `width` hidden units, in blocks: the group itself (images), or the
        elements (sets).
        """
        block = regular(self.group) if self.images else natural(self.group)
        return trivial(self.group, max(1, round(width / block.size))) * block
