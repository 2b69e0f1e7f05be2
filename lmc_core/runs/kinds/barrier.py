"""Compute a `BarrierRequest`: load, align, measure the curve, gather everything that is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from lmc_core.errors import BadInput
from lmc_core.limits import require_counts
from lmc_core.matching.methods import matching_share
from lmc_core.paths.above_chord import SINGLE, above_chord, crossfitted, drop_facts
from lmc_core.paths.plain_average import against_plain, choose_places, nearest_half, plain_losses
from lmc_core.runs.aligned import consumes, line_of
from lmc_core.runs.ask import (
    data_of,
    find_device,
    learning_of,
    matching_of,
    memory_of,
    named,
    require_two,
)
from lmc_core.runs.further import at_best_temperature, routes
from lmc_core.runs.kinds import (
    ModelsNumbers,
    PairNumbers,
    RoutingOfExamples,
    Seconds,
    SharedWeights,
)
from lmc_core.runs.model_cache import load_warm
from lmc_core.runs.opened import asked, grouped, learning_from, opened, size_of, stamped
from lmc_core.runs.request import PairRequest
from lmc_core.runs.softened import own_losses, soft_facts

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.matching.aligned import AlignedPair
    from lmc_core.models.model import Model
    from lmc_core.paths.curve import Curve
    from lmc_core.paths.line import ModelPath
    from lmc_core.tasks import Examples, Task

Report = Callable[[float, str], None]
# training examples at the most that temperatures and renormalisations are fitted on
STATISTICS = 1024


class PlainNumbers(TypedDict):
    """What the plain average loses, at the barrier of an aligned line and half way."""

    lam: list[float]
    loss: list[float]
    more: float  # how much more the aligned line loses at the first of these points
    more_stderr: float


class TemperedNumbers(TypedDict):
    """The curve at the softmax temperature that is best at each of its points."""

    temperatures: list[float]
    loss: list[float]
    excess: list[float]
    barrier: float
    barrier_stderr: float
    barrier_lam: float
    examples: int


class SoftNumbers(TypedDict):
    """A line to a soft end, which is another function than B."""

    temperature: float
    entropy: float
    sharp: float
    softened: list[str]
    loss: float  # of the soft end
    loss_of_b: float
    function_error: float
    hard_function_error: float


class CurveNumbers(TypedDict):
    """A curve on [0, 1], point by point, and its barrier; see `curve_facts`.

    Of results that an earlier version wrote for a line to a soft end some entries are missing (see
    `runs.summary.AGAINST_TRUE_END`).
    """

    lam: list[float]
    loss: list[float]
    loss_stderr: list[float]
    chord: list[float]
    excess: list[float]  # of the loss above the chord
    excess_stderr: list[float]
    excess_low: NotRequired[list[float]]
    excess_high: NotRequired[list[float]]
    excess_factor: NotRequired[float | None]
    at_zero: NotRequired[bool]
    midpoint_excess: NotRequired[float]
    midpoint_excess_stderr: NotRequired[float]
    accuracy: NotRequired[list[float]]
    perplexity: NotRequired[list[float]]
    barrier: float
    barrier_stderr: float
    barrier_lam: float
    barrier_crossfit: NotRequired[float | None]
    barrier_crossfit_stderr: NotRequired[float | None]
    area: float
    area_stderr: float
    midpoint_loss: float
    # of image tasks, in shares of the accuracy below the chord
    drop: NotRequired[list[float]]
    drop_stderr: NotRequired[list[float]]
    drop_low: NotRequired[list[float]]
    drop_high: NotRequired[list[float]]
    drop_factor: NotRequired[float | None]
    drop_at_zero: NotRequired[bool]
    midpoint_drop: NotRequired[float]
    midpoint_drop_stderr: NotRequired[float]
    largest_drop: NotRequired[float]
    largest_drop_stderr: NotRequired[float]
    largest_drop_lam: NotRequired[float]
    drop_crossfit: NotRequired[float | None]
    drop_crossfit_stderr: NotRequired[float | None]


class BarrierNumbers(ModelsNumbers, CurveNumbers, PairNumbers):
    """The numbers of a `BarrierRequest`."""

    same: NotRequired[list[SharedWeights]]
    routing: RoutingOfExamples | None  # of mixtures of experts
    repair: bool
    tempered: NotRequired[TemperedNumbers]
    plain: NotRequired[PlainNumbers]
    above_plain: NotRequired[bool]
    soft: NotRequired[SoftNumbers]
    memory: int  # bytes
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class BarrierRequest(PairRequest):
    """The barrier between two models along the straight line, after an alignment or without one.

    Attributes:
        points: of the uniform grid on [0, 1].
        refine: further points around the maximum.
        temperature: whether the curve is also measured at the best softmax temperature of each
            point.
        repair: whether the interpolated network is renormalised (networks without norms alone).
    """

    points: int = 25
    refine: int = 4
    temperature: bool = False
    repair: bool = False
    what: str = "barrier"


def make_request(
    a: str,
    b: str,
    *,
    task: str | None = None,
    split: str | None = None,
    examples: int | None = None,
    seed: int = 0,
    length: int | None = None,
    method: str = "weight",
    classes: Mapping[str, str] | None = None,
    points: int = 25,
    refine: int = 4,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    learn: int | None = None,
    temperature: bool = False,
    repair: bool = False,
    measured: bool = True,
) -> BarrierRequest:
    """Turn what a person asked for into a request, after checking everything that is cheap to
    check.

    Args:
        a: reference of the first model, which stays.
        b: reference of the second, which moves.
        task: name of a shipped task, ``text:FILE``, ``images:FOLDER`` or
            ``hf-dataset:NAME[:SPLIT]``; by default the task that both models were trained on.
        split: of its data; by default the test split, or the only one there is.
        examples: how many; None for all of the split.
        seed: of the draw of examples.
        length: of a window of text, in tokens; by default the models' context, at most 128.
        method: ``none``, or a name in `matching.methods.METHODS`.
        classes: kind of space -> class; what is left out gets the largest admissible one.
        points: of the uniform grid.
        refine: further points around the maximum.
        settings: of the method, by name.
        device: ``cpu``, ``cuda``, ``mps``, or None for the best there is.
        learn: training examples for methods that use data; by default at most 8,000 images or 1,500
            windows.
        temperature: also measure the curve at the softmax temperature that is best on training
            examples at each point.
        repair: renormalise the interpolated network on training examples; for networks without
            norms.
        measured: a loss will be measured, which models without a head do not have; where it is not,
            and the method uses no data, no task is needed.

    Raises:
        BadInput: (or one of its kinds) when the request cannot be done as asked.
    """
    from lmc_core.matching.methods import METHODS

    require_counts(length=length, learn=learn, seed=seed)
    _require_counts(points, refine, examples)
    learned, where = _checked(method, settings), find_device(device)
    measured = measured or (learned and METHODS[method].takes_loss)
    models = _opened(a, b, points, method != "none", learned, measured)
    needed = measured or learned
    chosen_task, data = data_of(models, task, split, examples, seed, length, measured, needed)
    curve: dict[str, Any] = {
        "points": points,
        "refine": refine,
        "temperature": temperature,
        "repair": repair,
    }
    learns = [method] * learned + ["temperature"] * temperature + ["repair"] * repair
    return BarrierRequest(
        **named((a, b), models),
        **data,
        **matching_of(models[1], method, classes, settings),  # which moves
        **_learning(models[0], learns, chosen_task, method, learn, seed, data["length"]),
        **curve,
        device=where,
    )


def _checked(method: str, settings: Mapping[str, Any] | None) -> bool:
    """Whether a method learns from training examples, after a look at its settings."""
    from lmc_core.matching.methods import METHODS

    if method == "none":
        return False
    chosen = METHODS[method]
    chosen.configured(settings)
    return chosen.uses_data


def _opened(
    a: str, b: str, points: int, aligned: bool, learned: bool, measured: bool
) -> tuple[Model, Model]:
    """Two models that can be compared, or aligned where nothing is measured, loaded if there is
    room for what is asked.
    """
    from lmc_core.matching.common_form import require_common_form
    from lmc_core.models.common import different_heads, require_one_body
    from lmc_core.models.load import full_reference
    from lmc_core.runs.memory import require_room

    references = full_reference(a), full_reference(b)
    require_room(
        memory_of(references, points, aligned, learned).peak, f"Measuring between {a} and {b}"
    )
    models = load_warm(references[0]), load_warm(references[1])
    if not measured and different_heads(*models):
        require_one_body(*models)
    else:
        require_common_form(*models)
    return models


def _learning(
    model: Model,
    learns: Sequence[str],
    task: Task,
    method: str,
    learn: int | None,
    seed: int,
    length: int | None,
) -> dict[str, Any]:
    """What a request says of training examples: how many, and their digest if they are a person's
    own.

    Args:
        model: of the request.
        learns: what learns from them.
        task: of the request.
        method: of the request.
        learn: how many are asked for.
        seed: of their draw.
        length: of a window of text, in tokens.
    """
    if "repair" in learns:
        from lmc_core.analysis.repair import hidden_layers

        hidden_layers(model)
    if not learns:
        if learn is not None:
            raise BadInput(
                f"The method {method} learns from no examples; leave their number out, or choose "
                "one that does."
            )
        return {"learn": None, "learn_data": ""}
    count, digest = learning_of(task, learns[0], learn, seed, length)
    return {"learn": count, "learn_data": digest}


def _require_counts(points: int, refine: int, examples: int | None) -> None:
    require_counts(points=points, refine=refine)
    if points < 3:
        raise BadInput(f"At least 3 points are needed, both ends included; {points} came.")
    if refine < 0:
        raise BadInput(f"The number of refining points should be 0 or more; {refine} came.")
    require_two(examples)


def compute(
    request: BarrierRequest, report: Report = lambda share, words: None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute the barrier of a request.

    Args:
        request: what to do.
        report: called with the share done and a few words; may raise `Cancelled`.

    Returns:
        The result as plain JSON values, and the arrays ``losses`` (nats, `[points, examples]`),
        ``correct`` and, where examples belong together, ``groups``; of a line to a soft end also
        ``own`` (`[examples]`), what B itself loses.

    Raises:
        BadInput: if the models are no longer those of the request.
        FunctionChanged: if an alignment moved the outputs by more than rounding.
    """
    from lmc_core.analysis.repair import Repaired
    from lmc_core.models.sameness import common_weights
    from lmc_core.paths.curve import curve

    report(0.0, "loading the models")
    (a, b), task, examples = opened(request)
    same = common_weights((a, b))  # before an alignment writes into them
    # where the progress of measuring begins
    first = matching_share(request.method)
    plain = _plain_before(request, (a, b), examples, report)
    line, pair = line_of(
        request,
        (a, b),
        examples,
        task,
        lambda share, words: report(0.02 + (first - 0.02) * share, words),
    )
    begin = perf_counter()
    learning = learning_from(request, task)
    path: ModelPath = line
    if request.repair and learning is not None:
        path = Repaired(line, learning.train.first(STATISTICS), request.device)
    found = curve(
        path,
        examples,
        request.points,
        request.refine,
        request.device,
        lambda share: report(
            first + (1 - first) * share, f"measuring the loss on {len(examples)} examples"
        ),
    )
    seconds = {"align": pair.seconds if pair else 0.0, "evaluate": perf_counter() - begin}
    beside: dict[str, Any] = {
        "routing": routes(line, examples, request.device, report),
        "repair": request.repair,
    }
    if request.temperature and learning is not None:
        train = learning.train.first(STATISTICS)
        beside["tempered"] = at_best_temperature(
            path, found, train, examples, request.device, report
        )
    if pair is not None:
        if plain is None:
            plain = plain_losses(
                (a, b),
                choose_places(found),
                examples,
                request.device,
                lambda share, words: report(1.0, words),
            )
        beside |= against_plain(found, plain)
    memory = memory_of(
        request.models, request.points, request.method != "none", request.learn is not None
    ).peak
    arrays = {"losses": found.losses.numpy(), "correct": found.correct.numpy(), **grouped(examples)}
    if (own := own_losses(pair, examples, request.device)) is not None:
        arrays["own"] = own.numpy()
    return {
        **asked(request, task, found.losses.shape[1]),
        **curve_facts(found, task.score),
        **pair_facts(pair),
        **size_of((a, b)),
        "same": same,
        **beside,
        "memory": memory,
        "seconds": seconds,
        **stamped(),
        **soft_facts(pair, found, own),
    }, arrays


def _plain_before(
    request: BarrierRequest, models: tuple[Model, Model], examples: Examples, report: Report
) -> tuple[list[float], Tensor] | None:
    """What the plain average loses half way, of models that an alignment writes into; of others it
    is measured later.
    """
    import torch

    if request.method == "none" or not consumes(request, models):
        return None
    middle = nearest_half(torch.linspace(0, 1, request.points, dtype=torch.float64))
    return plain_losses(
        models, [middle], examples, request.device, lambda share, words: report(0.0, words)
    )


def pair_facts(pair: AlignedPair | None) -> dict[str, Any]:
    """The entries of a result that say what an alignment found and that no function changed; empty
    ones for none.
    """
    if pair is None:
        return {
            "function_error": None,
            "objective": [],
            "objective_before": None,
            "start": None,
            "found": {},
        }
    return {
        "function_error": pair.function_error,
        "objective": list(pair.trace.objective),
        "objective_before": pair.trace.before,
        "start": pair.trace.start,
        "found": dict(pair.trace.about),
        "places": {
            space: {name: values.tolist() for name, values in asdict(place).items()}
            for space, place in pair.places.items()
        },
    }


def curve_facts(found: Curve, score: str) -> dict[str, Any]:
    """The entries of a result that are its curve: losses, chord, excess, score, barrier, and the
    area above the chord.

    ``barrier`` is the largest excess as it is, ``barrier_crossfit`` the same without the bias of
    having looked for it; the band and ``at_zero`` are those of `above_chord`. Errors are over
    examples, or the groups of the curve.

    Args:
        found: the curve; one whose groups are not known, as of old results, is taken for one of
            independent examples.
        score: of the task, ``accuracy`` or ``perplexity``.
    """
    import torch

    from lmc_core.intervals.errors import stderr
    from lmc_core.paths.barrier import excess, place

    mean, lam = found.mean, found.lam
    above = excess(lam, found.losses)
    top = found.barrier
    chord = (1 - lam) * mean[0] + lam * mean[-1]
    areas = torch.trapezoid(above, lam, dim=0)
    middle = int((lam - 0.5).abs().argmin())
    if score == "accuracy":
        scores = found.correct.double().mean(1).tolist()
    else:
        scores = [math.exp(min(value, 700.0)) for value in mean.tolist()]
    return {
        "lam": lam.tolist(),
        "loss": mean.tolist(),
        "loss_stderr": found.stderr.tolist(),
        "chord": chord.tolist(),
        **above_chord(lam, above, found.groups, SINGLE * float(mean.abs().max())),
        score: scores,
        "barrier": top.value,
        "barrier_stderr": top.stderr,
        "barrier_lam": top.lam,
        **crossfitted(above, found.groups, place, "barrier"),
        **(drop_facts(found) if score == "accuracy" else {}),
        "area": float(areas.mean()),
        "area_stderr": float(stderr(areas, found.groups)),
        "midpoint_loss": float(mean[middle]),
    }
