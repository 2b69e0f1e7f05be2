"""What a person asked of several models becomes a `GroupRequest`, after checking everything that is
cheap to check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.runs.ask import (
    data_of,
    find_device,
    learning_of,
    matching_of,
    memory_of,
    named,
    require_two,
)
from lmc_core.runs.model_cache import load_warm
from lmc_core.runs.request import GroupRequest

if TYPE_CHECKING:
    from lmc_core.models.model import Model

RESOLUTION = 6  # of the simplex of three: 28 points, the centre among them


def memory_of_group(references: Sequence[str], aligned: bool = True, learned: bool = False) -> int:
    """Bytes that a run on several models takes at the most: what two take, for every two of
    them.
    """
    pairs = (len(references) + 1) // 2
    return pairs * max(memory_of(each, 3, aligned, learned).peak for each in references)


def make_group_request(
    references: Sequence[str],
    *,
    task: str | None = None,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
    length: int | None = None,
    method: str = "universe",
    classes: Mapping[str, str] | None = None,
    resolution: int = RESOLUTION,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    learn: int | None = None,
    measured: bool = True,
) -> GroupRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args:
        references: of two to eight models; the first stays.
        task: name of a shipped task or a reference to data of one's own; by default the task that
            all were trained on.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples, and of learning.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        method: ``none``, or a name in `matching.universe.GROUP_METHODS`.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        resolution: of the grid on the simplex of three models.
        settings: of the method, by name.
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        learn: training examples to learn from; by default at most 8,000 images or 1,500 windows.
        measured: a loss will be measured, which models without a head do not have.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    from lmc_core.matching.universe import get_many_method, learns
    from lmc_core.paths.simplex import grid

    configured = None if method == "none" else get_many_method(method).configured(settings)
    require_number(references)
    if learn is not None and not learns(configured):
        raise BadInput(
            f"The method {method} learns from no examples; leave their number out, or choose one "
            "that does."
        )
    require_counts(length=length, learn=learn, seed=seed)
    require_two(examples)
    grid(resolution)
    where = find_device(device)
    models = opened_group(references, method != "none", learns(configured), "Measuring between")
    measured = measured or learns(configured)
    chosen_task, data = data_of(models, task, split, examples, seed, length, measured, measured)
    matching = matching_of(models[0], method, classes, settings)
    learning = (
        learning_of(chosen_task, method, learn, seed, data["length"])
        if learns(configured)
        else (None, "")
    )
    return GroupRequest(
        **named(references, models),
        **data,
        **matching,
        resolution=resolution if len(models) == 3 else None,
        device=where,
        learn=learning[0],
        learn_data=learning[1],
    )


def require_number(references: Sequence[str], besides: str = "", more: int = 0) -> None:
    """Refuse fewer models than two, and more than can be brought together.

    Args:
        references: of the models.
        besides: what comes on top of them, in words.
        more: how many that are.
    """
    from lmc_core.matching.many import FEWEST, MOST

    if not FEWEST <= len(references) <= MOST - more:
        raise BadInput(
            f"Between {FEWEST} and {MOST - more} models are expected{besides}; {len(references)} "
            "came."
        )


def opened_group(
    references: Sequence[str], aligned: bool, learned: bool, doing: str, merged: int | None = None
) -> list[Model]:
    """Several models that can be brought together, loaded if there is room for what is asked of
    them.

    Args:
        references: of the models.
        aligned: whether they are brought into one frame.
        learned: whether by a method that follows gradients.
        doing: what is asked, to say what there is no room for.
        merged: how many of them that is asked of; all by default.
    """
    from lmc_core.matching.many import common_forms
    from lmc_core.models.load import full_reference
    from lmc_core.runs.memory import require_room

    full = [full_reference(each) for each in references]
    require_room(memory_of_group(full, aligned, learned), f"{doing} {merged or len(full)} models")
    models = [load_warm(each) for each in full]
    common_forms(models)
    return models
