"""The nullity of the Jacobian of all outputs with respect to all parameters: an independent count
of a network's symmetry.
"""

from __future__ import annotations

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


def jacobian(model: Model, inputs: Tensor, chunk: int = 256) -> Tensor:
    """Derivatives `[rows, parameters]` in float64, at epsilon 0, of all outputs or of as many
    random sums of them as needed.

    With n parameters, n + 64 sums with normal weights have the rank of all outputs.
    """
    module = without_epsilon(model.module(torch.float64))
    parameters = [p.requires_grad_(True) for n, p in module.named_parameters()]
    with Double(), NoEpsilon():
        outputs = model.family.outputs(module, inputs).flatten()
    total, rows = sum(p.numel() for p in parameters), []
    generator = torch.Generator().manual_seed(0)
    few = len(outputs) <= total + 64
    for start in range(0, len(outputs) if few else total + 64, chunk):
        if few:
            picks = torch.eye(len(outputs), dtype=torch.float64)[start : start + chunk]
        else:
            size = min(chunk, total + 64 - start), len(outputs)
            picks = (
                torch.randn(size, generator=generator, dtype=torch.float64) / len(outputs) ** 0.5
            )
        found = torch.autograd.grad(
            outputs, parameters, picks, retain_graph=True, is_grads_batched=True, allow_unused=True
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
