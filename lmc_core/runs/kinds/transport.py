"""A fine-tuning carried from one model to another: asking for it, and how it is computed: align the
target with the base, move the difference, and measure the target with every share of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

from lmc_core.analysis.difference import compare_weights
from lmc_core.analysis.memory import estimate_pair, require_room
from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.matching.many import whole_forms
from lmc_core.matching.methods import METHODS, matching_share
from lmc_core.models.cache import load_warm
from lmc_core.models.load import full_reference
from lmc_core.models.model import Model
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.computation import Arrays
from lmc_core.runs.inputs import (
    CHECKED,
    choose_data,
    choose_task,
    describe_models,
    describe_request,
    describe_size,
    make_stamp,
    require_two,
)
from lmc_core.runs.kinds.barrier import make_request
from lmc_core.runs.kinds.carried import carry, find_held, measure_all, open_tasks, split_of
from lmc_core.runs.kinds.curve_facts import pair_facts
from lmc_core.runs.kinds.transport_facts import CHOICE, transport_facts
from lmc_core.runs.request import WINDOW, Data, Matching, Scalar
from lmc_core.runs.requests.transport import (
    SHARES,
    TARGET,
    TransportNumbers,
    TransportRequest,
    choose_shares,
)
from lmc_core.tasks.unmeasured import RANDOM

FEWEST, MOST = 3, 4  # models
CHOSEN_ON = "validation"  # split on which the best share is chosen, where there is one


def make_transport_request(
    references: Sequence[str],
    *,
    task: str | None = None,
    on: str | None = None,
    shares: Sequence[float] = SHARES,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
    length: int | None = None,
    method: str = "weight",
    classes: Mapping[str, str] | None = None,
    settings: Mapping[str, Scalar] | None = None,
    device: str | None = None,
    learn: int | None = None,
    measured: bool = True,
) -> TransportRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args:
        references: of the base, of what came of it by fine-tuning, of the target, and where there
            is one of the target fine-tuned itself.
        task: the fine-tuning's: a name, or a reference to data of one's own; by default that of the
            fine-tuned model's card, or the target's own.
        on: what base and target are aligned on; by default the task that both were trained on, or
            the fine-tuning's where these are two.
        shares: of the difference that are measured, besides 0.
        split: of the data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples, and of learning.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        method: of the alignment, a name in `METHODS`.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        settings: of the method, by name.
        device: ``cpu``, ``cuda``, ``mps``, or None for the default (`find_device`).
        learn: training examples to learn from; by default at most 8,000 images or 1,500 windows.
        measured: losses are wanted; where they are not, no task is needed.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    require_counts(length=length, learn=learn, seed=seed)
    require_two(examples)
    METHODS[method].configured(settings)
    chosen = choose_shares(shares)
    models = _open(references)
    source, trained, own = (models[number].card.get("task") for number in (0, 1, TARGET))
    named = task or trained or own
    common = own is not None and own == source
    asked = make_request(
        references[0],
        references[TARGET],
        task=on or (None if common or named is None else str(named)),
        seed=seed,
        length=length,
        method=method,
        classes=classes,
        settings=settings,
        device=device,
        learn=learn,
        examples=CHECKED,
        measured=False,
        models=(models[0], models[TARGET]),
    )
    wanted = Data(None if named is None else str(named), split, examples, seed, length)
    measured = measured or named is not None
    found, data = choose_data(models, wanted, measured, needed=measured)
    count = examples, seed, data.length or WINDOW
    other = None if own in (None, found.name) else choose_task(models, str(own))
    choice = CHOSEN_ON if CHOSEN_ON in found.splits else str(data.split)
    return TransportRequest.make(
        describe_models(references, models),
        Data(data.task, data.split, examples, seed, data.length, data.digest),
        Matching(asked.method, asked.classes, asked.settings, asked.learn, asked.learn_data),
        asked.device,
        shares=chosen,
        aligned_on=asked.task,
        aligned_data=asked.data,
        other_task="" if other is None else other.name,
        other_data="" if other is None else other.digest(split_of(other, data.split), *count),
        choice=choice,
        choice_data=found.digest(choice, *count),
    )


def _open(references: Sequence[str]) -> list[Model]:
    """The models of a request, loaded if there is room, of which the second came of the first."""
    if not FEWEST <= len(references) <= MOST:
        raise BadInput(
            "A base, what came of it by fine-tuning, and a target are expected, and the target "
            f"fine-tuned itself where there is one; {len(references)} models came."
        )
    full = [full_reference(each) for each in references]
    require_room(estimate_pair(full).peak, f"Carrying a fine-tuning to {references[TARGET]}")
    models = [load_warm(each) for each in full]
    whole_forms(models)
    _require_derived(models[0], models[1])
    return models


def _require_derived(base: Model, finetuned: Model) -> None:
    """Refuse a model that did not come of the base by training."""
    found = compare_weights(base, finetuned, ranks=0)
    if found["verdict"] == "same":
        raise BadInput(
            f"{finetuned.name} has the weights of {base.name}, so that there is nothing to carry "
            "over; name what came of it by fine-tuning."
        )
    if found["verdict"] in ("independent", "moved"):
        raise BadInput(
            f"{finetuned.name} did not come of {base.name} by fine-tuning: the cosine of their "
            f"matrices is {found['matrix_cosine']:.3f} in the median; name the model that it came "
            "of as the base."
        )


def compute(
    request: TransportRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[TransportNumbers, Arrays]:
    """Measure the target with every share of a moved difference, and of the unmoved one.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and arrays: losses of the fine-tuning's task ``moved`` and ``unmoved`` (nats,
        `[shares, examples]`) and ``tuned`` (`[1, examples]`, where the target fine-tuned itself is
        there); the same of the target's own task as ``other_...``; ``choice_moved`` where the best
        share is chosen on another split.

    Raises:
        BadInput: if the models are no longer those of the request, or it names no task.
        FunctionChanged: if the alignment moved the outputs by more than rounding.
    """
    if request.task == RANDOM:
        raise BadInput("Shares of a difference are measured on a task; name one.")
    progress(0.0, "loading the models")
    first = 0.5 * matching_share(request.method)
    carried = find_held(request)
    if carried is None:
        carried = carry(request, part(progress, 0.02, first), refresh)
    begin = perf_counter()
    measured = open_tasks(request, carried)
    measure_all(request, carried, measured, part(progress, first, 1.0))
    difference, arrays = carried.difference, {}
    for each in measured:
        arrays |= each.arrays()
    heads = [each.describe() for each in measured if each.head != CHOICE]
    numbers: TransportNumbers = {
        **describe_request(request, carried.task, len(carried.examples)),
        **pair_facts(carried.pair),
        **describe_size(carried.models),
        "shares": list(request.shares),
        **transport_facts(heads, arrays, request.shares, request.choice),
        "aligned_on": carried.aligned_on.name,
        "norm": difference.length,
        "cosine": difference.cosine,
        "seconds": {"align": carried.pair.seconds, "evaluate": perf_counter() - begin},
        **make_stamp(),
    }
    return numbers, arrays
