"""What a person asked about merging becomes requests, one for each frame, after checking everything that is cheap to check.

One request for a frame: another frame, or another way to merge in one of them, leaves the results of the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmc_core.errors import BadInput, UnknownName
from lmc_core.runs.ask import data_of, find_device, learning_of, require_two
from lmc_core.runs.ask_group import memory_of_group
from lmc_core.runs.merge import MergeRequest
from lmc_core.runs.merge_frames import LEARNED_STEPS, FrameKind, frame_settings, get_frame
from lmc_core.runs.warm import load_warm

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
) -> list[MergeRequest]:
    """Turn what a person asked for into one request for each frame, after checking everything that is cheap to check.

    The output ensemble does not depend on a frame and is asked for in the first alone.

    Args:
        references: of two to eight models of one family and size; the first stays.
        frames: names in `FRAMES`.
        merges: names in `merging.methods.MERGES`, with those of their settings that differ from the defaults.
        weights: of the models, 0 or more; () for equal ones.
        ancestor: reference of the model that all were fine-tuned from; None where there is none.
        stand_in: what stands in for it then, ``mean`` of the models or the ``first``.
        onto: for the frame ``reference``, number of the model that stays, the first is 1; 0 for the one that matches best.
        steps: of learning, for the frame ``learned``.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        task: name of a task; by default the one that all were trained on, or that of the first where they differ.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples, and of learning.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        points: measured inside of each line between two models.
        resolution: of the grid on the simplex of three models.
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        learn: training examples to learn from; by default at most 8,000 images or 1,500 windows.

    Raises:
        BadInput: (or one of its kinds) when the requests cannot be done as asked.
    """
    from lmc_core.matching.group import common_forms
    from lmc_core.matching.universe import get_group_method
    from lmc_core.merging.ingredients import STAND_INS, normalised
    from lmc_core.models.load import full_reference
    from lmc_core.paths.simplex import grid
    from lmc_core.runs.memory import require_room
    from lmc_core.symmetry.spaces import choose_classes

    chosen = _checked(merges)
    kinds = [get_frame(name) for name in dict.fromkeys(frames)]
    _require(references, ancestor, kinds, onto, points)
    if stand_in not in STAND_INS:
        raise UnknownName.of("stand-in for a common ancestor", stand_in, STAND_INS)
    shares = normalised(weights, len(references))
    require_two(examples)
    grid(resolution)
    where = find_device(device)
    full = tuple(full_reference(each) for each in [*references, *([ancestor] if ancestor else [])])
    moves, learns = any(kind.method != "none" for kind in kinds), any(kind.learns for kind in kinds)
    require_room(memory_of_group(full, moves, learns), f"Merging {len(references)} models")
    models = [load_warm(each) for each in full]
    common_forms(models)
    own = list(dict.fromkeys(str(model.card["task"]) for model in models[: len(references)] if model.card.get("task")))
    chosen_task, data = data_of(models, task or (own[0] if len(own) > 1 else None), split, examples, seed, length, True)
    also = () if chosen_task.reference else tuple(name for name in own if name != chosen_task.name)
    _require_choice(chosen, [chosen_task.name, *also], chosen_task.splits, data["split"])
    taken = tuple(sorted((kind, value.value) for kind, value in choose_classes(models[0].layout.spaces, classes).items()))
    shared: dict[str, Any] = {
        "models": full,
        "names": tuple(model.name for model in models),
        "digests": tuple(model.digest for model in models),
        **data,
        "device": where,
        "weights": shares,
        "ancestor": ancestor is not None,
        "stand_in": stand_in,
        "also": also,
        "points": points,
        "resolution": resolution if len(references) == 3 else None,
    }
    found = []
    for number, kind in enumerate(kinds):
        settings = frame_settings(kind, onto, steps)
        if kind.method != "none":
            get_group_method(kind.method).configured(settings)
        count, digest = learning_of(chosen_task, "learning", learn, seed, data["length"]) if kind.learns else (None, "")
        asked = {name: values for name, values in chosen.items() if not number or name != "ensemble"}
        found.append(
            MergeRequest(
                **shared,
                method=kind.method,
                classes=taken if kind.method != "none" else (),
                settings=tuple(sorted(settings.items())),
                learn=count,
                learn_data=digest,
                merges=tuple((name, tuple(sorted(values.items()))) for name, values in asked.items()),
            )
        )
    return found


def saving(request: MergeRequest, merge: str, name: str) -> MergeRequest:
    """The request that keeps what one way to merge makes, as a checkpoint of that name.

    Raises:
        UnknownName: if the request has no such way to merge.
        BadInput: for a name that no folder can have, or for the output ensemble.
    """
    from lmc_core.merging.checkpoint import require_name
    from lmc_core.merging.methods import get_merge

    wanted = dict(request.merges)
    if merge not in wanted:
        raise UnknownName.of("way to merge in this request", merge, wanted)
    if not get_merge(merge).checkpoint:
        raise BadInput("An output ensemble is several models and cannot be saved as one; choose another way to merge.")
    return replace(request, merges=((merge, wanted[merge]),), save=require_name(name), resolution=None)


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


def _require(references: Sequence[str], ancestor: str | None, frames: Sequence[FrameKind], onto: int, points: int) -> None:
    from lmc_core.matching.group import FEWEST, MOST

    most = MOST - (ancestor is not None)
    if not FEWEST <= len(references) <= most:
        extra = " besides their ancestor" if ancestor is not None else ""
        raise BadInput(f"Between {FEWEST} and {most} models are expected{extra}; {len(references)} came.")
    if not frames:
        raise BadInput("At least one frame is expected; none came.")
    if not 0 <= onto <= len(references):
        raise BadInput(f"The model that stays is a number from 1 to {len(references)}, or 0 for the best; {onto} came.")
    if points < 1:
        raise BadInput(f"At least 1 point inside of each line is needed; {points} came.")


def _require_choice(merges: Mapping[str, Any], tasks: Sequence[str], splits: Sequence[str], split: str) -> None:
    """Refuse a way to merge that chooses where there is nothing to choose by that is not reported on."""
    from lmc_core.merging.methods import get_merge

    needed = "train" if split == "validation" else "validation"
    if any(get_merge(name).chooses for name in merges) and needed not in splits:
        raise BadInput(
            f"A greedy soup is chosen on the {needed} split, which {tasks[0]} does not have; leave it out, or give more data."
        )
