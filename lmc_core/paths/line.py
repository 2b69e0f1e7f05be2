"""The straight line between two models: theta(lam) = (1 - lam) theta_A + lam theta_B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lmc_core.errors import Incompatible
from lmc_core.models.lazy import shapes
from lmc_core.models.mixing import blend
from lmc_core.models.model import Model
from lmc_core.tasks.class_order import find_order


class ModelPath(Protocol):
    """What leads from one model to another, both of one configuration."""

    @property
    def a(self) -> Model:
        """The model at 0."""
        ...

    @property
    def b(self) -> Model:
        """The model at 1."""
        ...

    def state(self, lam: float) -> Mapping[str, Tensor]:
        """The parameters at `lam`."""
        ...

    def on(self, device: str) -> ModelPath:
        """The same path with what it is made of on a device."""
        ...


@dataclass(frozen=True)
class Line:
    """The line from model `a` (lam = 0) to model `b` (lam = 1), both with the same parameters.

    Raises:
        Incompatible: if their parameters differ in name or shape, or their classes in order.
    """

    a: Model
    b: Model

    def __post_init__(self) -> None:
        left, right = (
            {n: t.shape for n, t in shapes(end.state).items()} for end in (self.a, self.b)
        )
        if left != right:
            raise Incompatible(
                f"{self.a.name} and {self.b.name} have different parameters; align them first."
            )
        if find_order(self.a, self.b) is not None:
            raise Incompatible(
                f"{self.a.name} and {self.b.name} have their classes in another order; align "
                "them, or bring the second "
                "into the order of the first by in_order_of."
            )

    def state(self, lam: float) -> Mapping[str, Tensor]:
        """The parameters at `lam`: at 0 and 1 the end models' own tensors, bit for bit; between
        them at least in float32.
        """
        if lam == 0.0:
            return self.a.state
        if lam == 1.0:
            return self.b.state
        return blend([self.a.state, self.b.state], lambda ends: torch.lerp(ends[0], ends[1], lam))

    def on(self, device: str) -> Line:
        """The same line with both models on a device."""
        return Line(self.a.on(device), self.b.on(device))
