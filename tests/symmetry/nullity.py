"""The nullity of the Jacobian of all outputs with respect to all parameters: an independent count
of a network's symmetry.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lmc_core.models.families import FAMILIES
from lmc_core.models.model import Model, untied_state
from lmc_core.symmetry.check import Double
from tests.networks import random_inputs


def without_epsilon(module: nn.Module) -> nn.Module:
    """Set the epsilon of every norm to zero, wherever the class keeps it."""
    for part in module.modules():
        for name in ("eps", "variance_epsilon", "norm_eps"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
    return module


class NoEpsilon(TorchFunctionMode):
    """Sets the epsilon of LayerNorms to zero where a class has it in its code."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is nn.functional.layer_norm and "eps" in kwargs:
            kwargs["eps"] = 0.0
        return func(*args, **kwargs)


def jacobian(model: Model, inputs: Tensor, size: int = 8) -> Tensor:
    """Derivatives `[rows, parameters]` in float64, at epsilon 0, of all outputs or of as many
    random sums of them as needed.

    Examples are differentiated a few at a time: an output of one does not depend on another, and a
    sum over all of them would be led back through all. With n parameters, 1.2 (n + 64) sums with
    normal weights, as many of each few examples, have the rank of all outputs.

    Args:
        model: in general position.
        inputs: of as many examples as are needed to see every parameter.
        size: how many examples are differentiated at a time.
    """
    module = without_epsilon(model.module(torch.float64))
    parameters = [p.requires_grad_(True) for n, p in module.named_parameters()]
    parts, rows = inputs.split(size), []
    most = math.ceil(1.2 * (sum(p.numel() for p in parameters) + 64) / len(parts))
    generator = torch.Generator().manual_seed(0)
    for part in parts:
        with Double(), NoEpsilon():
            outputs = model.family.outputs(module, part).flatten()
        count = len(outputs)
        if count <= most:
            picks = torch.eye(count, dtype=torch.float64)
        else:
            picks = torch.randn(most, count, generator=generator, dtype=torch.float64) / count**0.5
        found = torch.autograd.grad(
            outputs, parameters, picks, is_grads_batched=True, allow_unused=True
        )
        whole = [
            p.new_zeros(len(picks), p.numel()) if g is None else g
            for g, p in zip(found, parameters, strict=True)
        ]
        rows.append(torch.cat([g.reshape(len(picks), -1) for g in whole], 1))
    return torch.cat(rows)


def nullity(model: Model, count: int, seed: int = 0) -> tuple[int, float]:
    """Number of parameters minus rank, and the gap: smallest kept over largest dropped singular
    value.
    """
    values = torch.linalg.svdvals(jacobian(model, random_inputs(model, count, seed)))
    total = sum(t.numel() for t in model.state.values())
    values = torch.nn.functional.pad(values, (0, max(0, total - len(values))))[:total]
    ratios = values[:-1] / values[1:].clamp_min(1e-300)
    scale = float(values[0])
    kept = int((values > 1e-9 * scale).sum())
    return total - kept, float(ratios[kept - 1]) if kept < total else float("inf")


def small_model(family: str, raw: dict[str, Any], seed: int = 0) -> Model:
    """A random model in float64 in general position."""
    chosen = FAMILIES[family]
    config = chosen.config(raw)
    torch.manual_seed(seed)
    state = {n: t.double() for n, t in untied_state(chosen.build(config)).items()}
    state = {n: t + 0.3 * torch.randn_like(t) for n, t in state.items()}
    return Model(family, chosen, config, state)
