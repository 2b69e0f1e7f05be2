"""A small model that can be moved and run again within milliseconds, in float64, so that rounding
is far below any effect.

The module is built once; a moved model is run by putting its parameters in the place of the
module's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc_core.matching.pair import canonical
from lmc_core.models.model import Model
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.check import Double, relative_difference
from lmc_core.symmetry.elements import Element
from lmc_core.symmetry.layout import State
from lmc_core.symmetry.spaces import choose_classes
from lmc_core.tasks import Examples


@dataclass(frozen=True)
class Live:
    """A model with the examples it is shown on.

    Attributes:
        model: parameters in float64.
        examples: a few inputs with their targets.
        guard: held while the module runs with other parameters; several people may look at one
            model.
    """

    model: Model
    examples: Examples
    guard: RLock = field(default_factory=RLock, compare=False, repr=False)

    @classmethod
    def of(cls, model: Model, examples: Examples) -> Live:
        """A model as it is, in float64."""
        state = {name: tensor.double().contiguous() for name, tensor in model.state.items()}
        inputs = (
            examples.inputs.double() if examples.inputs.is_floating_point() else examples.inputs
        )
        return cls(model.with_state(state), replace(examples, inputs=inputs))

    @classmethod
    def canonical(cls, model: Model, examples: Examples) -> Live:
        """A model in canonical form for the largest classes: gains folded, stream centred, planes
        balanced.
        """
        return cls.of(canonical(model, choose_classes(model.layout.spaces)), examples)

    @cached_property
    def module(self) -> nn.Module:
        """The ordinary module, in float64."""
        return self.model.module(torch.float64)

    @cached_property
    def reference(self) -> Tensor:
        """The outputs of the model as it is."""
        return self.outputs(self.model.state)

    @torch.no_grad()
    def outputs(self, state: State, inputs: Tensor | None = None) -> Tensor:
        """The outputs with other parameters, on the examples or on other inputs."""
        family = self.model.family
        x = self.examples.inputs if inputs is None else inputs

        def call(*args: Any, **kwargs: Any) -> Any:
            return functional_call(self.module, dict(state), args, kwargs)

        # which outputs may ask for
        # a plain function that stands for the module takes its configuration along
        call.config = getattr(self.module, "config", None)  # type: ignore[attr-defined]
        with self.guard, Double():
            return family.outputs(call, x)  # type: ignore[arg-type]  (called like the module)

    def reading(self, name: str, state: State) -> tuple[Tensor, Tensor]:
        """The outputs with other parameters, and what the submodule of that name read, both of all
        examples.
        """
        caught: list[Tensor] = []
        with self.guard:
            hook = self.module.get_submodule(name).register_forward_pre_hook(
                lambda module, given: caught.append(given[0])
            )
            try:
                return self.outputs(state), caught[0]
            finally:
                hook.remove()

    def difference(self, state: State) -> float:
        """Largest difference of the outputs from the model's own (`relative_difference`)."""
        return relative_difference(self.reference, self.outputs(state))

    def moved(self, elements: Mapping[str, Element]) -> dict[str, Tensor]:
        """The parameters with one element per space applied; spaces without an element stay."""
        layout = self.model.layout
        return Alignment.of(layout.spaces, elements).apply(layout, self.model.state)

    def block(self, name: str, state: State | None = None) -> Tensor:
        """A block of the model, or of other parameters, as a view."""
        layout = self.model.layout
        return layout.view(self.model.state if state is None else state, layout.by_name[name])


def distance(state: State, other: State) -> float:
    """Length of the difference of all parameters as a share of the length of `state`."""
    change = sum(float((other[name] - tensor).square().sum()) for name, tensor in state.items())
    return (change / sum(float(tensor.square().sum()) for tensor in state.values())) ** 0.5
