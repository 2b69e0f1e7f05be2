"""A small convolution net: a group convolution (Cohen and Welling 2016, arXiv 1602.07576) once its
weights are equivariant.
"""

from __future__ import annotations

from torch import Tensor, nn

from lmc_core.equivariance.actions import grid, trivial
from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.layout import EquivariantLayout
from lmc_core.equivariance.layout import linear as linear_actions
from lmc_core.errors import BadInput

WIDTH = 32
KERNEL = 3


class Convolution(nn.Module):
    """Two convolutions with ReLU, means over 2x2 pixels between them, and a linear head on all
    places.

    Args:
        side: of the square image, even.
        width: channels.
        classes: outputs.
    """

    def __init__(self, side: int, width: int, classes: int):
        super().__init__()
        self.side = side
        self.first = nn.Conv2d(1, width, KERNEL, padding=KERNEL // 2)
        self.second = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2)
        self.head = nn.Linear(width * (side // 2) ** 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, side * side]` to `[n, classes]`."""
        x = self.first(x.view(-1, 1, self.side, self.side)).relu()
        x = self.second(nn.functional.avg_pool2d(x, 2)).relu()
        return self.head(x.flatten(1))


def build(domain: Domain) -> tuple[nn.Module, EquivariantLayout]:
    """Return a new network and its layout.

    Raises:
        BadInput: for sets, and for images of an odd side, whose 2x2 means are not turned into each
            other.
    """
    if not domain.images or domain.places % 2 or domain.features != 1:
        raise BadInput(
            "A convolution net is for grey images of an even side; choose the perceptron or the "
            "transformer."
        )
    hidden, kernel = domain.hidden(WIDTH), grid(domain.group, KERNEL)
    module = Convolution(domain.places, hidden.size, domain.classes)
    layers = {
        "first": {
            "first.weight": (hidden, trivial(domain.group, 1), kernel),
            "first.bias": (hidden,),
        },
        "second": {"second.weight": (hidden, hidden, kernel), "second.bias": (hidden,)},
        "head": linear_actions(
            "head", domain.output, hidden * grid(domain.group, domain.places // 2)
        ),
    }
    return module, EquivariantLayout(domain.input, domain.output, layers)
