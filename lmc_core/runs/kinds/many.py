"""Compute a `GroupRequest`: load, align, measure the centre, the midpoints of all pairs, and the
simplex of three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import TYPE_CHECKING, Any, NotRequired

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.matching.methods import matching_share
from lmc_core.runs.ask import (
    data_of,
    find_device,
    learning_of,
    matching_of,
    memory_of_group,
    named,
    opened_group,
    require_number,
    require_two,
)
from lmc_core.runs.kinds import FrameNumbers, ModelsNumbers, Seconds, SharedWeights, SimplexNumbers
from lmc_core.runs.opened import CHECKED, asked, grouped, learning_from, opened, size_of, stamped
from lmc_core.runs.request import ModelsRequest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.matching.many import AlignedModels
    from lmc_core.models.model import Model
    from lmc_core.paths.simplex import Simplex
    from lmc_core.tasks import Examples, Task

Report = Callable[[float, str], None]


RESOLUTION = 6  # of the simplex of three: 28 points, the centre among them


class ManyNumbers(ModelsNumbers, FrameNumbers):
    """The numbers of a `GroupRequest`; matrices are over pairs of models, None on the diagonal."""

    losses: list[float]  # of each model
    centre_loss: float
    centre_excess: float  # above the mean of the models' losses
    centre_stderr: float
    midpoint_excess: list[list[float | None]]
    midpoint_stderr: list[list[float | None]]
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    centre_accuracy: NotRequired[float]
    centre_perplexity: NotRequired[float]
    simplex: SimplexNumbers | None
    same: NotRequired[list[SharedWeights]]
    memory: int  # bytes
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class GroupRequest(ModelsRequest):
    """Several models in one frame: their centre, the midpoints of their pairs, and of three the
    loss over the simplex.

    Attributes:
        resolution: of the grid on the simplex of three models; None for other numbers of models.
    """

    method: str = "universe"
    resolution: int | None = None
    what: str = "group"


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
    from lmc_core.matching.method import learns
    from lmc_core.matching.methods import MANY_METHODS
    from lmc_core.paths.simplex import grid

    configured = None if method == "none" else MANY_METHODS[method].configured(settings)
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


def compute(
    request: GroupRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute what a request asks of several models.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and the arrays ``losses`` (nats, `[points, examples]`),
        ``correct`` and ``weights``
        (of the mixtures, `[points, models]`): the models, their centre, the midpoints of pairs,
            then those of the simplex.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs of a model by more than rounding.
    """
    from lmc_core.matching.many import common_forms
    from lmc_core.models.sameness import common_weights
    from lmc_core.paths.simplex import losses_at

    report(0.0, "loading the models")
    models, task, examples = opened(request)
    same = common_weights(models)
    # where the progress of measuring begins
    first = matching_share(request.method)
    aligned: dict[str, Any] = {
        "function_errors": None,
        "cycle_error": None,
        "objective": [],
        "objective_before": None,
        "start": None,
        "found": {},
    }
    seconds = {"align": 0.0, "evaluate": 0.0}
    if request.method == "none":
        placed: Sequence[Model] = common_forms(models)
    else:
        group = align(
            request, models, examples, task, lambda share, words: report(first * share, words)
        )
        placed, seconds["align"] = group.models, group.seconds
        aligned = {
            "function_errors": list(group.function_errors),
            "cycle_error": group.cycle_error,
            "objective": list(group.trace.objective),
            "objective_before": group.trace.before,
            "start": group.trace.start,
            "found": dict(group.trace.about),
        }
    begin = perf_counter()
    weights = mixtures(len(models), request.resolution)

    def tell(share: float) -> None:
        report(first + (1 - first) * share, f"measuring the loss on {len(examples)} examples")

    losses, correct = losses_at(placed, weights, examples, request.device, tell)
    seconds["evaluate"] = perf_counter() - begin
    arrays = {
        "losses": losses.numpy(),
        "correct": correct.numpy(),
        "weights": weights.numpy(),
        **grouped(examples),
    }
    return {
        **asked(request, task, len(examples)),
        **numbers_of(
            weights, losses, correct, len(models), request.resolution, task.score, examples.groups
        ),
        **aligned,
        **size_of(models),
        "same": same,
        "memory": memory_of_group(
            request.models, request.method != "none", request.learn is not None
        ),
        "seconds": seconds,
        **stamped(),
    }, arrays


def align(
    request: GroupRequest, models: Sequence[Model], examples: Examples, task: Task, report: Report
) -> AlignedModels:
    """Align the models of a request as it says.

    What is learned is kept in a file until it is done, so that a run that was cancelled or killed
    goes on from there.
    """
    from lmc_core.matching.many import align_models
    from lmc_core.matching.methods import MANY_METHODS
    from lmc_core.tasks.seen_rows import find_seen_rows

    return align_models(
        models,
        examples.first(CHECKED).inputs,
        dict(request.classes),
        request.method,
        MANY_METHODS[request.method].configured(dict(request.settings)),
        masks=find_seen_rows(*models),
        progress=report,
        learning=learning_from(request, task),
    )


def mixtures(count: int, resolution: int | None) -> Tensor:
    """Weights of all that is measured, `[points, models]`: each model, the centre, midpoints of
    pairs, the grid of three.
    """
    import torch

    from lmc_core.paths.simplex import grid

    own = torch.eye(count, dtype=torch.float64)
    middles = [(own[i] + own[j]) / 2 for i, j in combinations(range(count), 2)]
    rows = torch.cat([own, own.mean(0, keepdim=True), torch.stack(middles)])
    if resolution is None:
        return rows
    points = grid(resolution)
    # the others are there
    new = [k for k in range(len(points)) if float((rows - points[k]).abs().amax(1).min()) > 1e-9]
    return torch.cat([rows, points[new]])


def simplex_of(
    weights: Tensor, losses: Tensor, correct: Tensor, resolution: int, groups: Tensor | None
) -> Simplex:
    """The points of the grid among all that were measured, in the grid's order."""
    from lmc_core.paths.simplex import Simplex, grid

    points = grid(resolution)
    where = (weights[None] - points[:, None]).abs().amax(2).argmin(1)
    return Simplex(points, losses[where], correct[where], groups)


def numbers_of(
    weights: Tensor,
    losses: Tensor,
    correct: Tensor,
    count: int,
    resolution: int | None,
    score: str,
    groups: Tensor | None = None,
) -> dict[str, Any]:
    """The entries of a result that follow from its arrays: losses, the centre, the middles of
    pairs, the simplex.

    Args:
        weights: of what was measured, `[points, models]`, in the order of `mixtures`.
        losses: in nats, `[points, examples]`.
        correct: of the same shape.
        count: of models.
        resolution: of the grid of three; None for none.
        score: of the task, ``accuracy`` or ``perplexity``.
        groups: which examples belong together, `[examples]`; None for none.
    """
    import torch

    from lmc_core.intervals.errors import stderr

    values = losses.double()
    excess = values - weights @ values[:count]
    mean, error = excess.mean(1), stderr(excess, groups)
    middles: list[list[float | None]] = [[None] * count for _ in range(count)]
    errors: list[list[float | None]] = [[None] * count for _ in range(count)]
    for number, (i, j) in enumerate(combinations(range(count), 2)):
        point = count + 1 + number
        middles[i][j] = middles[j][i] = float(mean[point])
        errors[i][j] = errors[j][i] = float(error[point])
    scores = (
        correct.double().mean(1)
        if score == "accuracy"
        else torch.exp(values.mean(1).clamp(max=700.0))
    )
    found: dict[str, Any] = {
        "losses": values[:count].mean(1).tolist(),
        "centre_loss": float(values[count].mean()),
        "centre_excess": float(mean[count]),
        "centre_stderr": float(error[count]),
        "midpoint_excess": middles,
        "midpoint_stderr": errors,
        "score": score,
        score: scores[:count].tolist(),
        f"centre_{score}": float(scores[count]),
        "simplex": None,
    }
    if resolution is not None:
        simplex = simplex_of(weights, losses, correct, resolution, groups)
        found["simplex"] = {
            "resolution": resolution,
            "weights": simplex.weights.tolist(),
            "loss": simplex.mean.tolist(),
            "excess": simplex.excess.mean(1).tolist(),
            "excess_stderr": simplex.stderr.tolist(),
            "maximum": simplex.maximum,
            "maximum_stderr": float(simplex.stderr[simplex.top]),
            "maximum_at": simplex.weights[simplex.top].tolist(),
        }
    return found
