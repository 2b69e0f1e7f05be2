"""Blocks of a narrow model in a wide one, and what a wide block holds of a narrow one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from lmc_core.symmetry.elements import Role
from lmc_core.symmetry.embedding import Embedding
from lmc_core.symmetry.layout import Block, Layout, rows, unrows


def embed_block(
    layout: Layout, block: Block, tensor: Tensor, embeddings: Mapping[str, Embedding]
) -> Tensor:
    """Embed every axis of a block whose space has an embedding.

    Args:
        layout: of either model; only which space is within which counts.
        block: which one.
        tensor: its values in the narrow model, float64.
        embeddings: by name of space.

    Returns:
        Its values in the wide model.
    """
    for first, axis in _axes(layout, block, embeddings):
        embedding = embeddings[axis[1]]
        if axis[0] == "order" and embedding.mixes:
            shape = list(tensor.shape)
            shape[first[-1]] = embedding.places
            assert torch.equal(tensor, tensor.flatten()[:1].expand_as(tensor)), (
                f"{block.name} should be constant"
            )
            tensor = tensor.flatten()[:1].expand(shape)
        else:
            tensor = _along(tensor, first, partial(embedding.act, role=axis[0]))
    return tensor


def seen(
    layout: Layout, block: Block, tensor: Tensor, embeddings: Mapping[str, Embedding]
) -> Tensor:
    """The part of a block of a wide model that an embedded narrow one can see: every reading axis
    multiplied by F E^T.

    What is left, B - seen(B), reads nothing of what an embedded model writes, so that it may be
    added to any of its readers.
    """
    reading = [
        (first, embeddings[name])
        for first, (role, name) in _axes(layout, block, embeddings)
        if role == "reads"
    ]
    # planes stand at the places of the wide model, so they go first here
    for first, embedding in reversed(reading):
        tensor = _along(tensor, first, partial(embedding.restrict, role="writes"))
    for first, embedding in reading:
        tensor = _along(tensor, first, partial(embedding.act, role="reads"))
    return tensor


def restrict_block(
    layout: Layout, block: Block, tensor: Tensor, embeddings: Mapping[str, Embedding]
) -> Tensor:
    """What an embedded model holds of the narrow one along some spaces: E^T where a block reads,
    F^T where it writes.
    """
    for first, (role, name) in reversed(_axes(layout, block, embeddings)):
        back: Role = "writes" if role == "reads" else "reads"
        tensor = _along(tensor, first, partial(embeddings[name].restrict, role=back))
    return tensor


def _axes(
    layout: Layout, block: Block, embeddings: Mapping[str, Embedding]
) -> list[tuple[list[int], tuple[Role, str]]]:
    """Axes with an embedding, outer spaces first: the axes of the spaces around and its own, its
    role and its space.
    """
    found = []
    for position, axis in enumerate(block.axes):
        if axis.space is not None and axis.space in embeddings:
            path = layout.path(axis.space)
            found.append(
                (
                    len(path),
                    [*(block.axis(outer) for outer in path), position],
                    (axis.role, axis.space),
                )
            )
    return [(first, about) for _, first, about in sorted(found, key=lambda each: each[0])]


def _along(tensor: Tensor, first: list[int], change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change a tensor along the last of the named axes, copy by copy of those before it."""
    found = rows(tensor, first)
    flat = found.flatten(0, -3) if found.ndim > 2 else found
    changed = change(flat)
    shape = list(tensor.shape)
    shape[first[-1]] = changed.shape[-2]
    return unrows(changed, first, tuple(shape))
