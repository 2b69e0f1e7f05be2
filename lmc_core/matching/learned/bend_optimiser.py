"""What trains the bend of a curve: Muon for matrices between hidden spaces, Adam for the rest.

A bend is trained like a network is, from the midpoint of two. Muon makes every step of a matrix
orthogonal (Jordan et al. 2024), which lowers the loss on the curve in fewer steps than Adam
(Kingma, Ba 2015, arXiv 1412.6980); see docs/log/learning.md. Matrices of experts that lie in one
tensor are taken one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

import torch
from torch import Tensor

from lmc_core.symmetry.layout import Layout

BETAS = (0.9, 0.98)  # of Adam's averages
MOMENTUM = 0.95  # of Muon


class BendOptimiserState(TypedDict):
    """What an interrupted training needs."""

    adam: dict[str, object]
    muon: dict[str, object] | None


class BendOptimiser:
    """The optimiser of a bend.

    Args:
        layout: of the models.
        bend: parameters of the bend, leaves that require a gradient.
        rate: of Adam, a length in each parameter.
        matrix_rate: of Muon, the spectral norm of a step; None for Adam everywhere.
        betas: of Adam's averages.
    """

    def __init__(
        self,
        layout: Layout,
        bend: Mapping[str, Tensor],
        rate: float,
        matrix_rate: float | None = None,
        betas: tuple[float, float] = BETAS,
    ):
        hidden = set() if matrix_rate is None else hidden_matrices(layout, bend)
        self.bend, self.rates = bend, (rate, matrix_rate or 0.0)
        # views that share the memory of their parameter, for an optimiser of matrices
        self.matrices = [
            (name, number, matrix.detach().requires_grad_())
            for name, tensor in bend.items()
            if name in hidden
            for number, matrix in enumerate(tensor.detach().view(-1, *tensor.shape[-2:]))
        ]
        rest = [tensor for name, tensor in bend.items() if name not in hidden]
        self.adam = torch.optim.Adam(rest, lr=rate, betas=betas) if rest else None
        self.muon = None
        if self.matrices:
            views = [matrix for _, _, matrix in self.matrices]
            self.muon = torch.optim.Muon(
                views, lr=self.rates[1], weight_decay=0.0, momentum=MOMENTUM
            )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor in self.bend.values():
            tensor.grad = None

    def step(self, share: float) -> None:
        """One step by the gradients of the bend, at a share of the full rates."""
        for name, number, matrix in self.matrices:
            gradient = self.bend[name].grad
            matrix.grad = None if gradient is None else gradient.view(-1, *matrix.shape)[number]
        for optimiser, rate in zip((self.adam, self.muon), self.rates, strict=True):
            if optimiser is not None:
                for group in optimiser.param_groups:
                    group["lr"] = rate * share
                optimiser.step()

    def state_dict(self) -> BendOptimiserState:
        """What an interrupted training needs."""
        adam = {} if self.adam is None else self.adam.state_dict()
        return {"adam": adam, "muon": None if self.muon is None else self.muon.state_dict()}

    def load_state_dict(self, state: BendOptimiserState) -> None:
        """Go back to what `state_dict` returned."""
        if self.adam is not None:
            self.adam.load_state_dict(cast("dict", state["adam"]))
        if self.muon is not None and state["muon"] is not None:
            self.muon.load_state_dict(cast("dict", state["muon"]))


def hidden_matrices(layout: Layout, state: Mapping[str, Tensor]) -> set[str]:
    """Names of the parameters whose last two axes both lie in spaces: matrices from one hidden
    space to another, and no tables of tokens, positions or classes.
    """
    found = {name for name, tensor in state.items() if tensor.ndim in (2, 3)}
    for block in layout.blocks:
        if sum(axis.space is not None for axis in block.axes) < 2:
            found.discard(block.parameter)
    return found & {block.parameter for block in layout.blocks}
