"""The function check: run the moved model against the original on real input and measure the largest difference.

    error = max over examples of  max |f'(x) - f(x)| / max |f(x)|,

both maxima over all outputs of one example. At rounding level this is below 1e-5 in float32 and 1e-10 in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmc_core.errors import FunctionChanged

if TYPE_CHECKING:
    from lmc_core.models.model import Model

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-10}


def relative_difference(reference: Tensor, outputs: Tensor) -> float:
    """The error above for two tensors `[examples, ...]`; infinite if `outputs` is not finite."""
    scale = reference.flatten(1).abs().amax(1).clamp_min(torch.finfo(reference.dtype).tiny)
    error = float(((outputs - reference).flatten(1).abs().amax(1) / scale).max())
    return error if error == error else float("inf")


@torch.no_grad()
def function_error(original: Model, moved: Model, inputs: Tensor, dtype: torch.dtype = torch.float32) -> float:
    """Measure the largest relative difference of the outputs of two models on the same input.

    Args:
        original: before.
        moved: after.
        inputs: images or tokens, a few examples.
        dtype: precision both are run in.

    Returns:
        The error as defined above; no unit.
    """
    x = inputs.to(dtype) if inputs.is_floating_point() else inputs
    outputs = [model.family.outputs(model.module(dtype), x) for model in (original, moved)]
    return relative_difference(*outputs)


def require_same_function(error: float, name: str, dtype: torch.dtype = torch.float32) -> float:
    """Return the error, or refuse the transformation.

    Raises:
        FunctionChanged: if the error is not at rounding level.
    """
    if not error < LIMIT[dtype]:
        raise FunctionChanged(
            f"Moving {name} changed its outputs by {error:.1e} (relative), more than the {LIMIT[dtype]:.0e} that rounding "
            "explains; nothing was written. Please report the model and the classes that were chosen."
        )
    return error
