"""Two novels by Jane Austen, predicted character by character, in the alphabet of `plays`.

Models of both tasks so have one vocabulary and can be compared; the texts are about as long (1.15
and 1.07 million characters). The plays' alphabet lacks the digit zero, for which the capital letter
O stands, as on old typewriters (15 places); underscores of emphasis and rows of asterisks are left
out, as are blanks at the end of lines. Splits: `characters.py`.
"""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor

from lmc_core.tasks import characters
from lmc_core.tasks.plays import alphabet
from lmc_core.tasks.task import Task
from lmc_core.tasks.windows import Windows


def novels() -> tuple[str, ...]:
    """Pride and Prejudice, and Persuasion, whole."""
    return characters.works("austen.txt.gz")


@lru_cache(maxsize=3)
def tokens(split: str) -> Tensor:
    """All tokens of a split, novel after novel."""
    return characters.stream(novels(), split, alphabet())


TASK = Task(
    name="austen",
    sentence="Next character in two novels by Jane Austen, in the alphabet of the plays; the last "
    "tenth of each is tested.",
    kind="text",
    unit="nats per character",
    classes=81,
    licence="public domain; Debian package r-cran-janeaustenr (MIT)",
    read=lambda split, length: Windows(
        tokens(split), length, works=characters.begins(novels(), split)
    ),
    stream=tokens,
    alphabet=alphabet,
)
