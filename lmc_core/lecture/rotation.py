"""Rotations of the residual stream: those that keep the all-ones direction, and what happens when
one does not.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lmc_core.lecture.measured import Tilted, Turned
from lmc_core.lecture.sandbox import Live
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.elements import Orthogonal, ones_complement

SEED = 4  # of the planes that turn; any other shows the same


def basis(size: int) -> Tensor:
    """An orthonormal basis `[n, n-1]` of all directions but the all-ones direction, drawn at
    random, float64.
    """
    generator = torch.Generator().manual_seed(SEED)
    mixed, _ = torch.linalg.qr(
        torch.randn(size - 1, size - 1, generator=generator, dtype=torch.float64)
    )
    return ones_complement(size) @ mixed


def plane_rotation(first: Tensor, second: Tensor, angle: float) -> Tensor:
    """The rotation by an angle in the plane of two orthonormal vectors `[n]`; everything orthogonal
    to them stays.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    flat = torch.outer(first, first) + torch.outer(second, second)
    turn = torch.outer(second, first) - torch.outer(first, second)
    return torch.eye(len(first), dtype=torch.float64) + (cosine - 1) * flat + sine * turn


def whole_rotation(size: int, angle: float) -> Tensor:
    """Turn all planes of a random basis of the complement of the all-ones vector by one angle,
    `[n, n]`.
    """
    axes = basis(size)
    result = torch.eye(size, dtype=torch.float64)
    for k in range(0, size - 2, 2):
        result = plane_rotation(axes[:, k], axes[:, k + 1], angle) @ result
    return result


def turn_stream(live: Live, degrees: float, readers: bool = True, sample: int = 400) -> Turned:
    """Turn the residual stream of a canonical Vision Transformer, and with it all that writes to it
    and reads from it, or only what writes.

    Args:
        live: the model in canonical form.
        degrees: by which every plane turns.
        readers: whether the weights that read from the stream turn as well.
        sample: how many weights are shown.
    """
    layout = live.model.layout
    size = layout.spaces["residual"].size
    state = live.moved({"residual": Orthogonal(whole_rotation(size, math.radians(degrees)))})
    roles = {
        block.name: axis.role
        for block in layout.blocks
        for axis in block.axes
        if axis.space == "residual" and axis.role != "order"
    }
    if not readers:
        for name in (name for name, role in roles.items() if role == "reads"):
            live.block(name, state).copy_(live.block(name))
    touched = [name for name in roles if "norm" not in name]
    before = torch.cat([live.block(name).flatten() for name in touched])
    after = torch.cat([live.block(name, state).flatten() for name in touched])
    reading = torch.cat(
        [torch.full((live.block(name).numel(),), roles[name] == "reads") for name in touched]
    )
    chosen = torch.randperm(len(before), generator=torch.Generator().manual_seed(0))[:sample]
    filters = live.block("patch.weight", state)
    axis = layout.by_name["patch.weight"].axis("residual")
    flat = filters.movedim(axis, 0).flatten(1)
    edge = math.isqrt(flat.shape[1])
    outputs = live.outputs(state)
    return Turned(
        flat[:, : edge * edge].unflatten(1, (edge, edge)).numpy().copy(),
        before[chosen].numpy(),
        after[chosen].numpy(),
        reading[chosen].numpy(),
        float(torch.dot(before, after) / (before.norm() * after.norm())),
        outputs[0].numpy(),
        relative_difference(live.reference, outputs),
    )


def tilt_stream(live: Live, degrees: list[float]) -> Tilted:
    """Turn the stream of a canonical model with LayerNorm in a plane without, and in one with, the
    ones direction.
    """
    size = live.model.layout.spaces["residual"].size
    ones = torch.full((size,), size**-0.5, dtype=torch.float64)
    states = stream(live)
    axes = torch.linalg.svd(states - states.mean(0), full_matrices=False).Vh[:2]
    found = Tilted(degrees, [], [], [], _seen(states, axes, ones))
    for angle in map(math.radians, degrees):
        for target, second in ((found.keeping, axes[1]), (found.tilting, ones)):
            state = live.moved({"residual": Orthogonal(plane_rotation(axes[0], second, angle))})
            target.append(live.difference(state))
        right = live.outputs(state).argmax(-1) == live.examples.targets
        found.accuracy.append(float(right.double().mean()))
    return found


def stream(live: Live) -> Tensor:
    """What the last norm of a Vision Transformer of timm's kind reads:
    `[examples * tokens, width]`.
    """
    return live.reading("norm", live.model.state)[1].flatten(0, 1)


def _seen(states: Tensor, axes: Tensor, ones: Tensor) -> np.ndarray:
    points = torch.stack([states @ axes[0], states @ axes[1], states @ ones], 1)
    return (points / points[:, 0].std()).numpy()
