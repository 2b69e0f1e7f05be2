"""The frames that several models are merged in: as they are, or brought together first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmc_core.errors import UnknownName

LEARNED_STEPS = 300  # of learning, where nothing else is asked for


@dataclass(frozen=True)
class FrameKind:
    """A way to bring several models together before they are merged.

    Attributes:
        name: how it is asked for.
        title: how it is called in figures.
        sentence: what it does.
        method: name in `matching.universe.GROUP_METHODS`, or ``none``.
        learns: whether it follows gradients on training examples.
    """

    name: str
    title: str
    sentence: str
    method: str
    learns: bool = False


FRAMES: dict[str, FrameKind] = {
    frame.name: frame
    for frame in (
        FrameKind(
            "none",
            "as they are",
            "Nothing is moved: the plain way, which fails for models of different seeds.",
            "none",
        ),
        FrameKind(
            "reference",
            "onto one model",
            "All models are moved onto one of them by their weights; seconds.",
            "reference",
        ),
        FrameKind(
            "universe",
            "universe",
            "Each model is moved onto the mean of the others, in turn, by weights; seconds.",
            "universe",
        ),
        FrameKind(
            "learned",
            "learned universe",
            "From the universe on, all maps are learned together on training examples; minutes.",
            "universe",
            True,
        ),
    )
}
"""Every frame, in the order in which they are listed."""


def get_frame(name: str) -> FrameKind:
    """Return the frame of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in FRAMES:
        raise UnknownName.of("frame", name, FRAMES)
    return FRAMES[name]


def find_frame(method: str, settings: Mapping[str, object]) -> FrameKind:
    """The frame that a request or a result is in.

    Args:
        method: ``none`` or a name in `GROUP_METHODS`.
        settings: of the method.
    """
    learned = method == "universe" and settings.get("steps", LEARNED_STEPS) != 0
    return next(
        frame for frame in FRAMES.values() if frame.method == method and frame.learns == learned
    )


def frame_settings(frame: FrameKind, onto: int, steps: int) -> dict[str, int]:
    """The settings of the method that brings models into a frame."""
    if frame.method == "none":
        return {}
    return (
        {"reference": onto}
        if frame.method == "reference"
        else {"steps": steps if frame.learns else 0}
    )
