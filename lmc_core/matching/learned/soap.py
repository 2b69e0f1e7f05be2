"""Adam in the eigenbasis of the gradients' second moments: for parameters that are square matrices,
and Adam for the rest.

    L <- b L + (1 - b) G G^T,   R <- b R + (1 - b) G^T G,   L = Q_L D Q_L^T,   R = Q_R D' Q_R^T
    step = Q_L Adam(Q_L^T G Q_R) Q_R^T

The maps that are learned have a hundred rows or so, so the decompositions cost little, and the loss
between two models is badly conditioned in the coordinates that maps happen to have: this reaches in
400 steps what Adam reaches in 1,000 (docs/LOG.md).

Vyas et al. 2024 (arXiv 2409.11321), after Gupta, Koren, Singer 2018 (arXiv 1802.09568).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import torch
from torch import Tensor

from lmc_core.symmetry.arithmetic import to_float64


class Rates(TypedDict):
    """Parameters that share a rate."""

    params: list[Tensor]
    lr: float


class Soap(torch.optim.Optimizer):
    """The optimiser above.

    Args:
        groups: parameters with their rates, as for any optimiser of torch.
        betas: of Adam's two averages.
        memory: b, of the second moments of rows and columns.
        every: steps between two decompositions.
    """

    def __init__(
        self,
        groups: list[Rates],
        betas: tuple[float, float] = (0.9, 0.98),
        memory: float = 0.95,
        every: int = 10,
    ):
        super().__init__(
            [{**group} for group in groups],
            {"lr": 0.01, "betas": betas, "memory": memory, "every": every},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One step for every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(
                        self._direction(parameter, group["betas"], group["memory"], group["every"]),
                        alpha=group["lr"],
                    )

    def _direction(
        self, parameter: Tensor, betas: tuple[float, float], memory: float, every: int
    ) -> Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state.update(
                count=0, first=torch.zeros_like(parameter), second=torch.zeros_like(parameter)
            )
        state["count"] += 1
        early, late = (1 - beta ** state["count"] for beta in betas)
        state["first"].lerp_(gradient, 1 - betas[0])
        first = state["first"] / early
        if (
            parameter.ndim < 2
            or parameter.shape[-1] != parameter.shape[-2]
            or parameter.shape[-1] == 1
        ):
            state["second"].lerp_(gradient.square(), 1 - betas[1])
            return first / ((state["second"] / late).sqrt() + 1e-8)
        self._decompose(state, gradient, memory, state["count"] % every == 0)
        left, right = state["left_basis"], state["right_basis"]
        state["second"].lerp_((left.mT @ gradient @ right).square(), 1 - betas[1])
        return (
            left @ ((left.mT @ first @ right) / ((state["second"] / late).sqrt() + 1e-8)) @ right.mT
        )

    @staticmethod
    def _decompose(state: dict[str, Tensor], gradient: Tensor, memory: float, due: bool) -> None:
        for side, moment in (("left", gradient @ gradient.mT), ("right", gradient.mT @ gradient)):
            if side not in state:
                state[side] = moment
            else:
                state[side].lerp_(moment, 1 - memory)
            if f"{side}_basis" not in state or due:
                moments = to_float64(state[side])
                state[f"{side}_basis"] = torch.linalg.eigh(moments)[1].to(gradient)
