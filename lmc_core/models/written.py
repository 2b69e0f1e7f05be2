"""The function check of a checkpoint as it lies on disk: rounding to the type of the file
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lmc_core.models.forward import few_enough, run
from lmc_core.models.lazy import is_lazy, shapes
from lmc_core.models.load import load_folder
from lmc_core.models.model import Model
from lmc_core.models.precision import type_words
from lmc_core.symmetry.check import relative_difference


@dataclass(frozen=True)
class Outputs:
    """What some models compute of a few examples, kept before they are changed.

    Attributes:
        inputs: images or tokens, a few examples.
        before: outputs of each model in float32; of lazily read models the models themselves, which
            nothing changes.
    """

    inputs: Tensor
    before: tuple[Tensor | Model, ...]

    @classmethod
    def of(cls, models: Sequence[Model], inputs: Tensor) -> Outputs:
        """Run the models."""
        for model in models:
            inputs = few_enough(inputs, model)
        return cls(
            inputs, tuple(model if is_lazy(model.state) else run(model, inputs) for model in models)
        )

    def error_as_written(self, number: int, folder: Path) -> tuple[float, str]:
        """Read a checkpoint again and compare it with what it was made from.

        Args:
            number: of the model, from 0.
            folder: that was written.

        Returns:
            The largest relative difference of the outputs, and the types of the parameters in
            words.
        """
        before = self.before[number]
        again = load_folder(folder, lazy=isinstance(before, Model))
        words = type_words(tensor.dtype for tensor in shapes(again.state).values())
        if isinstance(before, Model):
            before = run(before, self.inputs)
        return relative_difference(before, run(again, self.inputs)), words
