"""A network whose layers stand between free and equivariant.

    W_l(gamma) = P(We_l) + gamma_l (I - P)(Wn_l)

gamma = 0 is equivariant to rounding; gamma = 1 with We = Wn is the network as it was built.
(Manolache, Chamon and Niepert 2025, arXiv 2505.13631, add the output of a free layer to that of an
equivariant one: for linear layers this sum of weights.) Whatever gamma is, the weights are an
ordinary state dict of the network's own class.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc_core.equivariance.layout import EquivariantLayout
from lmc_core.equivariance.projection import Projection


class Relaxed:
    """The weights We and Wn of a network; Wn starts as its own.

    Args:
        module: the network; it is not changed.
        layout: of its actions.
        as_built: whether We and Wn are one tensor, the network's own weights, so that gamma = 1 is
            the network as it was built and training it is training that network. (As two tensors
            Adam would give the equivariant part steps of its own size, and draw a free network
            towards symmetry.) Else every orbit of We starts at the value of one of its entries:
            means of |G| entries would be too small by sqrt(|G|), layer after layer, for gamma = 0
            to learn from.

    Attributes:
        layers: names, one for each entry of gamma. Layers that the group leaves nothing to choose
            (P = I) have none.
        equivariant: We by parameter.
        free: Wn by parameter.
        projections: P by parameter.
    """

    def __init__(self, module: nn.Module, layout: EquivariantLayout, as_built: bool = False):
        self.module, self.layout = module, layout
        self.projections = projections_of(layout)
        bound = {
            layer: names
            for layer, names in layout.layers.items()
            if any(not self.projections[name].keeps_all for name in names)
        }
        self.layers = tuple(bound)
        self._layer = {
            name: number for number, names in enumerate(bound.values()) for name in names
        }
        start = {name: parameter.detach() for name, parameter in module.named_parameters()}
        self.free = {name: tensor.clone() for name, tensor in start.items()}
        self.equivariant = (
            self.free
            if as_built
            else {n: self.projections[n].spread(tensor) for n, tensor in start.items()}
        )

    def weights(self, gamma: Tensor) -> dict[str, Tensor]:
        """The state dict at a gamma of shape `[layers]`."""
        found = {}
        for name, projection in self.projections.items():
            if projection.keeps_all:
                found[name] = self.equivariant[name]
                continue
            rest = self.free[name] - projection(self.free[name])
            found[name] = projection(self.equivariant[name]) + gamma[self._layer[name]] * rest
        return found

    def module_at(self, gamma: Tensor) -> nn.Module:
        """An ordinary module of the network's own class with the weights at a gamma."""
        module = copy.deepcopy(self.module)
        module.load_state_dict(
            {name: tensor.detach() for name, tensor in self.weights(gamma).items()}
        )
        return module

    def __call__(self, inputs: Tensor, gamma: Tensor) -> Tensor:
        """The outputs at a gamma."""
        return functional_call(self.module, self.weights(gamma), (inputs,))

    def ones(self) -> Tensor:
        """The gamma of the start."""
        first = next(iter(self.free.values()))
        return torch.ones(len(self.layers), dtype=first.dtype, device=first.device)

    def double(self) -> Relaxed:
        """The same network in float64, with weights of its own."""
        made = copy.copy(self)
        made.equivariant = {
            name: tensor.detach().double() for name, tensor in self.equivariant.items()
        }
        made.free = {name: tensor.detach().double() for name, tensor in self.free.items()}
        return made

    def dimensions(self) -> list[list[int]]:
        """For each layer how many dimensions its equivariant weights have, and how many all
        have.
        """
        found = [[0, 0] for _ in self.layers]
        for name, number in self._layer.items():
            found[number][0] += self.projections[name].dimension
            found[number][1] += self.free[name].numel()
        return found

    def asymmetry(self, gamma: Tensor) -> Tensor:
        """For each layer the share of its weights' norm that is not equivariant, |gamma| |(I - P)
        Wn| / |W(gamma)|, `[layers]`.

        gamma alone does not tell: a network that halves gamma and doubles Wn is the same.
        """
        rest, whole = torch.zeros_like(gamma), torch.zeros_like(gamma)
        for name, weight in self.weights(gamma).items():
            if name not in self._layer:
                continue
            number = self._layer[name]
            rest[number] += (weight - self.projections[name](weight)).square().sum()
            whole[number] += weight.square().sum()
        return (rest / whole).sqrt()


def projections_of(layout: EquivariantLayout) -> dict[str, Projection]:
    """Return P for each parameter; parameters with the same actions share theirs."""
    made: dict[tuple[int, ...], Projection] = {}
    found = {}
    for name, actions in layout.parameters.items():
        key = tuple(id(action) for action in actions)
        if key not in made:
            made[key] = Projection(actions)
        found[name] = made[key]
    return found
