"""A model as a module whose parameters can be exchanged in every call."""

from __future__ import annotations

from torch import Tensor, nn

from lmc_core.models.forward import compute_outputs
from lmc_core.models.model import Model


class Forward(nn.Module):
    """Lets `functional_call` reach a family's `outputs`."""

    def __init__(self, model: Model):
        super().__init__()
        self.inner = model.module()
        self.family = model.family

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs of the model."""
        return compute_outputs(self.family, self.inner, inputs)
