"""Whether models that were moved still compute what they did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from lmc_core.models.common import in_float32
from lmc_core.models.forward import function_error, run
from lmc_core.models.model import Model
from lmc_core.symmetry.arithmetic import forbid_tf32, has_float64
from lmc_core.symmetry.check import is_rounding, relative_difference, require_same_function


class FunctionCheck:
    """What models compute before they are moved, and whether they do afterwards.

    Args:
        models: before anything is done with them.
        inputs: that are looked at.
        in_place: whether the models are written into, so that they cannot be run again in float64
            to tell rounding from more.
        device: where models run.
        again: whether models are run once more when they are compared, so that no outputs are kept
            meanwhile; of lazily read ones, which nothing writes into.
    """

    def __init__(
        self,
        models: Sequence[Model],
        inputs: Tensor,
        in_place: bool = False,
        device: torch.device | str = "cpu",
        again: bool = False,
    ):
        begin = time.perf_counter()
        forbid_tf32(device)
        self.models, self.inputs, self.in_place = models, inputs.to(device), in_place
        self.before = [] if again else [run(model, self.inputs) for model in models]
        self.seconds = time.perf_counter() - begin

    def keeps(self, number: int, moved: Model) -> bool:
        """Whether one of the models, moved to somewhere, computes what it did but for rounding."""
        error = self._compare(number, in_float32(moved))
        return is_rounding(error, exact=self._exact(number, moved))

    def require(self, moved: Sequence[Model], single: Sequence[Model]) -> list[float]:
        """Return the largest difference of the outputs of each model in float32.

        Args:
            moved: all models, as they were moved.
            single: the same in float32.

        Raises:
            FunctionChanged: if one is more than rounding.
        """
        errors = [self._compare(number, model) for number, model in enumerate(single)]
        for number, (model, error) in enumerate(zip(self.models, errors, strict=True)):
            exact = self._exact(number, moved[number])
            require_same_function(error, model.name, exact=exact)
        return errors

    def _compare(self, number: int, moved: Model) -> float:
        """How far the outputs of a model that was moved are from what it gave before."""
        kept = self.before[number] if self.before else run(self.models[number], self.inputs)
        return relative_difference(kept, run(moved, self.inputs))

    def _exact(self, number: int, moved: Model) -> Callable[[], float] | None:
        """Measures the difference in float64, of a model that is not rounded yet."""
        if self.in_place:
            return None
        there = self.inputs.device if has_float64(self.inputs.device) else "cpu"
        models = self.models[number], moved
        return partial(function_error, *models, self.inputs, torch.float64, there)
