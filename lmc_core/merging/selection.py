"""The k-th largest of numbers that are too many to be held: selection by digits, in a few passes.

Numbers of float64 that are not negative are ordered as their bits are, read as integers. A pass
counts how many numbers have each value of the next `BITS` bits among those that begin as the number
that is looked for; the counts give its next digit. As soon as few begin so, they are gathered and
sorted. The digits of one that is found among all magnitudes of a model are known after two passes
as a rule, and after three always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmc_core.lazy_torch import torch

if TYPE_CHECKING:
    from torch import Tensor


BITS, PASSES = 21, 3  # all bits but that of the sign, 3 x 21
FEW = 2**20  # numbers that are gathered


@dataclass
class _Search:
    """What is known of the number that is looked for in one list.

    Attributes:
        rank: it is the largest but so many among those that begin as it does, from 1.
        begin: its bits that are known, as a number.
        left: how many numbers begin so.
        found: the number.
        counts: of the numbers by their next digit.
        gathered: those that are left, once they are few.
        filled: how many of them were seen.
    """

    rank: int
    begin: int = 0
    left: int | None = None
    found: float | None = None
    counts: Tensor = field(default_factory=lambda: torch.zeros(2**BITS, dtype=torch.int64))
    gathered: Tensor | None = None
    filled: int = 0

    def take(self, values: Tensor, depth: int) -> None:
        """Look at some numbers, of which `depth` digits are known."""
        bits = values.contiguous().view(torch.int64)
        if depth:
            bits = bits[(bits >> (63 - depth * BITS)) == self.begin]
        if self.left is not None and self.left <= FEW:
            # into one tensor that is there from the start: small ones that stay would lie between
            # the large ones that come and go, whose room could then not be used again
            if self.gathered is None:
                self.gathered = torch.empty(self.left, dtype=torch.int64)
            self.gathered[self.filled : self.filled + len(bits)] = bits
            self.filled += len(bits)
            return
        digits = (bits >> (63 - (depth + 1) * BITS)) & (2**BITS - 1)
        self.counts.index_add_(0, digits, torch.ones_like(digits))

    def conclude(self, depth: int) -> None:
        """Use what a pass has seen."""
        if self.gathered is not None:
            every = self.gathered
            bits = every.kthvalue(len(every) - self.rank + 1).values
            self.found, self.gathered = float(bits.view(torch.float64)), None
            return
        above = self.counts.flip(0).cumsum(0)
        place = int(torch.searchsorted(above, self.rank))
        digit = 2**BITS - 1 - place
        self.left = int(self.counts[digit])
        self.rank -= int(above[place]) - self.left
        self.begin = (self.begin << BITS) | digit
        self.counts.zero_()
        if depth + 1 == PASSES:
            self.found = float(torch.tensor(self.begin).view(torch.float64))


def find_largest(
    lists: Callable[[], Iterable[Sequence[Tensor]]], rank: int, number: int
) -> list[float]:
    """The largest but so many of each of several long lists.

    Args:
        lists: gives all lists piece by piece, again whenever it is called: of each list some
            numbers, float64 `[n]`, at least 0.
        rank: 1 for the largest.
        number: of lists.

    Returns:
        One number of each list, itself and not rounded.
    """
    searches = [_Search(rank) for _ in range(number)]
    for depth in range(PASSES):
        todo = [k for k, search in enumerate(searches) if search.found is None]
        for pieces in lists() if todo else ():
            for k in todo:
                searches[k].take(pieces[k], depth)
        for k in todo:
            searches[k].conclude(depth)
    return [float(search.found) for search in searches if search.found is not None]
