"""Renormalisation of interpolated networks without norms (REPAIR: Jordan et al. 2022, arXiv
2211.08403).

Where hidden units of two networks are not perfectly aligned, their averages vary less than either,
layer after layer, until little of the input is left. A norm undoes that; a network without norms is
helped by setting, for every hidden unit,

    mean                  m(lam) = (1 - lam) m_A + lam m_B
    standard deviation    s(lam) = (1 - lam) s_A + lam s_B

of what comes into it, measured on training examples. With m and s as measured in the interpolated
network,

    w -> (s(lam) / s) w,      b -> (s(lam) / s) (b - m) + m(lam),

so the result is an ordinary checkpoint. Layers are set in the order in which they run, each after
those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from lmc_core.analysis.changed_line import ChangedLine
from lmc_core.errors import BadInput
from lmc_core.models.forward import compute_outputs
from lmc_core.models.mixing import in_single
from lmc_core.models.model import Model
from lmc_core.symmetry.layout import Block
from lmc_core.tasks.evaluator import batch_size
from lmc_core.tasks.task import Examples


@dataclass(frozen=True)
class Hidden:
    """A layer that writes to hidden units, in a network that has no norm there.

    Attributes:
        module: its name.
        weight: its block.
        axis: which axis of the block numbers the units.
        bias: name of the parameter.
    """

    module: str
    weight: Block
    axis: int
    bias: str


def hidden_layers(model: Model) -> list[Hidden]:
    """The layers of a model that can be renormalised.

    A layer counts when it writes to hidden units and neither these nor what it reads pass through a
    norm.

    Raises:
        BadInput: if there are none, or one of them has no bias that could carry the shift of the
            mean.
    """
    layout = model.layout
    normed = {norm.space for norm in model.family.rewrite(model.config).norms}
    normed |= {
        b.axes[0].space
        for b in layout.blocks
        if len(b.axes) == 1 and b.axes[0].role == "order" and b.axes[0].space
    }
    found = []
    for block in layout.blocks:
        units = [
            i
            for i, axis in enumerate(block.axes)
            if axis.space and layout.spaces[axis.space].kind == "units"
        ]
        written = [i for i in units if block.axes[i].role != "reads"]
        whole = all(index == slice(None) for index in block.slices)
        if (
            len(block.axes) < 2
            or not written
            or not whole
            or any(axis.space in normed for axis in block.axes)
        ):
            continue
        module = block.parameter.rpartition(".")[0]
        bias = f"{module}.bias" if module else "bias"
        if bias not in model.state:
            raise BadInput(
                "Renormalisation shifts the mean of every hidden unit through a bias, and the "
                f"layer {module!r} of "
                f"{model.name} has none; give its hidden layers biases."
            )
        found.append(Hidden(module, block, written[0], bias))
    if not found:
        raise BadInput(
            "Renormalisation is for networks without norms, and every hidden layer of "
            f"{model.name} has one before it; "
            "compare its curve as it is."
        )
    return found


@dataclass(frozen=True)
class Repaired(ChangedLine):
    """The line between two models, renormalised at every point between its ends.

    Attributes:
        line: between two models, aligned or not.
        examples: of the training split, on which statistics are measured.
        device: where models run.
    """

    @cached_property
    def ends(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Mean and standard deviation `[2, units]` of every hidden layer of both models, in the
        order in which they run.
        """
        layers = hidden_layers(self.a)
        return statistics(self.a, layers, self.examples, self.device), statistics(
            self.b, layers, self.examples, self.device
        )

    def state(self, lam: float) -> Mapping[str, Tensor]:
        """The parameters at `lam`: those of the line, renormalised; at 0 and 1 the end models'
        own.
        """
        if lam in (0.0, 1.0):
            return self.line.state(lam)
        state = {name: in_single(tensor).clone() for name, tensor in self.line.state(lam).items()}
        layers = {layer.module: layer for layer in hidden_layers(self.a)}
        one, two = self.ends
        for name in one:
            layer = layers[name]
            measured = statistics(self.a.with_state(state), [layer], self.examples, self.device)[
                name
            ]
            wanted = torch.lerp(one[name], two[name], lam)
            # constant units stay so
            factor = torch.where(measured[1] > 1e-12, wanted[1] / measured[1].clamp_min(1e-12), 1.0)
            weight = self.a.layout.view(state, layer.weight)
            shape = [-1 if axis == layer.axis else 1 for axis in range(weight.ndim)]
            weight *= factor.view(shape).to(weight)
            bias = state[layer.bias]
            bias.copy_(factor * (bias.double() - measured[0]) + wanted[0])
        return state


@torch.no_grad()
def statistics(
    model: Model, layers: list[Hidden], examples: Examples, device: str = "cpu"
) -> dict[str, Tensor]:
    """Mean and standard deviation of what comes into every hidden unit.

    Args:
        model: to run.
        layers: to look at.
        examples: inputs.
        device: where to run.

    Returns:
        By name of module, in the order in which they run, float64 `[2, units]`: means, standard
        deviations.
    """
    module = model.module(device=device)
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def look(name: str, axis: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            rows = output.movedim(axis, -1).flatten(0, -2).cpu().double()
            found = torch.stack([rows.sum(0), rows.square().sum(0)])
            sums[name] = sums[name] + found if name in sums else found
            counts[name] = counts.get(name, 0) + len(rows)

        return add

    for layer in layers:
        watched = module.get_submodule(layer.module)
        axis = 1 if isinstance(watched, nn.Conv1d | nn.Conv2d | nn.Conv3d) else -1
        watched.register_forward_hook(look(layer.module, axis))
    for batch in examples.batches(batch_size(model, examples)):
        compute_outputs(model.family, module, batch.inputs.to(device))
    found = {}
    for name, (total, squares) in sums.items():
        mean = total / counts[name]
        found[name] = torch.stack(
            [mean, (squares / counts[name] - mean.square()).clamp_min(0).sqrt()]
        )
    return found
