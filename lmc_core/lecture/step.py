"""What a step of the lecture is: a question, what *next* performs, controls, and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmc_core.lecture.controls import Control, Setting


@dataclass(frozen=True)
class Act:
    """What one press of *next* performs.

    Attributes:
        words: what is said of it; fields in braces are measured.
        beats: settings that follow each other, each of some controls.
        name: on the button that performs it.
    """

    words: str
    beats: tuple[Setting, ...]
    name: str = "Show the answer"

    def said(self, numbers: Mapping[str, str]) -> str:
        """The words with the measured numbers."""
        return self.words.format_map(numbers)


@dataclass(frozen=True)
class Step:
    """One idea.

    Attributes:
        key: short name, used for its picture.
        name: above the question, in the list of steps.
        question: asked before anything is shown.
        acts: the answer, and mostly a counterexample.
        controls: what can be set by hand.
        notes: for the speaker.
    """

    key: str
    name: str
    question: str
    acts: tuple[Act, ...]
    controls: tuple[Control, ...]
    notes: str

    def spoken(self, numbers: Mapping[str, str]) -> str:
        """The notes with the measured numbers."""
        return self.notes.format_map(numbers)

    def setting(self, place: int) -> dict[str, str]:
        """What all controls are at a place: 0 is the question, 1 the answer, 2 what follows it."""
        found = {control.name: control.start for control in self.controls}
        for act in self.acts[:place]:
            for beat in act.beats:
                found.update(beat)
        return found
