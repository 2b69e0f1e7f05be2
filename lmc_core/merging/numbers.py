"""Numbers of merged models, with their types and units."""

from __future__ import annotations

from typing import NotRequired, TypedDict

Setting = str | int | float | bool | None


class Reliability(TypedDict):
    """Confidence and accuracy by bins of confidence; None for an empty bin."""

    share: list[float]
    confidence: list[float | None]
    accuracy: list[float | None]


class Score(TypedDict):
    """What one model does on one task."""

    loss: float
    loss_stderr: float
    accuracy: NotRequired[float]
    accuracy_stderr: NotRequired[float]
    perplexity: NotRequired[float]
    perplexity_stderr: NotRequired[float]
    ece: float  # expected calibration error
    ece_stderr: float
    reliability: Reliability


class Evaluation(TypedDict):
    """What one model, or an ensemble of them, does on every task and costs."""

    measured: dict[str, Score]  # by name of task
    parameters: int
    bytes: int
    passes: int  # forward passes for one prediction


class MergeReport(TypedDict, total=False):
    """What a way to merge says of itself."""

    kept: list[str]
    kept_numbers: list[int]  # of models, from 1
    by: str
    of_each: list[float]
    of_soup: float
    split: str
    examples: int


class SimplexNumbers(TypedDict):
    """The loss over the triangle of three models, at the points of a grid."""

    resolution: int
    weights: list[list[float]]  # `[points, 3]`
    loss: list[float]
    excess: list[float]  # above the mean of the models' losses with the same weights
    excess_stderr: list[float]
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    maximum: float  # of the excess
    maximum_stderr: float
    maximum_at: list[float]


class LinesNumbers(TypedDict):
    """The barriers between all pairs of models."""

    barrier: Matrix
    stderr: Matrix
    at: Matrix
    points: int  # of a line


class CentreNumbers(TypedDict):
    """How far the loss of the mean lies above the mean loss of the models."""

    centre_excess: float
    centre_stderr: float


Matrix = list[list[float | None]]  # over pairs of models, None on the diagonal


class ModelRow(Evaluation):
    """A model by itself."""

    name: str
    ancestor: bool


class MergeRow(Evaluation):
    """A way to merge."""

    merge: str
    title: str
    settings: dict[str, Setting]
    ancestor: bool
    weighs: bool
    checkpoint: bool
    about: MergeReport
    seconds: float
