"""Compute a `BarrierRequest`: load, align, measure the curve, gather everything that is shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lmc_core.paths.above_chord import SINGLE, above_chord, crossfitted, drop_facts
from lmc_core.paths.plain_average import against_plain, choose_places, nearest_half, plain_losses
from lmc_core.runs.aligned import consumes, line_of
from lmc_core.runs.ask import memory_of
from lmc_core.runs.further import at_best_temperature, routes
from lmc_core.runs.opened import asked, grouped, learning_from, opened, size_of, stamped
from lmc_core.runs.request import BarrierRequest
from lmc_core.runs.softened import own_losses, soft_facts

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmc_core.matching.pair import AlignedPair
    from lmc_core.models.model import Model
    from lmc_core.paths.curve import Curve
    from lmc_core.paths.line import ModelPath
    from lmc_core.tasks import Examples

Report = Callable[[float, str], None]
# training examples at the most that temperatures and renormalisations are fitted on
STATISTICS = 1024


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
    first = {"none": 0.0, "weight": 0.2}.get(request.method, 0.9)
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
