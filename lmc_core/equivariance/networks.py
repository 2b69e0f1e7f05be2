"""The networks that can be trained towards equivariance, by name; another one is a file with
`build` and an entry here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.equivariance.domains import Domain
from lmc_core.equivariance.layout import EquivariantLayout
from lmc_core.errors import UnknownName
from lmc_core.lazy_torch import torch

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """A kind of network.

    Attributes:
        label: for people.
        module: that holds `build(domain)`.
        acts: what kinds of groups it takes.
        steps: of training by default, chosen on validation data; likewise the rest.
        rate: learning rate.
        decay: of the weights.
        batch: examples a step; 0 for all.
    """

    label: str
    module: str
    acts: tuple[str, ...]
    steps: int = 600
    rate: float = 0.01
    decay: float = 1.0
    batch: int = 0


NETWORKS = {
    "perceptron": Network("Perceptron", "lmc_core.equivariance.perceptron", ("image", "set")),
    "convolution": Network(
        "Convolution net", "lmc_core.equivariance.convolution", ("image",), 400, 0.01, 1.0, 100
    ),
    "transformer": Network(
        "Transformer on patches",
        "lmc_core.equivariance.transformer",
        ("image", "set"),
        600,
        0.003,
        1.0,
        100,
    ),
}


def find_network(name: str) -> Network:
    """Return a kind of network by its name.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in NETWORKS:
        raise UnknownName.of("network", name, NETWORKS)
    return NETWORKS[name]


def build(name: str, domain: Domain, seed: int) -> tuple[nn.Module, EquivariantLayout]:
    """Return a new network with the start that belongs to a seed, and its layout.

    Raises:
        UnknownName: there is no network of that name.
        BadInput: it does not take such inputs.
    """
    kind = find_network(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, layout = importlib.import_module(kind.module).build(domain)
    layout.check(module)
    return module, layout
