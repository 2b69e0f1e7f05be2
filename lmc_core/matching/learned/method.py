"""Learned matching as two methods, of one end and of both; what it does stands in `learn`."""

from __future__ import annotations

from dataclasses import dataclass

from lmc_core.errors import BadInput
from lmc_core.look import Look
from lmc_core.matching.learned.steps import Steps
from lmc_core.matching.method import Method
from lmc_core.registry import import_later
from lmc_core.settings import choice


@dataclass(frozen=True)
class LearnedSettings(Steps):
    """How the maps of a pair are learned; see `Steps` for the others.

    Attributes:
        spread: s; lam is drawn from U(1/2 - s, 1/2 + s).
        start: the method that it goes on from, ``activation`` (on examples that it has anyway) or
            ``weight``.
    """

    spread: float = 0.1
    start: str = choice("activation", ("weight", "activation"), "start of learning")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.spread <= 0.5:
            raise BadInput(f"spread should lie between 0 and 0.5; {self.spread} came.")


@dataclass(frozen=True)
class JointSettings(LearnedSettings):
    """How maps and a bend are learned together; see `LearnedSettings` for the others.

    Attributes:
        spread: s; t is drawn from U(1/2 - s, 1/2 + s).
        bend_rate: of Adam, for the bend.
        matrix_rate: of Muon, for the matrices of the bend.
    """

    spread: float = 0.4
    bend_rate: float = 2e-3
    matrix_rate: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("bend_rate", "matrix_rate"):
            if not 0 < getattr(self, name) < 1:
                raise BadInput(f"{name} should lie between 0 and 1; {getattr(self, name)} came.")

    @property
    def bend_rates(self) -> tuple[float, float]:
        """Of Adam and of Muon."""
        return self.bend_rate, self.matrix_rate


@dataclass(frozen=True)
class GeneratedSettings(LearnedSettings):
    """How maps are learned from what the models write; see `LearnedSettings` for the others.

    Attributes:
        windows: that both models write together.
        length: of a window in tokens; 0 for the models' context, at most 128.
    """

    windows: int = 1000
    length: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in (("windows", 4), ("length", 0)):
            if getattr(self, name) < low:
                raise BadInput(f"{name} should be {low} or more; {getattr(self, name)} came.")


LEARNED = Method(
    name="learned",
    title="learned",
    short="learned",
    sentence="Goes on from another method by the gradient of the loss on the line, on training "
    "examples; B alone moves.",
    source="Theus et al. 2025, arXiv 2506.22712",
    settings=LearnedSettings,
    match=import_later("lmc_core.matching.learned.learn:match_and_learn"),
    look=Look("learned, one side", "#b84a00", "#ff955c", "16px,4px", "cross"),
    uses_data=True,
    on_the_way=lambda settings: settings.start,
)
DUAL = Method(
    name="dual",
    title="learned at both ends",
    short="learned at both ends",
    sentence="Like learned, but both ends move towards a common line; the path has an exact "
    "one-sided twin, which is shown.",
    source="arXiv 2606.23607, 2026",
    settings=LearnedSettings,
    match=import_later("lmc_core.matching.learned.learn:match_both"),
    look=Look("learned, both sides", "#9c3f78", "#e8a3cc", "9px,3px,3px,3px,3px,3px", "star"),
    uses_data=True,
    on_the_way=lambda settings: settings.start,
)
JOINT = Method(
    name="joint",
    title="learned with a bend",
    short="joint",
    sentence="Learns the maps of B and the bend of a quadratic curve to it together; the curve is "
    "measured in place of the straight line.",
    source="Garipov et al. 2018, arXiv 1802.10026; arXiv 2605.09991, 2026",
    settings=JointSettings,
    match=import_later("lmc_core.matching.learned.joint:match_jointly"),
    bends=True,
    look=Look("learned with a bend", "#4646b4", "#a3a8ff", "18px,3px,3px,3px", "star-diamond"),
    uses_data=True,
    on_the_way=lambda settings: settings.start,
)
GENERATED = Method(
    name="generated",
    title="learned from generated text",
    short="from generated text",
    sentence="Like learned, but both language models write the windows that are learned from; "
    "needs no data.",
    source="text that a model writes in place of data: Liu et al. 2023, arXiv 2305.17888",
    settings=GeneratedSettings,
    match=import_later("lmc_core.matching.learned.generated:match_generated"),
    look=Look(
        "learned from generated text", "#00707a", "#5fd0d8", "7px,3px,2px,3px", "diamond-tall"
    ),
)
