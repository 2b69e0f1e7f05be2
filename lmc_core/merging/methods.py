"""The ways to merge models, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lmc_core.errors import UnknownName
from lmc_core.matching.methods import configured
from lmc_core.merging.average import average, weighted_average
from lmc_core.merging.dare import DareSettings, dare
from lmc_core.merging.ingredients import Ingredients, Merged, NoSettings
from lmc_core.merging.slerp import slerp
from lmc_core.merging.soup import SoupSettings, greedy_soup
from lmc_core.merging.task_arithmetic import TaskArithmeticSettings, task_arithmetic
from lmc_core.merging.ties import TiesSettings, ties


@dataclass(frozen=True)
class MergeMethod:
    """A way to merge models.

    Attributes:
        name: how it is asked for.
        title: how it is called in figures.
        sentence: what it does.
        source: author, year, arXiv number.
        settings: a frozen dataclass with a default for everything.
        ancestor: whether it assumes that all models were fine-tuned from one.
        weighs: whether it heeds the weights of the models.
        chooses: whether it chooses by validation data.
        merge: makes one set of parameters; None for the ensemble, which keeps all models.
    """

    name: str
    title: str
    sentence: str
    source: str
    settings: type
    ancestor: bool
    weighs: bool
    chooses: bool
    merge: Callable[[Ingredients, Any], Merged] | None

    @property
    def checkpoint(self) -> bool:
        """Whether the result is one model."""
        return self.merge is not None

    def configured(self, settings: Mapping[str, Any] | None) -> Any:
        """The settings with some values changed; raises `BadInput` (or one of its kinds) for what
        makes no sense.
        """
        return configured(self.name, self.settings, settings)


MERGES: dict[str, MergeMethod] = {
    method.name: method
    for method in (
        MergeMethod(
            "average",
            "average",
            "The mean of the weights, all models alike.",
            "Utans 1996; Wortsman et al. 2022, arXiv 2203.05482 (uniform soup)",
            NoSettings,
            False,
            False,
            False,
            average,
        ),
        MergeMethod(
            "weighted",
            "weighted average",
            "The mean of the weights, each model with a weight of its own.",
            "Matena, Raffel 2022, arXiv 2111.09832 (without Fisher information)",
            NoSettings,
            False,
            True,
            False,
            weighted_average,
        ),
        MergeMethod(
            "slerp",
            "SLERP",
            "The point on the arc between the models' tensors, which keeps their length where the "
            "straight line shortens it.",
            "Shoemake 1985",
            NoSettings,
            False,
            True,
            False,
            slerp,
        ),
        MergeMethod(
            "task-arithmetic",
            "task arithmetic",
            "Adds the scaled sum of what every model learned since the common ancestor.",
            "Ilharco et al. 2023, arXiv 2212.04089",
            TaskArithmeticSettings,
            True,
            True,
            False,
            task_arithmetic,
        ),
        MergeMethod(
            "ties",
            "TIES",
            "Keeps the largest changes since the common ancestor, elects a sign for every "
            "parameter, and averages what agrees.",
            "Yadav et al. 2023, arXiv 2306.01708",
            TiesSettings,
            True,
            True,
            False,
            ties,
        ),
        MergeMethod(
            "dare",
            "DARE",
            "Drops changes since the common ancestor at random and enlarges the others, then task "
            "arithmetic.",
            "Yu et al. 2024, arXiv 2311.03099",
            DareSettings,
            True,
            True,
            False,
            dare,
        ),
        MergeMethod(
            "soup",
            "greedy soup",
            "Takes the models from the best to the worst on validation data and keeps those that "
            "do not make the mean worse.",
            "Wortsman et al. 2022, arXiv 2203.05482",
            SoupSettings,
            False,
            False,
            True,
            greedy_soup,
        ),
        MergeMethod(
            "ensemble",
            "output ensemble",
            "The mean of the models' probabilities: the upper reference, which keeps and runs all "
            "models.",
            "Hansen, Salamon 1990; Lakshminarayanan et al. 2017, arXiv 1612.01474",
            NoSettings,
            False,
            True,
            False,
            None,
        ),
    )
}
"""Every way to merge, in the order in which they are listed."""


def get_merge(name: str) -> MergeMethod:
    """Return the way to merge of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in MERGES:
        raise UnknownName.of("way to merge", name, MERGES)
    return MERGES[name]
