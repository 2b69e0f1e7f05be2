"""A model as a module whose parameters can be exchanged in every call."""

from __future__ import annotations

from torch import Tensor, nn

from lmc_core.models.forward import compute_outputs
from lmc_core.models.model import Model


class Forward(nn.Module):
    """Lets `functional_call` reach a family's `outputs`.

    Args:
        model: that is run.
        inner: a module of its class; by default one that shares its parameters.
    """

    def __init__(self, model: Model, inner: nn.Module | None = None):
        super().__init__()
        self.inner = model.module() if inner is None else inner
        self.family = model.family

    def forward(self, inputs: Tensor, alike: bool = False) -> Tensor:
        """The outputs of the model; for `alike` see `compute_outputs`."""
        return compute_outputs(self.family, self.inner, inputs, alike)
