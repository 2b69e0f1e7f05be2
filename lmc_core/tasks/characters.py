"""Text predicted character by character: works, their alphabet, their split by position.

Works that are shipped lie in one gzipped file, a form feed between them. Each work is split by
position: its first 80 % train, the next 10 % validate, the last 10 % test.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lmc_core.errors import BadInput
from lmc_core.folders import assets

PARTS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
SHOWN = 5  # unknown characters that an error names
Piece = TypeVar("Piece", str, Tensor)


@lru_cache(maxsize=4)
def works(file: str) -> tuple[str, ...]:
    """The works of a file in `assets/data`, whole, each begun by a form feed."""
    text = gzip.decompress((assets() / "data" / file).read_bytes()).decode("utf-8")
    return tuple("\f" + work for work in text.split("\f"))


def part(piece: Piece, split: str) -> Piece:
    """Return the part of one work (its text, or its tokens `[n]`) that belongs to a split."""
    first, last = (int(share * len(piece)) for share in PARTS[split])
    return piece[first:last]


def encode(text: str, alphabet: str) -> Tensor:
    """Turn text into token numbers `[characters]`, positions in the alphabet.

    Args:
        text: any text.
        alphabet: distinct characters in the order of their code points.

    Raises:
        BadInput: naming the first characters that the alphabet lacks.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.array([ord(c) for c in alphabet], np.uint32)
    tokens = np.searchsorted(known, codes).clip(max=len(known) - 1)
    if (lacking := np.flatnonzero(known[tokens] != codes)).size:
        first = list(dict.fromkeys(text[i] for i in lacking))
        named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in first[:SHOWN])
        more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
        raise BadInput(
            f"The alphabet has {len(alphabet)} characters and lacks {named}{more}, "
            f"first at character {int(lacking[0]) + 1:,}; replace or remove them in the text."
        )
    return torch.from_numpy(tokens.astype(np.int64))


def begins(texts: Sequence[str], split: str) -> tuple[int, ...]:
    """Where each work begins in the stream of a split."""
    lengths = [len(part(text, split)) for text in texts]
    return tuple(sum(lengths[:k]) for k in range(len(lengths)))


def stream(texts: Sequence[str], split: str, alphabet: str) -> Tensor:
    """All tokens `[n]` of a split, work after work."""
    return torch.cat([encode(part(text, split), alphabet) for text in texts])
