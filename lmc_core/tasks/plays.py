"""Eight plays by Shakespeare, predicted character by character.

Each play is split by position: its first 80 % train, the next 10 % validate, the last 10 % test. The alphabet is the 81
characters that occur; a form feed begins each play's part. A window is `length` inputs and the character after each of
them; windows do not overlap.
"""

from __future__ import annotations

import gzip
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lmc_core.places import assets
from lmc_core.tasks.task import Examples, Task


@lru_cache(maxsize=1)
def plays() -> tuple[str, ...]:
    """The eight texts, whole, in the order hamlet to romeo_and_juliet."""
    text = gzip.decompress((assets() / "data" / "plays.txt.gz").read_bytes()).decode("utf-8")
    return tuple("\f" + play for play in text.split("\f"))


@lru_cache(maxsize=1)
def alphabet() -> str:
    """The distinct characters in the order of their code points; a token is a position in this string."""
    return "".join(sorted(set("".join(plays()))))


def encode(text: str) -> Tensor:
    """Turn text into token numbers `[characters]`."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return torch.from_numpy(np.searchsorted([ord(c) for c in alphabet()], codes).astype(np.int64))


@lru_cache(maxsize=3)
def tokens(split: str) -> Tensor:
    """All tokens of a split, play after play."""
    first, last = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}[split]
    return torch.cat([encode(play[int(first * len(play)) : int(last * len(play))]) for play in plays()])


@lru_cache(maxsize=8)
def _read(split: str, length: int) -> Examples:
    stream = tokens(split)
    rows = (len(stream) - 1) // length
    return Examples(stream[: rows * length].view(rows, length), stream[1 : rows * length + 1].view(rows, length))


TASK = Task(
    name="plays",
    sentence="Next character in eight of Shakespeare's plays; the last tenth of each play is the test split.",
    kind="text",
    unit="nats per character",
    classes=81,
    licence="public domain; Python package shakespeare 0.6 (CC BY 2.5)",
    read=_read,
)
