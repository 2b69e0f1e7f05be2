"""Each operator on the device beside the same operator on the CPU, with the same inputs: which of
them is at fault where a result differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map


class Compared(TorchDispatchMode):
    """Runs every operator of a block on the CPU too, on copies of its inputs, and compares what it
    returns and what it leaves in its inputs.

    Attributes:
        differing: by name of operator, the largest difference seen, as a share of the largest
            entry.
    """

    def __init__(self, tolerance: float = 1e-5):
        super().__init__()
        self.tolerance = tolerance
        self.differing: dict[str, float] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run `func` on both."""
        named = dict(kwargs or {})
        copies = tree_map(_copied, (args, named))
        found = func(*args, **named)
        if not any(_here(each) for each in tree_flatten((args, named, found))[0]):
            return found
        name = str(func)
        if "empty" in name or "rand" in name or "set_" in name:
            return found
        expected = func(*copies[0], **copies[1])
        pairs = zip(
            tree_flatten((found, args, named))[0], tree_flatten((expected, *copies))[0], strict=True
        )
        for one, two in pairs:
            if isinstance(one, Tensor) and isinstance(two, Tensor):
                apart = _difference(one.detach().cpu(), two.detach())
                if apart > self.tolerance:
                    self.differing[name] = max(apart, self.differing.get(name, 0.0))
        return found


def _here(value: object) -> bool:
    return isinstance(value, Tensor) and value.device.type != "cpu"


def _copied(value: object) -> object:
    """A tensor on the CPU with the same strides; the CPU in place of a device."""
    if isinstance(value, torch.device):
        return torch.device("cpu")
    if not isinstance(value, Tensor):
        return value
    if 0 in value.stride():
        return value.detach().cpu()
    copy = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
    return copy.copy_(value.detach())


def _difference(one: Tensor, two: Tensor) -> float:
    if one.shape != two.shape:
        return float("inf")
    if not one.numel():
        return 0.0
    one, two = one.double(), two.double()
    both = torch.isfinite(one) & torch.isfinite(two)
    if bool((one[~both].nan_to_num() != two[~both].nan_to_num()).any()):
        return float("inf")
    scale = two[both].abs().max() if bool(both.any()) else torch.ones(())
    return float((one - two)[both].abs().max() / scale.clamp_min(1e-30)) if both.any() else 0.0
