"""DARE: drop and rescale (Yu et al. 2024, arXiv 2311.03099), then task arithmetic.

Every entry of a task vector is dropped with probability 1 - density, and what is left is divided by
density, so that its expectation is the task vector. The draw depends on the seed, the model's place
and the parameter's name alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.limits import require_settings
from lmc_core.merging.ingredients import Ingredients, Merged, require_share
from lmc_core.merging.method import MergeMethod
from lmc_core.merging.task_arithmetic import added


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

    def merge(name: str) -> Tensor:
        vectors = given.task_vectors(name)
        thinned = [
            v * kept(v.shape, k, name, settings) / settings.density for k, v in enumerate(vectors)
        ]
        return added(given, name, thinned, settings.scale)

    return given.each(merge)


def kept(shape: torch.Size, k: int, name: str, settings: DareSettings) -> Tensor:
    """Which entries of a parameter of model k stay, as a boolean tensor."""
    seed = int.from_bytes(
        hashlib.sha256(f"{settings.seed}/{k}/{name}".encode()).digest()[:7], "big"
    )
    return (
        torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        < settings.density
    )


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
