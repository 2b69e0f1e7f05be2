"""How a long computation tells how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """A function that is told the share done, in [0, 1], and a few words; it may raise to stop."""

    def __call__(self, share: float, words: str, /) -> None:
        """Take note."""
        ...


def ignore(share: float, words: str = "") -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Part:
    """A part of a longer computation, itself a `Progress`.

    Attributes:
        whole: who is told.
        low: share of the whole that is done when the part begins.
        high: the same when it ends.
        words: said where the part says none.
    """

    whole: Progress
    low: float = 0.0
    high: float = 1.0
    words: str = ""

    def __call__(self, share: float, words: str = "") -> None:
        """Tell the share of the whole."""
        self.whole(self.low + (self.high - self.low) * share, words or self.words)

    def part(self, low: float, high: float, words: str = "") -> Part:
        """A part of this part."""
        return Part(self, low, high, words or self.words)


def part(whole: Progress, low: float = 0.0, high: float = 1.0, words: str = "") -> Part:
    """The progress of a part of the work, whose own shares 0 and 1 are `low` and `high` of the
    whole.

    Args:
        whole: who is told; any function of a share and words.
        low: share of the whole that is done when the part begins.
        high: the same when it ends.
        words: said where the part says none.
    """
    return Part(whole, low, high, words)


def offer_pause(whole: Progress) -> None:
    """Say that all there is so far is kept, so that whoever is told may stop the run here by
    raising and go on with it later; nobody is asked who has no method `pause`.
    """
    while isinstance(whole, Part):
        whole = whole.whole
    pause = getattr(whole, "pause", None)
    if pause is not None:
        pause()
