"""What every matcher of two models gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from lmc_core.models.model import Model
from lmc_core.progress import Progress
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.layout import Layout
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks.learning import Learning
from lmc_core.tasks.task import Examples


@dataclass(frozen=True)
class MatcherInput:
    """Two models in canonical form, what may move, and what may be learned from.

    Attributes:
        a: stays.
        b: moves; the same layout.
        classes: chosen class of each kind of space.
        masks: by parameter, the rows that count; tokens never seen carry no information.
        train: examples of the training split to learn from, for methods that need data.
        held_out: other examples of the training split, to choose and to stop by.
        device: where models run.
        progress: called with the share done in [0, 1] and a few words; may raise to stop.
        checkpoint: file that an interrupted run goes on from; None to keep nothing.
        seed: of everything that is drawn.
        keeps: whether B moved by an alignment still computes what it did, as it is checked of what
            is returned.
        start: what brings B near A as far as is known, where the search begins; None for a search
            that finds its own start.
    """

    a: Model
    b: Model
    classes: Classes
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    train: Examples | None = None
    held_out: Examples | None = None
    device: str = "cpu"
    progress: Progress = lambda share, words: None
    checkpoint: Path | None = None
    seed: int = 0
    keeps: Callable[[Alignment], bool] = lambda alignment: True
    start: Alignment | None = None

    @property
    def layout(self) -> Layout:
        """Of both models."""
        return self.a.layout

    def within(self, low: float, high: float) -> MatcherInput:
        """The same, for a part of the work whose progress runs from `low` to `high`."""
        return replace(
            self, progress=lambda share, words: self.progress(low + (high - low) * share, words)
        )


@dataclass(frozen=True)
class ManyInput:
    """Several models in canonical form, what may move, and what may be learned from.

    Attributes:
        models: of one layout.
        classes: chosen class of each kind of space.
        masks: by parameter, the rows that count.
        learning: examples of the training split, for methods that use them.
        progress: called with the share done in [0, 1] and a few words; may raise to stop.
        keeps: whether the models moved by some alignments still compute what they did.
    """

    models: tuple[Model, ...]
    classes: Classes
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    learning: Learning | None = None
    progress: Progress = lambda share, words: None
    keeps: Callable[[Sequence[Alignment]], bool] = lambda alignments: True
