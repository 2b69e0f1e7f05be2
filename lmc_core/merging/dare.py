"""DARE: drop and rescale (Yu et al. 2024, arXiv 2311.03099), then task arithmetic.

Every entry of a task vector is dropped with probability 1 - density, and what is left is divided by
density, so that its expectation is the task vector. The draw depends on the seed, the model's place
and the parameter's name alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.lazy_torch import torch
from lmc_core.limits import require_settings
from lmc_core.merging.ingredients import Ingredients, Merged, require_share
from lmc_core.merging.method import MergeMethod
from lmc_core.merging.task_arithmetic import added

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DareSettings:
    """How much is kept at random, and how much of the sum is added.

    Attributes:
        density: share of every task vector that is kept, above 0 and at most 1; 1 is task
            arithmetic.
        scale: of the sum of what is kept, rescaled.
        seed: of the draw.
    """

    density: float = 0.5
    scale: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        require_settings(self)
        require_share("density", self.density)


def dare(given: Ingredients, settings: DareSettings) -> Merged:
    """The ancestor with the scaled sum of the thinned task vectors added."""
    draws: list[torch.Generator] = []

    def merge(piece: Ingredients, name: str) -> Tensor:
        if piece.start == 0:  # entries that follow go on with the draw of those before
            draws[:] = [generator(k, name, settings) for k in range(len(given))]
        vectors = zip(piece.task_vectors(name), draws, strict=True)
        thinned = [v * kept(v.shape, draw, settings) / settings.density for v, draw in vectors]
        return added(piece, name, thinned, settings.scale)

    return given.entrywise(merge)


def generator(k: int, name: str, settings: DareSettings) -> torch.Generator:
    """What draws for a parameter of model k."""
    digest = hashlib.sha256(f"{settings.seed}/{k}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def kept(shape: torch.Size, draw: torch.Generator, settings: DareSettings) -> Tensor:
    """Which entries stay, as a boolean tensor."""
    return torch.rand(shape, generator=draw, dtype=torch.float64) < settings.density


METHOD = MergeMethod(
    name="dare",
    title="DARE",
    sentence="Drops changes since the common ancestor at random and enlarges the others, then task "
    "arithmetic.",
    source="Yu et al. 2024, arXiv 2311.03099",
    settings=DareSettings,
    merge=dare,
    ancestor=True,
    weighs=True,
)
