"""The average over a group, as a projection on what the group leaves alone (Reynolds operator).

A weight W whose axes live in spaces with actions rho_1, ..., rho_k is moved by T(g) W = W[p_g^1,
..., p_g^k]; for a matrix that is rho_out(g) W rho_in(g)^-1. The average

    P(W) = 1/|G| sum_g T(g) W

satisfies P P = P, T(g) P = P = P T(g) and P^T = P, and W is equivariant exactly when P(W) = W. All
actions permute, so T(g) permutes the entries of W and P(W) replaces every entry by the mean of its
orbit. The dimension of what it keeps is the number of orbits, 1/|G| sum_g prod_a chi_a(g)
(Burnside's lemma; chi counts the coordinates that stay).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmc_core.equivariance.actions import Action


class Projection:
    """The average of a tensor over a group.

    Args:
        actions: of the axes; a tensor may come with axes joined or split, as long as its entries
            are in that order.

    Attributes:
        shape: sizes of the actions.
        dimension: of the space of equivariant tensors.
        keeps_all: whether every tensor is equivariant, P = I.
    """

    def __init__(self, actions: Sequence[Action]):
        self.actions = tuple(actions)
        self.shape = tuple(action.size for action in self.actions)
        first, labels, counts = _orbits(self.actions)
        self._first, self._labels = torch.from_numpy(first), torch.from_numpy(labels)
        self._counts = torch.from_numpy(counts).double()
        self.dimension = len(counts)
        self.keeps_all = self.dimension == math.prod(self.shape)

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return P(W), with the tensor's own shape, type and device."""
        labels = self._labels.to(tensor.device)
        sums = tensor.new_zeros(self.dimension).index_add(0, labels, tensor.reshape(-1))
        return (sums / self._counts.to(tensor))[labels].view_as(tensor)

    def spread(self, tensor: Tensor) -> Tensor:
        """Return an equivariant tensor whose orbits have the value of their first entry: the law of
        the entries is kept.
        """
        return tensor.reshape(-1)[self._first.to(tensor.device)].view_as(tensor).clone()

    def moved(self, tensor: Tensor, element: int) -> Tensor:
        """Return T(g) W for the element of that number."""
        found = tensor.reshape(self.shape)
        for axis, action in enumerate(self.actions):
            found = found.index_select(
                axis, torch.from_numpy(action.places[element]).to(tensor.device)
            )
        return found.reshape(tensor.shape)

    def expected_dimension(self) -> float:
        """The dimension by the character formula, 1/|G| sum_g prod_a chi_a(g)."""
        return float(np.prod([action.character for action in self.actions], axis=0).mean())


def _orbits(actions: Sequence[Action]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every entry the first entry of its orbit and the orbit's number, and for every orbit its
    size.
    """
    shape = tuple(action.size for action in actions)
    entries = np.arange(math.prod(shape)).reshape(shape)
    first = entries.copy()  # the smallest number in the orbit names it
    for element in range(actions[0].group.order):
        np.minimum(
            first, entries[np.ix_(*(action.places[element] for action in actions))], out=first
        )
    _, labels, counts = np.unique(first, return_inverse=True, return_counts=True)
    return first.reshape(-1), labels.reshape(-1), counts
