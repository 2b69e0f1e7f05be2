"""The function check: how far the outputs of the moved model are from those of the original.

    error = max over examples of  max |f'(x) - f(x)| / max |f(x)|,

both maxima over all outputs of one example. At rounding level this is below 1e-5 in float32 and
1e-10 in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lmc_core.errors import FunctionChanged

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-10}
PIECE = 2**20  # numbers of an example's outputs that are compared at once
AMPLIFIED = 1e-3  # the most that ill-conditioned maps may make of the rounding of float32


def relative_difference(reference: Tensor, outputs: Tensor) -> float:
    """The error above for two tensors `[examples, ...]`; infinite if `outputs` is not finite."""
    tiny = torch.finfo(reference.dtype).tiny
    errors = []
    for was, now in zip(reference.flatten(1), outputs.flatten(1), strict=True):
        largest = torch.stack(was.aminmax()).abs().max().clamp_min(tiny)
        pairs = zip(was.split(PIECE), now.split(PIECE), strict=True)
        # in pieces, for outputs over a whole vocabulary are large
        errors.append(torch.stack([(two - one).abs().max() for one, two in pairs]).max() / largest)
    error = float(torch.stack(errors).max())
    return error if error == error else float("inf")


class Double(TorchFunctionMode):
    """Keeps float64 where a module asks for float32: norms and routers of many transformers upcast
    half precision that way.
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run `func`, but leave float64 tensors in float64."""
        settings = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if args and isinstance(args[0], Tensor) and args[0].dtype is torch.float64:
            if name == "float":
                return args[0]
            if name in ("to", "type"):
                args = tuple(torch.float64 if arg is torch.float32 else arg for arg in args)
            if settings.get("dtype") is torch.float32:
                settings["dtype"] = torch.float64
        if name == "zeros" and settings.get("dtype") is torch.float32:
            settings["dtype"] = torch.float64
        return func(*args, **settings)


def is_rounding(
    error: float, dtype: torch.dtype = torch.float32, exact: Callable[[], float] | None = None
) -> bool:
    """Whether rounding alone explains an error.

    Maps that are far from orthogonal, as learning finds them, amplify the rounding of float32 by
    their condition number. Where the error is larger than rounding alone explains, `exact` tells
    the two apart.

    Args:
        error: as measured in `dtype`.
        dtype: what it was measured in.
        exact: measures the error in float64, before anything was rounded to float32.
    """
    return error < LIMIT[dtype] or (
        error < AMPLIFIED and exact is not None and exact() < LIMIT[torch.float64]
    )


def require_same_function(
    error: float,
    name: str,
    dtype: torch.dtype = torch.float32,
    exact: Callable[[], float] | None = None,
) -> float:
    """Return the error, or refuse the transformation; for `error`, `dtype` and `exact` see
    `is_rounding`.

    Args:
        error: as measured in `dtype`.
        name: of the model, for the message.
        dtype: what it was measured in.
        exact: measures the error in float64.

    Raises:
        FunctionChanged: if the error is not at rounding level.
    """
    if not is_rounding(error, dtype, exact):
        raise FunctionChanged(
            f"Moving {name} changed its outputs by {error:.1e} (relative), more than the "
            f"{LIMIT[dtype]:.0e} that rounding "
            "explains; nothing was written. Please report the model and the classes that were "
            "chosen."
        )
    return error
