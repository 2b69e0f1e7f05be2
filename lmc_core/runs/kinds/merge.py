"""Compute a `MergeRequest`: several models in one frame, ways to merge them, the lines between
them, the simplex of three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from time import perf_counter
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.merging.frames import LEARNED_STEPS, FrameKind, find_frame, frame_settings, get_frame
from lmc_core.runs.ask import (
    data_of,
    find_device,
    learning_of,
    matching_of,
    named,
    opened_group,
    require_number,
    require_two,
)
from lmc_core.runs.kinds import (
    FrameNumbers,
    ModelsNumbers,
    Scalar,
    Seconds,
    SharedWeights,
    SimplexNumbers,
)
from lmc_core.runs.kinds.merge_bench import Bench, opened_bench
from lmc_core.runs.opened import asked, grouped, size_of, stamped
from lmc_core.runs.request import ModelsRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.models.model import Model
    from lmc_core.tasks import Task

Report = Callable[[float, str], None]
# a way to merge, and those of its settings that differ from the defaults
Wanted = tuple[str, tuple[tuple[str, Any], ...]]


RESOLUTION = 6  # of the simplex of three: 28 points
POINTS = 3  # inside of each line


class TaskNumbers(TypedDict):
    """A task that is measured on."""

    name: str
    unit: str
    score: str
    about: str
    examples: int


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


class ModelRow(Evaluation):
    """A model by itself."""

    name: str
    ancestor: bool


class MergeReport(TypedDict, total=False):
    """What a way to merge says of itself."""

    kept: list[str]
    kept_numbers: list[int]  # of models, from 1
    by: str
    of_each: list[float]
    of_soup: float
    split: str
    examples: int


class MergeRow(Evaluation):
    """A way to merge."""

    merge: str
    title: str
    settings: dict[str, Scalar]
    ancestor: bool
    weighs: bool
    checkpoint: bool
    about: MergeReport
    seconds: float


class LinesNumbers(TypedDict):
    """The barriers between all pairs of models; None on the diagonal."""

    barrier: list[list[float | None]]
    stderr: list[list[float | None]]
    at: list[list[float | None]]
    points: int  # of a line


class Named(TypedDict):
    """A model."""

    name: str
    digest: str


class Saved(Named):
    """The checkpoint that was written."""

    dtype: str
    rounding: float | None  # largest relative difference of the outputs that rounding made


class MergeNumbers(ModelsNumbers, FrameNumbers):
    """The numbers of a `MergeRequest`; the models named are those that are merged."""

    ancestor: Named | None
    stand_in: str | None
    weights: list[float]
    frame: str
    frame_title: str
    tasks: list[TaskNumbers]
    memory: int  # bytes
    same: NotRequired[list[SharedWeights]]
    models_rows: list[ModelRow]
    rows: list[MergeRow]
    lines: LinesNumbers | None
    simplex: SimplexNumbers | None
    # of requests that do not keep a model
    centre_excess: NotRequired[float]  # of the mean, above the mean of the models' losses
    centre_stderr: NotRequired[float]
    seconds: NotRequired[Seconds]
    # of those that do
    saved: NotRequired[Saved]


@dataclass(frozen=True, kw_only=True)
class MergeRequest(ModelsRequest):
    """Several models brought into one frame, which `method` names, and merged there in several
    ways.

    Attributes:
        merges: ways to merge with their settings, names in `merging.methods.MERGES`.
        weights: of the models, summing to 1.
        ancestor: whether the last of the models is the common ancestor of the others, which is
            moved and not merged.
        stand_in: what stands in for an ancestor otherwise, ``mean`` or ``first``.
        also: further shipped tasks to measure on, those that the models were trained on.
        points: measured inside of each line between two models.
        resolution: of the grid on the simplex of three models; None for other numbers of models.
        save: name under which the one merged model is kept as a checkpoint; "" for not.
        dtype: type of the weights that are written; "" for those of the first model.
    """

    method: str = "none"
    merges: tuple[Wanted, ...] = ()
    weights: tuple[float, ...] = ()
    ancestor: bool = False
    stand_in: str = "mean"
    also: tuple[str, ...] = ()
    points: int = 3
    resolution: int | None = None
    save: str = ""
    dtype: str = ""
    what: str = "merge"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values; a type only where one was asked for, so that keys from
        before stay.
        """
        content = super().to_json()
        if not self.dtype:
            del content["dtype"]
        return content

    @property
    def count(self) -> int:
        """How many models are merged."""
        return len(self.models) - self.ancestor


def make_merge_requests(
    references: Sequence[str],
    *,
    frames: Sequence[str] = ("none", "universe"),
    merges: Mapping[str, Mapping[str, Any]] | Sequence[str] = ("average",),
    weights: Sequence[float] = (),
    ancestor: str | None = None,
    stand_in: str = "mean",
    onto: int = 0,
    steps: int = LEARNED_STEPS,
    classes: Mapping[str, str] | None = None,
    task: str | None = None,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
    length: int | None = None,
    points: int = POINTS,
    resolution: int = RESOLUTION,
    device: str | None = None,
    learn: int | None = None,
    measured: bool = True,
) -> list[MergeRequest]:
    """Turn what a person asked for into one request for each frame, after checking everything that
    is cheap to check.

    Args:
        references: of two to eight models of one family and size; the first stays.
        frames: names in `FRAMES`.
        merges: names in `merging.methods.MERGES`, with those of their settings that differ from the
            defaults. The output ensemble does not depend on a frame and is asked for in the first
            alone.
        weights: of the models, 0 or more; () for equal ones.
        ancestor: reference of the model that all were fine-tuned from; None where there is none.
        stand_in: what stands in for it then, ``mean`` of the models or the ``first``.
        onto: for the frame ``reference``, number of the model that stays, the first is 1; 0 for the
            one that matches best.
        steps: of learning, for the frame ``learned``.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        task: name of a task; by default the one that all were trained on, or that of the first
            where they differ.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples, and of learning.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        points: measured inside of each line between two models.
        resolution: of the grid on the simplex of three models.
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        learn: training examples to learn from; by default at most 8,000 images or 1,500 windows.
        measured: losses are asked for; where they are not, and nothing is learned or chosen by
            data, no task is needed.

    Raises:
        BadInput: (or one of its kinds) when the requests cannot be done as asked.
    """
    from lmc_core.merging.methods import MERGES

    require_counts(points=points, steps=steps, length=length, learn=learn, seed=seed, onto=onto)
    chosen, kinds = _checked(merges), [get_frame(name) for name in dict.fromkeys(frames)]
    _require_counts(examples, resolution)
    shares, where = (
        _require(references, ancestor, kinds, onto, points, stand_in, weights),
        find_device(device),
    )
    every = [*references, *([ancestor] if ancestor else [])]
    models = _opened(every, kinds, len(references))
    needed = (
        measured
        or any(kind.learns for kind in kinds)
        or any(MERGES[name].chooses for name in chosen)
    )
    found, data = _data(
        models, len(references), chosen, task, split, examples, seed, length, needed
    )
    shared = (
        named(every, models)
        | data
        | {"device": where, "weights": shares, "ancestor": ancestor is not None}
    )
    shared |= {
        "stand_in": stand_in,
        "points": points,
        "resolution": resolution if len(references) == 3 else None,
    }
    return [
        MergeRequest(
            **shared,
            **_framed(models[0], kind, classes, onto, steps),
            **taught,
            merges=_frozen(chosen, not number),
        )
        for number, (kind, taught) in enumerate(
            zip(kinds, _learning(kinds, found, learn, seed, data["length"]), strict=True)
        )
    ]


def _opened(references: Sequence[str], kinds: Sequence[FrameKind], merged: int) -> list[Model]:
    """The models, an ancestor last, if there is room for all frames."""
    moves, learns = any(kind.method != "none" for kind in kinds), any(kind.learns for kind in kinds)
    return opened_group(references, moves, learns, "Merging", merged)


def _data(
    models: Sequence[Model],
    merged: int,
    merges: Mapping[str, Any],
    task: str | None,
    split: str | None,
    examples: int | None,
    seed: int,
    length: int | None,
    needed: bool,
) -> tuple[Task, dict[str, Any]]:
    """The task that is measured on, and what a request says of its data and of the further tasks of
    the models.

    Args:
        models: of the request, an ancestor last.
        merged: how many of them are merged.
        merges: the ways to merge, some of which need examples to choose by.
        task: asked for; by default the one that all were trained on, or that of the first where
            they differ.
        split: asked for.
        examples: asked for.
        seed: of their draw.
        length: of a window of text, in tokens.
        needed: whether anything is measured on it, learned from it or chosen by it.
    """
    if not needed and task is None and any(not model.card.get("task") for model in models):
        return data_of(models, None, split, examples, seed, length, False, False)
    own = list(
        dict.fromkeys(
            str(model.card["task"]) for model in models[:merged] if model.card.get("task")
        )
    )
    chosen, data = data_of(
        models, task or (own[0] if len(own) > 1 else None), split, examples, seed, length, True
    )
    also = () if chosen.reference else tuple(name for name in own if name != chosen.name)
    _require_choice(merges, [chosen.name, *also], chosen.splits, data["split"])
    return chosen, {**data, "also": also}


def _framed(
    model: Model, kind: FrameKind, classes: Mapping[str, str] | None, onto: int, steps: int
) -> dict[str, Any]:
    """What a request says of how its models come into a frame."""
    from lmc_core.matching.methods import MANY_METHODS

    settings = frame_settings(kind, onto, steps)
    if kind.method != "none":
        MANY_METHODS[kind.method].configured(settings)
    return matching_of(model, kind.method, classes, settings)


def _learning(
    kinds: Sequence[FrameKind], task: Task, learn: int | None, seed: int, length: int | None
) -> list[dict[str, Any]]:
    """What the request of each frame says of training examples."""
    taught = [
        learning_of(task, "learning", learn, seed, length) if kind.learns else (None, "")
        for kind in kinds
    ]
    return [{"learn": count, "learn_data": digest} for count, digest in taught]


def _frozen(merges: Mapping[str, Mapping[str, Any]], first: bool) -> tuple[Wanted, ...]:
    """The ways to merge in a frame, of which the first alone has the output ensemble."""
    return tuple(
        (name, tuple(sorted(values.items())))
        for name, values in merges.items()
        if first or name != "ensemble"
    )


def saving(request: MergeRequest, merge: str, name: str, dtype: str = "") -> MergeRequest:
    """The request that keeps what one way to merge makes, as a checkpoint of that name.

    Args:
        request: about several models.
        merge: one of its ways to merge.
        name: of the new model.
        dtype: of its weights; "" for that of the first model.

    Raises:
        UnknownName: if the request has no such way to merge, or for a type in which no weights are
            written.
        BadInput: for a name that no folder can have, or for the output ensemble.
    """
    from lmc_core.merging.checkpoint import require_name
    from lmc_core.merging.methods import MERGES
    from lmc_core.models.precision import type_named

    if dtype:
        type_named(dtype)
    wanted = dict(request.merges)
    if merge not in wanted:
        raise UnknownName.of("way to merge in this request", merge, wanted)
    if not MERGES[merge].checkpoint:
        raise BadInput(
            "An output ensemble is several models and cannot be saved as one; choose another way "
            "to merge."
        )
    return replace(
        request,
        merges=((merge, wanted[merge]),),
        save=require_name(name),
        resolution=None,
        dtype=dtype,
    )


def _checked(merges: Mapping[str, Mapping[str, Any]] | Sequence[str]) -> dict[str, dict[str, Any]]:
    """The ways to merge with those settings that differ from their defaults."""
    from lmc_core.merging.methods import MERGES

    named = dict(merges) if isinstance(merges, Mapping) else {name: {} for name in merges}
    if not named:
        raise BadInput("At least one way to merge is expected; none came.")
    found = {}
    for name, settings in named.items():
        method = MERGES[name]
        usual, wanted = vars(method.settings()), vars(method.configured(settings))
        found[name] = {key: value for key, value in wanted.items() if value != usual[key]}
    return found


def _require(
    references: Sequence[str],
    ancestor: str | None,
    frames: Sequence[FrameKind],
    onto: int,
    points: int,
    stand_in: str,
    weights: Sequence[float],
) -> tuple[float, ...]:
    """Refuse what makes no sense; returns the weights so that they sum to 1."""
    from lmc_core.merging.ingredients import STAND_INS, normalised

    require_number(
        references,
        " besides their ancestor" if ancestor is not None else "",
        int(ancestor is not None),
    )
    if not frames:
        raise BadInput("At least one frame is expected; none came.")
    if not 0 <= onto <= len(references):
        raise BadInput(
            f"The model that stays is a number from 1 to {len(references)}, or 0 for the best; "
            f"{onto} came."
        )
    if points < 1:
        raise BadInput(f"At least 1 point inside of each line is needed; {points} came.")
    if stand_in not in STAND_INS:
        raise UnknownName.of("stand-in for a common ancestor", stand_in, STAND_INS)
    return normalised(weights, len(references))


def _require_counts(examples: int | None, resolution: int) -> None:
    from lmc_core.paths.simplex import grid

    require_two(examples)
    grid(resolution)


def _require_choice(
    merges: Mapping[str, Any], tasks: Sequence[str], splits: Sequence[str], split: str
) -> None:
    """Refuse a way to merge that chooses where there is nothing to choose by that is not reported
    on.
    """
    from lmc_core.merging.methods import MERGES

    needed = "train" if split == "validation" else "validation"
    if any(MERGES[name].chooses for name in merges) and needed not in splits:
        raise BadInput(
            f"A greedy soup is chosen on the {needed} split, which {tasks[0]} does not have; "
            "leave it out, or give more data."
        )


def compute(
    request: MergeRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute what a request asks of several models.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and the arrays ``losses`` (nats, `[points, examples]`),
        ``correct`` and ``weights`` (of the mixtures, `[points, models]`): the models, points on the
        lines of all pairs, then those of the simplex.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs of a model by more than rounding.
    """
    if request.save:
        from lmc_core.runs.kinds.merge_save import save

        return save(request, report)
    bench = opened_bench(request, report)
    begin = perf_counter()
    models = bench.model_rows()
    rows = [bench.row(name, dict(settings))[0] for name, settings in request.merges]
    points = mixtures(request.count, request.points, request.resolution)
    losses, correct = bench.losses_at(points)
    task, examples = bench.tasks[0]
    arrays = {
        "losses": losses.numpy(),
        "correct": correct.numpy(),
        "weights": points.numpy(),
        **grouped(examples),
    }
    return {
        **facts_of(request, bench),
        "models_rows": models,
        "rows": rows,
        **centre_of(points, losses, request.count, examples.groups),
        "lines": lines_of(points, losses, request.count, examples.groups),
        "simplex": simplex_of(
            points, losses, correct, request.resolution, task.score, examples.groups
        ),
        "seconds": {
            "align": bench.placed.facts["align_seconds"],
            "evaluate": perf_counter() - begin,
        },
        **stamped(),
    }, arrays


def facts_of(request: MergeRequest, bench: Bench) -> dict[str, Any]:
    """The entries of a result that say what was asked, and how the models came into their frame."""
    task, examples = bench.asked
    frame = find_frame(request.method, dict(request.settings))
    names = list(request.names[: request.count])
    facts = {name: value for name, value in bench.placed.facts.items() if name != "align_seconds"}
    return {
        **asked(request, task, len(examples)),
        "models": names,
        "references": list(request.models[: request.count]),
        "digests": list(request.digests[: request.count]),
        "ancestor": {"name": request.names[-1], "digest": request.digests[-1]}
        if request.ancestor
        else None,
        "stand_in": None if request.ancestor else request.stand_in,
        "weights": list(request.weights),
        "frame": frame.name,
        "frame_title": frame.title,
        "tasks": [
            {
                "name": t.name,
                "unit": t.unit,
                "score": t.score,
                "about": t.sentence,
                "examples": len(e),
            }
            for t, e in bench.tasks
        ],
        **facts,
        **size_of(bench.placed.models),
        "memory": bench.memory,
        "same": bench.same,
    }


def mixtures(count: int, points: int, resolution: int | None) -> Tensor:
    """Weights of all that is measured: each model, the lines of all pairs, the centre, the grid of
    three.

    Args:
        count: of models.
        points: inside of each line.
        resolution: of the grid; None for none.

    Returns:
        float64 `[points, models]`, none twice.
    """
    import torch

    from lmc_core.paths.simplex import grid

    require_counts(points=points, resolution=resolution)
    rows = [tuple(float(i == k) for i in range(count)) for k in range(count)]
    for i, j in combinations(range(count), 2):
        for step in range(1, points + 1):
            t = step / (points + 1)
            rows.append(tuple((1 - t) * (k == i) + t * (k == j) for k in range(count)))
    rows.append((1 / count,) * count)
    if resolution is not None:
        rows += [tuple(row) for row in grid(resolution).tolist()]
    return torch.tensor(
        list({tuple(round(x, 12) for x in row): row for row in rows}.values()), dtype=torch.float64
    )


def lines_of(weights: Tensor, losses: Tensor, count: int, groups: Tensor | None) -> dict[str, Any]:
    """The barrier between every two models over all points measured on their line, its standard
    error, and where it is.
    """
    from lmc_core.paths.barrier import barrier

    empty: list[list[float | None]] = [[None] * count for _ in range(count)]
    found = {name: [list(row) for row in empty] for name in ("barrier", "stderr", "at")}
    points = set()
    for i, j in combinations(range(count), 2):
        others = [k for k in range(count) if k not in (i, j)]
        on = (weights[:, others].abs().sum(1) == 0).nonzero()[:, 0]
        lam = weights[on, j]
        order = lam.argsort()
        top = barrier(lam[order], losses[on[order]], groups)
        points.add(len(on))
        for name, value in (("barrier", top.value), ("stderr", top.stderr), ("at", top.lam)):
            found[name][i][j] = value
            found[name][j][i] = value if name != "at" else 1 - value
    return {**found, "points": max(points)}


def centre_of(
    weights: Tensor, losses: Tensor, count: int, groups: Tensor | None
) -> dict[str, float]:
    """How far the loss of the mean lies above the mean loss of the models, with its standard
    error.
    """
    from lmc_core.intervals.errors import stderr

    middle = int((weights - 1 / count).abs().amax(1).argmin())
    above = losses[middle].double() - losses[:count].double().mean(0)
    return {"centre_excess": float(above.mean()), "centre_stderr": float(stderr(above, groups))}


def simplex_of(
    weights: Tensor,
    losses: Tensor,
    correct: Tensor,
    resolution: int | None,
    score: str,
    groups: Tensor | None,
) -> dict[str, Any] | None:
    """Loss, excess and score over the triangle of three models; None for other numbers of them."""
    if resolution is None:
        return None
    from lmc_core.paths.simplex import Simplex, grid

    points = grid(resolution)
    where = (weights[None] - points[:, None]).abs().amax(2).argmin(1)
    simplex = Simplex(points, losses[where], correct[where], groups)
    scores = (
        simplex.correct.double().mean(1)
        if score == "accuracy"
        else simplex.mean.clamp(max=700.0).exp()
    )
    return {
        "resolution": resolution,
        "weights": points.tolist(),
        "loss": simplex.mean.tolist(),
        "excess": simplex.excess.mean(1).tolist(),
        "excess_stderr": simplex.stderr.tolist(),
        score: scores.tolist(),
        "maximum": simplex.maximum,
        "maximum_stderr": float(simplex.stderr[simplex.top]),
        "maximum_at": simplex.weights[simplex.top].tolist(),
    }
