"""Spherical linear interpolation, tensor by tensor (Shoemake 1985, "Animating rotation with
quaternion curves").

With Omega the angle between two tensors as flat vectors,

    slerp(a, b; t) = sin((1 - t) Omega) / sin(Omega) a + sin(t Omega) / sin(Omega) b.

Convention: the angle is that of the directions a / |a| and b / |b|, and the sum is of the tensors
as they are, so tensors of one length stay on their sphere and the ends are kept. Where the angle is
0 (equal directions, or a tensor that is zero) this is the straight line, its limit; opposite
directions have no shortest arc, and the straight line is taken as well. More than two models are
taken in one after the other, model k with the share w_k / (w_1 + ... + w_k), so their order matters
a little.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lmc_core.lazy_torch import torch
from lmc_core.merging.ingredients import PIECE, Ingredients, Merged, NoSettings
from lmc_core.merging.method import MergeMethod

if TYPE_CHECKING:
    from torch import Tensor

FLAT = 1e-7  # sine of the angle below which the arc is its chord


def slerp(given: Ingredients, settings: NoSettings) -> Merged:
    """Every tensor on the arc between the models'."""
    return given.each(lambda name: on_arcs([state[name] for state in given.states], given.weights))


def on_arcs(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The point that iterated arcs lead to, in float64; of a single weight 1 the tensor itself.

    Args:
        tensors: of one shape, in any precision.
        weights: summing to 1.
    """
    result, total = tensors[0], weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        if weight:
            total += weight
            result = on_arc(result, tensor, weight / total)
    return result


def on_arc(a: Tensor, b: Tensor, t: float) -> Tensor:
    """slerp(a, b; t) as in the module's docstring, in float64, for tensors of one shape."""
    sine, cosine = _angle(a, b)
    found = torch.empty(a.shape, dtype=torch.float64)
    pieces = zip(found.view(-1).split(PIECE), _pieces(a, b), strict=True)
    if sine < FLAT:
        for part, (one, other) in pieces:
            torch.lerp(one, other, t, out=part)
        return found
    angle = math.atan2(sine, cosine)
    for part, (one, other) in pieces:
        part.copy_((math.sin((1 - t) * angle) * one + math.sin(t * angle) * other) / sine)
    return found


def _pieces(a: Tensor, b: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Two tensors in float64, some entries at a time."""
    for one, other in zip(a.flatten().split(PIECE), b.flatten().split(PIECE), strict=True):
        yield one.double(), other.double()


def _angle(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Sine and cosine of the angle between two directions; of the halves' lengths, which is exact
    for small angles too.
    """
    lengths = _lengths(_pieces(a, b))
    if 0.0 in lengths:
        return 0.0, 1.0

    def halves() -> Iterator[tuple[Tensor, Tensor]]:
        for one, other in _pieces(a, b):
            u, v = one / lengths[0], other / lengths[1]
            yield u - v, u + v

    half = math.atan2(*_lengths(halves()))  # Kahan 2006
    return math.sin(2 * half), math.cos(2 * half)


def _lengths(pieces: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Norms of two tensors that come in pieces."""
    norms = [(float(one.norm()), float(other.norm())) for one, other in pieces]
    return math.hypot(*(one for one, _ in norms)), math.hypot(*(other for _, other in norms))


METHOD = MergeMethod(
    name="slerp",
    title="SLERP",
    sentence="The point on the arc between the models' tensors, which keeps their length where the "
    "straight line shortens it.",
    source="Shoemake 1985",
    settings=NoSettings,
    merge=slerp,
    weighs=True,
)
