"""How gamma is led towards zero: the constraint's form and its update, one step after each step of
the weights.

    free         gamma stays 1: no constraint
    strict       gamma stays 0: equivariant from the start
    equality     gamma_l = 0 for every layer, by gradient descent and ascent on
                 J + lambda gamma (+ c gamma^2 / 2)
    resilient    |gamma_l| <= u_l, where u_l costs (rho / 2) u_l^2

After Manolache, Chamon and Niepert 2025 (arXiv 2505.13631); the resilient form goes back to Hounie,
Ribeiro and Chamon 2023 (arXiv 2306.02426).

The equality form without curvature in J is d gamma = -eta_p lambda, d lambda = eta_d gamma: an
oscillator with the period 2 pi / sqrt(eta_p eta_d) in steps. The augmented term damps it at the
rate eta_p c / 2; c = 2 sqrt(eta_d / eta_p) is critical. lambda follows the new gamma, so that the
undamped circle keeps its radius (an explicit step of both would grow it).

The resilient form at rest has u = lambda / rho = |gamma| and lambda = |dJ/dgamma|: gamma minimises
J + (rho / 2) |gamma|^2, and the multiplier says what symmetry costs there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lmc_core.errors import BadInput, UnknownName
from lmc_core.lazy_torch import torch
from lmc_core.limits import require_settings

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class State:
    """Where the constraint stands; every tensor has an entry for each layer.

    Attributes:
        gamma: share of the free part.
        multiplier: lambda.
        slack: u, how far gamma is allowed from 0.
    """

    gamma: Tensor
    multiplier: Tensor
    slack: Tensor


class Form(Protocol):
    """What the training needs of a form."""

    def start(self, ones: Tensor) -> State:
        """The state before the first step, given a gamma of ones."""
        ...

    def step(self, state: State, gradient: Tensor) -> State:
        """The next state, given dJ/dgamma."""
        ...


@dataclass(frozen=True)
class Fixed:
    """gamma stays what it is.

    Attributes:
        gamma: 1 (free) or 0 (strict).
    """

    gamma: float

    def start(self, ones: Tensor) -> State:
        """The state before the first step."""
        zero = torch.zeros_like(ones)
        return State(self.gamma * ones, zero, zero)

    def step(self, state: State, gradient: Tensor) -> State:
        """The same state."""
        return state


@dataclass(frozen=True)
class Equality:
    """gamma = 0.

    Attributes:
        primal_rate: eta_p.
        dual_rate: eta_d.
        augmented: c; 0 leaves the term out.
    """

    primal_rate: float
    dual_rate: float
    augmented: float = 0.0

    def __post_init__(self) -> None:
        """Raise `BadInput` for rates that lead nowhere."""
        require_settings(self)
        _require_rates(self.primal_rate, self.dual_rate)
        if not self.augmented >= 0:
            raise BadInput(
                f"The augmented term c is expected to be 0 or more; {self.augmented:g} came."
            )
        if self.primal_rate * (self.dual_rate + 2 * self.augmented) >= 4:
            raise BadInput(
                "These steps grow without bound: the primal rate times (the dual rate + twice the "
                "augmented term c) is "
                "expected to be below 4; lower one."
            )

    @property
    def period(self) -> float:
        """Steps in which gamma swings once around while J has no say and c = 0."""
        return 2 * math.pi / math.sqrt(self.primal_rate * self.dual_rate)

    @property
    def critical(self) -> float:
        """The smallest c with which gamma no longer swings."""
        return 2 * math.sqrt(self.dual_rate / self.primal_rate)

    def start(self, ones: Tensor) -> State:
        """Return gamma = 1, lambda = 0."""
        zero = torch.zeros_like(ones)
        return State(ones.clone(), zero, zero)

    def step(self, state: State, gradient: Tensor) -> State:
        """Move gamma <- gamma - eta_p (dJ/dgamma + lambda + c gamma), lambda <- lambda + eta_d
        gamma.
        """
        gamma = state.gamma - self.primal_rate * (
            gradient + state.multiplier + self.augmented * state.gamma
        )
        return State(gamma, state.multiplier + self.dual_rate * gamma, state.slack)


@dataclass(frozen=True)
class Resilient:
    """|gamma| <= u, at the price (rho / 2) u^2.

    Attributes:
        primal_rate: eta_p.
        dual_rate: eta_d.
        price: rho.
    """

    primal_rate: float
    dual_rate: float
    price: float

    def __post_init__(self) -> None:
        """Raise `BadInput` for rates and prices that lead nowhere."""
        require_settings(self)
        _require_rates(self.primal_rate, self.dual_rate)
        if not self.price > 0:
            raise BadInput(
                f"The price rho is expected to be above 0; {self.price:g} came. The free network "
                "has no price."
            )
        if self.dual_rate > self.price:
            raise BadInput(
                f"The dual rate is expected to be at most the price rho = {self.price:g}, else "
                "the multiplier overshoots; "
                f"{self.dual_rate:g} came."
            )

    def start(self, ones: Tensor) -> State:
        """Return gamma = 1, lambda = u = 0."""
        zero = torch.zeros_like(ones)
        return State(ones.clone(), zero, zero)

    def step(self, state: State, gradient: Tensor) -> State:
        """Move gamma, then lambda, then u.

            gamma <- shrink(gamma - eta_p dJ/dgamma, eta_p lambda)
            lambda <- max(0, lambda + eta_d (|gamma| - u))
            u <- lambda / rho

        shrink(x, t) = sign(x) max(0, |x| - t) is the step against lambda |gamma| that stops at zero
        and does not jump across.
        """
        moved = state.gamma - self.primal_rate * gradient
        gamma = moved.sign() * (moved.abs() - self.primal_rate * state.multiplier).clamp(min=0)
        multiplier = (state.multiplier + self.dual_rate * (gamma.abs() - state.slack)).clamp(min=0)
        return State(gamma, multiplier, multiplier / self.price)


FORMS = {
    "free": "Unconstrained",
    "strict": "Strictly equivariant",
    "equality": "Equality, γ = 0",
    "resilient": "Resilient, |γ| ≤ u",
}


def make_form(
    name: str, primal_rate: float, dual_rate: float, augmented: float, price: float
) -> Form:
    """Return a form by name; settings that it has no use for are ignored.

    Raises:
        UnknownName: there is no form of that name.
        BadInput: a setting that leads nowhere.
    """
    if name not in FORMS:
        raise UnknownName.of("form", name, FORMS)
    if name == "equality":
        return Equality(primal_rate, dual_rate, augmented)
    if name == "resilient":
        return Resilient(primal_rate, dual_rate, price)
    return Fixed(1.0 if name == "free" else 0.0)


def _require_rates(primal: float, dual: float) -> None:
    for name, rate in (("primal", primal), ("dual", dual)):
        if not rate > 0:
            raise BadInput(f"The {name} rate is expected to be above 0; {rate:g} came.")
