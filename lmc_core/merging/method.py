"""What a way to merge is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lmc_core.merging.ingredients import Ingredients, Merged
from lmc_core.settings import Configurable

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class MergeMethod(Configurable[S]):
    """A way to make one model out of several.

    Attributes:
        merge: makes one set of parameters; None for the ensemble, which keeps all models.
        ancestor: whether it assumes that all models were fine-tuned from one.
        weighs: whether it heeds the weights of the models.
        chooses: how many validation examples it chooses by, by its settings; None for one that
            chooses nothing.
    """

    merge: Callable[[Ingredients, S], Merged] | None
    ancestor: bool = False
    weighs: bool = False
    chooses: Callable[[S], int] | None = None

    @property
    def checkpoint(self) -> bool:
        """Whether the result is one model."""
        return self.merge is not None
