"""A multilayer perceptron on flat inputs, with two hidden layers."""

from __future__ import annotations

from torch import Tensor, nn

from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.layout import EquivariantLayout, linear

WIDTH = 64


class Perceptron(nn.Module):
    """Three linear maps with ReLU between them.

    Args:
        sizes: numbers of inputs, hidden units, hidden units, outputs.
    """

    def __init__(self, sizes: tuple[int, int, int, int]):
        super().__init__()
        self.first = nn.Linear(sizes[0], sizes[1])
        self.second = nn.Linear(sizes[1], sizes[2])
        self.head = nn.Linear(sizes[2], sizes[3])

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inputs]` to `[n, outputs]`."""
        return self.head(self.second(self.first(x).relu()).relu())


def build(domain: Domain) -> tuple[nn.Module, EquivariantLayout]:
    """Return a new network and its layout."""
    hidden = domain.hidden(WIDTH)
    module = Perceptron((domain.input.size, hidden.size, hidden.size, domain.classes))
    layers = {
        "first": linear("first", hidden, domain.input),
        "second": linear("second", hidden, hidden),
        "head": linear("head", domain.output, hidden),
    }
    return module, EquivariantLayout(domain.input, domain.output, layers)
