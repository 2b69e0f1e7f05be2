"""Which examples are taken, and in which order: drawn by a seed, and in proportion to the labels
where there are any.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmc_core.errors import BadInput


def drawn(there: int, count: int | None, seed: int, labels: Tensor | None = None) -> Tensor:
    """Draw `count` of `there` indices without replacement; all of them for None or too many.

    Args:
        there: how many there are.
        count: how many are wanted.
        seed: of the draw.
        labels: of all of them, `[there]`. With them every label is drawn in proportion, and the
            order is that of `mixed`; without them the order is increasing.

    Raises:
        BadInput: if there would be fewer than two.
    """
    if count is not None and count < 2:
        raise BadInput(f"At least 2 examples are needed for a standard error; {count} came.")
    if labels is not None:
        return mixed(labels, seed)[:count]
    if count is None or count >= there:
        return torch.arange(there)
    return (
        torch.randperm(there, generator=torch.Generator().manual_seed(seed))[:count].sort().values
    )


def mixed(labels: Tensor, seed: int) -> Tensor:
    """A random order of all indices of which every part in a row holds the labels nearly in
    proportion.

    The n examples of a label are put into an order of their own; the k-th of them (from 0) gets the
    place (k + u) / n with u uniform in [0, 1), and all are sorted by their places. Of n there are
    between p n - 1 and p n + 1 below any place p. Where all labels are equal, every order is as
    likely as any other.

    Args:
        labels: class numbers `[n]`.
        seed: of the order.

    Returns:
        int64 `[n]`, every index once.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    places = torch.rand(len(labels), generator=generator, dtype=torch.float64)
    _, label, count = labels[order].unique(return_inverse=True, return_counts=True)
    grouped = label.argsort(stable=True)
    rank = torch.empty_like(order)
    rank[grouped] = torch.arange(len(order)) - (count.cumsum(0) - count)[label[grouped]]
    places = (rank + places) / count[label]
    return order[places.argsort(stable=True)]
