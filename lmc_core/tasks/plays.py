"""Eight plays by Shakespeare, predicted character by character.

The alphabet is the 81 characters that occur; a form feed begins each play's part. Splits:
`characters.py`.
"""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor

from lmc_core.tasks import characters
from lmc_core.tasks.task import Task
from lmc_core.tasks.windows import Windows


def plays() -> tuple[str, ...]:
    """The eight texts, whole, in the order hamlet to romeo_and_juliet."""
    return characters.works("plays.txt.gz")


@lru_cache(maxsize=1)
def alphabet() -> str:
    """The distinct characters in the order of their code points; a token is a position in this
    string.
    """
    return "".join(sorted(set("".join(plays()))))


@lru_cache(maxsize=3)
def tokens(split: str) -> Tensor:
    """All tokens of a split, play after play."""
    return characters.stream(plays(), split, alphabet())


TASK = Task(
    name="plays",
    sentence="Next character in eight of Shakespeare's plays; the last tenth of each play is the "
    "test split.",
    kind="text",
    unit="nats per character",
    classes=81,
    licence="public domain; Python package shakespeare 0.6 (CC BY 2.5)",
    read=lambda split, length: Windows(
        tokens(split), length, works=characters.begins(plays(), split)
    ),
    stream=tokens,
    alphabet=alphabet,
)
