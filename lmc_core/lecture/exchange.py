"""Exchanges: two hidden units, two heads, two experts change places; and what happens when only
half of it is done.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from lmc_core.lecture.measured import Heads, Units
from lmc_core.lecture.sandbox import Live
from lmc_core.symmetry.check import relative_difference
from lmc_core.symmetry.elements import Permutation


def swapped(size: int, i: int, j: int) -> Tensor:
    """Indices that exchange places i and j."""
    indices = torch.arange(size)
    indices[i], indices[j] = j, i
    return indices


def exchange_units(
    live: Live, block: int, i: int, j: int, rows: bool = True, columns: bool = True
) -> Units:
    """Exchange units i and j of a feed-forward block: rows of W_in (with their biases), columns of
    W_out, or one of them alone.

    Args:
        live: the model.
        block: number of the block.
        i: a unit.
        j: another.
        rows: whether the rows of W_in change places.
        columns: whether the columns of W_out do.
    """
    space = f"units.{block}"
    indices = swapped(live.model.layout.spaces[space].size, i, j)
    whole = live.moved({space: Permutation(indices)})
    taken = {
        f"blocks.{block}.up.weight": rows,
        f"blocks.{block}.up.bias": rows,
        f"blocks.{block}.down.weight": columns,
    }
    state = _partly(live, whole, taken)
    after = live.outputs(state)
    half = live.outputs(
        _partly(live, whole, dict.fromkeys(taken, False) | {f"blocks.{block}.down.weight": True})
    )
    telling = _telling(live, half)
    return Units(
        _by_unit(live, f"blocks.{block}.up.weight", space, state),
        _by_unit(live, f"blocks.{block}.down.weight", space, state),
        live.reference[telling].numpy(),
        after[telling].numpy(),
        relative_difference(live.reference, after),
    )


def _telling(live: Live, outputs: Tensor) -> int:
    """Number of the example whose outputs differ most from the model's own."""
    return int(((outputs - live.reference).abs().amax(1) / live.reference.abs().amax(1)).argmax())


def _partly(
    live: Live, whole: Mapping[str, Tensor], taken: Mapping[str, bool]
) -> dict[str, Tensor]:
    """The moved parameters, with those blocks as they were whose entry is false."""
    state = {name: tensor.clone() for name, tensor in whole.items()}
    for name, moved in taken.items():
        if not moved:
            live.block(name, state).copy_(live.block(name))
    return state


def _by_unit(live: Live, name: str, space: str, state: Mapping[str, Tensor]) -> np.ndarray:
    axis = live.model.layout.by_name[name].axis(space)
    return live.block(name, state).movedim(axis, 0).numpy().copy()


def exchange_heads(live: Live, block: int, i: int, j: int, outputs: bool = True) -> Heads:
    """Let heads i and j of an attention block of a Vision Transformer change places.

    Args:
        live: the model, of timm's kind.
        block: number of the block.
        i: a head.
        j: another, or the same for nothing.
        outputs: whether the columns of the output matrix follow their heads.
    """
    space = f"heads.{block}"
    whole = live.moved({space: Permutation(swapped(live.model.layout.spaces[space].size, i, j))})
    name = f"blocks.{block}.output.weight"
    state = _partly(live, whole, {name: outputs})
    before = scores(live, block, live.model.state)[0].softmax(-1)
    after = scores(live, block, state)[0].softmax(-1)
    said = live.outputs(state)
    telling = _telling(live, live.outputs(_partly(live, whole, {name: False})))
    return Heads(
        after.numpy(),
        before.numpy(),
        _by_unit(live, name, space, state)[..., 0],
        live.reference[telling].numpy(),
        said[telling].numpy(),
        relative_difference(live.reference, said),
    )


def queries_and_keys(live: Live, block: int, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Queries and keys of a block of a Vision Transformer of timm's kind.

    Returns:
        Two tensors `[examples, heads, tokens, size of a head]`.
    """
    _, stream = live.reading(f"blocks.{block}.attn", state)
    found = []
    for part in ("query", "key"):
        weight = live.block(f"blocks.{block}.{part}.weight", state)  # [heads, size, width]
        bias = live.block(f"blocks.{block}.{part}.bias", state)
        found.append(torch.einsum("etw,hsw->ehts", stream, weight) + bias[:, None])
    return found[0], found[1]


def scores(live: Live, block: int, state: Mapping[str, Tensor]) -> Tensor:
    """Attention scores before the softmax, `[examples, heads, tokens, tokens]`."""
    query, key = queries_and_keys(live, block, state)
    return query @ key.mT / query.shape[-1] ** 0.5
