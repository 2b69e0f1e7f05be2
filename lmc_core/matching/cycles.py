"""Maps between several models, and whether they agree around a cycle.

With one alignment g_k of each model into a common frame, the *universe*, the map that moves model j
onto model i is g_i^-1 g_j, and every cycle composes to the identity,

    (g_i^-1 g_j) (g_j^-1 g_k) (g_k^-1 g_i) = 1,

by construction. Maps that were found pair by pair have no reason to (Crisostomi et al. 2024, arXiv
2405.17897).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations

import torch

from lmc_core.symmetry.alignment import Alignment

Maps = Mapping[tuple[int, int], Alignment]  # (i, j) -> what moves model j onto model i


class _Between(Mapping[tuple[int, int], Alignment]):
    """The map of a pair, made when it is asked for: all at once take memory with the square of the
    number of models.
    """

    def __init__(self, alignments: Sequence[Alignment]) -> None:
        self._alignments = alignments

    def __getitem__(self, pair: tuple[int, int]) -> Alignment:
        i, j = pair
        if i == j or not {i, j} <= set(range(len(self._alignments))):
            raise KeyError(pair)
        return self._alignments[i].inverse().compose(self._alignments[j])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return permutations(range(len(self._alignments)), 2)

    def __len__(self) -> int:
        return len(self._alignments) * (len(self._alignments) - 1)


def between(alignments: Sequence[Alignment]) -> Maps:
    """The maps between all models, from their alignments into one frame."""
    return _Between(alignments)


def cycle_error(maps: Maps) -> float:
    """Largest absolute difference from the identity of g_ij g_jk g_ki, over all triples of models
    (of two: of g_01 g_10).

    Args:
        maps: for every ordered pair of models, see `Maps`.
    """
    models = sorted({i for i, _ in maps})
    cycles = [*combinations(models, 3)] or [*combinations(models, 2)]
    worst = 0.0
    for cycle in cycles:
        found = maps[cycle[-1], cycle[0]]
        for i, j in reversed([*zip(cycle, cycle[1:], strict=False)]):
            found = maps[i, j].compose(found)
        for element in found.elements.values():
            matrix = element.matrix()
            worst = max(
                worst, float((matrix - torch.eye(matrix.shape[-1], dtype=matrix.dtype)).abs().max())
            )
    return worst
