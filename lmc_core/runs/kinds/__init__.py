"""One file for each kind of computation: its request, its numbers, and how it is computed.

Here are the entries of `result.json` that several kinds have, with their types and units; what a
kind has of its own stands in its file. `NotRequired` are entries that
results of earlier versions lack, or that only some requests ask for. Losses are means over examples
in nats, and ``..._stderr`` their standard errors.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from lmc_core.runs.request import Scalar


class Versions(TypedDict):
    """What computed a result."""

    lmc: str
    torch: str
    python: str


class Seconds(TypedDict, total=False):
    """What parts of a computation took, in seconds."""

    align: float
    evaluate: float
    learn: float
    compare: float
    train: float


class Stamp(TypedDict):
    """By what and when a result was computed."""

    versions: Versions
    date: str  # ISO 8601
    cached: bool  # whether it was read from the store rather than just computed
    imported: NotRequired[bool]  # whether it came out of an archive


class Asked(TypedDict):
    """What was asked of models."""

    key: str
    what: str
    models: list[str]  # names
    references: list[str]
    digests: list[str]
    task: str
    about: str  # a sentence on the data
    notes: NotRequired[list[str]]
    data: str  # digest of a person's own; "" for a shipped task
    length: int | None  # of a window, in tokens
    unit: str  # what a loss is a mean over
    score: str  # "accuracy" or "perplexity"
    split: str
    examples: int
    method: str
    classes: dict[str, str]  # kind of space -> class
    settings: dict[str, Scalar]
    seed: int
    precision: str
    device: str


class Size(TypedDict):
    """How large the models are and what they admit."""

    parameters: int  # of the first
    widest: NotRequired[int]  # parameters of the largest
    largest: dict[str, str]  # kind of space -> largest admissible class


class ModelsNumbers(Asked, Size, Stamp):
    """What every result about models begins and ends with."""


class Places(TypedDict):
    """Where the coordinates of a narrower model lie in a wider one."""

    owner: list[int]
    shares: list[float]


class SoftReport(TypedDict):
    """What soft matching says of its doubly stochastic matrices."""

    temperature: float
    entropy: float
    sharp: float  # share of the rows whose largest entry is above one half
    objective: float
    rounds: int
    softened: list[str]  # kinds of spaces


class PassedPair(TypedDict):
    """Two checkpoints that were matched before the ends."""

    models: list[str]  # their names
    objective: float


MatcherReport = TypedDict(
    "MatcherReport",
    {
        "examples": int,
        "tokens": int,
        "sites": int,
        "by weights alone": list[str],
        "history": list[list[float]],  # step, then losses in nats
        "held_out": int,
        "steps": int,
        "best_step": int,
        "refused": list[int],
        "returned": list[int],  # steps after which the best maps were taken up again
        "batch": int,
        "targets": str,
        "rows_moved": int,
        "rows": int,
        "learn_seconds": float,
        "reference": int,  # number of a model, from 1
        "frame": str,
        "soft": SoftReport,
        "objective_of_origin": float,
        "through": list[PassedPair],
    },
    total=False,
)
"""What a matching method says of itself besides its objective."""


class PairNumbers(TypedDict):
    """What the alignment of a pair found; empty values where nothing was aligned."""

    function_error: float | None  # largest relative difference of the outputs
    objective: list[float]
    objective_before: float | None
    start: str | None
    found: MatcherReport
    places: NotRequired[dict[str, Places]]


class FrameNumbers(TypedDict):
    """What the alignment of several models found; empty values where nothing was aligned."""

    function_errors: list[float] | None
    cycle_error: float | None
    objective: list[float]
    objective_before: float | None
    start: str | None  # "2: name of the second model"
    found: MatcherReport


class SharedWeights(TypedDict):
    """Two models that have tensors in common."""

    models: list[int]  # numbers, from 0
    same: int
    tensors: int
    differ: NotRequired[list[str]]
    equal: NotRequired[list[str]]


class BendTraining(TypedDict):
    """How the bend of a curve was trained."""

    history: list[list[float]]  # step, training loss, held-out loss
    steps: int
    best_step: int
    batch: int
    examples: int
    held_out: int
    learn_seconds: float


class CurveSummary(TypedDict):
    """Means of a curve, and its barrier."""

    loss: list[float]
    loss_stderr: list[float]
    barrier: float
    barrier_stderr: float
    barrier_lam: float


class RoutingNumbers(TypedDict):
    """Where the tokens of mixtures go along a line."""

    mixtures: list[str]
    active: int  # experts of a token
    chance: float  # agreement of independent choices
    lam: list[float]
    with_a: list[list[float]]  # `[points, mixtures]`, agreement with the choices of A
    with_b: list[list[float]]
    load: list[list[list[float]]]  # `[points, mixtures, experts]`, shares


class RoutingOfExamples(RoutingNumbers):
    """The same, with how many examples were followed."""

    examples: int
