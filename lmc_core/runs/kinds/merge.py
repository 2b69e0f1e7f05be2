"""Several models in one frame, ways to merge them, the lines between them, the simplex of three;
and one merged model kept as an ordinary checkpoint. The request, its numbers, and how they are
computed.

There is one request for a frame: another frame, or another way to merge in one of them, leaves the
results of the others as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import cast

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.matching.methods import MANY_METHODS
from lmc_core.merging import evaluation
from lmc_core.merging.checkpoint import require_name, write_merged
from lmc_core.merging.evaluation import Evaluator, MergeInputs
from lmc_core.merging.frames import LEARNED_STEPS, FrameKind, find_frame, frame_settings, get_frame
from lmc_core.merging.ingredients import STAND_INS, normalised
from lmc_core.merging.measure import mean_and_error
from lmc_core.merging.methods import MERGES
from lmc_core.merging.mixtures import Mixtures, choose_mixtures
from lmc_core.merging.numbers import MergeRow, ModelRow, Score
from lmc_core.models.model import Model
from lmc_core.models.precision import type_named
from lmc_core.models.rows import extended
from lmc_core.models.sameness import common_weights
from lmc_core.models.written import Outputs
from lmc_core.paths.simplex import grid
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.cache import Frame, bring_together
from lmc_core.runs.computation import Arrays, Entries, Workload
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.inputs import (
    CHECKED,
    choose_data,
    choose_learning,
    choose_matching,
    describe_models,
    describe_request,
    describe_size,
    find_device,
    make_group_array,
    make_stamp,
    open_inputs,
    read_score,
    require_two,
)
from lmc_core.runs.kinds import SharedWeights
from lmc_core.runs.kinds.many import open_many, read_mixtures, require_number
from lmc_core.runs.request import WINDOW, Data, RequestJson, Scalar
from lmc_core.runs.requests.merge import (
    MergeFacts,
    MergeNumbers,
    MergeRequest,
    Named,
    Saved,
    Wanted,
    models_folder,
)
from lmc_core.tasks import Examples, Task, task_for
from lmc_core.tasks.unmeasured import RANDOM

Merges = Mapping[str, Mapping[str, Scalar]]
RESOLUTION = 6  # of the simplex of three: 28 points
POINTS = 3  # inside of each line


def make_merge_requests(
    references: Sequence[str],
    *,
    frames: Sequence[str] = ("none", "universe"),
    merges: Merges | Sequence[str] = ("average",),
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
        device: ``cpu``, ``cuda``, ``mps``, or None for the default (`find_device`).
        learn: training examples to learn from; by default at most 8,000 images or 1,500 windows.
        measured: losses are asked for; where they are not, and nothing is learned or chosen by
            data, no task is needed.

    Raises:
        BadInput: (or one of its kinds) when the requests cannot be done as asked.
    """
    require_counts(points=points, steps=steps, length=length, learn=learn, seed=seed, onto=onto)
    chosen, kinds = _check_merges(merges), [get_frame(name) for name in dict.fromkeys(frames)]
    require_two(examples)
    grid(resolution)
    shares = _require(references, ancestor, kinds, onto, points, stand_in, weights)
    device, merged = find_device(device), len(references)
    every = [*references, *([ancestor] if ancestor else [])]
    moves, learns = any(kind.method != "none" for kind in kinds), any(kind.learns for kind in kinds)
    models = open_many(every, moves, learns, "Merging", merged)
    needed = measured or learns or any(MERGES[name].chooses for name in chosen)
    asked = Data(task, split, examples, seed, length)
    found, data, also = _choose_data(models, merged, chosen, asked, needed)
    requests = []
    for number, kind in enumerate(kinds):
        settings = frame_settings(kind, onto, steps)
        if kind.method != "none":
            MANY_METHODS[kind.method].configured(settings)
        taught = choose_learning(found, "learning", learn, data) if kind.learns else (None, "")
        requests.append(
            MergeRequest.make(
                describe_models(every, models),
                data,
                choose_matching(models[0], kind.method, classes, settings, taught),
                device,
                merges=_freeze(chosen, not number),
                weights=shares,
                ancestor=ancestor is not None,
                stand_in=stand_in,
                also=also,
                points=points,
                resolution=resolution if merged == 3 else None,
            )
        )
    return requests


def _choose_data(
    models: Sequence[Model], merged: int, merges: Merges, asked: Data, needed: bool
) -> tuple[Task, Data, tuple[str, ...]]:
    """The task that is measured on, what a request says of its data, and the further tasks of the
    models.

    Args:
        models: of the request, an ancestor last.
        merged: how many of them are merged.
        merges: the ways to merge, some of which need examples to choose by.
        asked: what a person asked for; by default the task that all were trained on, or that of the
            first where they differ.
        needed: whether anything is measured on it, learned from it or chosen by it.
    """
    if not needed and asked.task is None and any(not model.card.get("task") for model in models):
        return *choose_data(models, replace(asked, split=None), False, False), ()
    own = list(
        dict.fromkeys(
            str(model.card["task"]) for model in models[:merged] if model.card.get("task")
        )
    )
    name = asked.task or (own[0] if len(own) > 1 else None)
    chosen, data = choose_data(models, replace(asked, task=name), True)
    also = () if chosen.reference else tuple(name for name in own if name != chosen.name)
    _require_choice(merges, [chosen.name, *also], chosen.splits, str(data.split))
    return chosen, data, also


def _freeze(merges: Merges, first: bool) -> tuple[Wanted, ...]:
    """The ways to merge in a frame, of which the first alone has the output ensemble."""
    return tuple(
        (name, tuple(sorted(values.items())))
        for name, values in merges.items()
        if first or name != "ensemble"
    )


def _check_merges(merges: Merges | Sequence[str]) -> dict[str, dict[str, Scalar]]:
    """The ways to merge with those settings that differ from their defaults."""
    named = dict(merges) if isinstance(merges, Mapping) else {name: {} for name in merges}
    if not named:
        raise BadInput("At least one way to merge is expected; none came.")
    found = {}
    for name, settings in named.items():
        method = MERGES[name]
        usual, wanted = vars(method.settings()), vars(method.configured(settings))
        found[name] = {key: value for key, value in wanted.items() if value != usual[key]}
    return found


def save_as(request: MergeRequest, merge: str, name: str, dtype: str = "") -> MergeRequest:
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


def _require_choice(
    merges: Mapping[str, object], tasks: Sequence[str], splits: Sequence[str], split: str
) -> None:
    """Refuse a way to merge that chooses where there is nothing to choose by that is not reported
    on.
    """
    needed = "train" if split == "validation" else "validation"
    if any(MERGES[name].chooses for name in merges) and needed not in splits:
        raise BadInput(
            f"A greedy soup is chosen on the {needed} split, which {tasks[0]} does not have; "
            "leave it out, or give more data."
        )


def compute(
    request: MergeRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[MergeNumbers, Arrays]:
    """Compute what a request asks of several models.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and the arrays ``losses`` (nats, `[points, examples]`), ``correct`` and
        ``weights`` (of the mixtures, `[points, models]`): the models, points on the lines of all
        pairs, then those of the simplex. No arrays of a request that keeps a model.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs of a model by more than rounding.
    """
    if request.save:
        return save(request, progress, refresh), {}
    opened = _open(request, progress, refresh)
    evaluator, (task, examples) = opened.evaluator, opened.asked
    begin = perf_counter()
    models = evaluator.model_rows()
    rows = [evaluator.row(name, dict(settings))[0] for name, settings in request.merges]
    points = choose_mixtures(request.count, request.points, request.resolution)
    losses, correct = evaluator.losses_at(points)
    found = Mixtures(points, losses, correct, request.count, examples.groups)
    numbers: MergeNumbers = {
        **_describe(request, opened),
        "models_rows": models,
        "rows": rows,
        **found.centre(),
        "lines": found.lines(),
        "simplex": None
        if request.resolution is None
        else found.simplex(request.resolution, task.score),
        "seconds": {
            "align": opened.frame.facts["align_seconds"],
            "evaluate": perf_counter() - begin,
        },
        **make_stamp(),
    }
    arrays = {
        "losses": losses.numpy(),
        "correct": correct.numpy(),
        "weights": points.numpy(),
        **make_group_array(examples),
    }
    return numbers, arrays


@dataclass(frozen=True)
class _Opened:
    """The models of a request in their frame, and what they are measured on."""

    frame: Frame
    asked: tuple[Task, Examples]
    evaluator: Evaluator
    same: list[SharedWeights]


def _open(request: MergeRequest, progress: Progress, refresh: bool) -> _Opened:
    """Load the models of a request, bring them into their frame, and count what is to be
    measured.
    """
    progress(0.0, "loading the models")
    models, task, examples = open_inputs(request)
    same = common_weights(models[: request.count])
    length = request.length or WINDOW
    tasks = [] if task.name == RANDOM else [(task, examples)]
    for name in request.also:
        other = task_for(name, *models)
        tasks.append((other, other.examples(request.split, request.examples, request.seed, length)))
    first = 0.02 if request.method == "none" else 0.25 if request.learn is None else 0.8
    aligning = part(progress, 0.02, first)
    frame = bring_together(request, models, examples, task, aligning, refresh)
    inputs = MergeInputs(
        frame.wholes,
        frame.models,
        request.count,
        request.weights,
        request.stand_in,
        examples.first(CHECKED),
        tasks,
        request.split,
        request.seed,
        length,
        request.device,
    )
    total = count_passes(request, Workload(models[0].parameters, len(examples)))
    evaluator = Evaluator(inputs, part(progress, first, 1.0), total)
    return _Opened(frame, (task, examples), evaluator, cast(list[SharedWeights], same))


def _describe(request: MergeRequest, opened: _Opened) -> MergeFacts:
    """The entries of a result that say what was asked, and how the models came into their frame."""
    task, examples = opened.asked
    frame = find_frame(request.method, dict(request.settings))
    asked = describe_request(request, task, len(examples))
    ancestor: Named = {"name": request.names[-1], "digest": request.digests[-1]}
    return {
        **asked,
        "models": list(request.names[: request.count]),
        "references": list(request.models[: request.count]),
        "digests": list(request.digests[: request.count]),
        "ancestor": ancestor if request.ancestor else None,
        "stand_in": None if request.ancestor else request.stand_in,
        "weights": list(request.weights),
        "frame": frame.name,
        "frame_title": frame.title,
        "tasks": [
            {
                "name": task.name,
                "unit": task.unit,
                "score": task.score,
                "about": task.sentence,
                "examples": len(examples),
            }
            for task, examples in opened.evaluator.inputs.tasks
        ],
        **opened.frame.numbers,
        **describe_size(opened.frame.models),
        "memory": estimate_memory(request).peak,
        "same": opened.same,
    }


def save(request: MergeRequest, progress: Progress, refresh: bool = False) -> MergeNumbers:
    """Merge, measure, and write into the folder of kept models, under the name that the request
    gives.

    Raises:
        BadInput: if there is a model of that name already.
    """
    folder = models_folder() / require_name(request.save)
    if folder.exists():
        raise BadInput(f"There is a model named {folder.name!r} already; choose another name.")
    made = produce(request, request.save, progress, refresh)
    written = write_merged(made.model, folder, made.card, request.dtype or None, made.unrounded)
    saved = {"name": made.model.name, "digest": made.model.digest, **written}
    return {**made.result, "saved": cast(Saved, saved)}


@dataclass(frozen=True)
class Made:
    """A merged model that can be written.

    Attributes:
        model: with the values that its file will hold, in float32.
        card: what is said of it.
        result: the numbers, which are those of the file.
        unrounded: what the model computed of a few examples before it was rounded to the type of
            its file.
    """

    model: Model
    card: dict[str, object]
    result: MergeNumbers
    unrounded: Outputs


def produce(
    request: MergeRequest, name: str, progress: Progress = ignore, refresh: bool = False
) -> Made:
    """Merge in the one way that a request asks for, round to the type of the file, and measure.

    Args:
        request: with one way to merge, which gives a checkpoint.
        name: of the new model.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Raises:
        UnknownName: for a type in which no weights are written.
    """
    if request.dtype:
        type_named(request.dtype)
    if len(request.merges) != 1 or not MERGES[request.merges[0][0]].checkpoint:
        raise BadInput(
            "One way to merge is expected whose outcome is one model; an output ensemble is "
            "several."
        )
    opened = _open(request, progress, refresh)
    evaluator, inputs = opened.evaluator, opened.evaluator.inputs
    evaluator.types = inputs.models[0].types(request.dtype or None)
    models = evaluator.model_rows()
    kind, settings = request.merges[0]
    row, merged = evaluator.row(kind, dict(settings))
    assert merged is not None and evaluator.unrounded is not None
    outcome = extended(inputs.models[0].with_state(merged.state), inputs.wholes[0])
    model = replace(outcome, name=name, card={})
    result: MergeNumbers = {
        **_describe(request, opened),
        "models_rows": models,
        "rows": [row],
        "lines": None,
        "simplex": None,
        **make_stamp(),
    }
    tasks = {str(original.card.get("task") or "") for original in inputs.merged}
    known = {"task": tasks.pop()} if len(tasks) == 1 and "" not in tasks else {}
    card = known | _describe_card(request, result, row)
    return Made(model, card, result, evaluator.unrounded)


def _describe_card(request: MergeRequest, result: MergeNumbers, row: MergeRow) -> dict[str, object]:
    """What the card of a merged model says: where it came from, what was done, how good it is."""
    method = MERGES[row["merge"]]
    # an ancestor comes last and has no weight
    who = zip(request.names, request.digests, request.weights, strict=False)
    measured = {
        task["name"]: {
            key: value
            for key, value in row["measured"][task["name"]].items()
            if key != "reliability"
        }
        | {"examples": task["examples"]}
        for task in result["tasks"]
    }
    return {
        "merged": {
            "models": [
                {"name": name, "digest": digest, "weight": weight} for name, digest, weight in who
            ],
            "ancestor": result["ancestor"]
            or ({"stand_in": request.stand_in} if method.ancestor else None),
            "method": method.name,
            "title": method.title,
            "source": method.source,
            "settings": row["settings"],
            "about": row["about"],
            "frame": result["frame"],
            "frame_settings": dict(request.settings),
            "classes": dict(request.classes),
            "function_errors": result["function_errors"],
            "cycle_error": result["cycle_error"],
            "measured": {result["split"]: measured} if measured else {},
        },
        "scores": {result["split"]: measured[result["task"]]} if measured else {},
        "versions": result["versions"],
        "date": result["date"],
    }


def summarize(request: RequestJson, numbers: MergeNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    count = len(request["digests"]) - bool(request["ancestor"])
    found = read_mixtures(arrays, count)
    score, task, groups = read_score(numbers["score"]), str(numbers["task"]), found.groups

    def measured(row: ModelRow, k: int) -> ModelRow:
        loss, error = mean_and_error(found.losses[k], groups)
        right, right_error = mean_and_error(found.correct[k], groups)
        if score == "perplexity":
            right = math.exp(min(loss, 700.0))
            right_error = error * right
        own = {"loss": loss, "loss_stderr": error, score: right, f"{score}_stderr": right_error}
        before = row["measured"][task]
        return {**row, "measured": {**row["measured"], task: cast(Score, {**before, **own})}}

    rows, resolution = numbers["models_rows"], request["resolution"]
    return {
        "examples": found.losses.shape[1],
        "models_rows": [measured(row, k) if k < count else row for k, row in enumerate(rows)],
        **found.centre(),
        "lines": found.lines(),
        "simplex": None if resolution is None else found.simplex(resolution, score),
    }


def count_passes(request: MergeRequest, workload: Workload) -> float:
    """Forward passes over every example."""
    points = 0
    if not request.save:
        points = len(choose_mixtures(request.count, request.points, request.resolution))
    wanted = [(name, dict(settings)) for name, settings in request.merges]
    tasks = 1 + len(request.also)
    return evaluation.count_passes(
        wanted, len(request.models), request.count, tasks, points, workload.examples
    )
