"""The query/key plane of one head: stretch the queries, stretch the keys the other way, and the
scores stay.
"""

from __future__ import annotations

import numpy as np
import torch

from lmc_core.lecture.exchange import queries_and_keys, scores
from lmc_core.lecture.measured import Stretched
from lmc_core.lecture.sandbox import Live
from lmc_core.symmetry.elements import Invertible

# radians; the direction that is stretched, away from both axes so that shapes are seen to change
ANGLE = 0.6


def stretch_plane(
    live: Live, block: int, head: int, strength: float, follow: bool = True
) -> Stretched:
    """Map the queries of a head by M = R diag(s, 1/s) R^T and its keys by M^-T; R turns by a fixed
    angle.

    Args:
        live: the model in canonical form, of timm's kind.
        block: number of the block.
        head: number of the head.
        strength: s, above 0; 1 changes nothing.
        follow: whether the keys follow by the inverse transpose, or stay as they are.
    """
    space = live.model.layout.spaces[f"query-key.{block}"]
    turn = torch.tensor(
        [[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]], dtype=torch.float64
    )
    small = turn @ torch.diag(torch.tensor([strength, 1 / strength], dtype=torch.float64)) @ turn.mT
    values = torch.eye(space.size, dtype=torch.float64).repeat(space.copies, 1, 1)
    values[head, :2, :2] = small
    state = live.moved({space.name: Invertible(values, torch.linalg.inv(values))})
    if not follow:
        for name in (f"blocks.{block}.key.weight", f"blocks.{block}.key.bias"):
            live.block(name, state).copy_(live.block(name))
    query, key = queries_and_keys(live, block, state)
    now, was = scores(live, block, state)[:, head], scores(live, block, live.model.state)[:, head]
    return Stretched(
        query[0, head, :, :2].numpy(),
        key[0, head, :, :2].numpy(),
        now[0].numpy(),
        small.numpy(),
        torch.linalg.inv(small).mT.numpy() if follow else np.eye(2),
        live.difference(state),
        float((now - was).abs().max() / was.abs().max()),
    )
