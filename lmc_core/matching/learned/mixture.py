"""The mixture of some models where their maps have brought them, formed one parameter at a time.

    theta = sum_k w_k g_k theta_k

Backwards, the gradient for a parameter is contracted to the maps as it arrives (`moved_state`), and
then freed. Where one model moves, w_k g_k theta_k is theta without the others, so that nothing is
kept beside theta, which the forward pass needs anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from lmc_core.matching.learned.moved_state import MovedState, Slopes
from lmc_core.models.mixing import weighted
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import State


class Mixture:
    """Parameters of a mixture, and the slopes of a loss for the maps behind them.

    Args:
        ends: the models' parameters.
        moving: by number of a model, its parameters as they move.
        elements: by number of a model, what it is moved by.
        weights: of the models.
        probed: spaces whose permutations are probed.
    """

    def __init__(
        self,
        ends: Sequence[State],
        moving: Mapping[int, MovedState],
        elements: Mapping[int, Mapping[str, Element]],
        weights: Sequence[float],
        probed: Collection[str] = (),
    ):
        self.ends, self.moving, self.elements = ends, moving, elements
        self.weights = weights
        self.slopes = {k: Slopes(probed=probed) for k in moving}
        self._token = torch.zeros((), requires_grad=True)  # what makes a graph of parameters

    def parameters(self) -> dict[str, Tensor]:
        """All parameters by name; those that move have a gradient."""
        return {name: self.parameter(name) for name in self.ends[0]}

    def parameter(self, name: str) -> Tensor:
        """One parameter."""
        if any(name in each.cuts for each in self.moving.values()):
            return _Mixed.apply(self._token, self, name)
        return weighted(self.move(name), self.weights)

    @torch.no_grad()
    def move(self, name: str) -> list[Tensor]:
        """A parameter of every model where it was brought."""
        return [
            self.moving[k].move(name, self.elements[k]) if k in self.moving else end[name]
            for k, end in enumerate(self.ends)
        ]

    def gather(self, name: str, kept: Sequence[Tensor], gradient: Tensor) -> None:
        """Take note of the gradient for a parameter.

        Args:
            name: of the parameter.
            kept: what was moved of every model that moves, or the mixture where that is one model.
            gradient: for the mixture.
        """
        if len(self.moving) > 1:
            for (k, moving), moved in zip(self.moving.items(), kept, strict=True):
                scaled = self.weights[k] * gradient
                moving.gather(name, self.elements[k], moved, scaled, self.slopes[k])
            return
        (k, moving), share = next(iter(self.moving.items())), kept[0]
        for other, end in enumerate(self.ends):
            if other != k:
                share = torch.sub(share, end[name], alpha=self.weights[other])
        moving.gather(name, self.elements[k], share, gradient, self.slopes[k])


class _Context(FunctionCtx):
    mixture: Mixture
    name: str
    saved_tensors: tuple[Tensor, ...]


class _Mixed(torch.autograd.Function):
    """A parameter of a mixture, whose gradient goes to the slopes of its maps."""

    @staticmethod
    def forward(ctx: _Context, token: Tensor, mixture: Mixture, name: str) -> Tensor:
        moved = mixture.move(name)
        value = weighted(moved, mixture.weights)
        kept = [moved[k] for k in mixture.moving] if len(mixture.moving) > 1 else [value]
        ctx.mixture, ctx.name = mixture, name
        ctx.save_for_backward(*kept)
        return value

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with torch.no_grad():
            ctx.mixture.gather(ctx.name, ctx.saved_tensors, gradients[0])
        return None, None, None
