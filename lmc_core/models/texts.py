"""Texts of unequal length side by side, and what a model computes of each of them.

    inputs  [[ 7  4  9  2 -1 -1]     a text is a row of tokens; behind its end stands `END`
             [ 7  5  3  8  6  2]]

Texts of one length run together and no token is put behind the shorter ones, so that what a class
would do with padding (its position, its row of the table, the token that a head reads) cannot reach
any output: each is that of the text alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

END = -1  # behind the end of a text that is shorter than others beside it


def find_lengths(inputs: Tensor) -> Tensor | None:
    """How long each of some texts `[n, length]` is, `[n]`; None where all are equally long, or the
    inputs are no tokens.
    """
    if (
        inputs.is_floating_point()
        or inputs.ndim != 2
        or not len(inputs)
        or not bool((inputs[:, -1] == END).any())
    ):
        return None
    return (inputs != END).sum(1)


def as_long_as_all(inputs: Tensor) -> Tensor:
    """The beginnings of texts, as long as the shortest of them."""
    lengths = find_lengths(inputs)
    return inputs if lengths is None else inputs[:, : int(lengths.min())]


def joined(texts: list[list[int]]) -> Tensor:
    """Texts as rows of one tensor `[n, longest]`, `END` behind the shorter ones."""
    found = torch.full((len(texts), max(map(len, texts), default=1)), END)
    for row, text in zip(found, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.int64)
    return found
