"""What a person asked about merging becomes requests, one for each frame, after checking everything
that is cheap to check.

One request for a frame: another frame, or another way to merge in one of them, leaves the results
of the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput, UnknownName
from lmc_core.limits import require_counts
from lmc_core.runs.ask import data_of, find_device, learning_of, matching_of, named, require_two
from lmc_core.runs.ask_group import opened_group, require_number
from lmc_core.runs.merge import MergeRequest, Wanted
from lmc_core.runs.merge_frames import LEARNED_STEPS, FrameKind, frame_settings, get_frame

if TYPE_CHECKING:
    from lmc_core.models.model import Model
    from lmc_core.tasks import Task

RESOLUTION = 6  # of the simplex of three: 28 points
POINTS = 3  # inside of each line


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
    from lmc_core.merging.methods import get_merge

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
        or any(get_merge(name).chooses for name in chosen)
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
    from lmc_core.matching.universe import get_many_method

    settings = frame_settings(kind, onto, steps)
    if kind.method != "none":
        get_many_method(kind.method).configured(settings)
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
    from lmc_core.merging.methods import get_merge
    from lmc_core.models.precision import type_named

    if dtype:
        type_named(dtype)
    wanted = dict(request.merges)
    if merge not in wanted:
        raise UnknownName.of("way to merge in this request", merge, wanted)
    if not get_merge(merge).checkpoint:
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
    from lmc_core.merging.methods import get_merge

    named = dict(merges) if isinstance(merges, Mapping) else {name: {} for name in merges}
    if not named:
        raise BadInput("At least one way to merge is expected; none came.")
    found = {}
    for name, settings in named.items():
        method = get_merge(name)
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
    from lmc_core.merging.methods import get_merge

    needed = "train" if split == "validation" else "validation"
    if any(get_merge(name).chooses for name in merges) and needed not in splits:
        raise BadInput(
            f"A greedy soup is chosen on the {needed} split, which {tasks[0]} does not have; "
            "leave it out, or give more data."
        )
