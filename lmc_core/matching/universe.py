"""Several models into one frame: onto a chosen model, or into a universe of their own that learning
then refines.

Every model k gets one alignment g_k; the map from model j to model i is g_i^-1 g_j, so cycles
compose to the identity (`cycles`). By weights alone the frame is that of the model onto which all
others match best, or of the mean of the aligned, visited in turn (`frame`); the better one by the
objective, which sees no data, is kept. Learning goes on from there,

    minimise  E_w E_(x, y)  loss( f[sum_k w_k h_k g_k theta_k](x), y ),     w ~ Dirichlet(c, ..., c),

over maps h_k near the identity. Moving all models by one element changes nothing, so the first
model stays and h_1 = 1.

Theus et al. 2025 (arXiv 2506.22712, several models); Crisostomi et al. 2024 (arXiv 2405.17897,
cycle-consistent permutations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_settings
from lmc_core.matching.consensus import Consensus
from lmc_core.matching.learned.descent import Descent, Steps
from lmc_core.matching.methods import configured
from lmc_core.matching.trace import Trace
from lmc_core.models.model import Model
from lmc_core.progress import Progress
from lmc_core.symmetry.alignment import Alignment
from lmc_core.symmetry.spaces import Classes
from lmc_core.tasks.learning import Learning

FRAMES = ("best", "reference", "mean")
CALM = 0.3  # share of the progress that is given to weights where learning follows


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


@dataclass(frozen=True)
class ReferenceSettings:
    """How several models are brought onto one of them.

    Attributes:
        reference: number of that model, the first is 1; 0 for the one with the best objective, for
            which all pairs are matched.
    """

    reference: int = 0

    def __post_init__(self) -> None:
        require_settings(self)
        if self.reference < 0:
            raise BadInput(
                "reference should be 0 or the number of a model, the first is 1; "
                f"{self.reference} came."
            )


@dataclass(frozen=True)
class UniverseSettings(Steps):
    """How a universe is found; see `Steps` for how it is learned.

    Attributes:
        steps: as of `Steps`; 0 for weights alone, without data.
        reference: number of the model that the search begins at, the first is 1; 0 for the one with
            the best objective.
        frame: ``reference`` (stay there), ``mean`` (match each onto the mean of the others, in
            turn) or ``best`` of both.
        rounds: visits of every model, at the most.
        tolerance: stop when a round adds less than this share of the largest possible objective.
        concentration: c of the Dirichlet distribution of mixing weights; the larger, the closer to
            the centre.
    """

    fewest: ClassVar[int] = 0
    reference: int = 0
    frame: str = "best"
    rounds: int = 10
    tolerance: float = 5e-4
    concentration: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        ReferenceSettings(self.reference)
        if self.frame not in FRAMES:
            raise UnknownName.of("frame", self.frame, FRAMES)
        if self.rounds < 1:
            raise BadInput(f"rounds should be 1 or more; {self.rounds} came.")
        if self.tolerance < 0:
            raise BadInput(f"tolerance should be 0 or more; {self.tolerance} came.")
        if not self.concentration > 0:
            raise BadInput(f"concentration should be above 0; {self.concentration} came.")


def match_onto(group: ManyInput, settings: ReferenceSettings) -> tuple[list[Alignment], Trace]:
    """Bring all models onto one of them by weight matching; the first stays where it is, see
    `Consensus.from_the_first`.
    """
    _, trace, frame = _onto(
        group, settings.reference, lambda share: group.progress(share, "matching the weights")
    )
    return frame.from_the_first(), trace


def match_universe(group: ManyInput, settings: UniverseSettings) -> tuple[list[Alignment], Trace]:
    """Find a universe by weights, then learn.

    Returns:
        One alignment for every model, that of the first the identity; and the trace of the
        objective, with what was learned. Never worse on the held-out examples than by weights
        alone.

    Raises:
        BadInput: if there are no examples to learn from.
    """
    if settings.steps and group.learning is None:
        raise BadInput(
            "A universe is learned from examples of a training split; give them, or set steps=0 "
            "for weights alone."
        )
    share = CALM if settings.steps else 1.0

    def tell(done: float) -> None:
        group.progress(share * done, "matching the weights")

    frame, trace, found = _onto(group, settings.reference, lambda done: tell(0.6 * done))
    values, kept = list(trace.objective), "reference"
    if settings.frame != "reference":
        at_reference = list(found.found)
        values += found.settle(
            settings.rounds, settings.tolerance, lambda done: tell(0.6 + 0.4 * done)
        )[1:]
        kept = "mean"
        if settings.frame == "best" and len(values) == 1:
            found.found, kept = at_reference, "reference"
    starts = found.from_the_first()
    about: dict[str, Any] = dict(trace.about) | {"frame": kept}
    if settings.steps:
        assert group.learning is not None
        starts, learned = _learn(group, starts, settings, share)
        about |= learned
    return starts, Trace(
        tuple(values), trace.before, trace.start, trace.starts, len(values) - 1, about
    )


def _onto(
    group: ManyInput, reference: int, tell: Callable[[float], None]
) -> tuple[int, Trace, Consensus]:
    names = [model.name for model in group.models]
    if reference > len(names):
        raise BadInput(
            f"reference should be at most {len(names)}, the number of models; {reference} came."
        )
    frame = Consensus(
        group.models[0].layout, [model.state for model in group.models], group.classes, group.masks
    )
    before = frame.objective(frame.units)
    best, tried = frame.onto(reference - 1 if reference else None, tell)
    starts = {f"{number + 1}: {names[number]}": value for number, value in tried.items()}
    start = f"{best + 1}: {names[best]}"
    return best, Trace((tried[best],), before, start, starts, 0, {"reference": best + 1}), frame


def _learn(
    group: ManyInput, starts: list[Alignment], settings: UniverseSettings, begin: float
) -> tuple[list[Alignment], dict[str, Any]]:
    assert group.learning is not None
    count = len(group.models)

    def draw(generator: torch.Generator) -> list[float]:
        seed = int(torch.randint(2**31, (), generator=generator))
        return np.random.default_rng(seed).dirichlet([settings.concentration] * count).tolist()

    def whole(steps: Sequence[Alignment]) -> list[Alignment]:
        return [step.compose(start) for step, start in zip(steps, starts, strict=True)]

    moved = [
        m.with_state(g.apply(m.layout, m.state)) for m, g in zip(group.models, starts, strict=True)
    ]
    descent = Descent(
        moved,
        group.classes,
        range(1, count),
        draw,
        settings,
        group.learning,
        [model.digest for model in group.models],
        lambda share, words: group.progress(begin + (1 - begin) * share, words),
        lambda steps: group.keeps(whole(steps)),
    )
    steps, about = descent.finish()
    return whole(steps), about


@dataclass(frozen=True)
class ManyMethod:
    """A way to bring several models into one frame.

    Attributes:
        name: how it is asked for.
        title: how it is called in figures.
        sentence: what it does.
        source: author, year, arXiv number.
        settings: a frozen dataclass with a default for everything.
        match: finds one alignment for every model.
    """

    name: str
    title: str
    sentence: str
    source: str
    settings: type
    match: Callable[[ManyInput, Any], tuple[list[Alignment], Trace]]

    def configured(self, settings: Mapping[str, Any] | None) -> Any:
        """The settings with some values changed; raises `BadInput` (or one of its kinds) for what
        makes no sense.
        """
        return configured(self.name, self.settings, settings)


def learns(settings: Any) -> bool:
    """Whether settings of a method for groups ask for examples to learn from."""
    return bool(getattr(settings, "steps", 0))


MANY_METHODS: dict[str, ManyMethod] = {
    method.name: method
    for method in (
        ManyMethod(
            "reference",
            "onto one model",
            "Brings all models onto one of them by weight matching, the one they match best; it "
            "needs no data.",
            "Ainsworth, Hayase, Srinivasa 2022, arXiv 2209.04836",
            ReferenceSettings,
            match_onto,
        ),
        ManyMethod(
            "universe",
            "universe",
            "Matches each model onto the mean of the others, in turn, then learns all maps "
            "together on training examples.",
            "Theus et al. 2025, arXiv 2506.22712; Crisostomi et al. 2024, arXiv 2405.17897",
            UniverseSettings,
            match_universe,
        ),
    )
}
"""Every method for several models, in the order in which they are listed."""

GROUP_METHODS = MANY_METHODS  # its former name


def get_many_method(name: str) -> ManyMethod:
    """Return the method for several models of that name.

    Raises:
        UnknownName: if there is none.
    """
    if name not in MANY_METHODS:
        raise UnknownName.of("method for several models", name, MANY_METHODS)
    return MANY_METHODS[name]
