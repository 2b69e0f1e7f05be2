"""The plane through three models, with coordinates that are distances between parameters.

    theta(u, v) = theta_0 + u e_1 + v e_2,     <e_i, e_j> = delta_ij

(Garipov et al. 2018, arXiv 1802.10026). e_1 points from the first model to the second, e_2 is what
of the way to the third is orthogonal to it (Gram-Schmidt over all parameters). The basis is never
held: with d_k = theta_k - theta_0 and the triangular factor of the two,

    [d_1 d_2] = [e_1 e_2] R,
    theta(u, v) = theta_0 + alpha d_1 + beta d_2,     (u, v) = R (alpha, beta)

so that a point takes as much memory as one model, and the three models are met exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.models.mixing import blend, require_alike
from lmc_core.models.model import Model
from lmc_core.symmetry.layout import State

FLAT = 1e-6  # three models whose triangle is lower than this share of its base lie on one line
MET = 1e-12  # a point this near to a model, relative to the basis, is that model


@dataclass(frozen=True)
class Plane:
    """A plane in the space of parameters.

    Attributes:
        origin: the model at (0, 0).
        first: parameters at `corners[1]`.
        second: parameters at `corners[2]`.
        factor: R, upper triangular, float64 `[2, 2]`.
    """

    origin: Model
    first: State
    second: State
    factor: Tensor

    @classmethod
    def through(cls, a: Model, b: Model, c: Model) -> Plane:
        """The plane through three models, with an orthonormal basis: `a` at the origin, `b` on the
        first axis, `c` above it.

        Raises:
            Incompatible: if their parameters differ in name or shape.
            BadInput: if they lie on one line.
        """
        require_alike([a, b, c])
        products = gram(a.state, [b.state, c.state])
        base = float(products[0, 0]) ** 0.5
        across = float(products[0, 1]) / base if base else 0.0
        height = max(0.0, float(products[1, 1]) - across**2) ** 0.5
        if not base or height < FLAT * base:
            raise BadInput(
                f"{a.name}, {b.name} and {c.name} lie on one line, so there is no plane through "
                "them; choose three "
                "different models."
            )
        return cls(
            a, b.state, c.state, torch.tensor([[base, across], [0.0, height]], dtype=torch.float64)
        )

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Where the three models are, as (u, v)."""
        (base, across), (_, height) = self.factor.tolist()
        return (0.0, 0.0), (base, 0.0), (across, height)

    def shares(self, u: float, v: float) -> tuple[float, float]:
        """(alpha, beta) of a point; of the three models exactly (0, 0), (1, 0) and (0, 1)."""
        (base, across), (_, height) = self.factor.tolist()
        beta = v / height
        alpha = (u - across * beta) / base
        for corner in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
            if abs(alpha - corner[0]) < MET and abs(beta - corner[1]) < MET:
                return corner
        return alpha, beta

    def state(self, u: float, v: float) -> State:
        """The parameters at a point, at least in float32; of the three models their own tensors,
        bit for bit.
        """
        alpha, beta = self.shares(u, v)
        met = {(0.0, 0.0): self.origin.state, (1.0, 0.0): self.first, (0.0, 1.0): self.second}.get(
            (alpha, beta)
        )
        if met is not None:
            return met
        rest = 1.0 - alpha - beta
        return blend(
            [self.origin.state, self.first, self.second],
            lambda x: (x[0] * rest).add_(x[1], alpha=alpha).add_(x[2], alpha=beta),
        )

    def on(self, device: str) -> Plane:
        """The same plane with the models on a device."""
        first, second = (
            {name: tensor.to(device) for name, tensor in state.items()}
            for state in (self.first, self.second)
        )
        return Plane(self.origin.on(device), first, second, self.factor)

    def basis(self) -> tuple[State, State]:
        """e_1 and e_2 in float64, for looking at; computing points does not need them."""
        (base, across), (_, height) = self.factor.tolist()
        e1, e2 = {}, {}
        for name, tensor in self.origin.state.items():
            at = tensor.double()
            e1[name] = (self.first[name].double() - at) / base
            e2[name] = (self.second[name].double() - at - across * e1[name]) / height
        return e1, e2

    def project(self, state: State) -> tuple[float, float, float]:
        """The nearest point of the plane to some parameters, and how far they are from it; for
        orthonormal bases.

        Returns:
            u, v and the distance, all in the units of the parameters.
        """
        (base, across), (_, height) = self.factor.tolist()
        products = gram(self.origin.state, [self.first, self.second, state])
        u = float(products[0, 2]) / base
        v = (float(products[1, 2]) - across * u) / height
        return u, v, max(0.0, float(products[2, 2]) - u * u - v * v) ** 0.5


def gram(origin: State, states: Sequence[State]) -> Tensor:
    """Inner products of the ways from one set of parameters to others, accumulated in float64
    parameter by parameter.

    Returns:
        float64 `[states, states]`.
    """
    total = torch.zeros(len(states), len(states), dtype=torch.float64)
    for name, tensor in origin.items():
        ways = torch.stack(
            [state[name].double().flatten() - tensor.double().flatten() for state in states]
        )
        total += (ways @ ways.T).cpu()
    return total
