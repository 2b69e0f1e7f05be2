"""In which directions a residual stream carries much: what writes to it tells, without data.

A reader W of a stream sees x, the sum of what was written before. Differences of two readers matter
where the stream varies and not where it is silent, so they are compared as W S^(p/2), with S the
second moment of the stream and p in [0, 1] (1 would be the expected squared difference of what they
compute, 0 leaves them as they are). S is estimated from the weights alone:

    S_l  ~  sum over matrices V that write to the stream before reader l of  V V^T / |V|^2,

each as if its inputs were white and every writer counted alike. Under an orthogonal map R of the
stream V -> R V and W -> W R^T, so S -> R S R^T and W S^(p/2) -> W S^(p/2) R^T: they move like
readers, and what is planted is found again.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lmc_core.symmetry.alignment import chunks
from lmc_core.symmetry.arithmetic import TINY, find_device, precise, zeros
from lmc_core.symmetry.layout import Layout, State
from lmc_core.symmetry.spaces import Space

# of the largest eigenvalue; below it rounding decides, and the root of rounding errors is large
SILENT = 1e-10


def stream_metrics(
    layout: Layout, state: State, stream: Space, power: float, masks: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """S_l^(power / 2) for every block that reads a stream, by name, float64 `[n, n]`, with mean
    eigenvalue of S_l 1.

    Args:
        layout: its blocks are in the order of depth.
        state: parameters of one model.
        stream: a space that is within no other.
        power: p, above 0.
        masks: by parameter, the weight of each row; rows of tables that do not count write nothing.
    """
    total = zeros(stream.size, stream.size, device=find_device(state))
    latest: Tensor | None = None
    found: dict[str, Tensor] = {}
    for block in layout.blocks:
        if block.twice or all(axis.space != stream.name for axis in block.axes):
            continue
        role = block.axes[block.axis(stream.name)].role
        view = layout.view(state, block)
        # a vector says where the stream is, not how it varies
        if role == "writes" and view.numel() > stream.size:
            mask = masks.get(block.parameter)
            moment = torch.zeros_like(total)
            for part in chunks(view, block) if mask is None else (view,):
                rows = layout.rows(precise(part), block, stream.name)
                weighted = (
                    rows
                    if mask is None
                    else layout.rows(_scaled(precise(part), mask), block, stream.name)
                )
                moment += weighted @ rows.mT
            total += moment / moment.trace().clamp_min(TINY)
            latest = None
        elif role == "reads" and bool(total.any()):
            if latest is None:
                latest = _power(total, power / 2)
            found[block.name] = latest
    return found


def _scaled(table: Tensor, mask: Tensor) -> Tensor:
    return table * mask.to(table).view(-1, *[1] * (table.ndim - 1))


def _power(moment: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(moment)
    values = torch.where(values > SILENT * values[-1], values, 0.0) / values.mean()
    return (vectors * values.pow(exponent)) @ vectors.mT
