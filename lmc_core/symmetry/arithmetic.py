"""The precision that is worked in, by device: float64 where it exists and is fast, else float32
with compensated sums.

Alignments are computed in float64 on CPUs and on GPUs made for it. MPS has no float64, and GPUs
made for graphics compute in it at 1/32 or 1/64 of their speed in float32; there products and
factors are in float32, sums of many products carry their rounding along, and the orthogonal factors
that are kept are refined in float64 on the CPU, by `refined`. Whether an alignment is good enough
is decided by the function check in every case.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

WITHOUT_FLOAT64 = {"mps"}  # kinds of device
# compute capabilities of NVIDIA's GPUs that compute in float64 at half their speed in float32 (CUDA
# C++ Programming Guide, throughput of native arithmetic instructions); all others at 1/32 or less
FAST_FLOAT64 = ((6, 0), (7, 0), (8, 0), (9, 0), (10, 0))

# positive in float32 too, far below what is divided by
TINY = 1e-37
PIECE = 2**16  # numbers whose products are summed at once


def has_float64(device: torch.device | str) -> bool:
    """Whether a device computes in float64 at all."""
    return torch.device(device).type not in WITHOUT_FLOAT64


def precise_type(device: torch.device | str) -> torch.dtype:
    """The type that alignments are computed in on a device: float64, or float32 where that does not
    exist or is slow.
    """
    device = torch.device(device)
    if not has_float64(device):
        return torch.float32
    # builds for AMD's GPUs are called cuda too; those that torch supports are fast in float64
    if device.type == "cuda" and torch.version.hip is None:
        fast = torch.cuda.get_device_capability(device) in FAST_FLOAT64
        return torch.float64 if fast else torch.float32
    return torch.float64


def has_fast_bfloat16(device: torch.device | str) -> bool:
    """Whether products of matrices are faster in bfloat16 than in float32: on CPUs with
    instructions for it (2.1 times, AVX-512), and on CUDA's GPUs since compute capability 8.0.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported())
    if device.type == "cuda" and torch.version.hip is None:
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return False


def precise(tensor: Tensor) -> Tensor:
    """A tensor in the type that is worked in on its device."""
    return tensor.to(precise_type(tensor.device))


def zeros(*shape: int, device: torch.device | str) -> Tensor:
    """Zeros in the type that is worked in on a device."""
    return torch.zeros(shape, dtype=precise_type(device), device=device)


def brought(tensor: Tensor, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """A tensor on a device in some type. A copy is converted where it comes from, so one from a
    device without float64 comes to the CPU first.
    """
    if not has_float64(tensor.device):
        tensor = tensor.to("cpu" if dtype is torch.float64 else device)
    return tensor.to(device, dtype)


def to_float64(tensor: Tensor) -> Tensor:
    """A tensor in float64, however slow that is: on its device if that has float64, else on the
    CPU.
    """
    there = tensor.device if has_float64(tensor.device) else "cpu"
    return brought(tensor, there, torch.float64)


def inner(x: Tensor, y: Tensor) -> Tensor:
    """<x, y> in the type that is worked in, `[]`; of numbers in a lower precision a few at a time,
    so that their products stay in a core's own memory (a seventh of the time).
    """
    exact = precise_type(x.device)
    if x.dtype is exact or x.numel() <= PIECE or x.device.type != "cpu":
        return (x * y).sum(dtype=exact)
    step = max(1, len(x) * PIECE // x.numel())
    pairs = zip(x.split(step), y.split(step), strict=True)
    return torch.stack([(one * two).sum(dtype=exact) for one, two in pairs]).sum()


def find_device(state: Mapping[str, Tensor]) -> torch.device:
    """The device that the parameters of a model are on; the CPU for none."""
    return next((tensor.device for tensor in state.values()), torch.device("cpu"))


def refined(factor: Tensor) -> Tensor:
    """A matrix `[..., n, n]` that is nearly orthogonal, made so: X (3 - X^T X) / 2 has errors of
    3/8 e^2 where X has e (Newton, Schulz 1933).
    """
    return 1.5 * factor - 0.5 * factor @ (factor.mT @ factor)


class Total:
    """A sum of tensors of one shape, in float64; in float32, where that is worked in, together with
    the rounding errors of all its additions (Kahan 1965; Neumaier 1974).
    """

    def __init__(self, *shape: int, device: torch.device | str):
        self._sum = zeros(*shape, device=device)
        self._left = None if self._sum.dtype is torch.float64 else torch.zeros_like(self._sum)

    def add(self, value: Tensor, weight: float = 1.0) -> None:
        """Add a tensor times a number."""
        if self._left is None:
            self._sum.add_(value, alpha=weight)
            return
        value = value.to(self._sum) * weight
        found = self._sum + value
        self._left += torch.where(
            self._sum.abs() >= value.abs(), (self._sum - found) + value, (value - found) + self._sum
        )
        self._sum = found

    @property
    def value(self) -> Tensor:
        """The sum."""
        return self._sum if self._left is None else self._sum + self._left


def forbid_tf32(device: torch.device | str) -> None:
    """Compute products and convolutions in float32 on a CUDA device with all its digits.

    TF32 keeps ten bits, so that moving a model changes its outputs by 1e-3, which the function
    check does not take for rounding; by default torch convolves in it.
    """
    if torch.device(device).type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
