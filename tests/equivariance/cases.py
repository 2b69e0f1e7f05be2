"""Small domains and networks that the tests go through."""

from __future__ import annotations

import torch
from torch import nn

from lmc_core.equivariance import groups, networks
from lmc_core.equivariance.data import domain_of
from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.layout import EquivariantLayout
from lmc_core.equivariance.relaxed import Relaxed

PAIRS = [
    (group, network)
    for group in groups.GROUPS
    for network, spec in networks.NETWORKS.items()
    if groups.group(group).acts in spec.acts
]


def domain(group: str) -> Domain:
    """Digits, or sets of digits, under a group."""
    return domain_of("digits", groups.group(group))


def built(group: str, network: str, seed: int = 0) -> tuple[nn.Module, EquivariantLayout]:
    """A network in float64 whose parameters are all away from 0 and 1, which would hide
    mistakes.
    """
    module, layout = networks.build(network, domain(group), seed)
    module = module.double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64
            )
    return module, layout


def relaxed(group: str, network: str, seed: int = 0, as_built: bool = True) -> Relaxed:
    """The same, relaxed."""
    return Relaxed(*built(group, network, seed), as_built=as_built)


def inputs(group: str, count: int = 5, seed: int = 1) -> torch.Tensor:
    """Random inputs in float64."""
    return torch.randn(
        count,
        domain(group).input.size,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )


def moved(layout: EquivariantLayout, x: torch.Tensor, element: int) -> torch.Tensor:
    """rho_in(g) x by the matrix of the action, which the code under test never makes."""
    return x @ torch.from_numpy(layout.input.matrices()[element]).T
