"""Task arithmetic (Ilharco et al. 2023, arXiv 2212.04089): add to the common ancestor what every
model learned.

    theta = theta_0 + scale * sum_k v_k (theta_k - theta_0),      v_k = n w_k,

so that equal weights give the paper's plain sum.

Without an ancestor something else stands in for it. From the mean of the models task vectors
cancel, and with equal weights the result is the mean, whatever the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.limits import require_settings
from lmc_core.merging.ingredients import Ingredients, Merged
from lmc_core.merging.method import MergeMethod

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TaskArithmeticSettings:
    """How much of the sum is added.

    Attributes:
        scale: of the sum of the task vectors; 0.4 where nothing is known (Yadav et al. 2023), 1 / n
            gives the average.
    """

    scale: float = 0.4

    def __post_init__(self) -> None:
        require_settings(self)


def task_arithmetic(given: Ingredients, settings: TaskArithmeticSettings) -> Merged:
    """The ancestor with the scaled sum of the task vectors added."""
    return given.entrywise(
        lambda piece, name: added(piece, name, piece.task_vectors(name), settings.scale)
    )


def added(given: Ingredients, name: str, vectors: list[Tensor], scale: float) -> Tensor:
    """One parameter of the ancestor with scale * sum_k n w_k tau_k added, in float64."""
    result = given.base(name).clone()
    for weight, vector in zip(given.weights, vectors, strict=True):
        result.add_(vector, alpha=scale * len(given) * weight)
    return result


METHOD = MergeMethod(
    name="task-arithmetic",
    title="task arithmetic",
    sentence="Adds the scaled sum of what every model learned since the common ancestor.",
    source="Ilharco et al. 2023, arXiv 2212.04089",
    settings=TaskArithmeticSettings,
    merge=task_arithmetic,
    ancestor=True,
    weighs=True,
)
