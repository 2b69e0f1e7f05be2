"""Which action each axis of each parameter carries: equivariance as data, as a layout is for the
symmetry of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc_core.equivariance.actions import Action

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class EquivariantLayout:
    """The actions of a network.

    Attributes:
        input: on a flat input.
        output: on the outputs.
        layers: name of a layer -> its parameters -> an action for each axis. A layer has one gamma.
    """

    input: Action
    output: Action
    layers: Mapping[str, Mapping[str, tuple[Action, ...]]]

    @property
    def parameters(self) -> dict[str, tuple[Action, ...]]:
        """The actions of every parameter, by name."""
        return {name: actions for layer in self.layers.values() for name, actions in layer.items()}

    def check(self, module: nn.Module) -> None:
        """Raise ValueError when a parameter of the module has no actions, or others than fit its
        size.
        """
        found = {name: p.numel() for name, p in module.named_parameters()}
        for name, actions in self.parameters.items():
            size = 1
            for action in actions:
                size *= action.size
            if found.pop(name, None) != size:
                raise ValueError(f"the actions of {name!r} do not fit a parameter of this module")
        if found:
            raise ValueError(f"no actions for {sorted(found)}")


def linear(name: str, writes: Action, reads: Action) -> dict[str, tuple[Action, ...]]:
    """The parameters of `nn.Linear`, and of a 1x1 convolution."""
    return {f"{name}.weight": (writes, reads), f"{name}.bias": (writes,)}


def norm(name: str, space: Action) -> dict[str, tuple[Action, ...]]:
    """The parameters of `nn.LayerNorm`."""
    return {f"{name}.weight": (space,), f"{name}.bias": (space,)}
