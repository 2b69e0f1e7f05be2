"""A narrow and a wide model at the same sizes, and which unit each place belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from lmc_core.matching.trace import Trace
from lmc_core.models.model import Model
from lmc_core.models.moved import move
from lmc_core.symmetry.alignment import Alignment


@dataclass(frozen=True)
class Places:
    """Which narrow unit each place of a wide space belongs to.

    Attributes:
        owner: int64 `[m]`, by the wide model's own numbering, or `[copies, m]` for the units of
            experts and the queries of groups, these in the order of the narrow model; `NOBODY` (-1)
            for a place that no one reads.
        shares: float64 of the same shape: what part of the narrow unit's output comes from there;
            those of one owner sum to 1.
    """

    owner: Tensor
    shares: Tensor


@dataclass(frozen=True)
class Widened:
    """A narrow and a wide model at the sizes of the wide one, in one frame.

    Attributes:
        narrow: the narrow model's function in the wide model's architecture.
        wide: the wide model.
        alignment: what moved the one that moved.
        trace: of the objective of weight matching.
        places: by name of space, for units, heads and their like of unequal numbers.
    """

    narrow: Model
    wide: Model
    alignment: Alignment
    trace: Trace
    places: Mapping[str, Places]

    def turned(self, wide: Model) -> Widened:
        """The same with the wide model where it was, and the narrow one in its frame."""
        back = self.alignment.inverse()
        return replace(self, narrow=move(self.narrow, back), wide=wide, alignment=back)
