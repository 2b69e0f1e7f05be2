"""Several models in one frame: their centre, the midpoints of all pairs, and the simplex of three.
The request, its numbers, and how they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from time import perf_counter
from typing import cast

import torch

from lmc_core.analysis.memory import Memory, estimate_group, estimate_many, require_room
from lmc_core.errors import BadInput
from lmc_core.intervals.errors import stderr
from lmc_core.limits import require_counts
from lmc_core.matching.many import FEWEST, MOST, common_forms
from lmc_core.matching.method import learns
from lmc_core.matching.methods import MANY_METHODS, matching_share
from lmc_core.merging.mixtures import Mixtures
from lmc_core.models.cache import load_warm
from lmc_core.models.load import full_reference, load
from lmc_core.models.model import Model
from lmc_core.models.sameness import common_weights
from lmc_core.paths.simplex import choose_mixtures, grid, losses_at
from lmc_core.progress import Progress, ignore, part
from lmc_core.runs.cache import bring_together
from lmc_core.runs.computation import Arrays, Entries
from lmc_core.runs.cost import estimate_memory
from lmc_core.runs.inputs import (
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
    read_groups,
    read_score,
    read_tensor,
    refuse_learning,
    require_two,
)
from lmc_core.runs.kinds import Seconds, SharedWeights
from lmc_core.runs.large_models import estimate_large_group, holds_nothing, reads_lazily
from lmc_core.runs.request import WINDOW, Data, RequestJson, Scalar
from lmc_core.runs.requests.many import GroupRequest, ManyFacts, ManyNumbers

RESOLUTION = 6  # of the simplex of three: 28 points, the centre among them


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
    settings: Mapping[str, Scalar] | None = None,
    device: str | None = None,
    learn: int | None = None,
    measured: bool = True,
    models: Sequence[Model] | None = None,
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
        device: ``cpu``, ``cuda``, ``mps``, or None for the default (`find_device`).
        learn: training examples to learn from; by default at most 8,000 images or 1,500 windows.
        measured: a loss will be measured, which models without a head do not have.
        models: of these references, where they were loaded already and there is room for them.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    configured = None if method == "none" else MANY_METHODS[method].configured(settings)
    learned = learns(configured)
    require_number(references)
    if not learned:
        refuse_learning(method, learn)
    require_counts(length=length, learn=learn, seed=seed)
    require_two(examples)
    grid(resolution)
    device = find_device(device)
    if models is None:
        measures = settings, length, resolution, examples
        models = _open_group(references, method, device, learned, measures)
    else:
        common_forms(models)
    asked, measured = Data(task, split, examples, seed, length), measured or learned
    found, data = choose_data(models, asked, measured, needed=measured)
    taught = choose_learning(found, method, learn, data) if learned else (None, "")
    matching = choose_matching(models[0], method, classes, settings, taught)
    named, shown = describe_models(references, models), resolution if len(models) == 3 else None
    return GroupRequest.make(named, data, matching, device, resolution=shown)


def _open_group(
    references: Sequence[str],
    method: str,
    device: str,
    learned: bool,
    measures: tuple[Mapping[str, Scalar] | None, int | None, int, int | None],
) -> Sequence[Model]:
    """The models between which is measured, loaded if there is room for it.

    Args:
        references: of the models.
        method: ``none``, or a name in `MANY_METHODS`.
        device: kind of device.
        learned: whether the method learns from examples.
        measures: settings of the method, tokens of a window, resolution of the simplex, examples.
    """
    unheld = None
    if reads_lazily(references, method, device, not learned):
        unheld = estimate_large_group(references, method, *measures)
    return open_many(references, method != "none", learned, "Measuring between", unheld=unheld)


def require_number(references: Sequence[str], besides: str = "", more: int = 0) -> None:
    """Refuse fewer models than two, and more than can be brought together.

    Args:
        references: of the models.
        besides: what comes on top of them, in words.
        more: how many that are.
    """
    if not FEWEST <= len(references) <= MOST - more:
        raise BadInput(
            f"Between {FEWEST} and {MOST - more} models are expected{besides}; {len(references)} "
            "came."
        )


def open_many(
    references: Sequence[str],
    aligned: bool,
    learned: bool,
    doing: str,
    merged: int | None = None,
    unheld: Memory | None = None,
) -> list[Model]:
    """Several models that can be brought together, loaded if there is room for what is asked of
    them.

    Args:
        references: of the models.
        aligned: whether they are brought into one frame.
        learned: whether by a method that follows gradients.
        doing: what is asked, to say what there is no room for.
        merged: how many of them that is asked of; all by default.
        unheld: what it takes without holding them, whose parameters are then read when they are
            asked for; None where models are held.
    """
    full = [full_reference(each) for each in references]
    if unheld is not None:
        memory = unheld
    elif merged:
        memory = estimate_many(full, aligned, learned)
    else:
        memory = estimate_group(full, aligned, learned, None, WINDOW)
    require_room(memory.peak, f"{doing} {merged or len(full)} models")
    models = [load(each, lazy=True) if unheld else load_warm(each) for each in full]
    common_forms(models)
    return models


def compute(
    request: GroupRequest, progress: Progress = ignore, refresh: bool = False
) -> tuple[ManyNumbers, Arrays]:
    """Compute what a request asks of several models.

    Args:
        request: what to do.
        progress: told the share done and a few words; may raise `Cancelled`.
        refresh: align also what was aligned before.

    Returns:
        The numbers, and the arrays ``losses`` (nats, `[points, examples]`), ``correct`` and
        ``weights`` (of the mixtures, `[points, models]`): the models, their centre, the midpoints
        of pairs, then those of the simplex.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs of a model by more than rounding.
    """
    progress(0.0, "loading the models")
    models, task, examples = open_inputs(request, holds_nothing(request))
    same = common_weights(models)
    # where the progress of measuring begins
    first = matching_share(request.method)
    aligning = part(progress, 0.0, first)
    frame = bring_together(request, models, examples, task, aligning, refresh)
    begin = perf_counter()
    weights = choose_mixtures(len(models), request.resolution)
    tell = part(progress, first, 1.0, f"measuring the loss on {len(examples)} examples")
    losses, correct = losses_at(frame.models, weights, examples, request.device, tell)
    seconds: Seconds = {"align": frame.facts["align_seconds"], "evaluate": perf_counter() - begin}
    measured = Mixtures(weights, losses, correct, len(models), examples.groups)
    numbers: ManyNumbers = {
        **describe_request(request, task, len(examples)),
        **many_facts(measured, request.resolution, task.score),
        **frame.numbers,
        **describe_size(models),
        "same": cast(list[SharedWeights], same),
        "memory": estimate_memory(request).peak,
        "seconds": seconds,
        **make_stamp(),
    }
    arrays = {
        "losses": losses.numpy(),
        "correct": correct.numpy(),
        "weights": weights.numpy(),
        **make_group_array(examples),
    }
    return numbers, arrays


def read_mixtures(arrays: Arrays, count: int) -> Mixtures:
    """What was measured at mixtures of several models, from a stored result.

    Raises:
        ValueError: the arrays do not fit together.
    """
    weights, losses, correct = (
        read_tensor(arrays, name, 2) for name in ("weights", "losses", "correct")
    )
    if weights.shape != (len(losses), count) or losses.shape != correct.shape:
        raise ValueError("the mixtures are not those of the request")
    return Mixtures(weights, losses, correct, count, read_groups(arrays))


def many_facts(found: Mixtures, resolution: int | None, score: str) -> ManyFacts:
    """The entries of a result that follow from its arrays: losses, the centre, the middles of
    pairs, the simplex.

    Args:
        found: in the order of `choose_mixtures`.
        resolution: of the grid of three; None for none.
        score: of the task, ``accuracy`` or ``perplexity``.
    """
    count, values = found.count, found.losses.double()
    excess = values - found.weights @ values[:count]
    mean, error = excess.mean(1), stderr(excess, found.groups)
    middles: list[list[float | None]] = [[None] * count for _ in range(count)]
    errors: list[list[float | None]] = [[None] * count for _ in range(count)]
    for number, (i, j) in enumerate(combinations(range(count), 2)):
        point = count + 1 + number
        middles[i][j] = middles[j][i] = float(mean[point])
        errors[i][j] = errors[j][i] = float(error[point])
    scores = (
        found.correct.double().mean(1)
        if score == "accuracy"
        else torch.exp(values.mean(1).clamp(max=700.0))
    )
    facts = {
        "losses": values[:count].mean(1).tolist(),
        "centre_loss": float(values[count].mean()),
        "centre_excess": float(mean[count]),
        "centre_stderr": float(error[count]),
        "midpoint_excess": middles,
        "midpoint_stderr": errors,
        "score": score,
        score: scores[:count].tolist(),
        f"centre_{score}": float(scores[count]),
        "simplex": None if resolution is None else found.simplex(resolution),
    }
    return cast(ManyFacts, facts)


def summarize(request: RequestJson, numbers: ManyNumbers, arrays: Arrays) -> Entries:
    """The entries that follow from the losses; see `runs.computation.summarize`."""
    found = read_mixtures(arrays, len(request["digests"]))
    facts = many_facts(found, request["resolution"], read_score(numbers["score"]))
    return {**facts, "examples": found.losses.shape[1]}
